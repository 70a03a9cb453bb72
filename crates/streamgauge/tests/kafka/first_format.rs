//! What version 0.1.0 left on a broker: a later version goes on from it, or refuses with the command that computes it
//! anew.

use crate::alone::Alone;
use crate::common::prometheus::Exposed;
use crate::common::run::PATIENCE;
use crate::copied::{Partition, Record, bytes, copy, put};
use crate::organisation::Organisation;
use crate::outputs;
use crate::stage::{Stage, shared};
use crate::views::digest_query;
use generate::{Options, catalog_toml, generate};
use kafka::KafkaSettings;
use kafka::checkpoint::{CHECKPOINT_KEY, LAYOUT};
use kafka::out::header;
use model::raw::{Origin, RawRecord};
use model::{Timestamp, hex};
use std::io::{BufRead, Write};
use std::path::Path;

/// The topics and the groups of a run of version 0.1.0 that was stopped, and raw records that came after that: one
/// partition to a line. It is never written again; where it is missing, `UPDATE_GOLDEN=1` writes one.
///
/// What the tables must be is not kept but computed by an embedded run: that a state is restored means that it says what
/// a state says that this version made of the same records.
const FIRST_FORMAT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-0.1-kafka/topics.ndjson.zst");
const PARTITIONS: u32 = 2;
/// Tasks of both stages with state.
const TASKS: f64 = 4.0;
const CHANGELOGS: [&str; 2] = ["correlate.changelog", "aggregate.changelog"];

fn first_format() -> Vec<Partition> {
    let fixture = Path::new(FIRST_FORMAT);
    if !fixture.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        write_first_format(fixture);
    }
    let packed = std::fs::File::open(fixture).unwrap();
    let text = zstd::decode_all(packed).unwrap();
    text.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn write_first_format(fixture: &Path) {
    let options = Options { services: 6, teams: 2, days: 9, ..Options::default() };
    let alone = Alone::new(PARTITIONS, &catalog_toml(&options)).expect("a broker and an engine");
    let run = alone.start();
    let mut records: Vec<RawRecord> = generate(&options).collect();
    let rest = records.split_off(records.len() * 2 / 3);
    let sent = alone.send(records);
    run.wait_until_loaded(PATIENCE, sent);
    run.stop();
    alone.send(rest);
    let mut text = Vec::new();
    for partition in copy(&settings(&alone)) {
        writeln!(text, "{}", serde_json::to_string(&partition).unwrap()).unwrap();
    }
    std::fs::create_dir_all(fixture.parent().unwrap()).unwrap();
    std::fs::write(fixture, zstd::encode_all(text.as_slice(), 19).unwrap()).unwrap();
}

fn settings(alone: &Alone) -> KafkaSettings {
    KafkaSettings::new(alone.cluster.bootstrap(), "streamgauge.", "test")
}

fn catalog(kept: &[Partition]) -> String {
    let topic = kept.iter().find(|partition| partition.topic == "catalog").unwrap();
    String::from_utf8(bytes(topic.records.last().unwrap().value.as_ref().unwrap())).unwrap()
}

fn raw_records(kept: &[Partition]) -> Vec<RawRecord> {
    let of = |partition: &Partition| {
        let source = partition.topic.strip_prefix("raw.")?;
        Some(partition.records.iter().map(|record| raw_record(source, record)).collect::<Vec<_>>())
    };
    kept.iter().filter_map(of).flatten().collect()
}

fn raw_record(source: &str, record: &Record) -> RawRecord {
    let text = |digits: &str| String::from_utf8(bytes(digits)).unwrap();
    let own = record.headers.iter().filter(|(name, _)| name != header::RECEIVED_AT);
    let received_at = String::from_utf8(record.header(header::RECEIVED_AT).unwrap()).unwrap();
    RawRecord {
        source: source.into(),
        headers: own.map(|(name, value)| (name.as_str().into(), text(value))).collect(),
        body: bytes(record.value.as_ref().unwrap()),
        received_at: Timestamp::parse(&received_at).unwrap(),
        origin: Origin::default(),
    }
}

