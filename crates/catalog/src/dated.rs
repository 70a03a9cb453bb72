//! Values that hold from a time on: the greatest `valid_from` at or before a time holds, inclusive.

use model::Timestamp;
use serde::Serialize;

/// Values by the time from which they hold, in order. "Always" is the earliest instant there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Dated<T>(Vec<(Timestamp, T)>);

/// From the beginning: what holds when no `valid_from` is given.
pub(crate) const ALWAYS: Timestamp = Timestamp::from_micros(i64::MIN);

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Dated<T> {
    /// Adds a value; gives the one that already begins at that very time, and then adds nothing.
    pub(crate) fn insert(&mut self, from: Timestamp, value: T) -> Option<&T> {
        match self.0.binary_search_by_key(&from, |(from, _)| *from) {
            Ok(at) => self.0.get(at).map(|(_, value)| value),
            Err(at) => {
                self.0.insert(at, (from, value));
                None
            }
        }
    }
    /// What holds at a time; before the first, nothing.
    pub(crate) fn at(&self, time: Timestamp) -> Option<&T> {
        let count = self.0.partition_point(|(from, _)| *from <= time);
        self.0.get(count.checked_sub(1)?).map(|(_, value)| value)
    }
    /// Every value in order of time.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, T)> {
        self.0.iter()
    }
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
