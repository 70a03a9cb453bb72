use crate::support::{make_topics, send, wait_for};
use crate::{Bench, Place, bench};
use kafka::admin::Admin;
use kafka::{Running, Stage};
use model::Timestamp;
use model::raw::{Origin, RawRecord};
use serde_json::Value;
use test_broker::Tool;

fn record(source: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> RawRecord {
    RawRecord {
        source: source.into(),
        headers: headers.iter().map(|(key, value)| ((*key).into(), (*value).to_owned())).collect(),
        body: body.into(),
        received_at: Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
        origin: Origin::default(),
    }
}

/// Runs `ingest` until it has read so many records.
fn ingest(bench: &Bench, place: &Place, max_future_s: i64, count: u64) {
    let mut plan = bench.plan(&place.settings, &[Stage::Ingest], &bench.database(place.name));
    plan.sources.max_future = model::Span::from_seconds(max_future_s);
    let mut running = Running::start(&plan).unwrap();
    wait_for(&format!("{count} records"), || match running.stats()[0].snapshot() {
        read if read.records_in >= count => Ok(()),
        other => Err(format!("{other:?}")),
    });
    running.stop();
}

fn list(place: &Place, more: &[&str]) -> Vec<Value> {
    let text = place.expect(0, &[&["dlq", "list", "--format", "json"], more].concat(), &[]);
    serde_json::from_str::<Value>(&text).unwrap().as_array().unwrap().clone()
}

#[test]
fn a_rejected_record_is_listed_shown_and_replayed_once_its_reason_is_mended() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "letters");
    make_topics(&place.settings, 1);
    let ahead = r#"{"id":"c1","type":"commit","source":"x","occurred_at":"2026-03-01T13:00:00Z","observed_at":"2026-03-01T12:00:00Z","repo":"github.com/a/b","commit":{"sha":"5f5967c83e86eab1f5b2c1a0ef8f65c69f5d5e6b","committed_at":"2026-03-01T11:00:00Z"}}"#;
    let large = format!("{{\"padding\":\"{}\"}}", "x".repeat(300 * 1024));
    send(
        &place.settings,
        &[
            record("canonical", &[("x-note", "a clock that is an hour ahead")], ahead),
            record("github", &[("x-github-event", "nonsense")], large),
        ],
    );
    ingest(&bench, &place, 600, 2);
    let letters = list(&place, &[]);
    assert_eq!(letters.len(), 2, "{letters:?}");
    let skew = list(&place, &["--reason", "skew"]);
    assert_eq!(skew.len(), 1);
    assert_eq!(
        (&skew[0]["source"], &skew[0]["from"]),
        (&"canonical".into(), &"letters.raw.canonical:0:0".into())
    );
    assert_eq!(list(&place, &["--source", "github"]).len(), 1);
    assert_eq!(list(&place, &["--topic", "letters.raw.canonical"]), skew);
    assert_eq!(list(&place, &["--since", "1h"]).len(), 2);
    assert!(list(&place, &["--since", "2100-01-01T00:00:00Z"]).is_empty());
    assert_eq!(list(&place, &["--limit", "1"]).len(), 1);

    let id = skew[0]["id"].as_str().unwrap();
    let says = [
        "reason: skew",
        "from: letters.raw.canonical:0:0",
        "header x-note: a clock that is an hour ahead",
        "received at: 2026-03-01T12:00:00Z",
        "\"id\":\"c1\"",
    ];
    place.expect(0, &["dlq", "show", id], &says);
    place.expect(1, &["dlq", "show", "0:9999"], &["there is no letter at 0:9999"]);
    place.expect(2, &["dlq", "show", "x"], &["PARTITION:OFFSET"]);
    place.expect(2, &["dlq", "replay"], &["which?"]);

    // As long as nothing is mended the same letter comes again; then its record counts, with the time at which it was
    // received first. Replayed twice it counts once.
    place.expect(
        0,
        &["dlq", "replay", id, "--dry-run"],
        &["would be sent to letters.raw.canonical again, as it lies there"],
    );
    place.expect(0, &["dlq", "replay", id], &["sent to letters.raw.canonical again"]);
    ingest(&bench, &place, 600, 1);
    let again = list(&place, &["--reason", "skew"]);
    assert_eq!(again.len(), 2);
    let newest = again[1]["id"].as_str().unwrap();
    place.expect(0, &["dlq", "show", newest], &["header streamgauge-replay-of: letters.raw.canonical:0:0"]);
    place.expect(0, &["dlq", "replay", "--reason", "skew"], &["sent to"]);
    let client = bench.database("letters");
    let mut plan = bench.plan(&place.settings, &Stage::ALL, &client);
    plan.sources.max_future = model::Span::from_hours(2);
    let mut running = Running::start(&plan).unwrap();
    wait_for("the event's row", || {
        match bench.ask("letters", "SELECT count(), any(observed_at) FROM events") {
            row if row == "1\t2026-03-01 12:00:00.000000" => Ok(()),
            other => Err(other),
        }
    });
    running.stop();

    originals_that_are_gone(&bench, &place);
}

