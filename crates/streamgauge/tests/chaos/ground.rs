//! What every run shares: three brokers with a proxy before each, one engine with a door before it.

use crate::door::{Door, Trouble};
use embedded_clickhouse::{Engine, QueryOptions, Server};
use kafka::KafkaSettings;
use kafka::client;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use test_broker::{Cluster, Fault, Proxy, Settings, is_available};
use tokio::runtime::Runtime;

/// How many brokers there are.
pub const BROKERS: u32 = 3;
/// How long the brokers may take to answer a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Partitions of each of the brokers' own topics, as `tests/broker` makes them.
const OWN_PARTITIONS: i32 = 6;

/// Brokers and engine.
pub struct Ground {
    pub cluster: Cluster,
    proxies: Vec<Proxy>,
    pub door: Door,
    engine: Engine,
    server: Option<Server>,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

impl Ground {
    /// `None` where there is no broker or no engine, which is said.
    pub fn start() -> Option<Self> {
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
        let proxies: Vec<Proxy> = (0..BROKERS).map(|_| Proxy::bind().unwrap()).collect();
        let ports = proxies.iter().map(Proxy::port).collect();
        let settings = Settings { proxies: ports, ..Settings::plain(BROKERS) };
        let cluster = Cluster::start(&folder.path().join("kafka"), &settings).unwrap();
        for (node, proxy) in (1..).zip(&proxies) {
            proxy.forward(cluster.proxied(node).unwrap());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(Server::start(engine.clone(), listen)).unwrap();
        let door = Door::open(server.address().port());
        Some(Self { cluster, proxies, door, engine, server: Some(server), runtime, _folder: folder })
    }

    /// Where processes find the brokers: directly, or by way of the proxies.
    pub fn bootstrap(&self, proxied: bool) -> String {
        if !proxied {
            return self.cluster.bootstrap();
        }
        let addresses: Vec<String> =
            self.proxies.iter().map(|proxy| format!("127.0.0.1:{}", proxy.port())).collect();
        addresses.join(",")
    }

    /// What happens to ends of transactions on every proxy.
    pub fn set_ends(&self, fault: impl Fn() -> Fault + Send + Sync + Clone + 'static) {
        for proxy in &self.proxies {
            let fault = fault.clone();
            proxy.set(move |_| fault());
        }
    }

    /// How many ends of transactions met a fault.
    pub fn ends_hurt(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.met().1).sum()
    }

    /// How many requests are still to reach a broker late.
    pub fn late(&self) -> u64 {
        self.proxies.iter().map(Proxy::late).sum()
    }

    /// Nothing goes wrong from now on, and every broker runs.
    pub fn heal(&self) {
        self.set_ends(|| Fault::Pass);
        self.door.set(|_| Trouble::Pass);
        for node in 1..=BROKERS {
            if self.cluster.process(node).is_err() {
                self.cluster.restart(node).unwrap();
            }
        }
    }

    /// The engine's own answer, whatever stands in the door.
    pub fn ask(&self, database: &str, query: &str) -> Result<String, String> {
        let options = QueryOptions { database: Some(database.to_owned()), ..QueryOptions::default() };
        let answer = self.engine.query(query, "TSV", &options).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(answer).unwrap())
    }

    /// The broker that coordinates a name: a transactional id, or a group.
    pub fn coordinator(&self, settings: &KafkaSettings, topic: &str, name: &str) -> u32 {
        let hash = name.chars().fold(0_i32, |hash, letter| hash.wrapping_mul(31).wrapping_add(letter as i32));
        let partition = hash.checked_abs().unwrap_or(0) % OWN_PARTITIONS;
        let consumer: BaseConsumer = client::reader(settings).create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WITHIN).unwrap();
        let led = metadata.topics()[0].partitions().iter().find(|of| of.id() == partition).unwrap();
        u32::try_from(led.leader()).unwrap()
    }

    fn admin(&self, settings: &KafkaSettings) -> AdminClient<DefaultClientContext> {
        client::admin(settings).create().unwrap()
    }

    /// Gives topics more partitions.
    pub fn add_partitions(&self, settings: &KafkaSettings, topics: &[String], count: usize) {
        let wanted: Vec<NewPartitions<'_>> =
            topics.iter().map(|topic| NewPartitions::new(topic, count)).collect();
        let admin = self.admin(settings);
        let made = self.runtime.block_on(admin.create_partitions(&wanted, &options())).unwrap();
        made.into_iter().for_each(|result| _ = result.unwrap());
    }

    /// Removes what a run leaves behind.
    pub fn clear(&self, settings: &KafkaSettings, topics: &[String], database: &str) {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let admin = self.admin(settings);
        if let Err(error) = self.runtime.block_on(admin.delete_topics(&names, &options())) {
            eprintln!("topics of {database} stay: {error}");
        }
        if let Err(error) = self.ask("default", &format!("DROP DATABASE IF EXISTS `{database}`")) {
            eprintln!("the database {database} stays: {error}");
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_WITHIN)).operation_timeout(Some(ANSWER_WITHIN))
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
        // An engine that is still open when the process ends takes it down.
        self.engine.clone().close();
    }
}
