//! One insert into one table, repeated while that may help.

use crate::error::{Error, Result};
use crate::loader::{Limits, LoadReport};
use crate::retry::{may_pass, pause};
use crate::rows::Stored;
use crate::tables::Table;
use clickhouse::Client;

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

    /// Whether so many rows and bytes are worth an insert, or must not become more.
    pub fn fills(&self, (rows, bytes): (usize, usize)) -> bool {
        rows >= self.limits.max_rows || bytes >= self.limits.max_bytes
    }

    /// Whether a table is full.
    pub fn is_full<T>(&self, table: &Table<T>) -> bool {
        self.fills((table.rows.len(), table.bytes))
    }

    /// Inserts rows, no more than the limit at once. Returns after all of them are acknowledged.
    ///
    /// # Errors
    /// [`Error::Load`] after bounded attempts; some rows may be stored then.
    pub async fn insert<T: Stored>(&self, rows: &[T], report: &mut LoadReport) -> Result<()> {
        for rows in rows.chunks(self.limits.max_rows.max(1)) {
            self.insert_at_once(rows, report).await?;
        }
        Ok(())
    }

    async fn insert_at_once<T: Stored>(&self, rows: &[T], report: &mut LoadReport) -> Result<()> {
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
