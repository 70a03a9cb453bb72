//! Tables of a task's state that are asked for whole keys, or for all that lies under one: without an order over
//! everything, what a question costs does not grow with the history. Changes are told as those of a
//! [`Table`](crate::table::Table), in the order of the keys.

use crate::journal::{Changes, Journal, Untold};
use foldhash::fast::FixedState;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Rows by key, with a journal of what the running transaction changed.
#[derive(Debug, Clone)]
pub struct Lookup<K, V, C = Journal<K, V>> {
    rows: HashMap<K, V, FixedState>,
    changes: C,
}

/// A [`Lookup`] that follows from other tables and is not stored.
pub type DerivedLookup<K, V> = Lookup<K, V, Untold>;

impl<K, V, C: Default> Default for Lookup<K, V, C> {
    fn default() -> Self {
        Self { rows: HashMap::default(), changes: C::default() }
    }
}

/// Equal rows; what a transaction does to them is no part of it.
impl<K: Eq + Hash, V: PartialEq, C> PartialEq for Lookup<K, V, C> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl<K: Ord + Hash + Clone, V: PartialEq, C: Changes<K, V>> Lookup<K, V, C> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }
    /// Puts a value. Putting what is there changes nothing.
    pub fn put(&mut self, key: K, value: V) {
        match self.rows.entry(key) {
            Entry::Occupied(row) if *row.get() == value => {}
            Entry::Occupied(mut row) => {
                let before = row.insert(value);
                self.changes.note(|| row.key().clone(), Some(before));
            }
            Entry::Vacant(row) => {
                self.changes.note(|| row.key().clone(), None);
                row.insert(value);
            }
        }
    }
    /// Takes a value away.
    pub fn remove(&mut self, key: &K) {
        if let Some((key, before)) = self.rows.remove_entry(key) {
            self.changes.note(|| key, Some(before));
        }
    }
    /// Every row, in the order of the keys: it sorts them.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(b.0));
        rows.into_iter()
    }
    /// Every row, in no order: for what does not depend on one.
    pub fn unordered(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter()
    }
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Takes every row away (journalled).
    pub fn clear(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        rows.into_iter().for_each(|(key, value)| self.changes.note(|| key, Some(value)));
    }
    /// Puts a row that a changelog holds, and tells it to nobody.
    pub fn restore(&mut self, key: K, value: Option<V>) {
        match value {
            Some(value) => self.rows.insert(key, value),
            None => self.rows.remove(&key),
        };
    }
}

impl<K: Ord + Hash, V: PartialEq> Lookup<K, V> {
    /// Ends the transaction, as [`Table::commit`](crate::table::Table::commit).
    pub fn commit(&mut self, change: impl FnMut(&K, Option<&V>, Option<&V>)) {
        self.changes.commit(|key| self.rows.get(key), change);
    }
}

/// Rows by a group and an order within it, with a journal of what the running transaction changed.
#[derive(Debug, Clone)]
pub struct Groups<G, O, V, C = Journal<(G, O), V>> {
    groups: HashMap<G, Group<O, V>, FixedState>,
    rows: usize,
    changes: C,
}

/// [`Groups`] that follow from other tables and are not stored.
pub type DerivedGroups<G, O, V> = Groups<G, O, V, Untold>;

/// The rows of a group. Most have one or two; some have all that waits for a catalog.
#[derive(Debug, Clone)]
enum Group<O, V> {
    Few(Vec<(O, V)>),
    Many(BTreeMap<O, V>),
}

/// Most rows of a group that lie in a list.
const FEW: usize = 16;

