//! One insert into one table, repeated while that may help.

use crate::block::{Block, Description};
use crate::error::{Error, Result};
use crate::loader::{Limits, LoadReport};
use crate::retry::{may_pass, pause};
use clickhouse::Client;

/// What is sent, and compressed, at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Inserts, within its limits.
pub struct Inserter {
    client: Client,
    limits: Limits,
}

impl Inserter {
    /// Takes a client whose database is set and migrated.
    pub fn new(client: Client, limits: Limits) -> Self {
        let client = client
            .with_setting("async_insert", "0")
            .with_setting("wait_end_of_query", "1")
            // A batch has each key once: to collapse it again as it is written would cost a fourth of the insert.
            .with_setting("optimize_on_insert", "0")
            // On a cluster: acknowledged means that the shards have it, not that it waits on disk.
            .with_setting("distributed_foreground_insert", "1");
        Self { client, limits }
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Inserts a block of rows. Returns after it is acknowledged.
    ///
    /// # Errors
    /// [`Error::Load`] after bounded attempts; the rows may be stored then.
    pub async fn insert(
        &self,
        table: &'static str,
        columns: &[Description],
        block: &Block,
        report: &mut LoadReport,
    ) -> Result<()> {
        let rows = block.rows();
        let mut attempt = 1;
        loop {
            let Err(source) = self.try_insert(table, columns, block).await else { break };
            if attempt >= self.limits.attempts || !may_pass(&source) {
                return Err(Error::Load { table, rows, attempts: attempt, source });
            }
            let wait = pause(attempt, self.limits.first_pause, self.limits.longest_pause);
            tracing::warn!(table, attempt, wait_ms = wait.as_millis(), error = %source, "insert failed, trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
            report.retries += 1;
        }
        *report.rows.entry(table).or_default() += rows as u64;
        report.inserts += 1;
        Ok(())
    }

    async fn try_insert(
        &self,
        table: &str,
        columns: &[Description],
        block: &Block,
    ) -> clickhouse::error::Result<()> {
        let names: Vec<String> = columns.iter().map(|(name, _)| format!("`{name}`")).collect();
        let sql = format!("INSERT INTO {table} ({}) FORMAT Native", names.join(", "));
        let timeout = Some(self.limits.timeout);
        let insert = self.client.insert_formatted_with(sql).with_timeouts(timeout, timeout);
        let mut insert = insert.buffered_with_capacity(CHUNK_BYTES);
        for part in block.parts(columns) {
            let mut left = part.as_ref();
            while !left.is_empty() {
                let written = insert.write(left).await?;
                left = left.get(written..).unwrap_or_default();
            }
        }
        insert.end().await
    }
}
