//! The rolling windows that are kept: least recently used first out, within one limit.

use crate::pane::SeriesId;
use crate::rolling::Rolling;
use std::collections::BTreeMap;

/// Rolling windows by series, with a limit on what they hold together. One that was let go is built again from
/// its panes, which costs one window.
#[derive(Debug)]
pub(crate) struct RollingCache {
    entries: BTreeMap<SeriesId, Entry>,
    /// Tick of the last use → series.
    by_age: BTreeMap<u64, SeriesId>,
    tick: u64,
    weight: usize,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    rollings: Vec<Rolling>,
    tick: u64,
    weight: usize,
}

fn weigh(rollings: &[Rolling]) -> usize {
    rollings.iter().map(Rolling::weight).sum()
}

impl RollingCache {
    pub fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), by_age: BTreeMap::new(), tick: 0, weight: 0, limit }
    }

    pub fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// The windows of a series, as they are.
    pub fn get(&self, series: &SeriesId) -> &[Rolling] {
        self.entries.get(series).map_or(&[], |entry| entry.rollings.as_slice())
    }

    /// Takes the windows of a series out, to be moved and put back.
    pub fn take(&mut self, series: &SeriesId) -> Vec<Rolling> {
        let Some(entry) = self.entries.remove(series) else { return Vec::new() };
        self.by_age.remove(&entry.tick);
        self.weight -= entry.weight;
        entry.rollings
    }

    /// Puts the windows of a series as the most recently used, and lets the oldest go beyond the limit.
    pub fn put(&mut self, series: SeriesId, rollings: Vec<Rolling>) {
        self.take(&series);
        if rollings.is_empty() {
            return;
        }
        self.tick += 1;
        let weight = weigh(&rollings);
        self.weight += weight;
        self.by_age.insert(self.tick, series.clone());
        self.entries.insert(series, Entry { rollings, tick: self.tick, weight });
        while self.weight > self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.weight -= self.entries.remove(&oldest).map_or(0, |entry| entry.weight);
        }
    }

    /// Changes the windows of a series in place.
    pub fn change(&mut self, series: &SeriesId, mut change: impl FnMut(&mut Rolling)) {
        if let Some(entry) = self.entries.get_mut(series) {
            entry.rollings.iter_mut().for_each(&mut change);
            let weight = weigh(&entry.rollings);
            self.weight = self.weight - entry.weight + weight;
            entry.weight = weight;
        }
    }
}
