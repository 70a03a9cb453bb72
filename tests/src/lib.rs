//! What the end-to-end tests share: the tables that a run leaves, the real histories, and the same organisation
//! told to the engine and to the oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

pub mod history;
pub mod story;
pub mod twin;

use model::fact::{Row, RowChange, RowKey};
use std::collections::BTreeMap;
use topology::Batch;

/// The tables that the warehouse would hold: each key's last row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables(pub BTreeMap<RowKey, Row>);

impl Tables {
    /// Loads what a transaction did.
    pub fn load(&mut self, batch: &Batch) {
        for change in &batch.rows {
            match change {
                RowChange::Upsert(row) => self.0.insert(row.key(), row.clone()),
                RowChange::Delete(key) => self.0.remove(key),
            };
        }
    }
}
