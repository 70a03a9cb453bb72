//! Any bytes are answered; nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{files, outcome, payloads};
use proptest::prelude::*;
use std::sync::LazyLock;
use streamgauge_sources::{Outcome, REASONS, SOURCES};

/// Small bodies that get deep into each source; the sample payloads come on top where they are.
const SEEDS: [&str; 8] = [
    r#"{"id":"1","type":"deployment","occurred_at":"2026-01-01T00:00:00Z","observed_at":"2026-01-01T00:00:01Z","source":"ci","service":"s","deployment":{"deployment_id":"d","environment":"production","state":"succeeded"}}"#,
    r#"{"type":"commit","sha":"83705cb791254b331b27f7719f5adae083ac3b13","parents":[],"authored_at":1536864291,"committed_at":1536864291,"reverts":null,"dirs":["src"]}"#,
    r#"{"type":"tag","name":"v1","sha":"83705cb791254b331b27f7719f5adae083ac3b13","tagged_at":1561691207}"#,
    r#"{"ref":"refs/heads/m","before":"83705cb791254b331b27f7719f5adae083ac3b13","after":"83705cb791254b331b27f7719f5adae083ac3b13","commits":[{"id":"83705cb791254b331b27f7719f5adae083ac3b13","message":"Revert\n\nThis reverts commit 83705cb791254b331b27f7719f5adae083ac3b13.","timestamp":"2025-01-01T00:00:00Z","author":{"name":"x"},"added":["a"]}],"repository":{"full_name":"a/b","html_url":"https://h/a/b","pushed_at":1767000000}}"#,
    r#"{"action":"created","deployment_status":{"id":1,"state":"success","created_at":"2025-01-01T00:00:00Z"},"deployment":{"id":2,"sha":"83705cb791254b331b27f7719f5adae083ac3b13","ref":"x","environment":"p","created_at":"2025-01-01T00:00:00Z"},"repository":{"full_name":"a/b"}}"#,
    r#"{"context":{"id":"1","source":"s","type":"dev.cdevents.incident.detected.0.1.0","timestamp":"2025-01-01T00:00:00Z"},"subject":{"id":"i","content":{"environment":{"id":"prod"},"artifactId":"pkg:oci/a@sha256%3Aab?tag=1&repository_url=x"}}}"#,
    r#"{"event":{"id":"1","event_type":"incident.resolved","occurred_at":"2025-01-01T00:00:00Z","data":{"id":"Q","type":"incident","status":"resolved","created_at":"2025-01-01T00:00:00Z","priority":{"summary":"P1"},"service":{"id":"S"}}}}"#,
    r#"{"version":"4","alerts":[{"status":"resolved","startsAt":"2025-01-01T00:00:00Z","endsAt":"2025-01-01T01:00:00Z","fingerprint":"f","labels":{"severity":"page","env":"prod","service":"s"}}]}"#,
];

static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut bodies: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    if let Some(root) = payloads() {
        let paths = ["github", "cdevents"].iter().flat_map(|source| files(&root.join(source)));
        bodies.extend(paths.map(|path| std::fs::read(path).unwrap()));
    }
    bodies
});

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

fn answered(source: &str, event: &str, body: &[u8]) {
    let headers =
        [("x-github-event", event), ("repo", "h/a/b"), ("ce-type", "dev.cdevents.service.deployed.0.1.0")];
    let headers = if event.is_empty() { &headers[1..] } else { &headers[..] };
    match outcome(source, headers, body) {
        Outcome::Emit(events) => assert!(!events.is_empty()),
        Outcome::Drop(reason) => assert!(!reason.as_str().is_empty()),
        Outcome::Reject(rejection) => {
            assert!(REASONS.contains(&rejection.reason.as_str()), "{}", rejection.reason);
            assert!(!rejection.detail.is_empty());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_payload_is_answered_and_never_panics(
        body in any::<proptest::sample::Index>(),
        damages in proptest::collection::vec(damage(), 1..4),
        event in proptest::sample::select(vec![
            "", "push", "pull_request", "pull_request_review", "deployment", "deployment_status", "workflow_run",
            "release", "create", "repository", "ping", "nonsense",
        ]),
    ) {
        let mut body = body.get(&BODIES).clone();
        for (share, inserted, removed) in damages {
            let at = ((body.len() as f64) * share) as usize;
            let end = (at + removed).min(body.len());
            body.splice(at..end, inserted);
        }
        for source in SOURCES {
            answered(source.name, event, &body);
        }
    }

    #[test]
    fn any_bytes_are_answered(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        for source in SOURCES {
            answered(source.name, "push", &body);
        }
    }
}

#[test]
fn every_field_of_a_seed_may_be_missing_or_of_another_type() {
    for seed in SEEDS {
        let whole: serde_json::Value = serde_json::from_str(seed).unwrap();
        let mut places = Vec::new();
        collect(&whole, String::new(), &mut places);
        for place in places {
            for other in ["null", "7", "\"x\"", "[1]", "{\"a\":1}", "true"] {
                let mut body = whole.clone();
                *body.pointer_mut(&place).unwrap() = serde_json::from_str(other).unwrap();
                for source in SOURCES {
                    answered(source.name, "", body.to_string().as_bytes());
                }
            }
        }
    }
}

fn collect(value: &serde_json::Value, at: String, places: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| collect(field, format!("{at}/{key}"), places));
        }
        serde_json::Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, format!("{at}/{index}"), places));
        }
        _ => {}
    }
    places.push(at);
}
