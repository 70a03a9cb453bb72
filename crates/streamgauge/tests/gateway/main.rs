//! `serve` as a process: on Kafka, with a broker that goes away, and embedded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod door;

use door::{Door, Reply};
use kafka::{KafkaSettings, client};
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::make_topics;
use support::topic::values;
use test_broker::{Cluster, Settings, is_available};

#[test]
fn a_broker_that_is_away_loses_nothing_that_was_answered_202() {
    if !is_available() {
        return;
    }
    let away = if std::env::var_os("STREAMGAUGE_FULL").is_some_and(|value| value == "1") {
        Duration::from_secs(60)
    } else {
        println!("shortened: STREAMGAUGE_FULL=1 keeps the broker away for 60 s instead of 12");
        Duration::from_secs(12)
    };
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let settings = KafkaSettings::new(cluster.bootstrap(), "away.", "one");
    make_topics(&settings, 1);
    let door = Door::on_kafka(folder.path(), &settings.brokers, "away.");
    let stop = AtomicBool::new(false);
    let answered: Vec<(String, Reply)> = std::thread::scope(|scope| {
        let send = |client: usize| {
            let mut sent = Vec::new();
            let mut at = 0;
            while !stop.load(Ordering::Relaxed) {
                let body = format!("{{\"client\":{client},\"at\":{at}}}");
                let reply = door.post("github", "", &body);
                if reply.status != 202 {
                    std::thread::sleep(Duration::from_millis(50));
                }
                sent.push((body, reply));
                at += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            sent
        };
        let clients: Vec<_> = (0..8).map(|client| scope.spawn(move || send(client))).collect();
        std::thread::sleep(Duration::from_secs(3));
        cluster.pause(1).unwrap();
        std::thread::sleep(away);
        assert_eq!(door.get("/healthz").status, 200);
        assert_eq!(door.get("/readyz").status, 503, "the log does not acknowledge");
        cluster.resume(1).unwrap();
        let back = Instant::now();
        while door.get("/readyz").status != 200 {
            assert!(back.elapsed() < Duration::from_secs(60), "not ready again");
            std::thread::sleep(Duration::from_millis(100));
        }
        std::thread::sleep(Duration::from_secs(3));
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let stored: BTreeSet<Vec<u8>> =
        values(client::reader(&settings), "away.raw.github").into_iter().collect();
    let accepted: Vec<&String> =
        answered.iter().filter(|(_, reply)| reply.status == 202).map(|(body, _)| body).collect();
    let refused: Vec<&Reply> =
        answered.iter().map(|(_, reply)| reply).filter(|reply| reply.status != 202).collect();
    println!("{} accepted, {} refused, {} stored", accepted.len(), refused.len(), stored.len());
    assert!(accepted.len() > 500 && !refused.is_empty());
    for reply in refused {
        assert_eq!(reply.status, 503);
        assert!(reply.head.to_lowercase().contains("retry-after: 5"), "{}", reply.head);
    }
    for body in accepted {
        assert!(stored.contains(body.as_bytes()), "{body} was answered 202 and is lost");
    }
}

/// The vendors' samples of a source, each with GitHub's event where it is one of its.
fn samples(source: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/payloads"))
        .find(|folder| folder.is_dir());
    let Some(root) = root else {
        println!("skipped: no folder shared/payloads beside the project");
        return Vec::new();
    };
    let mut folders = vec![root.join(source)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "json") {
                let event = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
                found.push((path, event));
            }
        }
    }
    found.sort();
    found
}

/// Names and addresses of everybody whom a payload calls a login, an address or a full name.
fn people(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let personal =
                    ["login", "email", "user_email", "display_name", "nickname", "displayName", "uniqueName"]
                        .contains(&key.as_str());
                if let (true, Some(text)) = (personal, field.as_str()) {
                    found.insert(text.to_owned());
                }
                people(field, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| people(item, found)),
        _ => {}
    }
}

#[test]
fn nobody_is_named_in_the_topics_and_the_events_are_those_of_the_deliveries() {
    if !is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let settings = KafkaSettings::new(cluster.bootstrap(), "people.", "one");
    make_topics(&settings, 1);
    let door = Door::on_kafka(folder.path(), &settings.brokers, "people.");
    for source in ["azure", "bitbucket", "gitea", "github", "gitlab"] {
        let samples = samples(source);
        if samples.is_empty() {
            return;
        }
        let (mut sent, mut addresses) = (Vec::new(), BTreeSet::new());
        for (path, event) in &samples {
            let body = std::fs::read_to_string(path).unwrap();
            people(&serde_json::from_str(&body).unwrap(), &mut addresses);
            let headers =
                if source == "github" { format!("x-github-event: {event}\r\n") } else { String::new() };
            let reply = door.post(source, &headers, &body);
            assert_eq!(reply.status, 202, "{}: {}", path.display(), reply.body);
            sent.push((headers, body));
        }
        let stored = values(client::reader(&settings), &settings.topics.raw(source));
        assert_eq!(stored.len(), sent.len());
        for body in &stored {
            let text = String::from_utf8(body.clone()).unwrap();
            for address in addresses.iter().filter(|text| text.contains('@') || text.contains(' ')) {
                assert!(!text.contains(address.as_str()), "{source}: {address} is in {text}");
            }
        }
        // One connection sends one by one, and the topic has one partition: the order is the same.
        for ((headers, delivered), stored) in sent.into_iter().zip(stored) {
            let record = |body: Vec<u8>| RawRecord {
                source: Text::new(source),
                headers: headers
                    .split_once(": ")
                    .map(|(name, value)| (Text::new(name), value.trim().to_owned()))
                    .into_iter()
                    .collect(),
                body,
                received_at: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
                origin: Origin::default(),
            };
            let read = |body| sources::read(&record(body), &sources::SourceSettings::default());
            assert_eq!(read(stored), read(delivered.into_bytes()));
        }
    }
}

#[test]
fn embedded_it_stores_what_it_answers_202_to_and_the_events_are_there_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let Some(door) = Door::embedded(folder.path()) else { return };
    let event = |at: usize| {
        format!(
            r#"{{"id":"{at}","type":"deployment","occurred_at":"2026-03-02T10:04:00Z","observed_at":"2026-03-02T10:04:01Z","source":"ci","service":"checkout","deployment":{{"deployment_id":"{at}","environment":"production","state":"succeeded"}}}}"#
        )
    };
    for at in 0..50 {
        let reply = door.post("canonical", "", &event(at));
        assert_eq!(reply.status, 202, "{}", reply.body);
    }
    // The same again is the same record.
    assert_eq!(door.post("canonical", "", &event(7)).status, 202);
    assert_eq!(door.post("canonical", "", "no JSON").status, 400);
    assert!(
        door.get("/metrics")
            .body
            .contains("streamgauge_gateway_deliveries_total{hook=\"canonical\",outcome=\"accepted\"} 51")
    );
    door.kill();
    let count = door::sql(folder.path(), "SELECT count() FROM deployments");
    assert_eq!(count, "50");
}
