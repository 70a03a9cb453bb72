//! The loader: rows in, acknowledged inserts out, the same result however often it is repeated.
//!
//! Rows are absolute, keyed, and carry a version: `ReplacingMergeTree(rev, is_deleted)` keeps the greatest, so
//! that an insert that was applied and not acknowledged can be sent again. No token is relied upon.

use crate::error::{Answer, Result};
use crate::insert::Inserter;
use crate::rows::Stamp;
use crate::tables::Tables;
use clickhouse::Client;
use model::fact::RowChange;
use model::{DeliveryEvent, Text};
use std::collections::BTreeMap;
use std::time::Duration;

/// What bounds the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most rows of one insert.
    pub max_rows: usize,
    /// Most bytes of one insert; its last row may exceed it.
    pub max_bytes: usize,
    /// Most attempts of one insert.
    pub attempts: u32,
    /// The first pause between attempts; it doubles.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long one attempt may wait for the server.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Below `max_insert_block_size` (1,048,449): an insert is then one block, and atomic.
            max_rows: 200_000,
            max_bytes: 64 << 20,
            attempts: 8,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(30),
            timeout: Duration::from_secs(300),
        }
    }
}

impl Limits {
    /// Whether so many rows and bytes are worth an insert, and must not become more.
    pub fn is_reached(&self, rows: usize, bytes: usize) -> bool {
        rows >= self.max_rows.max(1) || bytes >= self.max_bytes
    }
}

/// What a load did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Rows acknowledged, by storage table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Inserts acknowledged.
    pub inserts: u64,
    /// Attempts that failed and were repeated.
    pub retries: u64,
}

impl LoadReport {
    /// Rows acknowledged, of all tables.
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Stores rows: they are pushed, wait in memory by table, and are inserted by a flush.
pub struct Loader {
    inserter: Inserter,
    tables: Tables,
}

impl Loader {
    /// Takes a client whose database is set and migrated.
    pub fn new(client: Client, limits: Limits) -> Self {
        Self { tables: Tables::new(&limits), inserter: Inserter::new(client, limits) }
    }

    /// Lets a changed row wait. Per key the greatest `rev` wins; of changes with one key and one `rev` the last
    /// that is pushed. `definition` is the hash of the definitions that made it; steps carry it.
    pub fn push(&mut self, change: &RowChange, stamp: Stamp, definition: &Text) {
        self.tables.push(change, stamp, definition);
    }

    /// Lets an event wait for the archive. One record is one row, however often it is stored.
    pub fn push_event(&mut self, event: &DeliveryEvent, stamp: Stamp) {
        self.tables.push_event(event, stamp);
    }

    /// How many rows wait, and how many bytes they take.
    pub fn buffered(&self) -> (usize, usize) {
        self.tables.waiting()
    }

    /// Throws away what waits.
    pub fn clear(&mut self) {
        self.tables.clear();
    }

    /// Inserts everything that waits, table after table. Returns after every insert is acknowledged.
    ///
    /// # Errors
    /// [`crate::Error::Load`] after bounded attempts. Some rows may be stored then, and none waits any more:
    /// pushing all again, from the last position that was acknowledged, is safe.
    pub async fn flush(&mut self) -> Result<LoadReport> {
        self.insert(true).await
    }

    /// Inserts only what waits for tables that have reached their limits; costs nothing while none can have.
    ///
    /// # Errors
    /// As [`Loader::flush`].
    pub async fn flush_full(&mut self) -> Result<LoadReport> {
        let (rows, bytes) = self.buffered();
        if self.inserter.limits().is_reached(rows, bytes) {
            self.insert(false).await
        } else {
            Ok(LoadReport::default())
        }
    }

    fn insert(&mut self, all: bool) -> Answer<'_, LoadReport> {
        Box::pin(async move {
            let report = self.tables.insert(&self.inserter, all).await;
            if report.is_err() {
                self.clear();
            }
            report
        })
    }
}
