//! A deterministic organisation's raw vendor events.
