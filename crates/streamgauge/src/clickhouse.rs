//! ClickHouse behind its HTTP interface: the engine in this process, or that of the process that owns the folder.

use crate::config::connections::ClickHouseServer;
use anyhow::Context;
use axum::Router;
use embedded_clickhouse::{Engine, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::runtime::Runtime;
use warehouse::{Client, Compression, Database, Reader, Target, migrate};

/// A loopback address with a free port.
pub const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A ClickHouse to ask and to load.
#[derive(Debug)]
pub struct ClickHouse {
    runtime: Runtime,
    server: Option<Server>,
    url: String,
    /// Of a configured server: how it is reached, as which user, in which database.
    client: Option<Client>,
}

impl ClickHouse {
    /// Opens the engine of a data folder, serves it on a loopback address, and brings its tables up to date.
    /// Where the address is taken, a free port is used.
    ///
    /// # Errors
    /// The engine's library is missing, the folder is damaged, or a migration fails.
    pub fn embedded(folder: &Path, listen: SocketAddr, routes: Router) -> anyhow::Result<Self> {
        let mut opened = Self::served(String::new())?;
        opened.embed(folder, listen, routes)?;
        Ok(opened)
    }

    /// As [`ClickHouse::embedded`], on the threads that there are.
    ///
    /// # Errors
    /// As [`ClickHouse::embedded`].
    pub fn embed(&mut self, folder: &Path, listen: SocketAddr, routes: Router) -> anyhow::Result<()> {
        self.open(folder, listen, routes)?;
        self.block_on(migrate(&warehouse::client(self.url()), &Database::default(), &Target::Embedded))
            .context("the tables cannot be made")?;
        Ok(())
    }

    /// As [`ClickHouse::embedded`], with the tables as they are.
    ///
    /// # Errors
    /// The engine's library is missing, or the folder is damaged.
    pub fn opened(folder: &Path, listen: SocketAddr, routes: Router) -> anyhow::Result<Self> {
        let mut opened = Self::served(String::new())?;
        opened.open(folder, listen, routes)?;
        Ok(opened)
    }

    fn open(&mut self, folder: &Path, listen: SocketAddr, routes: Router) -> anyhow::Result<()> {
        let engine = Engine::open(&folder.join("clickhouse"))?;
        let server = self.runtime.block_on(async {
            match Server::start_with(engine.clone(), listen, routes.clone()).await {
                Err(error) if listen.port() != 0 => {
                    tracing::info!(%error, "taking a free port");
                    Server::start_with(engine, ANY_PORT, routes).await
                }
                other => other,
            }
        })?;
        (self.url, self.server) = (server.url(), Some(server));
        Ok(())
    }

    /// Asks another process.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn served(url: String) -> anyhow::Result<Self> {
        Ok(Self { runtime: runtime()?, server: None, url, client: None })
    }

    /// Asks the server of a configuration, in the database that everybody reads.
    ///
    /// # Errors
    /// A file of `clickhouse.ssl` that cannot be used; when no thread can be started.
    pub fn configured(server: &ClickHouseServer) -> anyhow::Result<Self> {
        let client = server.bare_client().context("clickhouse.ssl")?.with_database(server.base.as_str());
        Ok(Self { runtime: runtime()?, server: None, url: server.url.clone(), client: Some(client) })
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }
    /// A client of the database. On a loopback address compression costs more than it saves.
    pub fn client(&self) -> Client {
        if let Some(client) = &self.client {
            return client.clone();
        }
        let client = warehouse::client(&self.url).with_compression(Compression::None);
        client.with_database(Database::default().as_str())
    }
    /// Typed questions.
    pub fn reader(&self) -> Reader {
        Reader::new(self.client())
    }
    /// Waits for an answer.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
    /// Runs things beside.
    pub fn handle(&self) -> tokio::runtime::Handle {
        self.runtime.handle().clone()
    }
}

impl Drop for ClickHouse {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no thread can be started")
}
