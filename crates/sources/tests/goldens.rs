//! The payloads of `tests/payloads/<source>`, written in the vendors' documented formats: one for each event and
//! each odd case. A file holds a delivery: its headers and its body. What each becomes stands under the same name
//! in `tests/golden/<source>`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Delivery, deliveries, golden, payload_folder, record, shown};
use model::{DeliveryEvent, Timestamp};
use serde_json::Value;
use streamgauge_sources::{Outcome, REASONS, SOURCES, SourceSettings, read};

fn told(delivery: &Delivery) -> Outcome {
    let record = record(&delivery.source, &delivery.headers(), &delivery.body);
    read(&record, &SourceSettings::default())
}

#[test]
fn every_delivery_becomes_what_its_golden_says() {
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
        assert!(SOURCES.iter().any(|source| source.name == name), "{name} is no source");
    }
}

/// Deliveries whose name begins with `rejected.` are broken on purpose; no other may be refused.
#[test]
fn only_what_is_broken_on_purpose_is_rejected() {
    for delivery in deliveries() {
        let broken = delivery.name.file_name().unwrap().to_str().unwrap().starts_with("rejected.");
        match told(&delivery) {
            Outcome::Reject(rejection) => {
                assert!(broken, "{}: {}", delivery.name.display(), rejection.detail);
                assert!(REASONS.contains(&rejection.reason.as_str()));
            }
            _ => assert!(!broken, "{} is read", delivery.name.display()),
        }
    }
}

/// Where a payload tells no time, an event occurred when it was received: the copy is then a later record of
/// the same event, under the same id.
#[test]
fn a_redelivery_is_a_record_of_the_same_event() {
    for delivery in deliveries() {
        let Outcome::Emit(first) = told(&delivery) else { continue };
        let mut again = record(&delivery.source, &delivery.headers(), &delivery.body);
        again.received_at = Timestamp::parse("2026-01-01T00:05:00Z").unwrap();
        again.headers.push(("x-delivery".into(), "another".to_owned()));
        let Outcome::Emit(second) = read(&again, &SourceSettings::default()) else {
            panic!("{}: the copy is not read", delivery.name.display())
        };
        let moved = |event: &DeliveryEvent| {
            let text = model::json::to_value(event).to_string();
            text.replace("2026-01-01T00:05:00", "2026-01-01T00:00:00")
        };
        let (first, second): (Vec<_>, Vec<_>) =
            (first.iter().map(moved).collect(), second.iter().map(moved).collect());
        assert_eq!(first, second, "{}", delivery.name.display());
        let ids = |events: &[String]| -> Vec<Value> {
            events.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["id"].clone()).collect()
        };
        for id in ids(&first) {
            assert!(!id.to_string().contains("2026-01-01T00:0"), "{id} holds the time of the delivery");
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

/// Everybody in these payloads is called Jane Roe or John Doe.
#[test]
fn nobody_of_a_payload_is_named_in_what_comes_out() {
    for delivery in deliveries() {
        let Outcome::Emit(events) = told(&delivery) else { continue };
        let told = shown(&Outcome::Emit(events)).to_lowercase();
        for person in ["jane", "roe", "john", "doe", "jroe", "jdoe", "@example.com"] {
            let mut words =
                told.split(|letter: char| !letter.is_alphanumeric() && letter != '@' && letter != '.');
            let named =
                if person.contains('@') { told.contains(person) } else { words.any(|word| word == person) };
            assert!(!named, "{}: {person:?} is in {told}", delivery.name.display());
        }
    }
}
