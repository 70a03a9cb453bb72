//! The four stages wired together, and the driver that runs them without I/O.
