//! What a check asks ClickHouse: who answers, how much room there is, whether the tables are as the migrations made
//! them, and whether a row that was acknowledged can be read.

use crate::error::Answer;
use crate::loader::{Limits, Loader};
use crate::rows::Stamp;
use crate::schema::{Kind, Object, objects};
use crate::target::{Database, Target};
use clickhouse::Client;
use model::fact::{RowChange, RowKey};
use model::{Text, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The oldest release whose SQL is known to do: 23.10 refuses a view, 24.8 takes all of them.
pub const MINIMUM_VERSION: (u32, u32) = (24, 8);
/// The key under which [`read_your_writes`] stores: no view shows it.
const KEY: &str = "check";
/// The task under which it does: no partition has this number.
const TASK: u32 = u32::MAX;

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, clickhouse::Row, Deserialize)]
pub struct Server {
    /// Its version, as in `25.3.2.39`.
    pub version: String,
    /// Whom it takes us for.
    pub user: String,
    /// 0: the user may write; else not.
    pub readonly: u64,
    /// Its clock, in microseconds since 1970.
    pub now_us: i64,
}

impl Server {
    /// Whether it is at least of [`MINIMUM_VERSION`]; a version that cannot be read is.
    pub fn is_recent(&self) -> bool {
        let mut parts = self.version.split('.').map(|part| part.parse::<u32>().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(year), Some(month)) => (year, month) >= MINIMUM_VERSION,
            _ => true,
        }
    }
}

/// A disk of the server.
#[derive(Debug, Clone, PartialEq, Eq, clickhouse::Row, Deserialize)]
pub struct Disk {
    /// Its name.
    pub name: String,
    /// Free bytes.
    pub free: u64,
    /// All bytes; of an object store as good as infinite.
    pub total: u64,
}

/// Asks who answers.
///
/// # Errors
/// [`crate::Error::Query`]: nobody, or one who refuses.
pub fn server(client: &Client) -> Answer<'_, Server> {
    Box::pin(async move {
        let query = "SELECT version() AS version, currentUser() AS user, toUInt64(getSetting('readonly')) AS readonly, \
                 toUnixTimestamp64Micro(now64(6)) AS now_us";
        Ok(client.query(query).fetch_one().await?)
    })
}

/// Asks for the server's disks.
///
/// # Errors
/// [`crate::Error::Query`]; also when the user may not read `system.disks`.
pub fn disks(client: &Client) -> Answer<'_, Vec<Disk>> {
    Box::pin(async move {
        let query = "SELECT name, free_space AS free, total_space AS total FROM system.disks ORDER BY name";
        Ok(client.query(query).fetch_all().await?)
    })
}

/// What is not as the migrations made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The table or view.
    pub object: String,
    /// In words.
    pub what: String,
    /// Whether loading or reading goes wrong by it.
    pub breaks: bool,
}

#[derive(clickhouse::Row, Deserialize)]
struct FoundTable {
    name: String,
    engine: String,
    sorting_key: String,
}

#[derive(clickhouse::Row, Deserialize)]
struct FoundColumn {
    object: String,
    name: String,
    kind: String,
}

/// Compares tables and views with what the migrations make.
///
/// # Errors
/// [`crate::Error::Query`].
pub fn differences<'a>(
    client: &'a Client,
    database: &'a Database,
    target: &'a Target,
) -> Answer<'a, Vec<Difference>> {
    Box::pin(async move {
        let tables: Vec<FoundTable> = client
            .query("SELECT name, engine, sorting_key FROM system.tables WHERE database = ?")
            .bind(database.as_str())
            .fetch_all()
            .await?;
        let columns: Vec<FoundColumn> = client
        .query("SELECT table AS object, name, type AS kind FROM system.columns WHERE database = ? ORDER BY table, position")
        .bind(database.as_str())
        .fetch_all()
        .await?;
        let mut by_object: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for FoundColumn { object, name, kind } in columns {
            by_object.entry(object).or_default().push((name, kind));
        }
        let mut found = Vec::new();
        for object in objects(database, target) {
            match tables.iter().find(|table| table.name == object.name) {
                None => found.push(Difference {
                    object: object.name,
                    what: "is missing, or this user may not see it".to_owned(),
                    breaks: true,
                }),
                Some(table) => {
                    let columns = by_object.get(&object.name).map_or(&[][..], Vec::as_slice);
                    compare(&object, table, columns, &mut found);
                }
            }
        }
        Ok(found)
    })
}

