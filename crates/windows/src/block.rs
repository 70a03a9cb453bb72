//! Panes that follow each other, as one entry of the changelog: what a transaction costs is the number of its entries
//! more than their size, and a transaction that changes a pane mostly changes its neighbours.
//!
//! A pane with few samples carries them; the samples of any other are entries of their own, so that a change of a large
//! multiset stays as small as itself. Which of the two holds depends on the pane alone.

use crate::pane::{PaneRow, SeriesId};
use crate::series::Series;
use crate::store::Changes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

// Numbers of tables, part of the stored format. 1 and 2 were entries of one pane and of one sample.
pub(crate) const BLOCKS: u8 = 6;
pub(crate) const SAMPLES: u8 = 7;

/// How many panes lie in a block.
const LENGTH: i64 = 8;
/// Most different samples that a pane carries.
const FEW: i64 = 64;

/// A pane in its block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockPane {
    /// Its place in the block.
    place: u8,
    row: PaneRow,
    /// Seconds and how often, where they are few.
    samples: Vec<(i64, i64)>,
}

/// What stood in a series before the transaction, of what it changed.
#[derive(Default)]
struct Before {
    rows: BTreeMap<i64, Option<PaneRow>>,
    samples: BTreeMap<(i64, i64), Option<i64>>,
}

fn block_of(index: i64) -> i64 {
    index.div_euclid(LENGTH)
}

fn indexes(block: i64) -> RangeInclusive<i64> {
    let first = block * LENGTH;
    first..=first + LENGTH - 1
}

fn is_many(row: Option<&PaneRow>) -> bool {
    row.is_some_and(|row| row.distinct > FEW)
}

impl Before {
    fn row(&self, series: &Series, index: i64) -> Option<PaneRow> {
        self.rows.get(&index).copied().unwrap_or_else(|| series.panes.get(&index).copied())
    }

    fn samples(&self, series: &Series, index: i64) -> Vec<(i64, i64)> {
        let mut samples: BTreeMap<i64, i64> = series.stored().samples_between(index, index).collect();
        for ((_, seconds), before) in self.samples.range((index, i64::MIN)..=(index, i64::MAX)) {
            match before {
                Some(count) => samples.insert(*seconds, *count),
                None => samples.remove(seconds),
            };
        }
        samples.into_iter().collect()
    }

    fn block(&self, series: &Series, block: i64) -> Vec<BlockPane> {
        let pane = |index| {
            Some(BlockPane::new(index, self.row(series, index)?, |index| self.samples(series, index)))
        };
        indexes(block).filter_map(pane).collect()
    }
}

impl BlockPane {
    fn new(index: i64, row: PaneRow, samples: impl FnOnce(i64) -> Vec<(i64, i64)>) -> Self {
        let place = u8::try_from(index.rem_euclid(LENGTH)).unwrap_or_default();
        let samples = if row.distinct == 0 || is_many(Some(&row)) { Vec::new() } else { samples(index) };
        Self { place, row, samples }
    }
}

impl Series {
    /// The panes of a block; none: it is not stored.
    fn block(&self, block: i64) -> Vec<BlockPane> {
        let samples = |index| self.stored().samples_between(index, index).collect();
        let panes = self.panes.range(indexes(block));
        panes.map(|(index, row)| BlockPane::new(*index, *row, samples)).collect()
    }

    /// Ends the transaction of the panes and their samples.
    pub fn commit_panes(&mut self, id: &SeriesId, changes: &mut impl Changes) {
        let mut before = Before::default();
        self.panes.commit(|index, _, row| _ = before.rows.insert(*index, row.copied()));
        self.samples.commit(|sample, _, count| _ = before.samples.insert(*sample, count.copied()));
        let changed = before.rows.keys().chain(before.samples.keys().map(|(index, _)| index));
        let mut changed: Vec<i64> = changed.copied().collect();
        changed.sort_unstable();
        changed.dedup();
        for panes in changed.chunk_by(|one, next| block_of(*one) == block_of(*next)) {
            let Some(block) = panes.first().map(|index| block_of(*index)) else { continue };
            let stored = |panes: Vec<BlockPane>| (!panes.is_empty()).then_some(panes);
            let (now, stood) = (stored(self.block(block)), stored(before.block(self, block)));
            if now != stood {
                changes.put(BLOCKS, &(id, block), now.as_ref(), stood.as_ref());
            }
        }
        for index in changed {
            self.commit_samples(id, index, &before, changes);
        }
    }

    /// The entries of a pane with many samples. One that had few until now, or has few from now on, changes all.
    fn commit_samples(&self, id: &SeriesId, index: i64, before: &Before, changes: &mut impl Changes) {
        let mut put = |seconds: i64, now: Option<i64>, stood: Option<i64>| {
            changes.put(SAMPLES, &(id, (index, seconds)), now.as_ref(), stood.as_ref());
        };
        let were_many = is_many(before.row(self, index).as_ref());
        match (were_many, is_many(self.panes.get(&index))) {
            (false, false) => {}
            (false, true) => {
                let samples = self.stored().samples_between(index, index);
                samples.for_each(|(seconds, count)| put(seconds, Some(count), None));
            }
            (true, false) => {
                let samples = before.samples(self, index).into_iter();
                samples.for_each(|(seconds, count)| put(seconds, None, Some(count)));
            }
            (true, true) => {
                for ((_, seconds), stood) in before.samples.range((index, i64::MIN)..=(index, i64::MAX)) {
                    put(*seconds, self.samples.get(&(index, *seconds)).copied(), *stood);
                }
            }
        }
    }

    /// Puts a block back. The few samples of its panes wait for the last entry: until then the changelog may still
    /// hold entries of samples that are from another time of the pane.
    pub fn restore_block(&mut self, block: i64, panes: Option<Vec<BlockPane>>) {
        for index in indexes(block) {
            self.panes.restore(index, None);
            self.few.remove(&index);
        }
        for BlockPane { place, row, samples } in panes.unwrap_or_default() {
            let index = indexes(block).start() + i64::from(place);
            self.panes.restore(index, Some(row));
            if !samples.is_empty() {
                self.few.insert(index, samples);
            }
        }
    }

    /// After the last entry: puts the few samples to their panes.
    pub fn restored_blocks(&mut self) {
        for (index, samples) in std::mem::take(&mut self.few) {
            for (seconds, count) in samples {
                self.samples.restore((index, seconds), Some(count));
            }
        }
    }

    /// How many entries the panes and their samples have; walks over them.
    pub fn block_entries(&self) -> usize {
        let (mut entries, mut last) = (0, None);
        for (index, row) in self.stored().between(i64::MIN, i64::MAX) {
            if last.replace(block_of(index)) != Some(block_of(index)) {
                entries += 1;
            }
            if is_many(Some(row)) {
                entries += usize::try_from(row.distinct).unwrap_or_default();
            }
        }
        entries
    }
}
