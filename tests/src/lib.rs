//! What the end-to-end tests share: the tables that a run leaves, the real histories, and the same organisation
//! told to the engine and to the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

pub mod history;
pub mod story;
pub mod twin;

use model::Timestamp;
use model::fact::{Row, RowChange, RowKey};
use std::collections::{BTreeMap, BTreeSet};
use topology::{Batch, TaskId};

/// A time at which runs punctuate: after everything that the tests tell.
pub const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// The tables that the warehouse would hold: each row's last change by the task that wrote it, and the views over
/// them.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    stored: BTreeMap<(RowKey, TaskId), Row>,
    /// What the views show: each key's row, whoever wrote it; a scope as every task tells it.
    pub rows: BTreeMap<RowKey, Row>,
}

impl PartialEq for Tables {
    /// Who wrote a row is no part of what the views show.
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows
    }
}

impl Tables {
    /// Loads what a transaction did.
    pub fn load(&mut self, batch: &Batch) {
        let mut changed = BTreeSet::new();
        for (task, change) in &batch.rows {
            let key = change.key();
            changed.insert(key.clone());
            match change {
                RowChange::Upsert(row) => self.stored.insert((key, *task), row.clone()),
                RowChange::Delete(_) => self.stored.remove(&(key, *task)),
            };
        }
        for key in changed {
            match self.seen(&key) {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }

    /// A row as its view shows it. After a transaction a thing is one task's; a scope is every task's.
    fn seen(&self, key: &RowKey) -> Option<Row> {
        let from = (key.clone(), TaskId::Correlate(0));
        let mut stored = self.stored.range(from..).take_while(|((k, _), _)| k == key).map(|(_, row)| row);
        let mut seen = stored.next()?.clone();
        for other in stored {
            match (&mut seen, other) {
                (Row::Scope(seen), Row::Scope(other)) => seen.merge(other),
                _ => panic!("{key:?} belongs to two tasks: {seen:?} and {other:?}"),
            }
        }
        Some(seen)
    }
}
