//! End-to-end tests and the independent oracle.
