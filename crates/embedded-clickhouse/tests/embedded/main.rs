//! The interface against the real engine. One engine per process, so one test binary, which shares it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod client;
mod crate_client;
mod http;
mod process;

use std::net::SocketAddr;
use std::sync::OnceLock;

use streamgauge_embedded_clickhouse::{Engine, EngineError, Server, locate};

pub struct Fixture {
    pub engine: Engine,
    pub address: SocketAddr,
    pub runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

/// The engine and its server, or nothing, with a notice, on a machine without the library.
pub fn fixture() -> Option<&'static Fixture> {
    static FIXTURE: OnceLock<Option<Fixture>> = OnceLock::new();
    FIXTURE
        .get_or_init(|| {
            if let Err(error @ EngineError::LibraryNotFound { .. }) = locate() {
                eprintln!("skipped: {error}");
                return None;
            }
            let folder = tempfile::tempdir().unwrap();
            let engine = Engine::open(folder.path()).unwrap();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let extra = axum::Router::new()
                .route("/streamgauge/hello", axum::routing::get(|| async { "hello from the product" }));
            let listen = "127.0.0.1:0".parse().unwrap();
            let server = runtime.block_on(Server::start_with(engine.clone(), listen, extra)).unwrap();
            assert_eq!(server.url(), format!("http://{}", server.address()));
            let address = server.address();
            // The server lives as long as the process.
            std::mem::forget(server);
            Some(Fixture { engine, address, runtime, _folder: folder })
        })
        .as_ref()
}
