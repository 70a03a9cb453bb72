//! What holds for every source, and the canonical form and git histories.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, field, outcome, record, rejected};
use model::raw::MAX_BODY_BYTES;
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use streamgauge_sources::{Outcome, SOURCES, SourceSettings, read};

const DEPLOYMENT: &str = r#"{"id":"1","type":"deployment","occurred_at":"2025-12-31T23:59:00Z",
    "observed_at":"2026-01-01T00:00:00Z","source":"ci","service":"checkout",
    "deployment":{"deployment_id":"d1","environment":"production","state":"succeeded"}}"#;

const SHA: &str = "83705cb791254b331b27f7719f5adae083ac3b13";

#[test]
fn a_source_that_nobody_knows_is_refused_with_the_known_ones() {
    rejected(
        outcome("sourceforge", &[], "{}"),
        "unknown_source",
        &["sourceforge", "canonical", "github", "pagerduty"],
    );
}

#[test]
fn the_table_is_sorted_and_each_row_is_described() {
    assert!(SOURCES.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(SOURCES.iter().all(|source| !source.facts.description.is_empty()));
}

#[test]
fn a_body_beyond_the_limit_is_refused_by_every_source() {
    let body = vec![b' '; MAX_BODY_BYTES + 1];
    for source in SOURCES {
        rejected(outcome(source.name, &[], &body), "too_large", &["26214401", "26214400"]);
    }
}

#[test]
fn truncated_utf8_json_and_nothing_at_all_are_malformed_and_say_where() {
    for source in SOURCES {
        rejected(outcome(source.name, &[], b"{\"a\":\"\xc3"), "malformed", &["not UTF-8 from byte 6"]);
        rejected(outcome(source.name, &[], "{\n  \"id\": \"1\","), "malformed", &["line 2 column"]);
        rejected(outcome(source.name, &[], "id=1"), "malformed", &["line 1 column"]);
        rejected(outcome(source.name, &[], " \n"), "malformed", &["empty"]);
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(emitted(outcome("canonical", &[], format!("\u{feff}{DEPLOYMENT}"))).len(), 1);
    assert_eq!(emitted(outcome("git", &[("repo", "h/a/b")], format!("\u{feff}{}", commit_line()))).len(), 1);
}

#[test]
fn a_rejection_repeats_only_so_much_of_a_payload() {
    let body = DEPLOYMENT.replace("succeeded", &"é".repeat(100_000));
    let Outcome::Reject(rejection) = outcome("canonical", &[], body) else { panic!("not rejected") };
    assert_eq!(rejection.detail.chars().count(), streamgauge_sources::MAX_DETAIL_CHARS + 1);
}

#[test]
fn json_that_is_nested_without_end_is_refused() {
    for source in SOURCES {
        rejected(outcome(source.name, &[], "[".repeat(100_000)), "malformed", &["recursion"]);
    }
}

#[test]
fn an_event_an_hour_ahead_of_its_observation_is_skew_and_the_source_is_named() {
    let ahead = DEPLOYMENT.replace("2025-12-31T23:59:00Z", "2026-01-01T01:00:00Z");
    rejected(
        outcome("canonical", &[], &ahead),
        "skew",
        &["`canonical`", "`ci`", "3600 s", "600 s", "max_future"],
    );
    let tolerated = DEPLOYMENT.replace("2025-12-31T23:59:00Z", "2026-01-01T00:10:00Z");
    assert_eq!(emitted(outcome("canonical", &[], &tolerated)).len(), 1);
}

#[test]
fn each_mistake_in_a_canonical_event_has_its_own_reason() {
    let check = |from: &str, to: &str, reason: &str, words: &[&str]| {
        let body = DEPLOYMENT.replace(from, to);
        assert_ne!(body, DEPLOYMENT);
        rejected(outcome("canonical", &[], body), reason, words);
    };
    check("\"state\"", "\"stat\"", "unknown_field", &["stat", "line 3"]);
    check("\"succeeded\"", "\"done\"", "unknown_value", &["done"]);
    check("23:59:00Z", "23:59:00", "bad_time", &["without a zone"]);
    check("\"2025-12-31T23:59:00Z\"", "1767225540000", "bad_time", &["occurred_at", "milliseconds"]);
    check("\"2025-12-31T23:59:00Z\"", "\"soon\"", "bad_time", &["soon"]);
    check("\"id\":\"1\"", "\"id\":1", "wrong_type", &["line 1 column"]);
    check("\"id\":\"1\",", "", "missing_field", &["id"]);
    check("\"type\":\"deployment\"", "\"type\":\"deploy\"", "unknown_event", &["deploy"]);
    check("\"deployment\":{", "\"incident\":{", "unknown_field", &["deployment_id", "line 3"]);
    check("\"service\":\"checkout\"", "\"service\":\"\"", "invalid", &["service"]);
}

#[test]
fn a_time_without_a_zone_is_read_in_the_zone_that_the_source_is_set_to() {
    let body = json!({ "event": { "id": "e", "event_type": "incident.triggered", "occurred_at": "2025-06-01T12:00:00",
        "data": { "type": "incident", "id": "Q1", "status": "triggered", "created_at": "2025-06-01T10:00:00Z" } } });
    rejected(
        outcome("pagerduty", &[], body.to_string()),
        "bad_time",
        &["event.occurred_at", "without a zone"],
    );
    let settings =
        SourceSettings { default_time_zone: Some("Europe/Berlin".to_owned()), ..SourceSettings::default() };
    let events = emitted(read(&record("pagerduty", &[], body.to_string()), &settings));
    assert_eq!(field(&events[0], "occurred_at"), json!("2025-06-01T10:00:00Z"));
}

fn history(line: &Value) -> Outcome {
    outcome("git", &[("repo", "github.com/acme/shop")], line.to_string())
}

fn commit_line() -> Value {
    json!({ "type": "commit", "sha": SHA, "parents": [], "authored_at": 1_536_864_290, "committed_at": 1_536_864_291,
            "author": "20f452fece64", "reverts": SHA, "kind": null, "pull_request": null, "dirs": ["src/main.rs"] })
}

#[test]
fn a_commit_of_a_history_happens_and_is_observed_when_it_was_committed() {
    let events = emitted(history(&commit_line()));
    assert_eq!(
        model::json::to_value(&events[0]),
        json!({ "id": SHA, "type": "commit", "source": "git", "repo": "github.com/acme/shop", "imported": true,
                "occurred_at": "2018-09-13T18:44:51Z", "observed_at": "2018-09-13T18:44:51Z",
                "commit": { "sha": SHA, "parents": [], "authored_at": "2018-09-13T18:44:50Z",
                            "committed_at": "2018-09-13T18:44:51Z", "reverts": [SHA], "paths": ["src/main.rs"] } })
    );
}

#[test]
fn a_tag_of_a_history_is_a_succeeded_deployment() {
    let line = json!({ "type": "tag", "name": "v0.2.0", "sha": SHA, "tagged_at": 1_561_691_207 });
    let events = emitted(history(&line));
    assert_eq!(
        field(&events[0], "deployment"),
        json!({ "deployment_id": "tag:v0.2.0", "environment": "production", "version": "v0.2.0", "sha": SHA,
                "state": "succeeded", "started_at": "2019-06-28T03:06:47Z", "finished_at": "2019-06-28T03:06:47Z" })
    );
    assert_eq!(field(&events[0], "imported"), json!(true));
    let headers = [("repo", "github.com/acme/shop"), ("environment", "staging")];
    let staged = emitted(outcome("git", &headers, line.to_string()));
    assert_eq!(field(&staged[0], "deployment.environment"), json!("staging"));
}

#[test]
fn milliseconds_in_a_history_are_refused_and_a_broken_author_clock_is_not() {
    let mut line = commit_line();
    line["committed_at"] = json!(1_536_864_291_000_i64);
    rejected(history(&line), "bad_time", &["committed_at", "milliseconds"]);
    let mut line = commit_line();
    line["authored_at"] = json!(-1);
    assert_eq!(field(&emitted(history(&line))[0], "commit.authored_at"), Value::Null);
    let mut line = commit_line();
    line["parents"] = json!(["main"]);
    rejected(history(&line), "bad_sha", &["parents", "main"]);
    rejected(history(&json!({ "type": "branch" })), "unknown_value", &["type", "branch"]);
    rejected(outcome("git", &[], commit_line().to_string()), "missing_header", &["repo"]);
    assert_eq!(
        dropped(history(&json!({ "type": "repository", "default_branch": "main" }))),
        "repository_line"
    );
}

#[test]
fn every_line_of_the_real_histories_is_read() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found =
        here.ancestors().map(|folder| folder.join("shared/data/git-history")).find(|folder| folder.is_dir());
    let Some(folder) = found else {
        println!("skipped: no folder shared/data beside the project");
        return;
    };
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let mut text = String::new();
        let file = std::fs::File::open(entry.unwrap().path()).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let (mut commits, mut tags) = (0, 0);
        for line in text.lines().skip(1) {
            let events = emitted(outcome("git", &[("repo", "github.com/acme/shop")], line));
            match events[0].body.type_name() {
                "commit" => commits += 1,
                _ => tags += 1,
            }
        }
        counts.push((commits, tags));
    }
    counts.sort_unstable();
    assert_eq!(counts, [(15_027, 133), (15_363, 590)]);
}
