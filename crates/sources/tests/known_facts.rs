//! What vendors are known for, each fact by a test; those that stand nearer to their source are not repeated here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{emitted, events_of, field, outcome, record, rejected, told_of};
use model::raw::MAX_BODY_BYTES;
use serde_json::{Value, json};
use streamgauge_sources::{Outcome, SourceSettings, read, source};

const SHA: &str = "83705cb791254b331b27f7719f5adae083ac3b13";

fn github(event: &str, body: &Value) -> model::DeliveryEvent {
    emitted(outcome("github", &[("x-github-event", event)], body.to_string())).remove(0)
}

fn deployment() -> Value {
    json!({ "action": "created", "repository": { "full_name": "acme/shop", "html_url": "https://github.com/acme/shop" },
        "deployment": { "id": 7, "sha": SHA, "ref": "main", "environment": "production",
                        "created_at": "2025-12-29T10:00:00Z" } })
}

#[test]
fn a_deployment_status_of_github_that_comes_before_its_deployment_tells_all_of_it() {
    let asked = github("deployment", &deployment());
    let mut body = deployment();
    body["deployment_status"] = json!({ "id": 1, "state": "success", "created_at": "2025-12-29T10:05:00Z" });
    let ended = github("deployment_status", &body);
    for path in ["deployment.deployment_id", "deployment.environment", "deployment.sha", "repo"] {
        assert_eq!(field(&ended, path), field(&asked, path), "{path}");
        assert!(field(&ended, path).is_string(), "{path}");
    }
    // Whatever arrives first, the end is the later word.
    assert!(ended.order() > asked.order());
    assert_ne!(ended.id, asked.id);
}

#[test]
fn runs_of_github_that_share_an_id_are_told_apart_by_their_attempt() {
    let run = |attempt: u32, conclusion: &str| {
        let body = json!({ "action": "completed", "workflow": { "name": "ci" },
            "repository": { "full_name": "acme/shop", "html_url": "https://github.com/acme/shop" },
            "workflow_run": { "id": 11, "run_attempt": attempt, "name": "ci", "head_sha": SHA, "head_branch": "main",
                "status": "completed", "conclusion": conclusion, "created_at": "2025-12-29T09:00:00Z",
                "run_started_at": "2025-12-29T09:30:00Z", "updated_at": "2025-12-29T09:40:00Z", "event": "push" } });
        github("workflow_run", &body)
    };
    let (first, second) = (run(1, "failure"), run(2, "success"));
    assert_eq!(field(&first, "pipeline_run.run_id"), field(&second, "pipeline_run.run_id"));
    assert_eq!(
        (field(&first, "pipeline_run.attempt"), field(&second, "pipeline_run.attempt")),
        (json!(1), json!(2))
    );
    assert_ne!(first.id, second.id);
}

/// GitHub's own limit. The push is padded by a message, which is where long pushes are long.
#[test]
fn a_body_as_long_as_github_sends_is_read() {
    let body = |message: &str| {
        json!({ "ref": "refs/heads/main", "before": "0".repeat(40), "after": SHA,
            "repository": { "full_name": "acme/shop", "html_url": "https://github.com/acme/shop",
                            "default_branch": "main", "pushed_at": 1_767_000_000 },
            "commits": [{ "id": SHA, "message": message, "timestamp": "2025-12-29T10:00:00Z",
                          "author": { "name": "Jane Roe" }, "added": ["a"], "removed": [], "modified": [] }] })
        .to_string()
    };
    let whole = body(&"x".repeat(MAX_BODY_BYTES - body("").len()));
    assert_eq!(whole.len(), MAX_BODY_BYTES);
    let events = emitted(outcome("github", &[("x-github-event", "push")], whole));
    assert_eq!(events.len(), 2);
    assert_eq!(field(&events[1], "commit.sha"), json!(SHA));
}

