//! A counting multiset of whole seconds with exact order statistics.

/// A block is cut in two when it holds more than twice as many different values. Each row of a window walks through four of
/// them to their ranks.
const BLOCK: usize = 32;

/// A counting multiset: value → how often, kept sorted in blocks that know how much they hold.
///
/// Adding costs a binary search over the blocks and a move within one; an order statistic costs a walk over the
/// blocks' counts. A value whose count is negative (its retraction came before it) is kept and holds nothing, so
/// that what the set says depends on the sum of what was added and never on its order.
#[derive(Debug, Clone, Default)]
pub struct Multiset {
    blocks: Vec<Block>,
    count: i64,
    sum: i128,
    distinct: usize,
}

#[derive(Debug, Clone, Default)]
struct Block {
    /// Value and count, ascending by value; no count is zero.
    entries: Vec<(i64, i64)>,
    /// Sum of the positive counts.
    count: i64,
}

impl Block {
    fn last(&self) -> i64 {
        self.entries.last().map_or(i64::MIN, |entry| entry.0)
    }

    /// Adds to a value; returns its count before and after.
    fn add(&mut self, value: i64, times: i64) -> (i64, i64) {
        match self.entries.binary_search_by_key(&value, |entry| entry.0) {
            Ok(at) => {
                let Some(entry) = self.entries.get_mut(at) else { return (0, 0) };
                let before = entry.1;
                entry.1 += times;
                let after = entry.1;
                if after == 0 {
                    self.entries.remove(at);
                }
                (before, after)
            }
            Err(at) => {
                self.entries.insert(at, (value, times));
                (0, times)
            }
        }
    }
}

impl Multiset {
    /// Adds a value so many times (negative: takes it away).
    pub fn add(&mut self, value: i64, times: i64) {
        if times == 0 {
            return;
        }
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let found = self.blocks.partition_point(|block| block.last() < value);
        let at = found.min(self.blocks.len() - 1);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let (before, after) = block.add(value, times);
        let change = after.max(0) - before.max(0);
        block.count += change;
        self.count += change;
        self.sum += i128::from(value) * i128::from(change);
        if before == 0 {
            self.distinct += 1;
            self.split(at);
        } else if after == 0 {
            self.distinct -= 1;
            self.merge(at);
        }
    }

    fn split(&mut self, at: usize) {
        let Some(block) = self.blocks.get_mut(at) else { return };
        if block.entries.len() > 2 * BLOCK {
            let entries = block.entries.split_off(BLOCK);
            let count = entries.iter().map(|entry| entry.1.max(0)).sum();
            block.count -= count;
            self.blocks.insert(at + 1, Block { entries, count });
        }
    }

    /// Joins a block that shrank with a neighbour, so that a set that once was large is not slow for ever.
    fn merge(&mut self, at: usize) {
        let length = |at: usize| self.blocks.get(at).map_or(BLOCK, |block| block.entries.len());
        if length(at) == 0 {
            self.blocks.remove(at);
            return;
        }
        let left = if length(at) + length(at + 1) < BLOCK {
            at
        } else if at > 0 && length(at - 1) + length(at) < BLOCK {
            at - 1
        } else {
            return;
        };
        let right = self.blocks.remove(left + 1);
        if let Some(block) = self.blocks.get_mut(left) {
            block.entries.extend(right.entries);
            block.count += right.count;
        }
    }

    /// How many values it holds, each as often as it was added.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// How many different values are stored.
    pub fn distinct(&self) -> usize {
        self.distinct
    }

    /// The values' sum ÷ their number; `None` when empty.
    #[expect(clippy::cast_precision_loss, reason = "the last step, after exact integer sums")]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// Percentiles by nearest rank, rank = ⌈p·n⌉ in integers. `percents` must ascend; all `None` when empty.
    pub fn percentiles<const N: usize>(&self, percents: [i64; N]) -> [Option<i64>; N] {
        let mut found = [None; N];
        if self.count <= 0 {
            return found;
        }
        let mut blocks = self.blocks.iter();
        let mut block = blocks.next();
        // Values in the blocks before this one.
        let mut passed = 0;
        for (percent, slot) in percents.into_iter().zip(found.iter_mut()) {
            let rank = rank(percent, self.count);
            while let Some(here) = block
                && passed + here.count < rank
            {
                passed += here.count;
                block = blocks.next();
            }
            let mut reached = passed;
            *slot = block.and_then(|here| {
                here.entries.iter().find_map(|(value, count)| {
                    reached += (*count).max(0);
                    (reached >= rank).then_some(*value)
                })
            });
        }
        found
    }
}

/// The nearest rank of a percentile: ⌈percent·count ÷ 100⌉, at least 1.
pub const fn rank(percent: i64, count: i64) -> i64 {
    let rank = (percent * count + 99) / 100;
    if rank < 1 { 1 } else { rank }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn naive(raw: &BTreeMap<i64, i64>) -> Vec<i64> {
        raw.iter().flat_map(|(value, count)| vec![*value; usize::try_from(*count).unwrap_or(0)]).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn the_set_says_what_a_sorted_list_says(
            adds in proptest::collection::vec((-400_i64..2_000, -2_i64..4), 0..2_000),
        ) {
            let mut set = Multiset::default();
            let mut raw = BTreeMap::new();
            for (value, times) in adds {
                set.add(value, times);
                *raw.entry(value).or_insert(0) += times;
            }
            let list = naive(&raw);
            let percents = [1, 25, 50, 75, 90, 95, 100];
            let expect = percents.map(|p| list.get((p * list.len()).div_ceil(100).max(1) - 1).copied());
            prop_assert_eq!(set.percentiles(percents.map(|p| p as i64)), expect);
            prop_assert_eq!(set.count(), list.len() as i64);
            prop_assert_eq!(set.distinct(), raw.values().filter(|count| **count != 0).count());
            let sum: i64 = list.iter().sum();
            prop_assert_eq!(set.mean(), (!list.is_empty()).then(|| sum as f64 / list.len() as f64));
        }
    }

    #[test]
    fn a_set_that_was_emptied_keeps_nothing() {
        let mut set = Multiset::default();
        (0..10_000).for_each(|value| set.add(value * 7 % 10_000, 1));
        assert_eq!(set.percentiles([50, 95]), [Some(4_999), Some(9_499)]);
        (0..10_000).for_each(|value| set.add(value, -1));
        assert_eq!((set.count(), set.distinct(), set.blocks.len()), (0, 0, 0));
        assert_eq!(set.mean(), None);
    }

    #[test]
    fn a_shrunken_set_joins_its_blocks() {
        let mut set = Multiset::default();
        (0..10_000).for_each(|value| set.add(value, 1));
        (0..10_000).filter(|value| value % 100 != 0).for_each(|value| set.add(value, -1));
        assert!(set.blocks.len() <= 4, "{} blocks for 100 values", set.blocks.len());
    }
}
