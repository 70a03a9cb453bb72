//! Migrations: numbered templates, each run once and recorded with its checksum.

use crate::error::{Error, Result};
use crate::target::{Database, Target};
use crate::template::render;
use clickhouse::Client;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

struct Migration {
    version: u32,
    name: &'static str,
    template: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            template: include_str!(concat!("../../../schemas/clickhouse/", $file)),
        }
    };
}

/// Runs before every migration and is not recorded: the database, and the record of what ran.
const BOOTSTRAP: Migration = migration!(0, "bootstrap", "000_bootstrap.sql");

/// In order. One that was released is never changed; a new one is added.
const MIGRATIONS: [Migration; 6] = [
    migration!(1, "dimensions", "001_dimensions.sql"),
    migration!(2, "delivery", "002_delivery.sql"),
    migration!(3, "operations", "003_operations.sql"),
    migration!(4, "events", "004_events.sql"),
    migration!(5, "windows", "005_windows.sql"),
    migration!(6, "series", "006_series.sql"),
];

impl Migration {
    fn checksum(&self) -> String {
        Sha256::digest(self.template.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A statement of a migration, rendered for its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The migration's number; 0 is what runs before every migration.
    pub version: u32,
    /// The migration's name.
    pub name: &'static str,
    /// The SQL, without a semicolon.
    pub sql: String,
}

/// What [`migrate()`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// The migrations that ran now: number and name.
    pub applied: Vec<(u32, &'static str)>,
    /// The version that the database has now.
    pub version: u32,
}

#[derive(Debug, clickhouse::Row, Deserialize, Serialize)]
struct Applied {
    version: u32,
    name: String,
    checksum: String,
}

/// Every statement that [`migrate()`] runs on an empty server, in order.
pub fn dry_run(database: &Database, target: &Target) -> Vec<Statement> {
    std::iter::once(&BOOTSTRAP)
        .chain(&MIGRATIONS)
        .flat_map(|migration| {
            render(migration.template, database, target).into_iter().map(|sql| Statement {
                version: migration.version,
                name: migration.name,
                sql,
            })
        })
        .collect()
}

/// Makes the database, its tables and views, or brings them up to date. Running it again changes nothing; one
/// that was cut off goes on.
///
/// # Errors
/// [`Error::Newer`] and [`Error::Changed`] for a database of another program; [`Error::Migration`] with the
/// statement that failed.
pub async fn migrate(client: &Client, database: &Database, target: &Target) -> Result<MigrationReport> {
    run(client, &BOOTSTRAP, database, target).await?;
    let inside = client.clone().with_database(database.as_str());
    let applied: Vec<Applied> =
        inside.query("SELECT ?fields FROM schema_migrations FINAL ORDER BY version").fetch_all().await?;
    let missing = missing(&applied, database)?;
    let mut report = MigrationReport { applied: Vec::new(), version: newest() };
    for migration in missing {
        run(client, migration, database, target).await?;
        inside
            .query(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) \
                 SELECT ?, ?, ?, now64(3, 'UTC')",
            )
            .bind(migration.version)
            .bind(migration.name)
            .bind(migration.checksum())
            .execute()
            .await?;
        report.applied.push((migration.version, migration.name));
    }
    client.clear_cached_metadata().await;
    Ok(report)
}

fn newest() -> u32 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Which migrations did not run yet.
fn missing(applied: &[Applied], database: &Database) -> Result<Vec<&'static Migration>> {
    let found = applied.iter().map(|row| row.version).max().unwrap_or_default();
    if found > newest() {
        return Err(Error::Newer { database: database.to_string(), found, known: newest() });
    }
    let mut missing = Vec::new();
    for migration in &MIGRATIONS {
        match applied.iter().find(|row| row.version == migration.version) {
            None => missing.push(migration),
            Some(row) if row.checksum != migration.checksum() => {
                return Err(Error::Changed {
                    database: database.to_string(),
                    version: row.version,
                    name: row.name.clone(),
                });
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

async fn run(client: &Client, migration: &Migration, database: &Database, target: &Target) -> Result<()> {
    for sql in render(migration.template, database, target) {
        tracing::debug!(version = migration.version, sql, "migrating");
        client.query_raw(&sql).execute().await.map_err(|source| Error::Migration {
            version: migration.version,
            statement: sql.lines().next().unwrap_or_default().to_owned(),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(version: u32, checksum: String) -> Applied {
        Applied { version, name: "x".to_owned(), checksum }
    }

    #[test]
    fn versions_go_up_one_by_one() {
        for (migration, expected) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, expected);
        }
    }

    #[test]
    fn only_what_did_not_run_runs() {
        let database = Database::default();
        let done: Vec<Applied> =
            MIGRATIONS.iter().take(4).map(|one| record(one.version, one.checksum())).collect();
        let left: Vec<u32> = missing(&done, &database).unwrap().iter().map(|one| one.version).collect();
        assert_eq!(left, [5, 6]);
    }

    #[test]
    fn a_newer_database_and_a_changed_migration_are_refused_with_the_reason() {
        let database = Database::default();
        let newer = missing(&[record(99, String::new())], &database).err().unwrap().to_string();
        assert!(newer.contains("schema version 99") && newer.contains("up to 6"), "{newer}");
        let changed = missing(&[record(1, "0".to_owned())], &database).err().unwrap().to_string();
        assert!(changed.contains("migration 1"), "{changed}");
    }
}
