//! What a run on a real Kafka tells about itself: metrics that add up, and readiness that says why not.
//! Needs Java and Maven for the broker and the ClickHouse engine; without them each test says that it was passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::prometheus::Exposed;
use common::run::{Run, environment};
use kafka::KafkaSettings;
use kafka::raw::RawSender;
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use test_broker::{Cluster, Settings};

fn is_possible() -> bool {
    let engine = embedded_clickhouse::locate().is_ok();
    if !engine {
        eprintln!("passed over: the ClickHouse engine is not there (cargo xtask setup)");
    }
    engine && test_broker::is_available()
}

fn command(folder: &Path, brokers: &str, arguments: &[&str]) -> String {
    let mut command = common::streamgauge(folder);
    command.envs(environment(brokers)).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Sends records of a source; each counts as what it says.
fn send(brokers: &str, source: &str, headers: &[(&str, &str)], bodies: &[&str]) {
    let sender = RawSender::new(&KafkaSettings::new(brokers, "streamgauge.", "test")).unwrap();
    for body in bodies {
        let headers = headers.iter().map(|(key, value)| (Text::new(key), (*value).to_owned()));
        let record = RawRecord {
            source: Text::new(source),
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
            received_at: Timestamp::from_seconds(1_790_000_000).unwrap(),
            origin: Origin { topic: Text::new("test"), partition: 0, offset: 0 },
        };
        sender.send(&record).unwrap();
    }
    sender.finish().unwrap();
}

const ORGANISATION: [&str; 7] = ["generate", "--services", "4", "--teams", "2", "--days", "20"];

#[test]
fn metrics_add_up_to_what_was_sent_and_a_restored_state_is_as_large_as_the_one_that_was_kept() {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let brokers = cluster.bootstrap();
    command(folder.path(), &brokers, &["topics"]);
    let sent = command(folder.path(), &brokers, &ORGANISATION).lines().count() as f64;
    command(folder.path(), &brokers, &[&ORGANISATION[..], &["--to-kafka"]].concat());
    let ping = r#"{"zen":"Keep it logically awesome.","hook_id":1,"hook":{"type":"Repository"}}"#;
    send(&brokers, "github", &[("x-github-event", "ping")], &[ping, ping]);
    send(&brokers, "canonical", &[], &["{", "{", "{"]);

    let run = Run::start(folder.path(), &brokers, &[]);
    run.wait_for_readiness(200, "load: ready");
    let metrics = run.wait("everything loaded", |run| {
        let metrics = run.metrics();
        let read = metrics.sum("streamgauge_records_in_total", &[("stage", "ingest")]);
        let lags = ["ingest", "correlate", "aggregate", "load"]
            .map(|stage| metrics.get("streamgauge_lag_records", &[("stage", stage)]));
        let owed = metrics.sum("streamgauge_owed_ranges", &[]);
        let all = read == sent + 5.0 && lags == [Some(0.0); 4] && owed == 0.0 && adds_up(&metrics).is_ok();
        if all {
            Ok(metrics)
        } else {
            Err(format!("{read} of {sent}, {lags:?}, {owed} {:?}", adds_up(&metrics)))
        }
    });
    let ingest = |labels: &[(&str, &str)]| {
        metrics.sum("streamgauge_records_in_total", &[&[("stage", "ingest")], labels].concat())
    };
    assert_eq!(ingest(&[("outcome", "dropped"), ("reason", "ping_not_used")]), 2.0);
    assert_eq!(ingest(&[("outcome", "rejected"), ("reason", "malformed")]), 3.0);
    assert_eq!(metrics.sum("streamgauge_dead_letters_total", &[("reason", "malformed")]), 3.0);
    assert_eq!(metrics.sum("streamgauge_transactions_failed_total", &[]), 0.0);
    assert_eq!(metrics.sum("streamgauge_stage_ready", &[]), 4.0);
    assert_eq!(metrics.sum("streamgauge_tasks_restored", &[("stage", "correlate")]), 2.0);
    assert_eq!(metrics.sum("streamgauge_catalog_offset", &[("stage", "correlate")]), -1.0);
    assert!(metrics.sum("streamgauge_process_resident_memory_bytes", &[]) > 1e7);
    let held = |metrics: &Exposed, what: &str| {
        ["correlate", "aggregate"].map(|stage| metrics.sum(what, &[("stage", stage)]))
    };
    let (entries, bytes) =
        (held(&metrics, "streamgauge_state_entries"), held(&metrics, "streamgauge_state_bytes"));
    assert!(entries.iter().zip(&bytes).all(|(entries, bytes)| *entries > 0.0 && bytes > entries));
    assert_eq!(run.get("/healthz"), (200, "ok\n".to_owned()));

    let log = run.log.clone();
    run.stop();
    check_log(&std::fs::read_to_string(log).unwrap());

    let again = Run::start(folder.path(), &brokers, &["--stage", "correlate", "--stage", "aggregate"]);
    again.wait_for_readiness(200, "aggregate: ready");
    let metrics = again.metrics();
    assert_eq!(held(&metrics, "streamgauge_state_entries"), entries);
    assert_eq!(held(&metrics, "streamgauge_state_bytes"), bytes);
    let restored = metrics.sum("streamgauge_restore_records_total", &[]);
    assert!(restored >= entries.iter().sum(), "{restored} of {entries:?}");
    assert_eq!(metrics.get("streamgauge_lag_records", &[("stage", "load")]), None);
    again.stop();
}

/// What one stage wrote the next one has read.
fn adds_up(metrics: &Exposed) -> Result<(), String> {
    let read = |stage| metrics.sum("streamgauge_records_in_total", &[("stage", stage)]);
    let wrote = |topic| metrics.sum("streamgauge_records_out_total", &[("topic", topic)]);
    let delays = metrics.sum("streamgauge_event_delay_seconds_count", &[("since", "observed")]);
    for (what, one, other) in [
        ("correlate", read("correlate"), wrote("events") + wrote("messages")),
        ("aggregate", read("aggregate"), wrote("contributions")),
        ("load", read("load"), wrote("facts") + wrote("metrics") + wrote("events")),
        ("archive", wrote("events"), metrics.sum("streamgauge_load_rows_total", &[("table", "events_rows")])),
        ("delays", wrote("events"), delays),
        ("dead letters", wrote("dlq"), metrics.sum("streamgauge_dead_letters_total", &[])),
    ] {
        if one != other || one == 0.0 {
            return Err(format!("{what}: {one}, {other}"));
        }
    }
    Ok(())
}

/// Every line of a run's log that is JSON says what it is about.
fn check_log(log: &str) {
    assert!(!log.contains("PartitionEOF"), "{log}");
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let restored: Vec<_> = lines.iter().filter(|line| line["message"] == "restored").collect();
    assert_eq!(restored.len(), 4, "{log}");
    assert!(restored.iter().any(|line| {
        line["stage"] == "correlate" && line["task"] == "correlate-1" && line["partition"] == 1
    }));
}

#[test]
fn readiness_says_that_no_broker_answers_and_comes_back_with_it() {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let brokers = cluster.bootstrap();
    command(folder.path(), &brokers, &["topics"]);
    let run = Run::start(folder.path(), &brokers, &[]);
    run.wait_for_readiness(200, "ingest: ready\ncorrelate: ready\naggregate: ready\nload: ready\n");

    // Another process, whose port is taken, says so and works.
    let log = folder.path().join("other.log");
    let other = Run::spawn(
        folder.path(),
        &brokers,
        &[("STREAMGAUGE__TELEMETRY__LISTEN", run.address.as_str())],
        &["--stage", "ingest"],
        &log,
    );
    other.wait("a word about the port", |run| {
        let text = std::fs::read_to_string(&run.log).unwrap();
        let said = text.contains("telemetry.listen cannot be listened on") && text.contains("assigned");
        if said { Ok(()) } else { Err(text) }
    });
    other.stop();

    cluster.stop(1).unwrap();
    let text = run.wait_for_readiness(503, "load: failing: ");
    assert!(text.contains("refuses connections"), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    assert_eq!(run.get("/healthz").0, 200);
    assert_eq!(run.metrics().sum("streamgauge_stage_ready", &[("stage", "load")]), 0.0);
    cluster.restart(1).unwrap();
    run.wait_for_readiness(200, "ingest: ready\ncorrelate: ready\naggregate: ready\nload: ready\n");
    assert_eq!(run.metrics().sum("streamgauge_stage_ready", &[]), 4.0);
    run.stop();
}

/// A collector: takes OTLP over HTTP, and keeps the spans.
struct Collector {
    address: String,
    spans: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self { address: listener.local_addr().unwrap().to_string(), spans: Arc::default() };
        let spans = collector.spans.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut reader = BufReader::new(stream.unwrap());
                let mut length = 0;
                let mut head = String::new();
                while reader.read_line(&mut head).unwrap() > 2 {
                    if let Some(value) = head.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
                for resource in request["resourceSpans"].as_array().unwrap() {
                    for scope in resource["scopeSpans"].as_array().unwrap() {
                        spans.lock().unwrap().extend(scope["spans"].as_array().unwrap().iter().cloned());
                    }
                }
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                reader.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        collector
    }

    /// The spans of a stage.
    fn of(&self, stage: &str) -> Vec<serde_json::Value> {
        let all = self.spans.lock().unwrap();
        let wanted = serde_json::json!({"key": "streamgauge.stage", "value": {"stringValue": stage}});
        all.iter().filter(|span| span["attributes"].as_array().unwrap().contains(&wanted)).cloned().collect()
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_sampled_record_is_one_trace_from_its_sender_to_its_rows_and_others_are_none() {
    if !is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let brokers = cluster.bootstrap();
    command(folder.path(), &brokers, &["topics"]);
    let collector = Collector::start();
    let endpoint = format!("http://{}", collector.address);
    let run = Run::start_with(
        folder.path(),
        &brokers,
        &[],
        &[("STREAMGAUGE__TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())],
    );
    run.wait_for_readiness(200, "load: ready");
    let event = |id: &str| {
        format!(
            r#"{{"id":"{id}","type":"deployment","occurred_at":"2026-03-02T10:04:00Z","observed_at":"2026-03-02T10:04:01Z","source":"ci","service":"checkout","deployment":{{"deployment_id":"{id}","environment":"production","sha":"3f5967c83e86eab1f5b2c1a0ef8f65c69f5d5e6b","state":"succeeded"}}}}"#
        )
    };
    send(&brokers, "canonical", &[], &[&event("1")]);
    send(
        &brokers,
        "canonical",
        &[("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-00"))],
        &[&event("2")],
    );
    run.wait("what is not sampled to be loaded", |run| {
        let loaded = run.metrics().sum("streamgauge_load_rows_total", &[("table", "events_rows")]);
        if loaded == 2.0 { Ok(()) } else { Err(format!("{loaded}")) }
    });
    send(
        &brokers,
        "canonical",
        &[("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"))],
        &[&event("3")],
    );
    run.wait("spans of all stages", |_| {
        let counts = ["ingest", "correlate", "aggregate", "load"].map(|stage| collector.of(stage).len());
        if counts.iter().all(|count| *count > 0) { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    run.stop();

    let ingest = collector.of("ingest");
    assert_eq!(ingest.len(), 1, "only one was sampled: {ingest:?}");
    assert_eq!(ingest[0]["parentSpanId"], "00f067aa0ba902b7");
    assert_eq!(ingest[0]["name"], "process streamgauge.raw.canonical");
    // Whether a span of a stage comes from one of these.
    let comes_from = |stage: &str, earlier: &[serde_json::Value]| {
        let spans = collector.of(stage);
        assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{stage}: {spans:?}");
        spans.iter().any(|span| {
            let links = span["links"].as_array().unwrap().iter().map(|link| &link["spanId"]);
            let from: Vec<_> = links.chain([&span["parentSpanId"]]).collect();
            earlier.iter().any(|source| from.contains(&&source["spanId"]))
        })
    };
    let (correlate, aggregate) = (collector.of("correlate"), collector.of("aggregate"));
    assert!(comes_from("correlate", &ingest));
    assert!(comes_from("aggregate", &correlate));
    assert!(comes_from("load", &ingest), "the event's own row");
    assert!(comes_from("load", &correlate), "the deployment's row");
    assert!(comes_from("load", &aggregate), "the windows' rows");
}
