//! GitHub's webhooks, beyond what the samples hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, field, outcome, rejected};
use model::DeliveryEvent;
use serde_json::{Value, json};
use streamgauge_sources::Outcome;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const C: &str = "cccccccccccccccccccccccccccccccccccccccc";
const ZERO: &str = "0000000000000000000000000000000000000000";

fn told(event: &str, body: &Value) -> Outcome {
    outcome("github", &[("x-github-event", event)], body.to_string())
}

fn events(event: &str, body: &Value) -> Vec<DeliveryEvent> {
    emitted(told(event, body))
}

fn repository() -> Value {
    json!({ "full_name": "acme/shop", "html_url": "https://github.com/acme/shop", "default_branch": "main",
            "pushed_at": 1_767_000_000, "updated_at": "2025-12-29T09:20:00Z" })
}

fn commit(sha: &str, message: &str, username: &str) -> Value {
    json!({ "id": sha, "message": message, "timestamp": "2025-12-29T10:00:00+01:00", "distinct": true,
            "author": { "name": "Jane Roe", "email": "jane@example.com", "username": username },
            "committer": { "name": "GitHub", "email": "noreply@github.com", "username": "web-flow" },
            "added": ["z/new.rs"], "removed": [], "modified": ["a/old.rs", "z/new.rs"] })
}

fn push() -> Value {
    let revert = format!("Revert \"x\"\n\nThis reverts commit {A}.\n");
    json!({ "ref": "refs/heads/main", "before": A, "after": C, "created": false, "deleted": false, "forced": true,
            "commits": [commit(B, &revert, "renovate[bot]"),
                        commit(C, "Merge pull request #7 from acme/topic\n\nTopic", "jane")],
            "head_commit": commit(C, "Merge pull request #7 from acme/topic", "jane"),
            "repository": repository(), "sender": { "login": "jane", "type": "User" } })
}

#[test]
fn a_push_tells_itself_and_each_commit_oldest_first_without_parents() {
    let events = events("push", &push());
    assert_eq!(events.len(), 3);
    assert_eq!(field(&events[0], "push.commits"), json!([B, C]));
    assert_eq!(field(&events[0], "push.before"), json!(A));
    assert_eq!(field(&events[0], "push.default_branch"), json!(true));
    assert_eq!(field(&events[0], "push.forced"), json!(true));
    assert_eq!(field(&events[0], "repo"), json!("github.com/acme/shop"));
    assert_eq!(field(&events[0], "occurred_at"), json!("2025-12-29T09:20:00Z"));
    assert_eq!(field(&events[1], "commit.parents"), Value::Null);
    assert_eq!(field(&events[1], "commit.authored_at"), Value::Null);
    assert_eq!(field(&events[1], "commit.committed_at"), json!("2025-12-29T09:00:00Z"));
    assert_eq!(field(&events[1], "commit.reverts"), json!([A]));
    assert_eq!(field(&events[1], "commit.author_kind"), json!("bot"));
    assert_eq!(field(&events[1], "commit.paths"), json!(["a/old.rs", "z/new.rs"]));
    assert_eq!(field(&events[1], "commit.is_merge"), Value::Null);
    assert_eq!(field(&events[2], "commit.is_merge"), json!(true));
    assert_eq!(field(&events[2], "commit.author_kind"), json!("human"));
}

#[test]
fn a_push_without_its_lists_of_files_knows_no_paths() {
    let mut body = push();
    for list in ["added", "removed", "modified"] {
        body["commits"][0].as_object_mut().unwrap().remove(list);
    }
    assert_eq!(field(&events("push", &body)[1], "commit.paths"), Value::Null);
}

#[test]
fn a_push_that_makes_a_branch_has_no_before_and_one_that_deletes_it_tells_nothing() {
    let mut body = push();
    body["before"] = json!(ZERO);
    assert_eq!(field(&events("push", &body)[0], "push.before"), Value::Null);
    body["after"] = json!(ZERO);
    body["deleted"] = json!(true);
    assert_eq!(dropped(told("push", &body)), "ref_deleted");
}

#[test]
fn a_push_of_nothing_new_still_tells_the_commit_that_it_ends_in() {
    let mut body = push();
    body["commits"] = json!([]);
    let events = events("push", &body);
    assert_eq!(field(&events[0], "push.commits"), json!([]));
    assert_eq!(field(&events[1], "commit.sha"), json!(C));
}

