//! Ownership: which service an event belongs to, and who owns that service when.
