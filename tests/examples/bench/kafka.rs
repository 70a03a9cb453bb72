//! The stages on a real broker, each alone and all together, against the null pipeline: consume, copy, produce in
//! transactions, with the same clients, the same records and the same broker, in the same run.
//!
//! What a stage takes is counted in raw records: it has done all that they lead to. Everything shares the machine's
//! cores: the broker, the engine and the stages.

use crate::memory;
use ::kafka::admin::Admin;
use ::kafka::client;
use ::kafka::raw::RawSender;
use ::kafka::session::{EosSession, OutRecord, Position, RdkafkaSession};
use ::kafka::{KafkaSettings, Plan, Running, Stage, StageStats};
use embedded_clickhouse::{Engine, Server};
use generate::{Options, catalog_toml};
use model::Definitions;
use model::raw::RawRecord;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::{Value, json};
use sources::SourceSettings;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use test_broker::{Cluster, Settings};
use warehouse::{Database, Target, migrate};

/// Ticks of a second in `/proc/<pid>/stat`.
const TICKS: f64 = 100.0;
/// So long nothing may change before a run counts as done.
const QUIET: Duration = Duration::from_millis(2_500);
/// Records of one transaction of the null pipeline.
const NULL_BATCH: u64 = 10_000;

/// What a run took.
struct Run {
    name: String,
    items: u64,
    seconds: f64,
    cpu: f64,
    broker_cpu: f64,
    bytes: f64,
    peak: u64,
}

struct Bench {
    cluster: Cluster,
    folder: tempfile::TempDir,
    records: Vec<RawRecord>,
    catalog: String,
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    server: Option<Server>,
    url: String,
}

/// Measures everything. `None` where there is no broker or engine.
pub fn measure() -> Option<Value> {
    let bench = Bench::start()?;
    // It is over in a second, so that whatever disturbs it shows in every ratio: the middle one of three.
    let mut nulls: Vec<Run> = ["null1.", "null2.", "null3."].map(|prefix| bench.null(prefix)).into();
    nulls.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let null = nulls.swap_remove(1);
    let mut runs = vec![null];
    bench.prepare("stages.");
    for stage in Stage::ALL {
        runs.push(bench.stages("stages.", &[stage], stage.as_str()));
    }
    bench.prepare("all.");
    runs.push(bench.stages("all.", &Stage::ALL, "end to end"));
    let raw = bench.records.len() as f64;
    let null_rate = raw / runs[0].seconds;
    let rows: Vec<Value> = runs
        .iter()
        .map(|run| {
            let per_second = raw / run.seconds;
            json!([
                run.name,
                run.items,
                run.seconds,
                per_second.round() as u64,
                per_second / null_rate,
                run.cpu / raw * 1e6,
                run.broker_cpu / raw * 1e6,
                (run.bytes / raw).round() as u64,
                run.peak as f64 / f64::from(1 << 20),
            ])
        })
        .collect();
    let limits: Vec<Value> = runs[1..]
        .iter()
        .map(|run| {
            let least = if run.name == "end to end" { 0.15 } else { 0.3 };
            // A limit is an upper one: how many times longer than the null pipeline it may take.
            json!({
                "name": format!("{}: times as long as the null pipeline", run.name),
                "value": run.seconds / runs[0].seconds,
                "limit": 1.0 / least,
            })
        })
        .collect();
    let bytes: usize = bench.records.iter().map(|record| record.body.len()).sum();
    Some(json!({
        "tables": [{
            "title": format!(
                "On Kafka: {} raw GitHub records of {} bytes on average, 1 partition, broker and engine on the same cores",
                bench.records.len(),
                bytes / bench.records.len()
            ),
            "columns": ["run", "records read", "seconds", "raw records/s", "of null", "CPU µs/raw record", "broker CPU µs",
                        "bytes on the broker", "peak MiB"],
            "rows": rows,
        }],
        "limits": limits,
    }))
}

/// The run from raw records to rows alone, for a profile: how long it took, in seconds. `None` where there is no broker
/// or engine.
pub fn whole() -> Option<f64> {
    let bench = Bench::start()?;
    bench.prepare("all.");
    Some(bench.stages("all.", &Stage::ALL, "end to end").seconds)
}

impl Bench {
    fn start() -> Option<Self> {
        if !test_broker::is_available() {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Engine::open(&folder.path().join("clickhouse"))
            .map_err(|error| eprintln!("skipped: {error}"))
            .ok()?;
        let options = Options { services: 50, days: 90, ..Options::default() };
        let records: Vec<RawRecord> =
            generate::generate(&options).filter(|record| record.source.as_str() == "github").collect();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime
            .block_on(Server::start_with(engine.clone(), listen, axum::Router::new()))
            .expect("a server");
        let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).expect("a broker");
        let url = server.url();
        let catalog = catalog_toml(&options);
        Some(Self { cluster, folder, records, catalog, runtime, engine, server: Some(server), url })
    }

    fn settings(&self, prefix: &str) -> KafkaSettings {
        KafkaSettings::new(self.cluster.bootstrap(), prefix, "bench")
    }

