//! The generation of results: everything that one configuration computes from the raw records.

use std::fmt;
use std::num::NonZeroU32;

/// A generation, from 1. Each has topics, groups and tables of its own; all of them read the same raw records and the
/// same catalog, so that another configuration is computed beside the one whose results are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The one that a new installation begins with; its names carry no number.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The generation of a number; `None`: 0 is none.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
    /// Its number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
    /// Whether it is the first.
    pub fn is_first(self) -> bool {
        self == Self::FIRST
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
