//! An ordered table for keys that mostly come in order: rows in blocks, the newest block at hand. What happens at the
//! newest end costs the same however long the history is; a tree is a level deeper for every ten times its size.

use model::journal::{Changes, Journal};
use std::ops::RangeInclusive;

/// Most rows of a block. A full one is cut in two, or, at the newest end, followed by a new one.
const BLOCK: usize = 64;

/// A table as [`model::table::Table`], with a journal of what the running transaction changed.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<K, V> {
    rows: Blocks<K, V>,
    journal: Journal<K, V>,
}

/// The rows.
#[derive(Debug, Clone)]
struct Blocks<K, V> {
    blocks: Vec<Block<K, V>>,
}

/// Rows that follow each other; never empty.
#[derive(Debug, Clone)]
struct Block<K, V> {
    /// No row of the block comes before it, and all rows of the blocks before do.
    first: K,
    rows: Vec<(K, V)>,
}

impl<K, V> Default for Timeline<K, V> {
    fn default() -> Self {
        Self { rows: Blocks { blocks: Vec::new() }, journal: Journal::default() }
    }
}

impl<K: Ord + Copy, V: Copy + PartialEq> Timeline<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Puts a value. Putting what is there changes nothing.
    pub fn put(&mut self, key: K, value: V) {
        let before = self.rows.insert(key, value);
        if before != Some(value) {
            self.journal.note(|| key, before);
        }
    }

    /// Takes a value away.
    pub fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.take(key) {
            self.journal.note(|| *key, Some(before));
        }
    }

    /// The rows in a range of keys, in order.
    pub fn range(&self, range: RangeInclusive<K>) -> impl Iterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    /// The newest row.
    pub fn newest(&self) -> Option<(K, V)> {
        self.rows.newest()
    }

    /// Ends the transaction: hands each changed key with its value now and its value before (`None`: not there),
    /// in the order of the keys.
    pub fn commit(&mut self, change: impl FnMut(&K, Option<&V>, Option<&V>)) {
        self.journal.commit(|key| self.rows.get(key), change);
    }

    /// Puts a row that a changelog holds, without a journal entry.
    pub fn restore(&mut self, key: K, value: Option<V>) {
        self.rows.restore(key, value);
    }
}

impl<K: Ord + Copy, V: Copy> Blocks<K, V> {
    /// Where a key's block is, or would be. It is looked for from the newest end, in steps that double.
    fn block_of(&self, key: &K) -> usize {
        let begins_after = |at: usize| self.blocks.get(at).is_some_and(|block| block.first > *key);
        let (mut high, mut step) = (self.blocks.len(), 1);
        let mut low = high.saturating_sub(1);
        while low > 0 && begins_after(low) {
            high = low;
            step *= 2;
            low = high.saturating_sub(step);
        }
        let between = self.blocks.get(low..high).unwrap_or_default();
        low + between.partition_point(|block| block.first <= *key).saturating_sub(1)
    }

    fn get(&self, key: &K) -> Option<&V> {
        let rows = &self.blocks.get(self.block_of(key))?.rows;
        rows.get(find(rows, key).ok()?).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V) -> Option<V> {
        let at = self.block_of(&key);
        let is_newest = at + 1 >= self.blocks.len();
        let Some(block) = self.blocks.get_mut(at) else {
            self.blocks.push(Block { first: key, rows: vec![(key, value)] });
            return None;
        };
        let place = match find(&block.rows, &key) {
            Ok(found) => {
                let (_, stands) = block.rows.get_mut(found)?;
                return Some(std::mem::replace(stands, value));
            }
            Err(place) => place,
        };
        if block.rows.len() < BLOCK {
            block.first = block.first.min(key);
            block.rows.insert(place, (key, value));
        } else if is_newest && place == block.rows.len() {
            self.blocks.push(Block { first: key, rows: vec![(key, value)] });
        } else {
            block.first = block.first.min(key);
            block.rows.insert(place, (key, value));
            let rows = block.rows.split_off(BLOCK / 2);
            if let Some((first, _)) = rows.first() {
                self.blocks.insert(at + 1, Block { first: *first, rows });
            }
        }
        None
    }