impl<O: Ord, V> Group<O, V> {
    fn row(&self, order: &O) -> Option<(&O, &V)> {
        match self {
            Self::Few(rows) => {
                let at = rows.binary_search_by(|row| row.0.cmp(order)).ok()?;
                rows.get(at).map(|row| (&row.0, &row.1))
            }
            Self::Many(rows) => rows.get_key_value(order),
        }
    }
    fn get_mut(&mut self, order: &O) -> Option<&mut V> {
        match self {
            Self::Few(rows) => {
                let at = rows.binary_search_by(|row| row.0.cmp(order)).ok()?;
                rows.get_mut(at).map(|row| &mut row.1)
            }
            Self::Many(rows) => rows.get_mut(order),
        }
    }
    fn insert(&mut self, order: O, value: V) -> Option<V> {
        let rows = match self {
            Self::Many(rows) => return rows.insert(order, value),
            Self::Few(rows) => rows,
        };
        match rows.binary_search_by(|row| row.0.cmp(&order)) {
            Ok(at) => rows.get_mut(at).map(|row| std::mem::replace(&mut row.1, value)),
            Err(at) if rows.len() < FEW => {
                // Groups grow by single rows, and stay.
                rows.reserve_exact(1);
                rows.insert(at, (order, value));
                None
            }
            Err(_) => {
                let mut many: BTreeMap<O, V> = std::mem::take(rows).into_iter().collect();
                many.insert(order, value);
                *self = Self::Many(many);
                None
            }
        }
    }
    fn remove(&mut self, order: &O) -> Option<V> {
        match self {
            Self::Few(rows) => {
                let at = rows.binary_search_by(|row| row.0.cmp(order)).ok()?;
                Some(rows.remove(at).1)
            }
            Self::Many(rows) => rows.remove(order),
        }
    }
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(rows) => rows.is_empty(),
            Self::Many(rows) => rows.is_empty(),
        }
    }
    /// The rows, in order. One of the two halves is empty.
    fn iter(&self) -> impl DoubleEndedIterator<Item = (&O, &V)> {
        let (few, many) = match self {
            Self::Few(rows) => (Some(rows), None),
            Self::Many(rows) => (None, Some(rows)),
        };
        few.into_iter().flatten().map(|row| (&row.0, &row.1)).chain(many.into_iter().flatten())
    }
}

impl<G, O, V, C: Default> Default for Groups<G, O, V, C> {
    fn default() -> Self {
        Self { groups: HashMap::default(), rows: 0, changes: C::default() }
    }
}

/// Equal rows; what a transaction does to them is no part of it.
impl<G: Eq + Hash, O: Ord, V: PartialEq, C> PartialEq for Groups<G, O, V, C> {
    fn eq(&self, other: &Self) -> bool {
        let has = |(group, rows): (&G, &Group<O, V>)| {
            other.groups.get(group).is_some_and(|others| rows.iter().eq(others.iter()))
        };
        self.rows == other.rows && self.groups.iter().all(has)
    }
}

impl<G: Ord + Hash + Clone, O: Ord + Clone, V: PartialEq, C: Changes<(G, O), V>> Groups<G, O, V, C> {
    /// The value of a key.
    pub fn get(&self, (group, order): &(G, O)) -> Option<&V> {
        Some(self.groups.get(group)?.row(order)?.1)
    }
    /// The order under which a key lies: it may hold more than what it is compared by.
    pub fn order(&self, (group, order): &(G, O)) -> Option<&O> {
        Some(self.groups.get(group)?.row(order)?.0)
    }
    /// The rows of a group, in order; both ends can be walked from.
    pub fn of<'a>(
        &'a self,
        group: &G,
    ) -> impl DoubleEndedIterator<Item = (&'a O, &'a V)> + use<'a, G, O, V, C> {
        self.groups.get(group).into_iter().flat_map(Group::iter)
    }
    /// Puts a value. Putting what is there changes nothing.
    pub fn put(&mut self, key: (G, O), value: V) {
        let row = self.groups.get_mut(&key.0).and_then(|rows| rows.get_mut(&key.1));
        match row {
            Some(row) if *row == value => {}
            Some(row) => {
                let before = std::mem::replace(row, value);
                self.changes.note(|| key, Some(before));
            }
            None => {
                self.changes.note(|| key.clone(), None);
                self.restore(key, Some(value));
            }
        }
    }
    /// Takes a value away.
    pub fn remove(&mut self, key: &(G, O)) {
        if let Some(before) = self.take(key) {
            self.changes.note(|| key.clone(), Some(before));
        }
    }
    fn take(&mut self, (group, order): &(G, O)) -> Option<V> {
        let rows = self.groups.get_mut(group)?;
        let before = rows.remove(order)?;
        if rows.is_empty() {
            self.groups.remove(group);
        }
        self.rows -= 1;
        Some(before)
    }
    /// Every row, in the order of groups and within them: it sorts the groups.
    pub fn iter(&self) -> impl Iterator<Item = ((&G, &O), &V)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_unstable_by(|a, b| a.0.cmp(b.0));
        groups
            .into_iter()
            .flat_map(|(group, rows)| rows.iter().map(move |(order, value)| ((group, order), value)))
    }
    /// Every group with its rows, in no order: for what does not depend on one.
    pub fn unordered(&self) -> impl Iterator<Item = (&G, impl Iterator<Item = (&O, &V)>)> {
        self.groups.iter().map(|(group, rows)| (group, rows.iter()))
    }
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
    /// Takes every row away (journalled).
    pub fn clear(&mut self) {
        self.rows = 0;
        for (group, rows) in std::mem::take(&mut self.groups) {
            let mut note = |(order, value)| self.changes.note(|| (group.clone(), order), Some(value));
            match rows {
                Group::Few(rows) => rows.into_iter().for_each(&mut note),
                Group::Many(rows) => rows.into_iter().for_each(&mut note),
            }
        }
    }
    /// Puts a row that a changelog holds, and tells it to nobody.
    pub fn restore(&mut self, key: (G, O), value: Option<V>) {
        let Some(value) = value else {
            self.take(&key);
            return;
        };
        let (group, order) = key;
        let rows = self.groups.entry(group).or_insert_with(|| Group::Few(Vec::new()));
        self.rows += usize::from(rows.insert(order, value).is_none());
    }
}

