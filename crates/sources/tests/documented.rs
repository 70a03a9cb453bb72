//! Payloads written after the vendors' documentation (`tests/payloads/<source>`), one for each event and each odd
//! case, and what each becomes (`tests/golden/<source>`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Delivery, deliveries, files, golden, payload_folder, received_at, shown};
use model::{DeliveryEvent, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use streamgauge_sources::{Outcome, REASONS, SOURCES};

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn told(delivery: &Delivery) -> Outcome {
    delivery.told(received_at())
}

#[test]
fn every_documented_payload_becomes_what_its_golden_says() {
    let differences: Vec<String> = deliveries()
        .iter()
        .filter_map(|delivery| golden(&delivery.name, &shown(&told(delivery))).err())
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_folder_of_payloads_is_a_source() {
    for entry in std::fs::read_dir(payload_folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(common::settings().mappings.knows(&name), "{name} is no source");
    }
}

#[test]
fn every_preset_has_payloads_and_says_what_it_was_made_from() {
    for preset in mapping::PRESETS {
        assert!(payload_folder().join(preset.name).is_dir(), "{} has no payloads", preset.name);
        let head: String = preset.code.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(head.contains("Source: "), "{} does not say its source", preset.name);
    }
    assert!(mapping::PRESETS.is_sorted_by_key(|preset| preset.name));
    let own: Vec<_> = SOURCES.iter().map(|source| source.name).collect();
    assert!(mapping::PRESETS.iter().all(|preset| !own.contains(&preset.name)));
}

/// Only those are refused whose name says that they should be.
#[test]
fn no_documented_payload_is_refused_unless_it_is_named_so() {
    for delivery in deliveries() {
        let named = delivery.name.file_name().unwrap().to_str().unwrap().starts_with("refused_");
        match told(&delivery) {
            Outcome::Reject(rejection) => {
                assert!(named, "{}: {}", delivery.name.display(), rejection.detail);
                assert!(REASONS.contains(&rejection.reason.as_str()));
            }
            _ => assert!(!named, "{} is read", delivery.name.display()),
        }
    }
}

/// Where a payload tells no time, an event occurred when it was received: the copy is then a later record of
/// the same event, under the same id.
#[test]
fn a_documented_payload_told_again_later_has_the_same_id_and_content() {
    let later = Timestamp::parse("2026-01-01T00:05:00Z").unwrap();
    for delivery in deliveries() {
        let Outcome::Emit(first) = told(&delivery) else { continue };
        let Outcome::Emit(second) = delivery.told(later) else {
            panic!("{}: the copy is not read", delivery.name.display())
        };
        let moved = |event: &DeliveryEvent| {
            let text = model::json::to_value(event).to_string();
            text.replace("2026-01-01T00:05:00", "2026-01-01T00:00:00")
        };
        let (first, second): (Vec<_>, Vec<_>) =
            (first.iter().map(moved).collect(), second.iter().map(moved).collect());
        assert_eq!(first, second, "{}", delivery.name.display());
        for text in &first {
            let id = serde_json::from_str::<Value>(text).unwrap()["id"].to_string();
            assert!(!id.contains("2026-01-01T00:0"), "{id} holds the time of the delivery");
        }
    }
}

#[test]
fn two_events_of_one_delivery_have_two_ids() {
    for delivery in deliveries() {
        let Outcome::Emit(events) = told(&delivery) else { continue };
        let mut ids: Vec<_> = events.iter().map(|event| (&event.source, &event.id)).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), events.len(), "{}", delivery.name.display());
    }
}

/// The states of one thing that a source tells follow each other by their times: whatever order they arrive in,
/// the last word is the same. Two ends at one time are two stories, and not one after the other.
#[test]
fn the_records_of_one_thing_are_ordered_by_their_own_times() {
    let mut records = Vec::new();
    for delivery in deliveries() {
        let Outcome::Emit(events) = told(&delivery) else { continue };
        for event in events {
            let json = model::json::to_value(&event);
            let body = &json[event.body.type_name()];
            let keys = ["deployment_id", "incident_id", "run_id"];
            let Some(key) = keys.iter().find_map(|key| body[*key].as_str()) else { continue };
            let state = body["state"].as_str().unwrap().to_owned();
            let attempt = body["attempt"].as_u64();
            records.push((key.to_owned(), attempt, event.occurred_at, state, delivery.name.clone()));
        }
    }
    records.sort();
    let ended = |state: &str| ["succeeded", "passed", "failed", "cancelled", "resolved"].contains(&state);
    for pair in records.windows(2) {
        let ((key, attempt, at, state, name), other) = (&pair[0], &pair[1]);
        if (key, attempt, at) == (&other.0, &other.1, &other.2) && !(ended(state) && ended(&other.3)) {
            assert_eq!(*state, other.3, "{} and {} at one time", name.display(), other.4.display());
        }
    }
}

/// Everybody in these payloads is called Jane Roe or John Doe.
#[test]
fn nobody_is_named_in_what_a_documented_payload_becomes() {
    for delivery in deliveries() {
        let Outcome::Emit(events) = told(&delivery) else { continue };
        let told = shown(&Outcome::Emit(events)).to_lowercase();
        for person in ["jane", "roe", "john", "doe", "jroe", "jdoe"] {
            let mut words = told.split(|letter: char| !letter.is_alphanumeric());
            assert!(words.all(|word| word != person), "{}: {person:?} is in {told}", delivery.name.display());
        }
        assert!(!told.contains("@example"), "{}: an address is in {told}", delivery.name.display());
    }
}

#[test]
fn no_golden_of_a_documented_payload_is_left_over() {
    let known: BTreeSet<PathBuf> = deliveries().into_iter().map(|delivery| delivery.name).collect();
    let sources: BTreeSet<_> =
        known.iter().filter_map(|name| Some(name.components().next()?.as_os_str().to_owned())).collect();
    let folder = here("tests/golden");
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
        assert!(common::settings().mappings.knows(&source), "{source} is no source");
        let marker = format!("streamgauge.{source}.v1");
        let texts = std::fs::read_dir(&folder).unwrap();
        let named = texts
            .filter(|file| std::fs::read_to_string(file.as_ref().unwrap().path()).unwrap().contains(&marker));
        assert!(named.count() > 0, "no file of {} names {marker}", folder.display());
    }
}
