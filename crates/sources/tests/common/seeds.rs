//! What is damaged by the tests that damage, and what must hold of every answer.

use super::{files, payloads, record};
use std::sync::LazyLock;
use streamgauge_sources::{Facts, Outcome, REASONS, SHARED_DROP, SourceSettings, read, source};

/// A delivery to begin from: its source, its headers, its body.
pub struct Seed {
    pub source: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Small bodies of events of which no delivery lies in `tests/payloads`.
pub const SEEDS: [(&str, &str, &str); 2] = [
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
];

/// The deliveries of `tests/payloads`, the small bodies, and the sample payloads where they are.
pub static DELIVERIES: LazyLock<Vec<Seed>> = LazyLock::new(|| {
    let own = super::deliveries().into_iter().map(|delivery| Seed {
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
        for path in ["azure", "bitbucket", "cdevents", "gitea", "github", "gitlab"]
            .iter()
            .flat_map(|source| files(&root.join(source)))
        {
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

/// The facts of every source that reads what comes under a name: what GitHub sends is read alike under its two names. A
/// preset has none.
pub fn facts(name: &str) -> impl Iterator<Item = &'static Facts> {
    let also = (name == "ghcr").then_some("github");
    [Some(name), also].into_iter().flatten().filter_map(|name| source(name)).map(|source| source.facts)
}

/// Reads a record, and holds of the outcome what must hold of every one. Times without a zone are read too: such
/// payloads get further.
pub fn answered(source: &str, headers: &[(String, String)], body: &[u8]) -> Outcome {
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let settings = SourceSettings { default_time_zone: Some("UTC".to_owned()), ..super::settings() };
    let is_preset = streamgauge_sources::source(source).is_none();
    let outcome = read(&record(source, &headers, body), &settings);
    match &outcome {
        Outcome::Emit(events) => {
            assert!(!events.is_empty());
            for event in events {
                let name = event.body.type_name();
                assert!(
                    is_preset || facts(source).any(|facts| facts.tells(name)),
                    "{source} does not say that it tells {name}"
                );
            }
        }
        Outcome::Drop(reason) => {
            // The words are counted: whoever sends a payload must not be able to make up words without end.
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            assert!(!reason.as_str().is_empty() && reason.as_str().len() <= 96, "{reason}");
            assert!(reason.as_str().bytes().all(plain), "{reason}");
            let listed = is_preset
                || reason.as_str() == SHARED_DROP
                || facts(source).any(|facts| facts.lists(reason.as_str()));
            assert!(listed, "{source} drops as {reason}, which it does not list");
        }
        Outcome::Reject(rejection) => {
            assert!(REASONS.contains(&rejection.reason.as_str()), "{}", rejection.reason);
            assert!(!rejection.detail.is_empty());
        }
    }
    outcome
}
