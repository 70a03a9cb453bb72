//! The loader: rows in, acknowledged inserts out, the same result however often it is repeated.
//!
//! Rows are absolute, keyed, and carry a version: `ReplacingMergeTree(rev, is_deleted)` keeps the greatest, so
//! that an insert that was applied and not acknowledged can be sent again. No token is relied upon.

use crate::dimensions::{Dimensions, definition_rows};
use crate::error::{Error, Result};
use crate::retry::{may_pass, pause};
use crate::rows::{DefinitionRow, EventRow, ScopeRow, ServiceRow, Stamp, Stored, TeamRow};
use crate::tables::{Table, Tables};
use clickhouse::Client;
use clickhouse::sql::Identifier;
use model::fact::RowChange;
use model::{DeliveryEvent, Text, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What bounds the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most rows of one insert.
    pub max_rows: usize,
    /// Most bytes of one insert, roughly; one row may exceed it.
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

/// Stores rows. Every call returns only after every insert is acknowledged.
pub struct Loader {
    client: Client,
    limits: Limits,
    definition: Text,
}

impl Loader {
    /// Takes a client whose database is set and migrated.
    pub fn new(client: Client, limits: Limits) -> Self {
        let client = client
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1")
            // On a cluster: acknowledged means that the shards have it, not that it waits on disk.
            .with_setting("distributed_foreground_insert", "1");
        Self { client, limits, definition: Text::default() }
    }

    /// Sets the `definition` of the steps that follow: the hash of the definitions that made them.
    /// [`Loader::load_dimensions`] sets it too.
    #[must_use]
    pub fn with_definition(mut self, hash: &str) -> Self {
        self.definition = Text::new(hash);
        self
    }

    /// Stores changes of rows under one version. Per key the greatest `rev` wins; of changes with one key and
    /// one `rev` the last in `rows` does.
    ///
    /// # Errors
    /// [`Error::Load`] after bounded attempts. Some rows may be stored then; loading all again is safe.
    pub async fn load(&mut self, rev: u64, computed_at: Timestamp, rows: &[RowChange]) -> Result<LoadReport> {
        let stamp = Stamp { rev, computed_at };
        let mut report = LoadReport::default();
        let mut tables = Tables::default();
        for change in rows {
            tables.push(change, stamp, &self.definition);
            self.flush(&mut tables, &mut report, false).await?;
        }
        self.flush(&mut tables, &mut report, true).await?;
        Ok(report)
    }

    /// Replaces the dimensions as a whole: what is in the tables and not in `dimensions` is deleted.
    ///
    /// # Errors
    /// As [`Loader::load`], and [`Error::Query`] where what is there cannot be read.
    pub async fn load_dimensions(
        &mut self,
        rev: u64,
        computed_at: Timestamp,
        dimensions: &Dimensions,
    ) -> Result<LoadReport> {
        self.definition = Text::new(dimensions.definitions.hash());
        let stamp = Stamp { rev, computed_at };
        let mut report = LoadReport::default();
        let services = dimensions.services.iter().map(ServiceRow::from).collect();
        let gone = |service: &str| ServiceRow { service: service.into(), ..ServiceRow::default() };
        self.replace(services, |row| row.service.as_str(), ("services", "service"), gone, stamp, &mut report)
            .await?;
        let teams = dimensions.teams.iter().map(TeamRow::from).collect();
        let gone = |team: &str| TeamRow { team: team.into(), ..TeamRow::default() };
        self.replace(teams, |row| row.team.as_str(), ("teams", "team"), gone, stamp, &mut report).await?;
        let scopes = dimensions.scopes.iter().map(ScopeRow::from).collect();
        let gone = |scope: &str| ScopeRow { scope: scope.into(), ..ScopeRow::default() };
        self.replace(scopes, |row| row.scope.as_str(), ("scopes", "scope"), gone, stamp, &mut report).await?;
        let definitions = definition_rows(&dimensions.definitions);
        let gone = |key: &str| DefinitionRow { key: key.into(), ..DefinitionRow::default() };
        self.replace(definitions, |row| row.key.as_str(), ("definitions", "key"), gone, stamp, &mut report)
            .await?;
        Ok(report)
    }

    /// Stores events in the archive. One record is one row, however often it is stored.
    ///
    /// # Errors
    /// As [`Loader::load`].
    pub async fn load_events(
        &mut self,
        rev: u64,
        computed_at: Timestamp,
        events: &[DeliveryEvent],
    ) -> Result<LoadReport> {
        let stamp = Stamp { rev, computed_at };
        let mut report = LoadReport::default();
        let mut table = Table::<EventRow>::default();
        for event in events {
            table.push(event.into(), stamp, false);
            self.flush_table(&mut table, &mut report, false).await?;
        }
        self.flush_table(&mut table, &mut report, true).await?;
        Ok(report)
    }

    /// Stores `rows`, and as deleted what the view holds beside them.
    async fn replace<T: Stored>(
        &self,
        mut rows: Vec<T>,
        key: fn(&T) -> &str,
        (view, column): (&str, &str),
        gone: impl Fn(&str) -> T,
        stamp: Stamp,
        report: &mut LoadReport,
    ) -> Result<()> {
        let present: Vec<String> = self
            .client
            .query("SELECT toString(?) FROM ? ORDER BY 1")
            .bind(Identifier(column))
            .bind(Identifier(view))
            .fetch_all()
            .await?;
        let kept: BTreeSet<&str> = rows.iter().map(key).collect();
        let missing: Vec<T> =
            present.iter().filter(|key| !kept.contains(key.as_str())).map(|key| gone(key)).collect();
        let mut table = Table::<T>::default();
        for row in rows.drain(..) {
            table.push(row, stamp, false);
            self.flush_table(&mut table, report, false).await?;
        }
        for row in missing {
            table.push(row, stamp, true);
            self.flush_table(&mut table, report, false).await?;
        }
        self.flush_table(&mut table, report, true).await
    }

    /// Inserts what is full, or everything.
    async fn flush(&self, tables: &mut Tables, report: &mut LoadReport, all: bool) -> Result<()> {
        self.flush_table(&mut tables.deployments, report, all).await?;
        self.flush_table(&mut tables.changes, report, all).await?;
        self.flush_table(&mut tables.pull_requests, report, all).await?;
        self.flush_table(&mut tables.incidents, report, all).await?;
        self.flush_table(&mut tables.pipeline_runs, report, all).await?;
        self.flush_table(&mut tables.flag_changes, report, all).await?;
        self.flush_table(&mut tables.scans, report, all).await?;
        self.flush_table(&mut tables.parked_events, report, all).await?;
        self.flush_table(&mut tables.data_quality, report, all).await?;
        self.flush_table(&mut tables.steps, report, all).await?;
        self.flush_table(&mut tables.panes, report, all).await
    }

    async fn flush_table<T: Stored>(
        &self,
        table: &mut Table<T>,
        report: &mut LoadReport,
        all: bool,
    ) -> Result<()> {
        let full = table.rows.len() >= self.limits.max_rows || table.bytes >= self.limits.max_bytes;
        if table.rows.is_empty() || !(full || all) {
            return Ok(());
        }
        let rows = table.take();
        self.insert(&rows, report).await
    }

    /// One insert, repeated while that may help.
    async fn insert<T: Stored>(&self, rows: &[T], report: &mut LoadReport) -> Result<()> {
        let mut attempt = 1;
        loop {
            let Err(source) = self.try_insert(rows).await else { break };
            if attempt >= self.limits.attempts || !may_pass(&source) {
                return Err(Error::Load { table: T::TABLE, rows: rows.len(), attempts: attempt, source });
            }
            let wait = pause(attempt, self.limits.first_pause, self.limits.longest_pause);
            tracing::warn!(table = T::TABLE, attempt, wait_ms = wait.as_millis(), error = %source, "insert failed, trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
            report.retries += 1;
        }
        *report.rows.entry(T::TABLE).or_default() += rows.len() as u64;
        report.inserts += 1;
        Ok(())
    }

    async fn try_insert<T: Stored>(&self, rows: &[T]) -> clickhouse::error::Result<()> {
        let timeout = Some(self.limits.timeout);
        let mut insert = self.client.insert::<T>(T::TABLE).await?.with_timeouts(timeout, timeout);
        for row in rows {
            insert.write(row).await?;
        }
        insert.end().await
    }
}