#[test]
fn a_tag_told_by_push_and_by_create_is_one_deployment_with_the_head_commit() {
    let mut body = push();
    body["ref"] = json!("refs/tags/v1.2.3");
    body["after"] = json!(B); // an annotated tag's own id
    body["commits"] = json!([]);
    let pushed = events("push", &body);
    let create = json!({ "ref": "v1.2.3", "ref_type": "tag", "master_branch": "main", "pusher_type": "user",
                         "repository": repository(), "sender": { "login": "jane", "type": "User" } });
    let created = events("create", &create);
    assert_eq!(field(&pushed[0], "source"), json!("github_tag"));
    assert_eq!(field(&pushed[0], "deployment.sha"), json!(C));
    assert_eq!(field(&pushed[1], "commit.sha"), json!(C));
    assert_eq!(field(&created[0], "deployment.sha"), Value::Null);
    for name in ["deployment.deployment_id", "deployment.version", "deployment.finished_at", "source"] {
        assert_eq!(field(&pushed[0], name), field(&created[0], name), "{name}");
    }
    assert_ne!(pushed[0].id, created[0].id);
    assert_eq!(
        dropped(told(
            "create",
            &json!({ "ref": "topic", "ref_type": "branch", "master_branch": "main",
                                               "repository": repository() })
        )),
        "branch_created"
    );
}

fn pull_request() -> Value {
    json!({ "action": "closed", "number": 7, "repository": repository(), "pull_request": {
        "number": 7, "state": "closed", "merged": true, "title": "Topic",
        "user": { "login": "dependabot[bot]", "type": "Bot" }, "created_at": "2025-12-28T09:00:00Z",
        "updated_at": "2025-12-29T09:00:01Z", "closed_at": "2025-12-29T09:00:00Z", "merged_at": "2025-12-29T09:00:00Z",
        "merge_commit_sha": C, "auto_merge": { "merge_method": "squash", "enabled_by": { "login": "jane" } },
        "labels": [{ "name": "ui" }, { "name": "bug" }],
        "head": { "ref": "topic", "sha": B }, "base": { "ref": "main", "sha": A } } })
}

#[test]
fn a_merged_pull_request_has_a_merge_commit_and_one_that_is_not_has_none() {
    let mut body = pull_request();
    let merged = &events("pull_request", &body)[0];
    assert_eq!(field(merged, "pull_request.state"), json!("merged"));
    assert_eq!(field(merged, "pull_request.merge_commit_sha"), json!(C));
    assert_eq!(field(merged, "pull_request.merge_method"), json!("squash"));
    assert_eq!(field(merged, "pull_request.labels"), json!(["bug", "ui"]));
    assert_eq!(field(merged, "pull_request.author_kind"), json!("bot"));
    assert_eq!(field(merged, "occurred_at"), json!("2025-12-29T09:00:01Z"));
    body["pull_request"]["merged"] = json!(false);
    body["pull_request"]["merged_at"] = Value::Null;
    let closed = &events("pull_request", &body)[0];
    assert_eq!(field(closed, "pull_request.state"), json!("closed"));
    assert_eq!(field(closed, "pull_request.merge_commit_sha"), Value::Null);
    assert_eq!(field(closed, "pull_request.merge_method"), Value::Null);
}

#[test]
fn a_review_is_told_when_submitted_and_dropped_by_name_otherwise() {
    let mut body = pull_request();
    body["action"] = json!("submitted");
    body["review"] = json!({ "id": 5, "state": "changes_requested", "submitted_at": "2025-12-28T10:00:00Z" });
    let review = &events("pull_request_review", &body)[0];
    assert_eq!(
        field(review, "review"),
        json!({ "number": 7, "state": "changes_requested",
                                                 "submitted_at": "2025-12-28T10:00:00Z" })
    );
    body["review"]["state"] = json!("pending");
    assert_eq!(dropped(told("pull_request_review", &body)), "review_pending");
    body["action"] = json!("dismissed");
    assert_eq!(dropped(told("pull_request_review", &body)), "review_dismissed");
}

fn status(state: &str) -> Value {
    json!({ "action": "created", "repository": repository(),
        "deployment_status": { "id": 9, "state": state, "environment": "prod-eu", "created_at": "2025-12-29T10:05:00Z",
                               "updated_at": "2025-12-29T10:05:00Z", "creator": { "login": "jane", "type": "User" } },
        "deployment": { "id": 3, "sha": B, "ref": "hotfix/login", "task": "deploy", "environment": "production",
                        "production_environment": true, "created_at": "2025-12-29T10:00:00Z",
                        "updated_at": "2025-12-29T10:05:00Z",
                        "creator": { "login": "github-actions[bot]", "type": "Bot" } } })
}

