//! Any bytes are answered; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::seeds::{DELIVERIES, SEEDS, Seed, answered};
use proptest::prelude::*;
use streamgauge_sources::SOURCES;

#[test]
fn every_source_has_a_delivery_to_be_damaged() {
    for source in SOURCES {
        assert!(DELIVERIES.iter().any(|seed| seed.source == source.name), "{} has none", source.name);
    }
}

/// Small damages to a text: where (as a share of its length), and what is put there.
fn damage() -> impl Strategy<Value = (f64, Vec<u8>, usize)> {
    let inserted = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..4),
        proptest::sample::select(vec![
            "null",
            "{}",
            "[]",
            "-1",
            "1e400",
            "99999999999999999999",
            "\"\"",
            "true",
            "\\ud800",
            "\u{fffd}",
            "é",
            "\"0001-01-01T00:00:00Z\"",
            "\"9999-12-31T23:59:59Z\"",
            "%",
            "\"x\":",
            ",",
            "}",
            "]",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    (0.0..1.0, inserted, 0_usize..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_payload_is_answered_and_never_panics(
        seed in any::<proptest::sample::Index>(),
        other in any::<proptest::sample::Index>(),
        damages in proptest::collection::vec(damage(), 1..4),
    ) {
        let seed = seed.get(&DELIVERIES);
        let mut body = seed.body.clone();
        for (share, inserted, removed) in damages {
            let at = ((body.len() as f64) * share) as usize;
            let end = (at + removed).min(body.len());
            body.splice(at..end, inserted);
        }
        answered(&seed.source, &seed.headers, &body);
        answered(other.get(SOURCES).name, &seed.headers, &body);
        answered(&seed.source, &other.get(&DELIVERIES).headers, &body);
    }

    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for source in SOURCES {
            answered(source.name, &[], &body);
        }
    }
}

/// Values that a field may turn into.
const OTHERS: [&str; 14] = [
    "null",
    "true",
    "7",
    "-1",
    "-1.5",
    "18446744073709551616",
    "1e300",
    "\"\"",
    "\"x\"",
    "\"é\\u0000\"",
    "\"0001-01-01T00:00:00Z\"",
    "[]",
    "[1]",
    "{\"a\":1}",
];

/// Seeds of the sample payloads are too many and too large for this: they are damaged at random above.
fn small_seeds() -> impl Iterator<Item = &'static Seed> {
    DELIVERIES.iter().take(common::deliveries().len() + SEEDS.len())
}

#[test]
fn every_field_of_every_delivery_may_be_missing_or_of_another_type() {
    for seed in small_seeds() {
        let Ok(whole) = serde_json::from_slice::<serde_json::Value>(&seed.body) else { continue };
        let mut places = Vec::new();
        collect(&whole, String::new(), &mut places);
        for place in places {
            for other in OTHERS {
                let mut body = whole.clone();
                *body.pointer_mut(&place).unwrap() = serde_json::from_str(other).unwrap();
                answered(&seed.source, &seed.headers, body.to_string().as_bytes());
            }
            let Some((parent, key)) = place.rsplit_once('/') else { continue };
            let mut body = whole.clone();
            if let Some(fields) = body.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) {
                fields.remove(&key.replace("~1", "/").replace("~0", "~"));
                answered(&seed.source, &seed.headers, body.to_string().as_bytes());
            }
        }
    }
}

#[test]
fn every_delivery_may_be_cut_anywhere_and_any_of_its_bits_may_be_flipped() {
    for seed in small_seeds() {
        // Every place of a small body, and about 200 places of a large one.
        for at in (0..seed.body.len()).step_by(1 + seed.body.len() / 200) {
            answered(&seed.source, &seed.headers, &seed.body[..at]);
            let mut flipped = seed.body.clone();
            flipped[at] ^= 1 << (at % 8);
            answered(&seed.source, &seed.headers, &flipped);
        }
        answered(&seed.source, &[], &seed.body);
    }
}

/// The places of a document as JSON pointers.
fn collect(value: &serde_json::Value, at: String, places: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => fields.iter().for_each(|(key, field)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            collect(field, format!("{at}/{key}"), places);
        }),
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{at}/{index}"), places));
        }
        _ => {}
    }
    places.push(at);
}
