//! The broker, the engine and the processes of one case.

use crate::measured::sized;
use crate::organisation::{Organisation, digest_query, program, rows_query};
use embedded_clickhouse::{Engine, QueryOptions, Server};
use kafka::KafkaSettings;
use kafka::raw::RawSender;
use model::raw::RawRecord;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use test_broker::{Cluster, Proxy, Settings, is_available};
use tokio::runtime::Runtime;

/// How long tables may take to become equal: at full size, and small.
const EQUAL_WITHIN: (Duration, Duration) = (Duration::from_secs(1_200), Duration::from_secs(240));
/// How long they must stay so.
const STAYS_FOR: Duration = Duration::from_secs(3);

/// What every case of this binary shares: one broker and one engine.
pub struct Shared {
    cluster: Cluster,
    /// The way on which ends of transactions may go wrong.
    pub proxy: Proxy,
    engine: Engine,
    url: String,
    server: Option<Server>,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

/// The shared broker and engine; `None` where they cannot be had, which is said. The last test that holds them ends
/// them: an engine that is still open when the process ends takes it down.
pub fn shared() -> Option<Arc<Shared>> {
    static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return Some(shared);
    }
    let shared = Arc::new(Shared::start()?);
    *slot = Arc::downgrade(&shared);
    Some(shared)
}

impl Shared {
    fn start() -> Option<Self> {
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
        let proxy = Proxy::bind().unwrap();
        let settings = Settings { proxies: vec![proxy.port()], ..Settings::plain(1) };
        let cluster = Cluster::start(&folder.path().join("kafka"), &settings).unwrap();
        proxy.forward(cluster.proxied(1).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server =
            runtime.block_on(Server::start_with(engine.clone(), listen, axum::Router::new())).unwrap();
        let url = server.url();
        Some(Self { cluster, proxy, engine, url, server: Some(server), runtime, _folder: folder })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _guard = self.runtime.enter();
            drop(server);
        }
        self.engine.clone().close();
    }
}

/// One case: a prefix of topics, a database, and processes.
pub struct Stage<'a> {
    shared: &'a Shared,
    organisation: &'a Organisation,
    name: String,
    has_catalog: bool,
    processes: Vec<(String, Child)>,
}

impl<'a> Stage<'a> {
    /// Makes the topics.
    pub fn new(shared: &'a Shared, organisation: &'a Organisation, name: &str, partitions: u32) -> Self {
        Self::at(shared, organisation, name, partitions, &shared.cluster.bootstrap())
    }

    /// As [`Self::new`]; its processes reach the brokers by way of the proxy.
    pub fn proxied(shared: &'a Shared, organisation: &'a Organisation, name: &str, partitions: u32) -> Self {
        let bootstrap = format!("127.0.0.1:{}", shared.proxy.port());
        Self::at(shared, organisation, name, partitions, &bootstrap)
    }

