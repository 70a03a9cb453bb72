//! Any bytes are answered; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{files, payloads, record};
use proptest::prelude::*;
use std::sync::LazyLock;
use streamgauge_sources::{Outcome, REASONS, SOURCES, SourceSettings, read};

/// A delivery to begin from: its source, its headers, its body.
struct Seed {
    source: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Small bodies that get deep into sources whose deliveries do not lie in `tests/payloads`.
const SEEDS: [(&str, &str, &str); 8] = [
    (
        "canonical",
        "h/a/b",
        r#"{"id":"1","type":"deployment","occurred_at":"2026-01-01T00:00:00Z","observed_at":"2026-01-01T00:00:01Z","source":"ci","service":"s","deployment":{"deployment_id":"d","environment":"production","state":"succeeded"}}"#,
    ),
    (
        "git",
        "h/a/b",
        r#"{"type":"commit","sha":"83705cb791254b331b27f7719f5adae083ac3b13","parents":[],"authored_at":1536864291,"committed_at":1536864291,"reverts":null,"dirs":["src"]}"#,
    ),
    (
        "git",
        "h/a/b",
        r#"{"type":"tag","name":"v1","sha":"83705cb791254b331b27f7719f5adae083ac3b13","tagged_at":1561691207}"#,
    ),
    (
        "github",
        "h/a/b",
        r#"{"ref":"refs/heads/m","before":"83705cb791254b331b27f7719f5adae083ac3b13","after":"83705cb791254b331b27f7719f5adae083ac3b13","commits":[{"id":"83705cb791254b331b27f7719f5adae083ac3b13","message":"Revert\n\nThis reverts commit 83705cb791254b331b27f7719f5adae083ac3b13.","timestamp":"2025-01-01T00:00:00Z","author":{"name":"x"},"added":["a"]}],"repository":{"full_name":"a/b","html_url":"https://h/a/b","pushed_at":1767000000}}"#,
    ),
    (
        "github",
        "h/a/b",
        r#"{"action":"created","deployment_status":{"id":1,"state":"success","created_at":"2025-01-01T00:00:00Z"},"deployment":{"id":2,"sha":"83705cb791254b331b27f7719f5adae083ac3b13","ref":"x","environment":"p","created_at":"2025-01-01T00:00:00Z"},"repository":{"full_name":"a/b"}}"#,
    ),
    (
        "cdevents",
        "h/a/b",
        r#"{"context":{"id":"1","source":"s","type":"dev.cdevents.incident.detected.0.1.0","timestamp":"2025-01-01T00:00:00Z"},"subject":{"id":"i","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/a@sha256%3Aab?tag=1&repository_url=x"}}}"#,
    ),
    (
        "pagerduty",
        "h/a/b",
        r#"{"event":{"id":"1","event_type":"incident.resolved","occurred_at":"2025-01-01T00:00:00Z","data":{"id":"Q","type":"incident","status":"resolved","created_at":"2025-01-01T00:00:00Z","priority":{"summary":"P1"},"service":{"id":"S"}}}}"#,
    ),
    (
        "alertmanager",
        "h/a/b",
        r#"{"version":"4","alerts":[{"status":"resolved","startsAt":"2025-01-01T00:00:00Z","endsAt":"2025-01-01T01:00:00Z","fingerprint":"f","labels":{"severity":"page","env":"prod","service":"s"}}]}"#,
    ),
];

/// The deliveries of `tests/payloads`, the small bodies, and the sample payloads where they are.
static DELIVERIES: LazyLock<Vec<Seed>> = LazyLock::new(|| {
    let own = common::deliveries().into_iter().map(|delivery| Seed {
        source: delivery.source,
        headers: delivery.header_values,
        body: delivery.body,
    });
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let small = SEEDS.iter().map(|(source, repo, body)| Seed {
        source: (*source).to_owned(),
        headers: header("repo", repo),
        body: body.as_bytes().to_vec(),
    });
    let mut found: Vec<Seed> = own.chain(small).collect();
    if let Some(root) = payloads() {
        for path in ["github", "cdevents"].iter().flat_map(|source| files(&root.join(source))) {
            let part = |index: usize| {
                let name = path.strip_prefix(&root).unwrap().components().nth(index).unwrap();
                name.as_os_str().to_str().unwrap().to_owned()
            };
            found.push(Seed {
                source: part(0),
                headers: header("x-github-event", &part(1)),
                body: std::fs::read(&path).unwrap(),
            });
        }
    }
    found
});

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

/// Damaged where times without a zone are read too: such payloads get further.
fn answered(source: &str, headers: &[(String, String)], body: &[u8]) {
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let settings = SourceSettings { default_time_zone: Some("UTC".to_owned()), ..common::settings() };
    match read(&record(source, &headers, body), &settings) {
        Outcome::Emit(events) => assert!(!events.is_empty()),
        Outcome::Drop(reason) => {
            // The words are counted: whoever sends a payload must not be able to make up words without end.
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(!reason.as_str().is_empty() && reason.as_str().len() <= 96, "{reason}");
            assert!(reason.as_str().bytes().all(plain), "{reason}");
        }
        Outcome::Reject(rejection) => {
            assert!(REASONS.contains(&rejection.reason.as_str()), "{}", rejection.reason);
            assert!(!rejection.detail.is_empty());
        }
    }
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