#[test]
fn jira_tells_milliseconds_in_the_webhook_and_the_users_zone_in_the_fields() {
    let told = |zone: &str, created: &str| {
        let change =
            |body: &mut Value| body["issue"]["fields"]["created"] = json!(format!("{created}{zone}"));
        match told_of("jira/incident_created", change) {
            Outcome::Emit(events) => field(&events[0], "incident.detected_at"),
            other => panic!("{other:?}"),
        }
    };
    let there = told("-0600", "2025-12-29T05:00:00.610");
    assert_eq!(there, told("+0900", "2025-12-29T20:00:00.610"));
    assert_eq!(there, json!("2025-12-29T11:00:00.61Z"));
    assert_eq!(
        field(&events_of("jira/incident_created")[0], "occurred_at"),
        json!("2025-12-29T11:00:00.828Z")
    );
}

/// What a user writes is what such a vendor sends: the shipped template is read, another refused by its name.
#[test]
fn a_template_that_is_not_ours_is_refused_with_the_one_to_set_up() {
    for (source, name) in [
        ("argo_rollouts", "refused_catalog_template"),
        ("argocd", "refused_template"),
        ("datadog", "refused_default_payload"),
        ("servicenow", "refused_other_rule"),
        ("unleash", "refused_template_of_the_documentation"),
    ] {
        let delivery = common::deliveries()
            .into_iter()
            .find(|delivery| delivery.name.ends_with(format!("{source}/{name}.json")))
            .unwrap();
        let marker = format!("streamgauge.{source}.v1");
        let folder = format!("deploy/templates/{source}");
        let told = delivery.told(common::received_at());
        rejected(told, "unknown_event", &["comes from another template", &folder, &marker]);
    }
}

#[test]
fn hcp_terraform_and_the_registries_tell_no_commit_that_the_payload_does_not_have() {
    for name in ["applied", "applying", "errored"] {
        assert_eq!(
            field(&events_of(&format!("terraform/{name}"))[0], "deployment.sha"),
            Value::Null,
            "{name}"
        );
    }
    // A label that a registry would have to send is not looked for under any name.
    let labelled = |body: &mut Value| {
        body["labels"] = json!({ "org.opencontainers.image.revision": SHA });
        body["event_data"]["resources"][0]["labels"] = json!({ "org.opencontainers.image.revision": SHA });
    };
    assert_eq!(
        common::dropped(told_of("harbor/pushed_with_version_tag", labelled)),
        "artifact_without_commit"
    );
}

/// Nothing can be read of what is never sent: who sets the hook up has to know it.
#[test]
fn what_a_vendor_never_sends_is_said_where_its_hook_is_set_up() {
    for (name, words) in [
        ("github", "more than three tags are pushed at once"),
        ("github", "does not redeliver"),
        ("gitlab", "20 commits at most"),
        ("bitbucket", "5 commits at most"),
        ("bitbucket", "over 256 KB are never sent"),
        ("bitbucket", "no deployment event"),
        ("terraform", "no commit"),
        ("dockerhub", "no labels"),
        ("harbor", "Labels of the image are not sent"),
    ] {
        let limits = source(name).unwrap().facts.limits.join(" ");
        assert!(limits.contains(words), "{name} does not say {words:?}: {limits}");
    }
}

/// Of an old Jira, and of ServiceNow: no zone is guessed.
#[test]
fn a_time_without_a_zone_is_refused_where_the_source_states_none() {
    for name in ["jira/no_zone_but_configured", "servicenow/new"] {
        let delivery = common::deliveries()
            .into_iter()
            .find(|delivery| delivery.name.ends_with(format!("{name}.json")))
            .unwrap();
        let record = record(&delivery.source, &delivery.headers(), &delivery.body);
        rejected(read(&record, &SourceSettings::default()), "bad_time", &["without a zone"]);
        assert!(matches!(read(&record, &delivery.settings), Outcome::Emit(_)), "{name}");
    }
}
