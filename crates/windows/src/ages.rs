//! Which series' windows were used last, so that those of the others can be let go: a cache within one limit.

use crate::pane::SeriesId;
use std::collections::BTreeMap;

/// The series whose rolling windows are kept, by their last use, and what they weigh together.
#[derive(Debug)]
pub(crate) struct Ages {
    /// Tick of the last use → series.
    by_age: BTreeMap<u64, SeriesId>,
    tick: u64,
    weight: usize,
    limit: usize,
}

/// A series' place among them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Age {
    /// 0: nothing of it is kept.
    tick: u64,
    weight: usize,
}

impl Ages {
    pub fn new(limit: usize) -> Self {
        Self { by_age: BTreeMap::new(), tick: 0, weight: 0, limit }
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// A series' windows weigh so much now.
    pub fn weigh(&mut self, age: &mut Age, weight: usize) {
        self.weight = self.weight - age.weight + weight;
        age.weight = weight;
    }

    /// A series' windows were used.
    pub fn used(&mut self, id: &SeriesId, age: &mut Age, weight: usize) {
        self.by_age.remove(&age.tick);
        self.weigh(age, weight);
        self.tick += 1;
        age.tick = self.tick;
        self.by_age.insert(self.tick, id.clone());
    }

    /// The series whose windows are to be let go next, while all weigh more than the limit.
    pub fn next_to_go(&mut self) -> Option<SeriesId> {
        (self.weight > self.limit).then(|| self.by_age.pop_first()).flatten().map(|(_, id)| id)
    }
}
