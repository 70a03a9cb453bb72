//! What can go wrong between here and ClickHouse.

use model::Generation;
use std::pin::Pin;

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an operation comes to. Boxed, so that it is compiled once, in this crate: what an `async fn` does is compiled
/// again in each crate that awaits it, with the rows and the HTTP client of all that it calls.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What can go wrong between here and ClickHouse.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is none.
    #[error("{name:?} is no {what}: letters, digits and underscores are accepted, and no digit first")]
    Name {
        /// What it should name.
        what: &'static str,
        /// The text.
        name: String,
    },
    /// The database was migrated by a newer program.
    #[error(
        "the database {database} has schema version {found}, and this program knows versions up to {known}: use the streamgauge that migrated it, or a newer one"
    )]
    Newer {
        /// The database.
        database: String,
        /// The version that it has.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// A migration that ran is not the one that this program holds.
    #[error(
        "migration {version} ({name}) of the database {database} is not the one in this program: it was made by another build; load into a new database, or migrate with that build"
    )]
    Changed {
        /// The database.
        database: String,
        /// The migration's number.
        version: u32,
        /// The migration's name.
        name: String,
    },
    /// A migration's statement failed.
    #[error("migration {version} failed at `{statement}`")]
    Migration {
        /// The migration's number.
        version: u32,
        /// The first line of the statement.
        statement: String,
        /// Why.
        #[source]
        source: clickhouse::error::Error,
    },
    /// Rows could not be stored. Loading the same rows again is safe.
    #[error("loading {rows} rows into {table} failed after {attempts} attempts")]
    Load {
        /// The table.
        table: &'static str,
        /// How many rows the insert had.
        rows: usize,
        /// How often it was tried.
        attempts: u32,
        /// The last error.
        #[source]
        source: clickhouse::error::Error,
    },
    /// A generation that has no tables, or those of an older version.
    #[error(
        "generation {generation} has no tables of this version in the database {database}: build it with `streamgauge replay`"
    )]
    NoGeneration {
        /// The generation.
        generation: Generation,
        /// Its database.
        database: String,
    },
    /// The generation that is read cannot be dropped.
    #[error("generation {generation} is the one that the views show: promote another one first")]
    Live {
        /// The generation.
        generation: Generation,
    },
    /// A query failed.
    #[error(transparent)]
    Query(#[from] clickhouse::error::Error),
}
