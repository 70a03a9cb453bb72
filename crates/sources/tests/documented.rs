//! Payloads written after the vendors' documentation (`tests/payloads/<source>`), and what each becomes
//! (`tests/golden/<source>`). A payload that needs headers or the source's zone is an object of `headers`,
//! `time_zone` and `body`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{files, golden, record, shown};
use model::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use streamgauge_sources::{Outcome, SOURCES, SourceSettings, read};

struct Payload {
    /// Below `tests/payloads`: `argocd/synced.json`.
    name: PathBuf,
    source: String,
    headers: Vec<(String, String)>,
    settings: SourceSettings,
    body: Value,
}

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn payloads() -> Vec<Payload> {
    let root = here("tests/payloads");
    let payload = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_path_buf();
        let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", name.display()));
        let wrapped = whole.as_object().is_some_and(|keys| {
            let own = |key: &String| ["headers", "time_zone", "body"].contains(&key.as_str());
            keys.contains_key("body") && keys.keys().all(own)
        });
        let part = |key: &str| if wrapped { whole[key].clone() } else { Value::Null };
        let headers = part("headers");
        let headers = headers.as_object().into_iter().flatten();
        Payload {
            source: name.components().next().unwrap().as_os_str().to_str().unwrap().to_owned(),
            headers: headers.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect(),
            settings: SourceSettings {
                default_time_zone: part("time_zone").as_str().map(str::to_owned),
                ..SourceSettings::default()
            },
            body: if wrapped { whole["body"].clone() } else { whole.clone() },
            name,
        }
    };
    files(&root).into_iter().map(payload).collect()
}

fn told(payload: &Payload, received_at: Timestamp) -> Outcome {
    let headers: Vec<(&str, &str)> =
        payload.headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let mut record = record(&payload.source, &headers, payload.body.to_string());
    record.received_at = received_at;
    read(&record, &payload.settings)
}

#[test]
fn every_documented_payload_becomes_what_its_golden_says() {
    let told = |payload: &Payload| shown(&told(payload, common::received_at()));
    let differences: Vec<String> =
        payloads().iter().filter_map(|payload| golden(&payload.name, &told(payload)).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_folder_of_payloads_is_a_source() {
    for payload in payloads() {
        assert!(SOURCES.iter().any(|source| source.name == payload.source), "{}", payload.name.display());
    }
}

/// Only those are refused whose name says that they should be.
#[test]
fn no_documented_payload_is_refused_unless_it_is_named_so() {
    for payload in payloads() {
        let refused = matches!(told(&payload, common::received_at()), Outcome::Reject(_));
        let named = payload.name.file_name().unwrap().to_str().unwrap().starts_with("refused_");
        assert_eq!(refused, named, "{}", payload.name.display());
    }
}

#[test]
fn a_documented_payload_told_again_later_has_the_same_id_and_content() {
    let later = Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
    for payload in payloads() {
        let mut again = told(&payload, later);
        if let Outcome::Emit(events) = &mut again {
            events.iter_mut().for_each(|event| event.observed_at = common::received_at());
        }
        assert_eq!(told(&payload, common::received_at()), again, "{}", payload.name.display());
    }
}

/// The states of one thing that a source tells are told apart by their ids and follow each other by their
/// times: whatever order they arrive in, the last word is the same.
#[test]
fn the_records_of_one_thing_are_ordered_by_their_own_times() {
    let mut records = Vec::new();
    for payload in payloads() {
        let Outcome::Emit(events) = told(&payload, common::received_at()) else { continue };
        for event in events {
            let json = model::json::to_value(&event);
            let body = &json[event.body.type_name()];
            let Some(key) = ["deployment_id", "incident_id"].iter().find_map(|key| body[*key].as_str())
            else {
                continue;
            };
            let state = body["state"].as_str().unwrap().to_owned();
            records.push((
                key.to_owned(),
                event.occurred_at,
                event.id.to_string(),
                state,
                payload.name.clone(),
            ));
        }
    }
    records.sort();
    for pair in records.windows(2) {
        let (one, other) = (&pair[0], &pair[1]);
        if one.0 == other.0 && one.1 == other.1 {
            assert_eq!(one.3, other.3, "{} and {} at one time", one.4.display(), other.4.display());
        }
    }
}

/// Everybody in these payloads is called so.
const PEOPLE: &[&str] = &["Jane", "jane", "Roe", "roe", "John", "john", "Doe", "@example"];

#[test]
fn nobody_is_named_in_what_a_documented_payload_becomes() {
    for payload in payloads() {
        let told = shown(&told(&payload, common::received_at()));
        for person in PEOPLE {
            assert!(!told.contains(person), "{}: {person:?} is in {told}", payload.name.display());
        }
    }
}

#[test]
fn no_golden_of_a_documented_payload_is_left_over() {
    let folder = here("tests/golden");
    let known: BTreeSet<PathBuf> = payloads().into_iter().map(|payload| payload.name).collect();
    let sources: BTreeSet<_> =
        known.iter().filter_map(|name| Some(name.components().next()?.as_os_str().to_owned())).collect();
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap();
        let ours = sources.contains(name.components().next().unwrap().as_os_str());
        let sampled = common::payloads().is_none_or(|samples| samples.join(name).is_file());
        assert!(!ours || known.contains(name) || sampled, "{} belongs to no payload", name.display());
    }
}

/// The shipped templates name the version that the sources read.
#[test]
fn each_template_that_is_shipped_says_its_source_and_version() {
    let folder = here("../../deploy/templates");
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let source = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(SOURCES.iter().any(|known| known.name == source), "{source} is no source");
        let marker = format!("streamgauge.{source}.v1");
        let texts = std::fs::read_dir(&folder).unwrap();
        let named = texts
            .filter(|file| std::fs::read_to_string(file.as_ref().unwrap().path()).unwrap().contains(&marker));
        assert!(named.count() > 0, "no file of {} names {marker}", folder.display());
    }
}
