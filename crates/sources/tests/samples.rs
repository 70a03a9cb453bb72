//! The vendors' sample payloads: goldens, nothing rejected, and nobody's name in what comes out.
//! The payloads lie beside the project and are never copied into it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{files, golden, outcome, payloads, shown};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use streamgauge_sources::Outcome;

struct Sample {
    /// Below `shared/payloads`: `github/push/payload.json`.
    name: PathBuf,
    source: String,
    event: String,
    body: Vec<u8>,
}

/// The folders of samples that are read, each called like its source.
const SAMPLED: [&str; 6] = ["azure", "bitbucket", "cdevents", "gitea", "github", "gitlab"];

fn samples() -> Vec<Sample> {
    let Some(root) = payloads() else { return Vec::new() };
    let sample = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_path_buf();
        let part =
            |index: usize| name.components().nth(index).unwrap().as_os_str().to_str().unwrap().to_owned();
        Sample { source: part(0), event: part(1), body: std::fs::read(path).unwrap(), name }
    };
    SAMPLED.iter().flat_map(|source| files(&root.join(source))).map(|path| sample(&path)).collect()
}

fn read(sample: &Sample) -> Outcome {
    let headers: &[(&str, &str)] =
        if sample.source == "github" { &[("x-github-event", &sample.event)] } else { &[] };
    outcome(&sample.source, headers, &sample.body)
}

#[test]
fn every_sample_becomes_what_its_golden_says() {
    let differences: Vec<String> =
        samples().iter().filter_map(|sample| golden(&sample.name, &shown(&read(sample))).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_sample_is_emitted_or_dropped_and_none_rejected() {
    for sample in samples() {
        assert!(!matches!(read(&sample), Outcome::Reject(_)), "{}", sample.name.display());
    }
}

#[test]
fn a_body_without_the_event_header_is_known_by_its_shape() {
    for sample in samples().iter().filter(|sample| sample.source == "github") {
        assert_eq!(outcome("github", &[], &sample.body), read(sample), "{}", sample.name.display());
    }
}

#[test]
fn a_redelivery_has_the_same_id_and_the_same_content() {
    for sample in samples() {
        let later = model::Timestamp::parse("2026-02-01T00:00:00Z").unwrap();
        let mut record = common::record(&sample.source, &[("x-github-event", &sample.event)], &sample.body);
        let settings = streamgauge_sources::SourceSettings::default();
        let first = streamgauge_sources::read(&record, &settings);
        record.received_at = later;
        record.headers.push(("x-github-delivery".into(), "another".to_owned()));
        let second = streamgauge_sources::read(&record, &settings);
        // What tells no time of its own occurred when it was received.
        let second = shown(&second).replace("2026-02-01T00:00:00", "2026-01-01T00:00:00");
        assert_eq!(shown(&first), second, "{}", sample.name.display());
    }
}

#[test]
fn nobody_is_named_in_what_comes_out() {
    for sample in samples() {
        let Outcome::Emit(events) = read(&sample) else { continue };
        let mut told: String = shown(&Outcome::Emit(events.clone()));
        // A repository's name holds its owner's: it is the one place where an account's name belongs.
        for repo in events.iter().filter_map(|event| event.repo.as_ref()) {
            told = told.replace(repo.as_str(), "");
        }
        let payload: Value = serde_json::from_slice(&sample.body).unwrap();
        let mut people = BTreeSet::new();
        collect_people(&payload, false, &mut people);
        for person in people {
            assert!(!told.contains(&person), "{}: {person:?} is in {told}", sample.name.display());
        }
    }
}

/// Names, logins and addresses of everybody that a payload mentions.
fn collect_people(value: &Value, inside_person: bool, people: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let person = inside_person || fields.contains_key("login") || fields.contains_key("email");
            for (key, field) in fields {
                let names = ["login", "email", "username", "creator", "assignees", "user"]
                    .contains(&key.as_str())
                    || (person && key == "name");
                if let (true, Some(text)) = (names, field.as_str().filter(|text| text.len() > 2)) {
                    people.insert(text.to_owned());
                }
                if key == "assignees" {
                    people.extend(
                        field.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned),
                    );
                }
                collect_people(field, ["author", "committer", "pusher"].contains(&key.as_str()), people);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_people(item, inside_person, people)),
        Value::String(text) if text.contains('@') && text.contains("users.noreply") => {
            people.insert(text.clone());
        }
        _ => {}
    }
}

#[test]
fn no_golden_is_left_over() {
    if payloads().is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut known: BTreeSet<PathBuf> = samples().into_iter().map(|sample| sample.name).collect();
    for delivery in common::deliveries() {
        let name = delivery.name.display().to_string();
        assert!(known.insert(delivery.name), "{name} is a sample and a delivery of tests/payloads");
    }
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap();
        assert!(known.contains(name), "{} belongs to no sample", name.display());
    }
}