    /// Makes the topics, the tables and the catalog, and sends the raw records.
    fn prepare(&self, prefix: &str) {
        eprintln!("measuring: {prefix} on Kafka");
        let settings = self.settings(prefix);
        let specs = settings.topics.specs(1, ["github"]);
        Admin::new(&settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
        let database = Database::new(prefix.trim_end_matches('.')).unwrap();
        self.runtime.block_on(migrate(&warehouse::client(&self.url), &database, &Target::Embedded)).unwrap();
        ::kafka::catalog::publish(&settings, "generated.toml", &self.catalog).unwrap();
        let sender = RawSender::new(&settings).unwrap();
        self.records.iter().for_each(|record| sender.send(record).unwrap());
        sender.finish().unwrap();
    }

    fn stages(&self, prefix: &str, stages: &[Stage], name: &str) -> Run {
        let definitions = Definitions::default();
        let read = definitions.clone();
        let client = warehouse::client(&self.url)
            .with_compression(warehouse::Compression::None)
            .with_database(prefix.trim_end_matches('.'));
        let plan = Plan {
            settings: self.settings(prefix),
            definitions,
            sources: SourceSettings::default(),
            read_catalog: Arc::new(move |file, text| {
                catalog::Catalog::from_toml(file, text, &read).map_err(|mistakes| format!("{mistakes:?}"))
            }),
            stages: stages.to_vec(),
            warehouse: Some((client, self.runtime.handle().clone())),
            local: None,
        };
        self.measured(name, |clock| {
            let running = Running::start(&plan).unwrap();
            let seen = || -> Vec<(u64, u64)> {
                let counted = |stats: &Arc<::kafka::StageStats>| stats.snapshot();
                running
                    .stats()
                    .iter()
                    .map(counted)
                    .map(|counted| (counted.records_in, counted.transactions))
                    .collect()
            };
            // Joining the group and restoring are not what is measured.
            while seen().first().is_none_or(|(records, _)| *records == 0) {
                std::thread::sleep(Duration::from_millis(1));
            }
            clock.begin();
            let (mut last, mut changed) = (seen(), Instant::now());
            while changed.elapsed() < QUIET {
                std::thread::sleep(Duration::from_millis(5));
                let now = seen();
                if now != last {
                    (last, changed) = (now, Instant::now());
                }
            }
            (last.first().map_or(0, |(records, _)| *records), changed)
        })
    }

    fn null(&self, prefix: &str) -> Run {
        let settings = self.settings(prefix);
        let specs = settings.topics.specs(1, ["github"]);
        Admin::new(&settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
        let sender = RawSender::new(&settings).unwrap();
        self.records.iter().for_each(|record| sender.send(record).unwrap());
        sender.finish().unwrap();
        let mut session =
            RdkafkaSession::open(&settings, "null", &Arc::new(StageStats::new(Stage::Ingest))).unwrap();
        // A stage begins where its group left off, or where it says; this one knows neither.
        let consumer: BaseConsumer =
            client::member(&settings, Stage::Ingest).set("auto.offset.reset", "earliest").create().unwrap();
        let raw = settings.topics.raw("github");
        consumer.subscribe(&[&raw]).unwrap();
        let mut records = 0_u64;
        self.measured("null pipeline", |clock| {
            let mut open = false;
            while records < self.records.len() as u64 {
                let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
                let message = message.unwrap();
                if records == 0 {
                    clock.begin();
                }
                if !open {
                    session.begin().unwrap();
                    open = true;
                }
                records += 1;
                let value = message.payload().unwrap().to_vec();
                session
                    .produce(OutRecord {
                        topic: &settings.topics.events,
                        partition: Some(0),
                        key: &[],
                        value: Some(&value),
                        headers: &[],
                        timestamp_ms: 0,
                    })
                    .unwrap();
                if records.is_multiple_of(NULL_BATCH) || records == self.records.len() as u64 {
                    let position =
                        Position { topic: raw.clone(), partition: 0, offset: message.offset() + 1 };
                    session.commit(&[position], consumer.group_metadata()).unwrap();
                    open = false;
                }
            }
            (records, Instant::now())
        })
    }

    /// Runs something that gives how many records it read and when it was done; it begins the clock itself.
    fn measured(&self, name: &str, run: impl FnOnce(&mut Clock) -> (u64, Instant)) -> Run {
        let broker = self.cluster.process(1).unwrap().to_string();
        let kafka = self.folder.path().join("kafka");
        let bytes = size(&kafka);
        memory::reset_peak();
        let mut clock = Clock { broker, started: Instant::now(), own: 0.0, theirs: 0.0 };
        clock.begin();
        let (items, done) = run(&mut clock);
        Run {
            name: name.to_owned(),
            items,
            seconds: (done - clock.started).as_secs_f64(),
            cpu: cpu("self") - clock.own,
            broker_cpu: cpu(&clock.broker) - clock.theirs,
            bytes: size(&kafka).saturating_sub(bytes) as f64,
            peak: memory::peak(),
        }
    }
}

/// When a run began, and what processor time was used until then.
struct Clock {
    broker: String,
    started: Instant,
    own: f64,
    theirs: f64,
}

impl Clock {
    fn begin(&mut self) {
        (self.own, self.theirs, self.started) = (cpu("self"), cpu(&self.broker), Instant::now());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _guard = self.runtime.enter();
            drop(server);
        }
        self.engine.clone().close();
    }
}

/// Seconds of processor time of a process, or of a thread of one.
pub(super) fn cpu(process: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Bytes that a folder's segments take; index files are made ahead.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size(&entry.path()),
            Ok(metadata) if entry.path().extension().is_some_and(|ending| ending == "log") => metadata.len(),
            _ => 0,
        })
        .sum()
}
