//! A task's state: ordered tables in memory whose changes are journalled, so that a transaction can publish them to a
//! changelog. A transaction that fails is not taken back: its task is restored from the changelog.

use crate::journal::{Changes, Journal, Untold};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeBounds;

/// An ordered table with a journal of what the running transaction changed.
#[derive(Debug, Clone)]
pub struct Table<K, V, C = Journal<K, V>> {
    rows: BTreeMap<K, V>,
    changes: C,
}

/// A [`Table`] that follows from others and is not stored.
pub type DerivedTable<K, V> = Table<K, V, Untold>;

impl<K, V, C: Default> Default for Table<K, V, C> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changes: C::default() }
    }
}

/// Equal rows; what a transaction does to them is no part of it.
impl<K: PartialEq, V: PartialEq, C> PartialEq for Table<K, V, C> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq, C: Changes<K, V>> Table<K, V, C> {
    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.rows.get(key)
    }
    /// Whether the key is there.
    pub fn contains(&self, key: &K) -> bool {
        self.rows.contains_key(key)
    }
    /// Puts a value; returns whether the key was not there. Putting what is there changes nothing.
    pub fn put(&mut self, key: K, value: V) -> bool {
        match self.rows.entry(key) {
            Entry::Occupied(row) if *row.get() == value => false,
            Entry::Occupied(mut row) => {
                let before = row.insert(value);
                self.changes.note(|| row.key().clone(), Some(before));
                false
            }
            Entry::Vacant(row) => {
                self.changes.note(|| row.key().clone(), None);
                row.insert(value);
                true
            }
        }
    }
    /// Takes a value away and hands it out.
    pub fn take(&mut self, key: &K) -> Option<V> {
        let (key, before) = self.rows.remove_entry(key)?;
        self.changes.note(|| key, Some(before.clone()));
        Some(before)
    }
    /// Takes a value away; returns whether the key was there.
    pub fn remove(&mut self, key: &K) -> bool {
        let Some((key, before)) = self.rows.remove_entry(key) else { return false };
        self.changes.note(|| key, Some(before));
        true
    }
    /// The rows in a range of keys, in order; both ends can be walked from.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> std::collections::btree_map::Range<'_, K, V> {
        self.rows.range(range)
    }
    /// Every row, in order.
    pub fn iter(&self) -> std::collections::btree_map::Iter<'_, K, V> {
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

impl<K: Ord, V: PartialEq> Table<K, V> {
    /// Ends the transaction: hands each changed key with its value now and its value before (`None`: not there),
    /// in the order of the keys, and forgets the journal.
    pub fn commit(&mut self, change: impl FnMut(&K, Option<&V>, Option<&V>)) {
        self.changes.commit(|key| self.rows.get(key), change);
    }
}

/// One change of a task's state, as a changelog holds it: a table's number, a key, and the value or nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChangelogEntry {
    /// Table number, then the encoded key.
    pub key: Vec<u8>,
    /// The encoded value; `None`: the key is gone.
    pub value: Option<Vec<u8>>,
}

/// A change of a task's state with what it replaced: what a rolling hash of the whole state is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Table number, then the encoded key.
    pub key: Vec<u8>,
    /// The encoded value; `None`: the key is gone.
    pub value: Option<Vec<u8>>,
    /// The encoded value before the transaction; `None`: the key was not there.
    pub before: Option<Vec<u8>>,
}

/// Why a changelog entry cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The state was written by a version with other tables.
    #[error("changelog entry of unknown table {0}: the state was written by another version")]
    UnknownTable(u8),
    /// The state was written with more partitions, or by a version with other stages.
    #[error("changelog entry of unknown task {0}: the state was written with another number of partitions")]
    UnknownTask(String),
    /// The bytes are not what the table holds.
    #[error("changelog entry of table {table} cannot be decoded: {reason}")]
    Corrupt {
        /// The table's number.
        table: u8,
        /// What the decoder says.
        reason: String,
    },
}

/// What a runner does with a task's state.
pub trait Stateful {
    /// Ends the transaction; appends what changed, in a fixed order.
    fn commit_state(&mut self, changelog: &mut Vec<ChangelogEntry>);
    /// As [`Self::commit_state`], with the value that each change replaced.
    fn commit_changes(&mut self, changes: &mut Vec<Change>);
    /// How many entries the stored state has.
    fn entries(&self) -> usize;
    /// Puts one entry of the changelog back.
    ///
    /// # Errors
    /// See [`RestoreError`].
    fn restore_entry(&mut self, entry: &ChangelogEntry) -> Result<(), RestoreError>;
    /// Called once after the last entry: rebuilds what is derived from the tables and not in the changelog.
    fn restored(&mut self);
}

/// Tables that follow from others and are not stored.
pub trait Derived {
    /// The first of them that holds other rows than the other's: a restored task must know what the one before it knew.
    fn derived_otherwise(&self, other: &Self) -> Option<&'static str>;
}