#[test]
fn each_state_of_a_deployment_status_means_what_github_documents() {
    for (state, ours, ended) in [
        ("queued", "pending", false),
        ("pending", "pending", false),
        ("waiting", "pending", false),
        ("in_progress", "running", false),
        ("success", "succeeded", true),
        ("failure", "failed", true),
        ("error", "failed", true),
    ] {
        let event = &events("deployment_status", &status(state))[0];
        assert_eq!(field(event, "deployment.state"), json!(ours), "{state}");
        assert_eq!(field(event, "deployment.finished_at").is_string(), ended, "{state}");
        assert_eq!(field(event, "deployment.started_at"), json!("2025-12-29T10:00:00Z"));
        assert_eq!(field(event, "deployment.deployment_id"), json!("github:3"));
        assert_eq!(field(event, "deployment.environment"), json!("prod-eu"));
        assert_eq!(field(event, "deployment.tier"), json!("production"));
        assert_eq!(field(event, "deployment.hotfix"), json!(true));
        assert_eq!(field(event, "deployment.author_kind"), json!("bot"));
        assert_eq!(field(event, "occurred_at"), json!("2025-12-29T10:05:00Z"));
    }
    assert_eq!(dropped(told("deployment_status", &status("inactive"))), "superseded");
    rejected(
        told("deployment_status", &status("exploded")),
        "unknown_value",
        &["deployment_status.state", "exploded"],
    );
}

#[test]
fn success_within_the_second_of_the_request_comes_after_it_whatever_arrives_first() {
    let mut body = status("success");
    body["deployment_status"]["created_at"] = json!("2025-12-29T10:00:00Z");
    let success = events("deployment_status", &body).remove(0);
    body.as_object_mut().unwrap().remove("deployment_status");
    let asked = events("deployment", &body).remove(0);
    assert!(success.order() > asked.order());
    assert_eq!(field(&success, "deployment.finished_at"), json!("2025-12-29T10:00:00Z"));
}

#[test]
fn a_deployment_knows_its_trigger_only_from_the_run_that_made_it() {
    let mut body = status("success");
    let trigger = |body: &Value| {
        let event = events("deployment_status", body).remove(0);
        (field(&event, "deployment.trigger"), field(&event, "deployment.author_kind"))
    };
    assert_eq!(trigger(&body), (Value::Null, json!("bot")));
    body["workflow_run"] = json!({ "event": "schedule" });
    assert_eq!(trigger(&body), (json!("schedule"), json!("bot")));
    body["workflow_run"] =
        json!({ "event": "workflow_dispatch", "triggering_actor": { "login": "jane", "type": "User" } });
    assert_eq!(trigger(&body), (json!("manual"), json!("human")));
    body["workflow_run"] = json!({ "event": "dynamic" });
    assert_eq!(trigger(&body), (Value::Null, json!("bot")));
}

#[test]
fn each_conclusion_of_a_run_means_what_github_documents() {
    let run = |status: &str, conclusion: Value| {
        json!({ "action": "completed", "repository": repository(), "workflow": { "name": "ci" }, "workflow_run": {
            "id": 11, "run_attempt": 2, "name": "ci", "head_sha": B, "head_branch": "main", "status": status,
            "conclusion": conclusion, "created_at": "2025-12-29T09:00:00Z", "run_started_at": "2025-12-29T09:30:00Z",
            "updated_at": "2025-12-29T09:40:00Z", "event": "push" } })
    };
    for (status, conclusion, ours, ended) in [
        ("queued", Value::Null, "queued", false),
        ("in_progress", Value::Null, "running", false),
        ("completed", json!("success"), "passed", true),
        ("completed", json!("neutral"), "passed", true),
        ("completed", json!("failure"), "failed", true),
        ("completed", json!("timed_out"), "failed", true),
        ("completed", json!("startup_failure"), "failed", true),
        ("completed", json!("cancelled"), "cancelled", true),
        ("completed", json!("skipped"), "cancelled", true),
        ("completed", json!("action_required"), "queued", false),
    ] {
        let event = &events("workflow_run", &run(status, conclusion))[0];
        assert_eq!(field(event, "pipeline_run.state"), json!(ours));
        assert_eq!(field(event, "pipeline_run.finished_at").is_string(), ended);
        assert_eq!(field(event, "pipeline_run.started_at"), json!("2025-12-29T09:30:00Z"));
        assert_eq!(field(event, "pipeline_run.attempt"), json!(2));
        assert_eq!(field(event, "pipeline_run.run_id"), json!("github:11"));
    }
    let odd = run("completed", json!("vanished"));
    rejected(told("workflow_run", &odd), "unknown_value", &["workflow_run.conclusion"]);
}

