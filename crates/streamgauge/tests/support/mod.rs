//! A broker, the engine behind its HTTP interface, and stages in this process.
#![allow(dead_code, reason = "not every binary needs all of it")]

pub mod door;
pub mod registry;
pub mod tls;
pub mod topic;
pub mod views;

use catalog::Catalog;
use embedded_clickhouse::{Engine, QueryOptions, Server};
use generate::{Options, generate};
use kafka::admin::Admin;
use kafka::raw::RawSender;
use kafka::{KafkaSettings, Plan, Running, Stage, Status};
use model::Definitions;
use model::raw::RawRecord;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use test_broker::{Cluster, Settings, is_available};
use tokio::runtime::Runtime;
use warehouse::{Client, Compression, Database, Target};

/// How long anything may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One broker and one engine.
pub struct Bench {
    pub cluster: Cluster,
    pub folder: tempfile::TempDir,
    pub runtime: Runtime,
    engine: Engine,
    server: Option<Server>,
    url: String,
}

impl Bench {
    /// `None` where there is no broker or no engine, which is said.
    pub fn start(settings: &Settings) -> Option<Self> {
        if !is_available() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let engine = match Engine::open(&folder.path().join("clickhouse")) {
            Ok(engine) => engine,
            Err(error) => {
                eprintln!("skipped: no ClickHouse engine: {error}");
                return None;
            }
        };
        let cluster = Cluster::start(&folder.path().join("kafka"), settings).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut bench = Self { cluster, folder, runtime, engine, server: None, url: String::new() };
        bench.serve(0);
        Some(bench)
    }

    /// Serves the engine on a port (0: a free one).
    pub fn serve(&mut self, port: u16) {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let server = self.runtime.block_on(Server::start(self.engine.clone(), listen)).unwrap();
        self.url = server.url();
        self.server = Some(server);
    }

    /// ClickHouse goes away. Says on which port it was.
    pub fn unserve(&mut self) -> u16 {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A migrated database.
    pub fn database(&self, name: &str) -> Client {
        let client = warehouse::client(&self.url).with_compression(Compression::None);
        let database = Database::new(name).unwrap();
        self.runtime.block_on(warehouse::migrate(&client, &database, &Target::Server)).unwrap();
        client.with_database(name)
    }

    /// The answer of the engine itself, whether it is served or not.
    pub fn ask(&self, database: &str, query: &str) -> String {
        let options = QueryOptions { database: Some(database.to_owned()), ..QueryOptions::default() };
        match self.engine.query(query, "TSV", &options) {
            Ok(answer) => String::from_utf8(answer).unwrap().trim().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// What stages run with.
    pub fn plan(&self, settings: &KafkaSettings, stages: &[Stage], client: &Client) -> Plan {
        Plan {
            settings: settings.clone(),
            definitions: Definitions::default(),
            sources: sources::SourceSettings::default(),
            read_catalog: Arc::new(|file, text| {
                let read = Catalog::from_toml(file, text, &Definitions::default());
                read.map_err(|mistakes| mistakes.first().map(ToString::to_string).unwrap_or_default())
            }),
            stages: stages.to_vec(),
            warehouse: Some((client.clone(), self.runtime.handle().clone())),
            local: None,
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.unserve();
        // An engine that is still open when the process ends takes it down.
        self.engine.clone().close();
    }
}

/// What the tests of a binary share; the last one that holds it ends it.
pub fn shared<T>(slot: &Mutex<Weak<T>>, start: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return Some(shared);
    }
    let shared = Arc::new(start()?);
    *slot = Arc::downgrade(&shared);
    Some(shared)
}

/// Makes the topics of a prefix.
pub fn make_topics(settings: &KafkaSettings, partitions: u32) {
    let specs = settings.topics.specs(partitions, sources::SOURCES.iter().map(|source| source.name));
    Admin::new(settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
}

/// Some days of a small organisation.
pub fn records(days: u32) -> Vec<RawRecord> {
    generate(&Options { services: 2, teams: 1, days, ..Options::default() }).collect()
}

/// Produces raw records.
pub fn send(settings: &KafkaSettings, records: &[RawRecord]) {
    let sender = RawSender::new(settings).unwrap();
    records.iter().for_each(|record| sender.send(record).unwrap());
    sender.finish().unwrap();
}

/// Waits until it is so.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match is_so() {
            Ok(()) => return,
            Err(is) if Instant::now() > deadline => panic!("{what}: not within {PATIENCE:?}: {is}"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// How a stage stands.
pub fn status(running: &Running, stage: Stage) -> Status {
    running.stats().iter().find(|stats| stats.stage == stage).unwrap().snapshot().status
}

/// Waits until a stage's status says so.
pub fn wait_until_failing(running: &Running, stage: Stage, says: &str) {
    let mut heard = Vec::new();
    wait_for(&format!("{stage} says {says:?}"), || match status(running, stage) {
        Status::Failing(reason) if reason.contains(says) => {
            eprintln!("{stage}: {reason}");
            Ok(())
        }
        other => {
            if heard.last() != Some(&other) {
                heard.push(other);
            }
            Err(format!("{heard:?}"))
        }
    });
}

/// Waits until a stage works.
pub fn wait_until_running(running: &Running, stage: Stage) {
    wait_for(&format!("{stage} runs"), || match status(running, stage) {
        Status::Running => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