/// How many raw records no ingest has read.
fn unread(kept: &[Partition]) -> u64 {
    let raw = kept.iter().filter(|partition| partition.topic.starts_with("raw."));
    let unread = |partition: &Partition| partition.end - partition.read.get("ingest").unwrap_or(&0);
    raw.map(|partition| u64::try_from(unread(partition)).unwrap()).sum()
}

fn is_changelog(partition: &Partition) -> bool {
    CHANGELOGS.contains(&partition.topic.as_str())
}

/// The checkpoints in the changelogs. Each begins with its layout.
fn checkpoints(kept: &mut [Partition]) -> impl Iterator<Item = &mut Record> {
    let key = hex::lower(CHECKPOINT_KEY);
    let changelogs = kept.iter_mut().filter(|partition| is_changelog(partition));
    let records = changelogs.flat_map(|partition| &mut partition.records);
    records.filter(move |record| record.key.as_ref() == Some(&key))
}

#[test]
fn a_later_version_goes_on_from_the_changelogs_of_the_first_format_or_computes_them_anew() {
    let mut kept = first_format();
    let layout = format!("{LAYOUT:02x}");
    if checkpoints(&mut kept).any(|record| !record.value.as_ref().unwrap().starts_with(&layout)) {
        return expect_to_be_refused_and_computed_anew(&kept, "first");
    }
    let Some(alone) = Alone::new(PARTITIONS, &catalog(&kept)) else { return };
    let organisation = Organisation::of(&catalog(&kept), raw_records(&kept));
    let settings = settings(&alone);
    put(&settings, &kept);
    let run = alone.start();
    let metrics = run.wait_until_loaded(PATIENCE, unread(&kept));
    expect_to_be_restored(&metrics, &kept);
    let found = run.sql().ask(&digest_query());
    assert!(found == organisation.expected, "{}", organisation.difference(&found));
    run.stop();
    // What was told before and after is one telling.
    outputs::expect_each_event_once(&settings, &organisation.records);
    outputs::expect_versions_to_rise(&settings);
}

/// Each task read the whole of its changelog, and nothing that it had read before.
fn expect_to_be_restored(metrics: &Exposed, kept: &[Partition]) {
    let restores = metrics.sum("streamgauge_restores_total", &[("from", "changelog")]);
    assert_eq!(restores, TASKS);
    let changelogs = kept.iter().filter(|partition| is_changelog(partition));
    let held: usize = changelogs.map(|partition| partition.records.len()).sum();
    assert!(held > 1_000, "{held} records are hardly a state");
    assert_eq!(metrics.sum("streamgauge_restore_records_total", &[]), held as f64);
}

#[test]
fn a_changelog_of_another_layout_is_refused_with_the_command_that_computes_it_anew() {
    let mut kept = first_format();
    for record in checkpoints(&mut kept) {
        // Another version may keep other fields behind it.
        record.value = Some(format!("{:02x}", LAYOUT + 1));
    }
    expect_to_be_refused_and_computed_anew(&kept, "relaid");
}

/// Both stages with state refuse it, and what they advise leads to the tables of all raw records.
fn expect_to_be_refused_and_computed_anew(kept: &[Partition], name: &str) {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::of(&catalog(kept), raw_records(kept));
    let mut stage = Stage::new(&shared, &organisation, name, PARTITIONS);
    put(&stage.settings(), kept);
    stage.start("live", &[]);
    for task in ["correlate-", "aggregate-"] {
        stage.expect_until(&format!("{task} refuses its changelog"), || {
            let refuses = |line: &str| {
                [task, "the state has layout", "streamgauge replay"].iter().all(|said| line.contains(said))
            };
            stage.log("live").lines().any(refuses)
        });
    }
    stage.stop("live");
    let next = stage.other_config("next", "generation = 2\n");
    for arguments in [&["replay", "--once"][..], &["replay", "promote"]] {
        let told = stage.command_with(&next, "next").args(arguments).output().unwrap();
        assert!(told.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told.stderr));
    }
    stage.expect_equal();
}