/// Implements [`Stateful`] and [`Derived`] for a struct whose named fields are [`Table`]s.
/// `stateful!(Store { 1 => commits, 2 => pushes } derived { children })`: numbers are part of the stored format, never
/// reused. Tables that are derived from the others are not stored: whoever owns the store fills them after a restore.
#[macro_export]
macro_rules! stateful {
    ($type:ty { $($number:literal => $table:ident),+ $(,)? } derived { $($derived:ident),* $(,)? }) => {
        impl $crate::table::Stateful for $type {
            fn commit_state(&mut self, changelog: &mut Vec<$crate::table::ChangelogEntry>) {
                $(self.$table.commit(|key, value, _| {
                    changelog.push($crate::table::encode($number, key, value));
                });)+
            }
            fn commit_changes(&mut self, changes: &mut Vec<$crate::table::Change>) {
                $(self.$table.commit(|key, value, before| {
                    changes.push($crate::table::encode_change($number, key, value, before));
                });)+
            }
            fn entries(&self) -> usize {
                0 $(+ self.$table.len())+
            }
            fn restore_entry(
                &mut self,
                entry: &$crate::table::ChangelogEntry,
            ) -> Result<(), $crate::table::RestoreError> {
                match entry.key.first().copied().unwrap_or(0) {
                    $($number => {
                        let (key, value) = $crate::table::decode($number, entry)?;
                        self.$table.restore(key, value);
                    })+
                    other => return Err($crate::table::RestoreError::UnknownTable(other)),
                }
                Ok(())
            }
            fn restored(&mut self) {}
        }
        impl $crate::table::Derived for $type {
            fn derived_otherwise(&self, other: &Self) -> Option<&'static str> {
                // There may be none.
                let _ = other;
                $(if self.$derived != other.$derived {
                    return Some(stringify!($derived));
                })*
                None
            }
        }
    };
}

/// Encodes one change for a changelog.
pub fn encode<K: Serialize, V: Serialize>(table: u8, key: &K, value: Option<&V>) -> ChangelogEntry {
    ChangelogEntry { key: bytes(&[table], key), value: value.map(|value| bytes(&[], value)) }
}

/// A head and the encoded value behind it, in one piece of memory of just that size: a transaction makes thousands.
pub fn bytes<T: Serialize>(head: &[u8], value: &T) -> Vec<u8> {
    let mut room = [0_u8; 512];
    match postcard::to_slice(value, &mut room) {
        Ok(encoded) => [head, encoded].concat(),
        // Too large for the room. Encoding to memory of types without unsized sequences cannot fail.
        Err(_) => {
            let mut large = Vec::with_capacity(2048);
            large.extend_from_slice(head);
            postcard::to_extend(value, large).unwrap_or_default()
        }
    }
}

/// Encodes one change with what it replaced.
pub fn encode_change<K: Serialize, V: Serialize>(
    table: u8,
    key: &K,
    value: Option<&V>,
    before: Option<&V>,
) -> Change {
    let ChangelogEntry { key, value } = encode(table, key, value);
    Change { key, value, before: before.map(|before| bytes(&[], before)) }
}

/// Decodes one change of a changelog.
///
/// # Errors
/// [`RestoreError::Corrupt`] with the decoder's reason.
pub fn decode<K: for<'a> Deserialize<'a>, V: for<'a> Deserialize<'a>>(
    table: u8,
    entry: &ChangelogEntry,
) -> Result<(K, Option<V>), RestoreError> {
    let corrupt = |error: postcard::Error| RestoreError::Corrupt { table, reason: error.to_string() };
    let key = postcard::from_bytes(entry.key.get(1..).unwrap_or_default()).map_err(corrupt)?;
    let value = entry.value.as_deref().map(postcard::from_bytes).transpose().map_err(corrupt)?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_transaction_tells_each_change_once() {
        let mut table = Table::default();
        table.put(1, "a");
        table.commit(|_, _, _| {});
        table.put(1, "b");
        table.put(1, "c");
        table.put(3, "x");
        table.take(&3);
        let mut changes = Vec::new();
        table.commit(|key, value, before| changes.push((*key, value.copied(), before.copied())));
        assert_eq!(changes, [(1, Some("c"), Some("a"))]);
    }

    #[derive(Default)]
    struct Store {
        names: Table<u32, String>,
        ages: Table<u32, u8>,
    }
    stateful!(Store { 1 => names, 2 => ages } derived {});

    #[test]
    fn a_change_tells_what_it_replaced_and_the_rest_of_it_is_the_changelogs() {
        let told = |change: fn(&mut Store)| {
            let stores = [(); 2].map(|()| {
                let mut store = Store::default();
                store.names.put(7, "a".to_owned());
                store.ages.put(7, 1);
                store.commit_state(&mut Vec::new());
                change(&mut store);
                store
            });
            let [mut with, mut without] = stores;
            let (mut changes, mut changelog) = (Vec::new(), Vec::new());
            with.commit_changes(&mut changes);
            without.commit_state(&mut changelog);
            let entries: Vec<ChangelogEntry> = changes
                .iter()
                .map(|change| ChangelogEntry { key: change.key.clone(), value: change.value.clone() })
                .collect();
            assert_eq!(entries, changelog);
            (
                changes.into_iter().map(|change| (change.value, change.before)).collect::<Vec<_>>(),
                with.entries(),
            )
        };
        let text = |text: &str| Some(postcard::to_allocvec(text).unwrap());
        let (changes, entries) = told(|store| _ = store.names.put(7, "b".to_owned()));
        assert_eq!((changes, entries), (vec![(text("b"), text("a"))], 2));
        let (changes, entries) = told(|store| {
            store.names.put(8, "c".to_owned());
            store.ages.take(&7);
        });
        assert_eq!((changes, entries), (vec![(text("c"), None), (None, Some(vec![1]))], 2));
        // What is as it was before is no change, whatever happened to it in between.
        let (changes, entries) = told(|store| {
            store.names.take(&7);
            store.names.put(7, "a".to_owned());
        });
        assert_eq!((changes, entries), (vec![], 2));
    }
}
