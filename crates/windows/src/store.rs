//! The state of an aggregate task as its changelog has it: each table's entries under the series that they are of.

use crate::block::{BLOCKS, BlockPane, SAMPLES};
use crate::pane::SeriesId;
use crate::series::{Mark, Owed, Series};
use model::table::{Change, ChangelogEntry, RestoreError, decode, encode, encode_change};
use serde::{Deserialize, Serialize};

// Numbers are part of the stored format, never reused. 3 was the row up to which a series was written; those of panes
// are in `block`.
const MARKS: u8 = 4;
const OWED: u8 = 5;

/// Where changes are written to.
pub(crate) trait Changes {
    fn put<K: Serialize, V: Serialize>(&mut self, table: u8, key: &K, now: Option<&V>, before: Option<&V>);
}

impl Changes for Vec<ChangelogEntry> {
    fn put<K: Serialize, V: Serialize>(&mut self, table: u8, key: &K, now: Option<&V>, _: Option<&V>) {
        self.push(encode(table, key, now));
    }
}

impl Changes for Vec<Change> {
    fn put<K: Serialize, V: Serialize>(&mut self, table: u8, key: &K, now: Option<&V>, before: Option<&V>) {
        self.push(encode_change(table, key, now, before));
    }
}

impl Series {
    /// Ends the transaction: appends what changed, table by table.
    pub fn commit(&mut self, id: &SeriesId, changes: &mut impl Changes) {
        self.commit_panes(id, changes);
        self.marks.commit(|key, now, before| changes.put(MARKS, &(id, key), now, before));
        self.owed.commit(|key, now, before| changes.put(OWED, &(id, key), now, before));
    }

    /// How many entries it has; walks over its panes.
    pub fn entries(&self) -> usize {
        self.block_entries() + self.marks.len() + self.owed.len()
    }
}

/// Puts one entry of the changelog back, into the series that `of` gives.
pub(crate) fn restore<'a>(
    entry: &ChangelogEntry,
    of: impl FnOnce(SeriesId) -> &'a mut Series,
) -> Result<(), RestoreError> {
    fn read<K: for<'a> Deserialize<'a>, V: for<'a> Deserialize<'a>>(
        table: u8,
        entry: &ChangelogEntry,
    ) -> Result<(SeriesId, K, Option<V>), RestoreError> {
        let ((id, key), value) = decode::<(SeriesId, K), V>(table, entry)?;
        Ok((id, key, value))
    }
    match entry.key.first().copied().unwrap_or(0) {
        BLOCKS => {
            let (id, block, panes) = read::<i64, Vec<BlockPane>>(BLOCKS, entry)?;
            of(id).restore_block(block, panes);
        }
        SAMPLES => {
            let (id, sample, count) = read::<(i64, i64), i64>(SAMPLES, entry)?;
            of(id).samples.restore(sample, count);
        }
        MARKS => {
            let (id, index, mark) = read::<i64, Mark>(MARKS, entry)?;
            of(id).marks.restore(index, mark);
        }
        OWED => {
            let (id, (), owed) = read::<(), Owed>(OWED, entry)?;
            of(id).owed.restore((), owed);
        }
        other => return Err(RestoreError::UnknownTable(other)),
    }
    Ok(())
}
