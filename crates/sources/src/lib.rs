//! One file per vendor: a payload in, canonical events out.