impl<G: Ord + Hash, O: Ord, V: PartialEq> Groups<G, O, V> {
    /// Ends the transaction, as [`Table::commit`](crate::table::Table::commit).
    pub fn commit(&mut self, change: impl FnMut(&(G, O), Option<&V>, Option<&V>)) {
        self.changes.commit(|(group, order)| Some(self.groups.get(group)?.row(order)?.1), change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;
    use proptest::prelude::*;

    /// What a transaction does: puts (`Some`) and removals of rows of few groups, then whether it is committed.
    type Transaction = (Vec<(u8, u16, Option<u8>)>, bool);

    fn transactions() -> impl Strategy<Value = Vec<Transaction>> {
        let step = (0..3_u8, 0..40_u16, proptest::option::of(0..3_u8));
        proptest::collection::vec((proptest::collection::vec(step, 0..80), any::<bool>()), 1..12)
    }

    proptest! {
        /// Both hold what an ordered table holds, and tell the same changes in the same order.
        #[test]
        fn without_an_order_the_rows_and_the_changes_are_those_of_an_ordered_table(all in transactions()) {
            let mut table: Table<(u8, u16), u8> = Table::default();
            let mut lookup: Lookup<(u8, u16), u8> = Lookup::default();
            let mut groups: Groups<u8, u16, u8> = Groups::default();
            for (steps, commits) in all {
                for (group, order, value) in steps {
                    let key = (group, order);
                    match value {
                        _ if order == 0 => {
                            table.clear();
                            lookup.clear();
                            groups.clear();
                        }
                        Some(value) => {
                            table.put(key, value);
                            lookup.put(key, value);
                            groups.put(key, value);
                        }
                        None => {
                            table.remove(&key);
                            lookup.remove(&key);
                            groups.remove(&key);
                        }
                    }
                    prop_assert_eq!(lookup.get(&key), table.get(&key));
                    prop_assert_eq!(groups.get(&key), table.get(&key));
                }
                if commits {
                    let mut told = [const { Vec::new() }; 3];
                    let [of_table, of_lookup, of_groups] = &mut told;
                    table.commit(|key, now, before| of_table.push((*key, now.copied(), before.copied())));
                    lookup.commit(|key, now, before| of_lookup.push((*key, now.copied(), before.copied())));
                    groups.commit(|key, now, before| of_groups.push((*key, now.copied(), before.copied())));
                    prop_assert_eq!(&told[1], &told[0]);
                    prop_assert_eq!(&told[2], &told[0]);
                }
                let rows: Vec<_> = table.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(lookup.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(), rows.clone());
                let of_groups: Vec<_> = groups.iter().map(|((group, order), value)| ((*group, *order), *value)).collect();
                prop_assert_eq!(of_groups, rows);
                prop_assert_eq!((lookup.len(), groups.len()), (table.len(), table.len()));
                for group in 0..3_u8 {
                    let theirs: Vec<_> = table.range((group, 0)..=(group, u16::MAX)).map(|(key, value)| (&key.1, value)).collect();
                    prop_assert_eq!(groups.of(&group).collect::<Vec<_>>(), theirs.clone());
                    let back: Vec<_> = groups.of(&group).rev().collect();
                    prop_assert_eq!(back, theirs.into_iter().rev().collect::<Vec<_>>());
                }
            }
        }
    }
}