fn originals_that_are_gone(bench: &Bench, place: &Place) {
    for topic in ["letters.raw.canonical", "letters.raw.github"] {
        bench.cluster.tool(Tool::Topics, &["--delete", "--topic", topic]).unwrap();
    }
    wait_for("topics are gone", || {
        let there = Admin::new(&place.settings).unwrap().partitions().unwrap();
        let gone = !there.contains_key("letters.raw.github") && !there.contains_key("letters.raw.canonical");
        if gone { Ok(()) } else { Err(format!("{there:?}")) }
    });
    make_topics(&place.settings, 1);
    let skew = list(place, &["--reason", "skew"]);
    place.expect(
        0,
        &["dlq", "replay", skew[0]["id"].as_str().unwrap()],
        &["from the letter's copy: it is no longer there"],
    );
    let github = list(place, &["--source", "github"]);
    place.expect(
        1,
        &["dlq", "replay", github[0]["id"].as_str().unwrap()],
        &["its record is no longer at letters.raw.github:0:0, and the letter keeps 262144 of its 307214 bytes: let its vendor deliver it again"],
    );
}

#[test]
fn a_data_folders_letters_are_listed_shown_and_gone_once_their_records_are_taken() {
    if embedded_clickhouse::locate().is_err() {
        eprintln!("skipped: no ClickHouse engine");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"source":"github","headers":{"X-GitHub-Event":"nonsense"},"body":{"a":1}}"#,
        r#"{"id":"c1","type":"commit","source":"x","occurred_at":"2026-03-01T13:00:00Z","observed_at":"2026-03-01T12:00:00Z","repo":"github.com/a/b","commit":{"sha":"5f5967c83e86eab1f5b2c1a0ef8f65c69f5d5e6b","committed_at":"2026-03-01T11:00:00Z"}}"#,
    ];
    std::fs::write(folder.path().join("e.ndjson"), lines.join("\n")).unwrap();
    let run = |arguments: &[&str]| crate::common::run(folder.path(), &[&["--data", "d"], arguments].concat());
    let (code, _, error) = run(&["import", "events", "e.ndjson"]);
    assert!(code == 2 || code == 0, "{error}");
    let list = || -> Vec<Value> {
        let (code, out, error) = run(&["dlq", "list", "--format", "json"]);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<Value>(&out).unwrap().as_array().unwrap().clone()
    };
    let letters = list();
    assert_eq!(letters.len(), 2, "{letters:?}");
    let skew = letters.iter().find(|letter| letter["reason"] == "skew").unwrap();
    let id = skew["id"].as_str().unwrap();
    let (code, out, _) = run(&["dlq", "show", id]);
    assert!(code == 0 && out.contains("from: e.ndjson:0:2") && out.contains("\"id\":\"c1\""), "{out}");
    let (code, out, _) = run(&["dlq", "replay", id]);
    assert!(code == 1 && out.contains("rejected again: skew"), "{out}");
    std::fs::write(folder.path().join("mended.toml"), "max_future = \"2h\"\n").unwrap();
    let (code, out, error) = run(&["--config", "mended.toml", "dlq", "replay", "--reason", "skew"]);
    assert!(code == 0 && out.contains("read: 1 events"), "{out}{error}");
    let left = list();
    assert!(left.len() == 1 && left[0]["reason"] == "unknown_event", "{left:?}");
    let (_, out, _) = run(&["sql", "SELECT count() FROM events", "--format", "TSV"]);
    assert_eq!(out.trim(), "1");
}