    fn at(
        shared: &'a Shared,
        organisation: &'a Organisation,
        name: &str,
        partitions: u32,
        bootstrap: &str,
    ) -> Self {
        let stage =
            Self { shared, organisation, name: name.to_owned(), has_catalog: true, processes: Vec::new() };
        let config = format!(
            "partitions = {partitions}\n[kafka]\nbrokers = {bootstrap:?}\nprefix = \"{name}.\"\n\
             [clickhouse]\nurl = {:?}\ndatabase = \"{name}\"\n",
            shared.url
        );
        std::fs::write(organisation.folder.path().join(stage.config()), config).unwrap();
        let made = stage.command("topics").args(["topics"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        stage
    }

    /// Lets its processes begin without a catalog.
    pub fn without_catalog(mut self) -> Self {
        self.has_catalog = false;
        self
    }

    /// Makes a catalog count while the processes run.
    pub fn apply_catalog(&self, text: &str) {
        std::fs::write(self.organisation.folder.path().join("applied.toml"), text).unwrap();
        let applied = self.command("operator").args(["catalog", "apply", "applied.toml"]).output().unwrap();
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    }

    pub fn settings(&self) -> KafkaSettings {
        KafkaSettings::new(self.shared.cluster.bootstrap(), &format!("{}.", self.name), "test")
    }
    pub fn config(&self) -> String {
        format!("{}.toml", self.name)
    }
    fn command(&self, instance: &str) -> Command {
        self.command_with(&self.config(), instance)
    }

    /// The program under a configuration, as a process of a name.
    pub fn command_with(&self, config: &str, instance: &str) -> Command {
        let mut command = program(self.organisation.folder.path());
        if self.has_catalog {
            command.arg("--catalog").arg(self.organisation.catalog());
        }
        command.args(["--config", config]).env("STREAMGAUGE__KAFKA__INSTANCE", instance);
        command
    }

    /// Writes the case's configuration with other lines before it; those that it has are left out.
    pub fn other_config(&self, name: &str, lines: &str) -> String {
        let folder = self.organisation.folder.path();
        let text = std::fs::read_to_string(folder.join(self.config())).unwrap();
        let is_other = |line: &&str| {
            let key = line.split(' ').next().unwrap();
            !lines.lines().any(|other| other.split(' ').next() == Some(key))
        };
        let kept: Vec<&str> = text.lines().filter(is_other).collect();
        let file = format!("{}-{name}.toml", self.name);
        std::fs::write(folder.join(&file), format!("{lines}{}\n", kept.join("\n"))).unwrap();
        file
    }

    /// Produces raw records to their topics.
    pub fn send(&self, records: &[RawRecord]) {
        let sender = RawSender::new(&self.settings()).unwrap();
        records.iter().for_each(|record| sender.send(record).unwrap());
        sender.finish().unwrap();
    }

    /// Starts a process of all stages, or of some.
    pub fn start(&mut self, instance: &str, stages: &[&str]) {
        let stages = stages.iter().flat_map(|stage| ["--stage", *stage]);
        let arguments: Vec<&str> = std::iter::once("run").chain(stages).collect();
        self.start_with(&self.config(), instance, &arguments);
    }

    /// Starts a process under another configuration.
    pub fn start_with(&mut self, config: &str, instance: &str, arguments: &[&str]) {
        let log = self.organisation.folder.path().join(format!("{}-{instance}.log", self.name));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = self.command_with(config, instance).args(arguments).stderr(log).spawn().unwrap();
        self.processes.push((instance.to_owned(), child));
    }

    /// Ends a process as an operator would, and waits for it.
    pub fn stop(&mut self, instance: &str) {
        let mut child = self.take(instance);
        let told = Command::new("kill").arg(child.id().to_string()).status().unwrap();
        assert!(told.success());
        assert!(child.wait().unwrap().success(), "{}", self.log(instance));
    }

    /// Ends a process at once.
    pub fn kill(&mut self, instance: &str) {
        let mut child = self.take(instance);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn take(&mut self, instance: &str) -> Child {
        let at = self.processes.iter().position(|(name, _)| name == instance).unwrap();
        self.processes.remove(at).1
    }

    pub fn log(&self, instance: &str) -> String {
        let path = self.organisation.folder.path().join(format!("{}-{instance}.log", self.name));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    pub fn ask(&self, query: &str) -> String {
        let options = QueryOptions { database: Some(self.name.clone()), ..QueryOptions::default() };
        match self.shared.engine.query(query, "TSV", &options) {
            Ok(answer) => String::from_utf8(answer).unwrap(),
            Err(error) => format!("{error}"),
        }
    }

    /// Waits until a query has this answer.
    pub fn expect_answer(&self, query: &str, wanted: &str) {
        self.expect_until(&format!("{query} answers {wanted:?}"), || self.ask(query) == wanted);
    }

    /// Waits until something is so.
    pub fn expect_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + EQUAL_WITHIN.1;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}: not in time");
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// Waits until the tables are those of the embedded run, and stay so.
    pub fn expect_equal(&self) {
        self.expect_tables(&self.organisation.expected);
    }

    /// As [`Self::expect_equal`], of tables with these digests.
    pub fn expect_tables(&self, expected: &str) {
        let deadline = Instant::now() + sized(EQUAL_WITHIN.0, EQUAL_WITHIN.1);
        let mut since: Option<Instant> = None;
        loop {
            let found = self.ask(&digest_query());
            match since {
                _ if found != expected => since = None,
                None => since = Some(Instant::now()),
                Some(since) if since.elapsed() >= STAYS_FOR => return,
                Some(_) => {}
            }
            if Instant::now() > deadline {
                let logs: Vec<String> =
                    self.processes.iter().map(|(name, _)| format!("{name}:\n{}", self.log(name))).collect();
                panic!(
                    "{}: {}\n{}\n{}",
                    self.name,
                    self.organisation.difference(&found),
                    self.examples(&found),
                    logs.join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// Some rows that stand on one side only.
    fn examples(&self, found: &str) -> String {
        let mut lines = Vec::new();
        for view in self.organisation.differing(found).into_iter().take(3) {
            let ours: BTreeSet<String> = self.organisation.rows(view).into_iter().collect();
            let theirs: BTreeSet<String> = self.ask(&rows_query(view)).lines().map(str::to_owned).collect();
            lines.extend(ours.difference(&theirs).take(3).map(|row| format!("{view}, embedded only: {row}")));
            lines.extend(theirs.difference(&ours).take(3).map(|row| format!("{view}, Kafka only: {row}")));
        }
        lines.join("\n")
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for (_, child) in &mut self.processes {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
