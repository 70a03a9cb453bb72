//! ClickHouse: migrations, the loader, typed rows and the queries of the command line.
//!
//! Every table is a `ReplacingMergeTree(rev, is_deleted)` by natural key (and, of facts and dimensions, the task that
//! wrote the row), so that loading a row again changes nothing. Analysts read views that hide `FINAL` and deleted rows. The SQL lies in `schemas/clickhouse`, one
//! source for the embedded engine, a single server and a cluster.

mod block;
pub mod compare;
pub mod error;
pub mod generation;
pub mod grants;
mod insert;
pub mod loader;
pub mod migrate;
pub mod probe;
pub mod reader;
mod retry;
pub mod rows;
pub mod schema;
mod tables;
pub mod target;
mod template;

pub use clickhouse::{Client, Compression};
pub use error::{Answer, Error, Result};
pub use generation::Generations;
pub use grants::grants;
use https::Https;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
pub use loader::{Limits, LoadReport, Loader};
pub use migrate::{MigrationReport, Statement, dry_run, migrate, pending};
pub use reader::{RawBytes, Reader, ReportRow, ScopeSummary};
pub use rows::Stamp;
use std::time::Duration;
pub use target::{Database, Target};

/// A client for a server or the embedded engine's address, as in `http://127.0.0.1:8123`.
///
/// The database is not set: [`migrate()`] makes it. [`Loader`] and [`Reader`] take one that has it
/// ([`Client::with_database`]).
pub fn client(url: &str) -> Client {
    named(Client::default().with_url(url))
}

/// As [`client`], for `https://` addresses, too.
pub fn client_over(https: &Https, url: &str) -> Client {
    let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(IDLE).build(https.connector());
    named(Client::with_http_client(http).with_url(url))
}

/// How long a connection is kept that nobody uses; the server closes it after 3 s.
const IDLE: Duration = Duration::from_secs(2);

fn named(client: Client) -> Client {
    client.with_product_info("streamgauge", env!("CARGO_PKG_VERSION"))
}
