//! The tables, the loader and the views against the real engine. One engine per process, so one test binary;
//! every test has a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod loading;
mod schema;
mod series;
mod speed;

use embedded_clickhouse::{Engine, EngineError, Server, locate};
use std::sync::OnceLock;
use streamgauge_warehouse::{Client, Compression, Database, Limits, Loader, Reader, Target, client, migrate};

struct Fixture {
    url: String,
    runtime: tokio::runtime::Runtime,
}

fn fixture() -> Option<&'static Fixture> {
    static FIXTURE: OnceLock<Option<Fixture>> = OnceLock::new();
    FIXTURE
        .get_or_init(|| {
            if let Err(error @ EngineError::LibraryNotFound { .. }) = locate() {
                eprintln!("skipped: {error}");
                return None;
            }
            let folder = tempfile::tempdir().unwrap().keep();
            let engine = Engine::open(&folder).unwrap();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let listen = "127.0.0.1:0".parse().unwrap();
            let server = runtime.block_on(Server::start(engine, listen)).unwrap();
            let url = server.url();
            // The server lives as long as the process.
            std::mem::forget(server);
            Some(Fixture { url, runtime })
        })
        .as_ref()
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

/// Runs a test in a migrated database of its own; skips it, with a notice, without the engine's library.
pub fn with_database<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Warehouse) -> F) {
    let Some(fixture) = fixture() else { return };
    fixture.runtime.block_on(async {
        let client = client(&fixture.url).with_compression(Compression::None);
        let database = Database::new(name).unwrap();
        migrate(&client, &database, &Target::Embedded).await.unwrap();
        test(Warehouse { client, database }).await;
    });
}