#[test]
fn a_release_counts_when_it_is_full_and_published() {
    let body = |action: &str, draft: bool, prerelease: bool| {
        json!({ "action": action, "repository": repository(), "release": {
            "id": 4, "tag_name": "v2.0.0", "target_commitish": B, "name": "Hotfix for login", "draft": draft,
            "prerelease": prerelease, "created_at": "2025-12-01T00:00:00Z", "published_at": "2025-12-02T00:00:00Z",
            "updated_at": "2025-12-05T00:00:00Z", "author": { "login": "jane", "type": "User" } } })
    };
    let published = &events("release", &body("published", false, false))[0];
    assert_eq!(field(published, "source"), json!("github_release"));
    assert_eq!(field(published, "deployment.deployment_id"), json!("github-release:4"));
    assert_eq!(field(published, "deployment.sha"), json!(B));
    assert_eq!(field(published, "deployment.version"), json!("v2.0.0"));
    assert_eq!(field(published, "deployment.hotfix"), json!(true));
    assert_eq!(field(published, "deployment.finished_at"), json!("2025-12-02T00:00:00Z"));
    let promoted = &events("release", &body("released", false, false))[0];
    assert_eq!(field(promoted, "deployment.finished_at"), json!("2025-12-05T00:00:00Z"));
    assert_eq!(dropped(told("release", &body("published", false, true))), "prerelease");
    assert_eq!(dropped(told("release", &body("prereleased", false, true))), "prerelease");
    assert_eq!(dropped(told("release", &body("published", true, false))), "draft_release");
    assert_eq!(dropped(told("release", &body("edited", false, false))), "release_edited");
}

#[test]
fn a_repository_that_is_renamed_or_moved_names_what_it_was() {
    let body = |action: &str, changes: Value| json!({ "action": action, "changes": changes, "repository": repository(), "sender": { "login": "jane" } });
    let renamed =
        &events("repository", &body("renamed", json!({ "repository": { "name": { "from": "store" } } })))[0];
    assert_eq!(field(renamed, "repository"), json!({ "action": "renamed", "from": "github.com/acme/store" }));
    assert_eq!(field(renamed, "repo"), json!("github.com/acme/shop"));
    for kind in ["user", "organization"] {
        let changes = json!({ "owner": { "from": { kind: { "login": "old" } } } });
        let moved = &events("repository", &body("transferred", changes))[0];
        assert_eq!(
            field(moved, "repository"),
            json!({ "action": "transferred", "from": "github.com/old/shop" })
        );
    }
    assert_eq!(
        field(&events("repository", &body("archived", json!({})))[0], "repository.action"),
        json!("archived")
    );
    assert_eq!(dropped(told("repository", &body("edited", json!({})))), "repository_edited_not_used");
    // By its shape it is the same.
    let bare = outcome("github", &[], body("archived", json!({})).to_string());
    assert_eq!(bare, told("repository", &body("archived", json!({}))));
}

#[test]
fn an_enterprise_server_is_its_own_host() {
    let mut body = pull_request();
    body["repository"]["html_url"] = json!("https://git.acme.example/acme/shop");
    assert_eq!(field(&events("pull_request", &body)[0], "repo"), json!("git.acme.example/acme/shop"));
}

#[test]
fn a_webhook_sent_as_a_form_is_read() {
    let encoded: String = pull_request()
        .to_string()
        .bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let form = outcome("github", &[("x-github-event", "pull_request")], format!("payload={encoded}"));
    assert_eq!(form, told("pull_request", &pull_request()));
}

#[test]
fn other_documented_events_are_dropped_by_name_and_unknown_ones_rejected() {
    assert_eq!(
        dropped(told("ping", &json!({ "zen": "Keep it logically awesome.", "hook": {} }))),
        "ping_not_used"
    );
    assert_eq!(dropped(told("check_run", &json!({}))), "check_run_not_used");
    assert_eq!(dropped(outcome("github", &[], r#"{"zen":"x","hook":{}}"#)), "ping_not_used");
    rejected(told("teleport", &json!({})), "unknown_event", &["teleport"]);
    rejected(outcome("github", &[], r#"{"a":1}"#), "unknown_event", &["X-GitHub-Event"]);
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    let mut body = push();
    body["commits"][1]["timestamp"] = json!("2025-12-29T10:00:00");
    rejected(told("push", &body), "bad_time", &["commits[1].timestamp", "without a zone"]);
    body["commits"][1]["timestamp"] = json!(1_767_000_000);
    rejected(told("push", &body), "bad_time", &["commits[1].timestamp", "as text is expected"]);
    body["repository"]["pushed_at"] = json!(1_767_000_000_000_i64);
    rejected(told("push", &body), "bad_time", &["repository.pushed_at", "milliseconds"]);
    let mut body = push();
    body["commits"][0]["id"] = json!("main");
    rejected(told("push", &body), "bad_sha", &["commits[0].id", "main"]);
    body.as_object_mut().unwrap().remove("repository");
    rejected(told("push", &body), "missing_field", &["repository"]);
    let mut body = pull_request();
    body["pull_request"]["number"] = json!("seven");
    rejected(told("pull_request", &body), "wrong_type", &["pull_request.number", "a text"]);
}
