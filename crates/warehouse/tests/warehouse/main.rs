//! The tables, the loader and the views against the real engine. One engine per process, so one test binary;
//! every test has a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod facts;
mod generations;
mod loading;
mod probe;
mod schema;
mod series;
mod speed;

use embedded_clickhouse::{Engine, EngineError, Server, locate};
use model::Timestamp;
use model::fact::RowChange;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use streamgauge_warehouse::{
    Client, Compression, Database, Limits, LoadReport, Loader, Reader, Result, Stamp, Target, client, migrate,
};

/// The engine and its server. It closes with the last test that uses it, not when the process ends.
struct Fixture {
    url: String,
    runtime: tokio::runtime::Runtime,
    server: Option<Server>,
    engine: Option<Engine>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::open(folder.path()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = runtime.block_on(Server::start(engine.clone(), listen)).unwrap();
        Self { url: server.url(), runtime, server: Some(server), engine: Some(engine), _folder: folder }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
        if let Some(engine) = self.engine.take() {
            engine.close();
        }
    }
}

static OPEN: Mutex<Weak<Fixture>> = Mutex::new(Weak::new());

/// A test's hold on the engine.
struct Hold(Option<Arc<Fixture>>);

impl Hold {
    /// Nothing, with a notice, on a machine without the engine's library.
    fn take() -> Option<Self> {
        if let Err(error @ EngineError::LibraryNotFound { .. }) = locate() {
            eprintln!("skipped: {error}");
            return None;
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let fixture = open.upgrade().unwrap_or_else(|| Arc::new(Fixture::open()));
        *open = Arc::downgrade(&fixture);
        Some(Self(Some(fixture)))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Under the lock: nobody opens the engine while it closes.
        let _open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.take();
    }
}

/// A migrated database.
pub struct Warehouse {
    pub client: Client,
    pub database: Database,
}

impl Warehouse {
    pub fn inside(&self) -> Client {
        self.client.clone().with_database(self.database.as_str())
    }
    pub fn loader(&self) -> Loader {
        Loader::new(self.inside(), Limits::default())
    }
    pub fn reader(&self) -> Reader {
        Reader::new(self.inside())
    }
    /// The answer as tab-separated text.
    pub async fn ask(&self, sql: &str) -> String {
        let bytes = self.reader().raw(sql, "TSV").unwrap().collect().await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
    /// Everything in a view but what loading again may change.
    pub async fn content(&self, view: &str) -> String {
        self.ask(&format!("SELECT * EXCEPT (rev, computed_at) FROM {view} ORDER BY ALL")).await
    }
}

/// What task 0 writes in its transaction `rev`.
pub fn stamp(rev: u64) -> Stamp {
    Stamp { task: 0, rev, computed_at: Timestamp::parse("2026-03-01T00:00:00.123Z").unwrap() }
}

/// Loads what task 0 wrote in its transaction `rev`.
pub async fn load(loader: &mut Loader, rev: u64, rows: &[RowChange]) -> Result<LoadReport> {
    rows.iter().for_each(|change| loader.push(change, stamp(rev), &"abc".into()));
    loader.flush().await
}

/// Runs a test in a migrated database of its own; skips it, with a notice, without the engine's library.
pub fn with_database<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Warehouse) -> F) {
    let Some(hold) = Hold::take() else { return };
    let Some(fixture) = &hold.0 else { return };
    fixture.runtime.block_on(async {
        let client = client(&fixture.url).with_compression(Compression::None);
        let database = Database::new(name).unwrap();
        migrate(&client, &database, &Target::Embedded).await.unwrap();
        test(Warehouse { client, database }).await;
    });
}