    fn take(&mut self, key: &K) -> Option<V> {
        let at = self.block_of(key);
        let block = self.blocks.get_mut(at)?;
        let (_, value) = block.rows.remove(find(&block.rows, key).ok()?);
        if block.rows.is_empty() {
            self.blocks.remove(at);
        }
        Some(value)
    }

    fn restore(&mut self, key: K, value: Option<V>) {
        match value {
            Some(value) => self.insert(key, value),
            None => self.take(&key),
        };
    }

    fn range(&self, range: RangeInclusive<K>) -> impl Iterator<Item = (&K, &V)> {
        let (from, to) = range.into_inner();
        let at = self.block_of(&from);
        let blocks = self.blocks.get(at..).unwrap_or_default();
        let skipped =
            blocks.first().map_or(0, |block| find(&block.rows, &from).unwrap_or_else(|place| place));
        let rows = blocks.iter().flat_map(|block| &block.rows).skip(skipped);
        rows.take_while(move |(key, _)| *key <= to).map(|(key, value)| (key, value))
    }

    fn newest(&self) -> Option<(K, V)> {
        self.blocks.last()?.rows.last().copied()
    }
}

/// Where a key is in a block, or would be. The newest end is looked at first.
fn find<K: Ord, V>(rows: &[(K, V)], key: &K) -> Result<usize, usize> {
    match rows.last() {
        Some((last, _)) if last < key => Err(rows.len()),
        Some((last, _)) if last == key => Ok(rows.len() - 1),
        _ => rows.binary_search_by(|(stands, _)| stands.cmp(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::table::Table;
    use proptest::prelude::*;

    /// What was done to a table.
    #[derive(Debug, Clone)]
    enum Step {
        Put(i64, i64),
        Remove(i64),
        Commit,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0_i64..600, 0_i64..3).prop_map(|(key, value)| Step::Put(key, value)),
            4 => (0_i64..600).prop_map(Step::Remove),
            1 => Just(Step::Commit),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn it_says_what_a_table_says(
            in_order in 0_i64..400,
            steps in proptest::collection::vec(step(), 0..1_500),
            range in (0_i64..600, 0_i64..600),
        ) {
            let (mut timeline, mut table) = (Timeline::default(), Table::default());
            for key in 0..in_order {
                timeline.put(key * 2, 9);
                table.put(key * 2, 9);
            }
            for step in steps {
                match step {
                    Step::Put(key, value) => {
                        timeline.put(key, value);
                        table.put(key, value);
                    }
                    Step::Remove(key) => {
                        timeline.remove(&key);
                        table.remove(&key);
                    }
                    Step::Commit => {
                        let (mut told, mut expected) = (Vec::new(), Vec::new());
                        timeline.commit(|key, now, before| told.push((*key, now.copied(), before.copied())));
                        table.commit(|key, now, before| expected.push((*key, now.copied(), before.copied())));
                        prop_assert_eq!(told, expected);
                    }
                }
            }
            let (from, to) = (range.0.min(range.1), range.0.max(range.1));
            prop_assert!(timeline.range(from..=to).eq(table.range(from..=to)));
            prop_assert!(timeline.range(i64::MIN..=i64::MAX).eq(table.iter()));
            prop_assert_eq!(timeline.newest(), table.iter().next_back().map(|(key, value)| (*key, *value)));
            for key in 0..600 {
                prop_assert_eq!(timeline.get(&key), table.get(&key));
            }
            prop_assert!(timeline.rows.blocks.iter().all(|block| (1..=BLOCK + 1).contains(&block.rows.len())));
        }
    }

    #[test]
    fn rows_that_come_in_order_fill_their_blocks() {
        let mut timeline = Timeline::default();
        (0..10_000).for_each(|key| timeline.put(key, ()));
        assert_eq!(timeline.rows.blocks.len(), 10_000_usize.div_ceil(BLOCK));
    }
}
