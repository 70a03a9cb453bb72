//! The gateway on a real broker: signed deliveries against what the same broker takes from a bare producer, in the same
//! run; then how long an answer takes at half of what it took.
//!
//! Everything shares the machine's cores: the broker, the gateway, and who sends.

use crate::kafka::cpu;
use crate::median;
use ::gateway::verify::{Way, scheme};
use ::gateway::{Acknowledge, Gateway, GatewaySettings, Hook, Pages, Proof, RawLog};
use ::kafka::KafkaSettings;
use ::kafka::acknowledged::AcknowledgedSender;
use ::kafka::admin::Admin;
use ::kafka::raw::RawSender;
use generate::Options;
use model::Text;
use model::raw::RawRecord;
use ring::hmac;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_broker::{Cluster, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SECRET: &str = "It's a Secret to Everybody";
/// Connections that send as fast as they are answered, one request at a time as vendors do.
const CONNECTIONS: usize = 512;
/// Connections that send by the clock, in the same way.
const PACED: usize = 256;
const PACED_FOR: Duration = Duration::from_secs(10);
/// Rounds of both, in turn.
const ROUNDS: usize = 3;

struct TopicLog(AcknowledgedSender);

impl RawLog for TopicLog {
    fn append(&self, record: RawRecord, acknowledge: Acknowledge) {
        self.0.send(&record, acknowledge);
    }
    fn unready(&self) -> Option<String> {
        None
    }
}

/// Measures. `None` where there is no broker.
pub fn measure() -> Option<Value> {
    if !test_broker::is_available() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).expect("a broker");
    let settings = KafkaSettings::new(cluster.bootstrap(), "gateway.", "bench");
    let specs = settings.topics.specs(1, ["github"]);
    Admin::new(&settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
    let options = Options { services: 50, days: 90, ..Options::default() };
    let records: Vec<RawRecord> =
        generate::generate(&options).filter(|record| record.source.as_str() == "github").collect();
    let bytes = records.iter().map(|record| record.body.len()).sum::<usize>() / records.len();
    let requests: Vec<Vec<u8>> = records.iter().enumerate().map(|(at, record)| request(record, at)).collect();
    let requests = Arc::new(requests);

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut hooks = GatewaySettings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    hooks.rate_per_s = 10_000_000;
    let github = scheme("github").unwrap();
    let proof = Proof {
        way: Way::Scheme(github),
        secrets: vec![(github.secret)(SECRET).unwrap()],
        topics: Vec::new(),
    };
    hooks.hooks.insert("github".to_owned(), Hook { source: Text::new("github"), proof });
    let log = Arc::new(TopicLog(AcknowledgedSender::new(&settings).unwrap()));
    let pages = Pages { metrics: Arc::new(|_| String::new()), metrics_type: "text/plain" };

    let broker = cluster.process(1).expect("a broker").to_string();
    let (mut bare, mut taken) = (Vec::new(), Vec::new());
    let (mut bare_spent, mut spent) = (Vec::new(), Vec::new());
    let mut paced = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("measuring: the gateway, round {} of {ROUNDS}", round + 1);
        let before = Spent::until_now(&broker);
        bare.push(bare_producer(&settings, &records));
        bare_spent.push(before.since(&broker, records.len()));
        // Deliveries are known by the round before: each round has a gateway of its own.
        let gateway = runtime.block_on(Gateway::start(&hooks, log.clone(), pages.clone())).unwrap();
        let before = Spent::until_now(&broker);
        taken.push(as_fast_as_possible(gateway.address(), &requests));
        spent.push(before.since(&broker, requests.len()));
        runtime.block_on(gateway.stop());
        let gateway = runtime.block_on(Gateway::start(&hooks, log.clone(), pages.clone())).unwrap();
        paced.push(by_the_clock(gateway.address(), &requests, taken[round] / 2.0));
        runtime.block_on(gateway.stop());
    }
    let (bare, taken) = (median(bare), median(taken));
    let (bare_spent, spent) = (Spent::median(&bare_spent), Spent::median(&spent));
    let p99 = median(paced.iter().map(|latencies| percentile(latencies, 0.99)).collect());
    let p50 = median(paced.iter().map(|latencies| percentile(latencies, 0.5)).collect());
    Some(json!({
        "tables": [{
            "title": format!(
                "Gateway: {} signed GitHub deliveries of {bytes} bytes, scrubbed, acks=all (medians of {ROUNDS})",
                records.len()
            ),
            "columns": [
                "run", "per second", "of bare", "clients µs each", "process µs each", "broker µs each", "p50 ms", "p99 ms",
            ],
            "rows": [
                [
                    "bare producer", bare.round() as u64, 1, null, bare_spent.clients + bare_spent.process,
                    bare_spent.broker, null, null,
                ],
                [
                    "gateway", taken.round() as u64, taken / bare, spent.clients, spent.process, spent.broker,
                    null, null,
                ],
                [
                    "gateway at half of that", (taken / 2.0).round() as u64, taken / bare / 2.0, null, null,
                    null, p50, p99,
                ],
            ],
        }],
        "limits": [
            {"name": "gateway: times as long as a bare producer", "value": bare / taken, "limit": 2.0},
            {"name": "gateway: p99 at half, ms", "value": p99, "limit": 50.0},
        ],
    }))
}

