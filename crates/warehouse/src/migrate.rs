//! Migrations: numbered templates, each run once and recorded with its checksum.

use crate::error::{Answer, Error, Result};
use crate::generation::Generations;
use crate::retry::code;
use crate::target::{Database, Target};
use crate::template::render;
use clickhouse::Client;
use model::hex;
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
const MIGRATIONS: [Migration; 8] = [
    migration!(1, "dimensions", "001_dimensions.sql"),
    migration!(2, "delivery", "002_delivery.sql"),
    migration!(3, "operations", "003_operations.sql"),
    migration!(4, "events", "004_events.sql"),
    migration!(5, "windows", "005_windows.sql"),
    migration!(6, "series", "006_series.sql"),
    migration!(7, "generations", "007_generations.sql"),
    migration!(8, "quick_views", "008_quick_views.sql"),
];

impl Migration {
    fn checksum(&self) -> String {
        hex::lower(&Sha256::digest(self.template.as_bytes()))
    }

    /// The statement that records that it ran.
    fn record(&self, database: &Database) -> String {
        let (version, name, checksum) = (self.version, self.name, self.checksum());
        format!(
            "INSERT INTO {database}.schema_migrations (version, name, checksum, applied_at)\n\
             SELECT {version}, '{name}', '{checksum}', now64(3, 'UTC')"
        )
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

/// Every statement that [`migrate()`] runs on an empty server, in order, with those that record what ran.
pub fn dry_run(database: &Database, target: &Target) -> Vec<Statement> {
    std::iter::once(&BOOTSTRAP)
        .chain(&MIGRATIONS)
        .flat_map(|migration| {
            let recorded = (migration.version > 0).then(|| migration.record(database));
            render(migration.template, database, target).into_iter().chain(recorded).map(|sql| Statement {
                version: migration.version,
                name: migration.name,
                sql,
            })
        })
        .collect()
}

/// The migrations that did not run yet: number and name. All of them where there is no database.
///
/// # Errors
/// [`Error::Newer`] and [`Error::Changed`] for a database of another program; [`Error::Query`] when nobody
/// answers, or the user may not read what ran.
pub async fn pending(client: &Client, database: &Database) -> Result<Vec<(u32, &'static str)>> {
    Ok(missing(&applied(client, database).await?, database)?
        .iter()
        .map(|one| (one.version, one.name))
        .collect())
}

/// Makes the database, its tables and views, or brings them up to date. Running it again changes nothing, and
/// needs no right to make anything; one that was cut off goes on. Views that show a later generation go on doing so,
/// and its tables are brought up to date, too.
///
/// # Errors
/// [`Error::Newer`] and [`Error::Changed`] for a database of another program; [`Error::Migration`] with the
/// statement that failed.
pub fn migrate<'a>(
    client: &'a Client,
    database: &'a Database,
    target: &'a Target,
) -> Answer<'a, MigrationReport> {
    Box::pin(async move {
        let missing = missing(&applied(client, database).await?, database)?;
        let mut report = MigrationReport { applied: Vec::new(), version: newest() };
        if missing.is_empty() {
            return Ok(report);
        }
        let generations = Generations::new(client, database, target);
        let live = generations.live().await?;
        if !live.is_first() {
            migrate(client, &database.of(live), target).await?;
        }
        // A migration's views show the first generation: while a later one is read they are made below, pointing there.
        let shows_first = |sql: &String| live.is_first() || !sql.starts_with("CREATE OR REPLACE VIEW ");
        run(client, &BOOTSTRAP, render(BOOTSTRAP.template, database, target)).await?;
        for migration in missing {
            let statements = render(migration.template, database, target).into_iter().filter(shows_first);
            run(client, migration, statements).await?;
            if !live.is_first() {
                generations.repoint().await?;
            }
            run(client, migration, [migration.record(database)]).await?;
            report.applied.push((migration.version, migration.name));
        }
        client.clear_cached_metadata().await;
        Ok(report)
    })
}

/// ClickHouse's codes for a table and a database that do not exist.
const UNKNOWN: [u32; 2] = [60, 81];

/// What ran. Nothing, where there is no record of it.
fn applied<'a>(client: &'a Client, database: &'a Database) -> Answer<'a, Vec<Applied>> {
    Box::pin(async move {
        let query = format!("SELECT ?fields FROM {database}.schema_migrations FINAL ORDER BY version");
        match client.query(&query).fetch_all().await {
            Ok(applied) => Ok(applied),
            Err(error) if is_unknown(&error) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    })
}

/// Whether a table or a database does not exist.
pub(crate) fn is_unknown(error: &clickhouse::error::Error) -> bool {
    matches!(error, clickhouse::error::Error::BadResponse(text)
        if code(text).is_some_and(|code| UNKNOWN.contains(&code)))
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

async fn run(
    client: &Client,
    migration: &Migration,
    statements: impl IntoIterator<Item = String>,
) -> Result<()> {
    for sql in statements {
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
        assert_eq!(left, [5, 6, 7, 8]);
    }

    #[test]
    fn a_newer_database_and_a_changed_migration_are_refused_with_the_reason() {
        let database = Database::default();
        let newer = missing(&[record(99, String::new())], &database).err().unwrap().to_string();
        assert!(newer.contains("schema version 99") && newer.contains("up to 8"), "{newer}");
        let changed = missing(&[record(1, "0".to_owned())], &database).err().unwrap().to_string();
        assert!(changed.contains("migration 1"), "{changed}");
    }
}