fn compare(object: &Object, table: &FoundTable, columns: &[(String, String)], found: &mut Vec<Difference>) {
    let mut differs =
        |what: String, breaks| found.push(Difference { object: object.name.clone(), what, breaks });
    if !is_engine(&object.engine, &table.engine) {
        differs(format!("its engine is {}, not {}", table.engine, object.engine), true);
    }
    let key = table.sorting_key.trim_start_matches('(').trim_end_matches(')').replace('`', "");
    if object.kind == Kind::Storage && key != object.sorting_key {
        differs(format!("it is ordered by ({key}), not ({})", object.sorting_key), true);
    }
    for (name, kind) in &object.columns {
        match columns.iter().find(|(known, _)| known == name) {
            None => differs(format!("its column {name} is missing"), true),
            Some((_, is)) if is != kind => differs(format!("its column {name} is {is}, not {kind}"), true),
            Some(_) => {}
        }
    }
    for (name, _) in columns.iter().filter(|(name, _)| object.columns.iter().all(|(known, _)| known != name))
    {
        differs(format!("it has a column {name} that no migration made"), false);
    }
}

/// Whether an engine does what another one does: clusters and clouds put words before it.
fn is_engine(wanted: &str, is: &str) -> bool {
    const REPLACING: &str = "ReplacingMergeTree";
    let replicated = |engine: &str| engine.ends_with(REPLACING) && engine != REPLACING;
    wanted == is || (wanted.ends_with(REPLACING) && replicated(is))
}

#[derive(clickhouse::Row, Deserialize)]
struct Newest {
    rev: u64,
}

/// Stores a row as the loader stores them, and reads it at once. The row is one of `definitions_rows` that says of
/// itself that it does not exist; each call replaces the last one's.
///
/// # Errors
/// [`crate::Error::Load`] when it cannot be stored, [`crate::Error::Query`] when it cannot be read.
pub fn read_your_writes(client: &Client, now: Timestamp) -> Answer<'_, bool> {
    Box::pin(async move {
        let limits = Limits { attempts: 1, timeout: std::time::Duration::from_secs(30), ..Limits::default() };
        let rev = u64::try_from(now.micros()).unwrap_or(0);
        let gone = RowChange::Delete(RowKey::Definition(KEY.into()));
        let mut loader = Loader::new(client.clone(), limits);
        loader.push(&gone, Stamp { task: TASK, rev, computed_at: now }, &Text::default());
        loader.flush().await?;
        let newest: Newest = client
            .query("SELECT max(rev) AS rev FROM definitions_rows WHERE `key` = ? AND task = ?")
            .bind(KEY)
            .bind(TASK)
            .fetch_one()
            .await?;
        Ok(newest.rev >= rev)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let recent = |version: &str| {
            Server { version: version.to_owned(), user: String::new(), readonly: 0, now_us: 0 }.is_recent()
        };
        assert!(recent("24.8.1.1") && recent("24.12.3") && recent("26.5.1.1") && recent("own build"));
        assert!(!recent("23.10.1.1") && !recent("24.3.9.1") && !recent("9.12"));
    }

    #[test]
    fn a_replicated_table_does_for_a_plain_one_and_not_the_other_way_round() {
        assert!(is_engine("ReplacingMergeTree", "SharedReplacingMergeTree"));
        assert!(is_engine("ReplicatedReplacingMergeTree", "SharedReplacingMergeTree"));
        assert!(!is_engine("ReplicatedReplacingMergeTree", "ReplacingMergeTree"));
        assert!(!is_engine("ReplacingMergeTree", "MergeTree"));
    }
}