/// Processor time: of the thread that all clients share, of the rest of this process, and of the broker.
struct Spent {
    clients: f64,
    process: f64,
    broker: f64,
}

impl Spent {
    /// Seconds so far.
    fn until_now(broker: &str) -> Self {
        let clients = cpu(&format!("self/task/{}", std::process::id()));
        Self { clients, process: cpu("self") - clients, broker: cpu(broker) }
    }
    /// Microseconds of each delivery.
    fn since(&self, broker: &str, deliveries: usize) -> Self {
        let now = Self::until_now(broker);
        let each = |now: f64, then: f64| (now - then) / deliveries as f64 * 1e6;
        Self {
            clients: each(now.clients, self.clients),
            process: each(now.process, self.process),
            broker: each(now.broker, self.broker),
        }
    }
    fn median(rounds: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| median(rounds.iter().map(part).collect());
        Self {
            clients: of(|spent| spent.clients),
            process: of(|spent| spent.process),
            broker: of(|spent| spent.broker),
        }
    }
}

/// A delivery as GitHub sends it.
fn request(record: &RawRecord, at: usize) -> Vec<u8> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &record.body);
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let event = record.header("x-github-event").unwrap_or("push");
    let head = format!(
        "POST /v1/hooks/github HTTP/1.1\r\nhost: hooks.acme.com\r\nuser-agent: GitHub-Hookshot/0a1b2c3\r\naccept: */*\r\n\
         content-type: application/json\r\nx-github-delivery: {at:08x}-cc78-11e3-81ab-4c9367dc0958\r\nx-github-event: {event}\r\n\
         x-hub-signature-256: sha256={hex}\r\ncontent-length: {}\r\n\r\n",
        record.body.len()
    );
    [head.as_bytes(), &record.body].concat()
}

fn bare_producer(settings: &KafkaSettings, records: &[RawRecord]) -> f64 {
    let sender = RawSender::new(settings).unwrap();
    let started = Instant::now();
    records.iter().for_each(|record| sender.send(record).unwrap());
    sender.finish().unwrap();
    records.len() as f64 / started.elapsed().as_secs_f64()
}

/// Clients share one thread: their own waiting for a core is not the gateway's.
fn clients() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    streams
}

/// Sends a request and reads its answer, which must be 202.
async fn ask(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).await.unwrap();
    let (mut buffer, mut held) = ([0; 1024], 0);
    // The only new line after the head's is the body's last byte.
    while !buffer[..held].ends_with(b"}\n") {
        let read = stream.read(&mut buffer[held..]).await.unwrap();
        assert!(read > 0, "the connection ended");
        held += read;
    }
    assert!(buffer.starts_with(b"HTTP/1.1 202 "), "{}", String::from_utf8_lossy(&buffer[..held]));
}

fn as_fast_as_possible(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>) -> f64 {
    let share = requests.len().div_ceil(CONNECTIONS);
    clients().block_on(async {
        let streams = connect(address, CONNECTIONS).await;
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for (client, mut stream) in streams.into_iter().enumerate() {
            let requests = requests.clone();
            clients.spawn(async move {
                for request in requests.chunks(share).nth(client).into_iter().flatten() {
                    ask(&mut stream, request).await;
                }
            });
        }
        clients.join_all().await;
        requests.len() as f64 / started.elapsed().as_secs_f64()
    })
}

/// Latencies in milliseconds, each from when its request was due: a wait for the one before counts.
fn by_the_clock(address: SocketAddr, requests: &Arc<Vec<Vec<u8>>>, per_s: f64) -> Vec<f64> {
    let each = Duration::from_secs_f64(PACED as f64 / per_s);
    let share = requests.len() / PACED;
    let count = ((PACED_FOR.as_secs_f64() / each.as_secs_f64()) as usize).min(share);
    clients().block_on(async {
        let streams = connect(address, PACED).await;
        let start = Instant::now() + each;
        let mut clients = JoinSet::new();
        for (client, mut stream) in streams.into_iter().enumerate() {
            let requests = requests.clone();
            clients.spawn(async move {
                let offset = each.mul_f64(client as f64 / PACED as f64);
                let mut latencies = Vec::with_capacity(count);
                for (at, request) in requests.chunks(share).nth(client).unwrap()[..count].iter().enumerate() {
                    let due = start + offset + each.mul_f64(at as f64);
                    tokio::time::sleep_until(due.into()).await;
                    ask(&mut stream, request).await;
                    latencies.push(due.elapsed().as_secs_f64() * 1_000.0);
                }
                latencies
            });
        }
        clients.join_all().await.concat()
    })
}

fn percentile(latencies: &[f64], part: f64) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1]
}
