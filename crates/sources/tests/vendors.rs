//! PagerDuty, Alertmanager and CDEvents, by payloads of the documented formats.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, field, outcome, rejected};
use model::DeliveryEvent;
use serde_json::{Value, json};

fn pagerduty(kind: &str, status: &str) -> Value {
    json!({ "event": { "id": "01ABC", "event_type": kind, "resource_type": "incident",
        "occurred_at": "2025-12-29T10:30:00.169Z",
        "agent": { "id": "PLH1HKV", "type": "user_reference", "summary": "Jane Roe" }, "client": { "name": "PagerDuty" },
        "data": { "id": "Q1", "type": "incident", "number": 2, "status": status, "incident_key": "d3640",
            "created_at": "2025-12-29T10:00:00Z", "title": "Checkout is slow, says Jane Roe", "urgency": "high",
            "service": { "id": "PF9KMXH", "type": "service_reference", "summary": "API Service" },
            "assignees": [{ "id": "PTUXL6G", "type": "user_reference", "summary": "Jane Roe" }],
            "priority": { "id": "PSO75BM", "type": "priority_reference", "summary": "P1" }, "resolve_reason": null } } })
}

fn page(body: &Value) -> DeliveryEvent {
    emitted(outcome("pagerduty", &[], body.to_string())).remove(0)
}

#[test]
fn a_page_becomes_an_incident_that_was_detected_when_it_was_created() {
    let event = page(&pagerduty("incident.triggered", "triggered"));
    assert_eq!(
        model::json::to_value(&event),
        json!({ "id": "01ABC", "type": "incident", "source": "pagerduty", "service": "pagerduty:PF9KMXH",
                "occurred_at": "2025-12-29T10:30:00.169Z", "observed_at": "2026-01-01T00:00:00Z",
                "incident": { "incident_id": "pagerduty:Q1", "state": "open", "severity": "sev1",
                              "detected_at": "2025-12-29T10:00:00Z" } })
    );
}

#[test]
fn a_page_is_acknowledged_resolved_and_reopened() {
    let state = |kind: &str, status: &str| {
        let event = page(&pagerduty(kind, status));
        (field(&event, "incident.state"), field(&event, "incident.resolved_at"))
    };
    assert_eq!(state("incident.acknowledged", "acknowledged"), (json!("acknowledged"), Value::Null));
    assert_eq!(state("incident.unacknowledged", "triggered"), (json!("open"), Value::Null));
    assert_eq!(
        state("incident.resolved", "resolved"),
        (json!("resolved"), json!("2025-12-29T10:30:00.169Z"))
    );
    assert_eq!(state("incident.reopened", "triggered"), (json!("open"), Value::Null));
    assert_eq!(state("incident.priority_updated", "resolved"), (json!("resolved"), Value::Null));
}

#[test]
fn urgency_is_no_severity() {
    let severity = |priority: Value| {
        let mut body = pagerduty("incident.priority_updated", "triggered");
        body["event"]["data"]["priority"] = priority;
        field(&page(&body), "incident.severity")
    };
    assert_eq!(severity(json!({ "summary": "P3" })), json!("sev3"));
    assert_eq!(severity(json!({ "summary": "SEV-5" })), json!("sev5"));
    assert_eq!(severity(json!({ "summary": "Whenever" })), Value::Null);
    assert_eq!(severity(Value::Null), Value::Null);
}

#[test]
fn a_merged_page_is_linked_to_the_one_that_it_went_into() {
    let mut body = pagerduty("incident.resolved", "resolved");
    body["event"]["data"]["resolve_reason"] =
        json!({ "type": "merge_resolve_reason", "incident": { "id": "Q2" } });
    assert_eq!(field(&page(&body), "incident.links"), json!(["pagerduty:Q2"]));
}

#[test]
fn pages_that_tell_no_state_are_dropped_by_name() {
    let told = |body: &Value| dropped(outcome("pagerduty", &[], body.to_string()));
    let ping = json!({ "event": { "id": "1", "event_type": "pagey.ping", "occurred_at": "2025-12-29T10:30:00Z",
                                  "data": { "type": "ping", "message": "Hello from your friend Pagey!" } } });
    assert_eq!(told(&ping), "ping");
    let mut note = pagerduty("incident.annotated", "triggered");
    note["event"]["data"] = json!({ "type": "incident_note", "content": "Jane is on it" });
    assert_eq!(told(&note), "incident_annotated_not_used");
    let mut service = pagerduty("service.updated", "triggered");
    service["event"]["data"]["type"] = json!("service");
    assert_eq!(told(&service), "service_not_used");
    rejected(outcome("pagerduty", &[], r#"{"messages":[]}"#), "unknown_event", &["version 3"]);
    rejected(
        outcome("pagerduty", &[], pagerduty("incident.triggered", "lost").to_string()),
        "unknown_value",
        &["event.data.status", "lost"],
    );
}

fn alerts(alerts: Value) -> Value {
    json!({ "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "streamgauge",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am.example",
            "alerts": alerts })
}

fn alert(status: &str, ends_at: &str, labels: Value) -> Value {
    json!({ "status": status, "labels": labels, "annotations": { "summary": "Jane Roe should look" },
            "startsAt": "2025-12-29T11:00:00.828+01:00", "endsAt": ends_at, "generatorURL": "http://prom.example",
            "fingerprint": "1a30ba71cca2921f" })
}

const ZERO: &str = "0001-01-01T00:00:00Z";

#[test]
fn each_alert_is_an_incident_of_its_own_that_repeats_tell_again() {
    let labels = json!({ "alertname": "Errors", "service": "checkout", "severity": "critical", "env": "prod-eu",
                         "version": "v1.2.3" });
    let other = json!({ "alertname": "Errors", "job": "search", "severity": "info" });
    let body =
        alerts(json!([alert("firing", ZERO, labels), alert("resolved", "2025-12-29T10:30:00Z", other)]));
    let events = emitted(outcome("alertmanager", &[], body.to_string()));
    assert_eq!(
        model::json::to_value(&events[0]),
        json!({ "id": "alertmanager:1a30ba71cca2921f:2025-12-29T10:00:00.828Z:open", "type": "incident",
                "source": "alertmanager", "service": "checkout", "occurred_at": "2025-12-29T10:00:00.828Z",
                "observed_at": "2026-01-01T00:00:00Z",
                "incident": { "incident_id": "alertmanager:1a30ba71cca2921f:2025-12-29T10:00:00.828Z",
                              "state": "open", "severity": "sev2", "tier": "production",
                              "detected_at": "2025-12-29T10:00:00.828Z", "names": { "version": "v1.2.3" } } })
    );
    assert_eq!(field(&events[1], "service"), json!("alertmanager:search"));
    assert_eq!(field(&events[1], "incident.resolved_at"), json!("2025-12-29T10:30:00Z"));
    assert_eq!(field(&events[1], "incident.severity"), json!("sev5"));
    assert_eq!(field(&events[1], "occurred_at"), json!("2025-12-29T10:30:00Z"));
}

#[test]
fn a_resolved_alert_without_an_end_has_none() {
    let body = alerts(json!([alert("resolved", ZERO, json!({ "alertname": "Errors" }))]));
    let event = &emitted(outcome("alertmanager", &[], body.to_string()))[0];
    assert_eq!(field(event, "incident.state"), json!("resolved"));
    assert_eq!(field(event, "incident.resolved_at"), Value::Null);
    assert_eq!(field(event, "service"), Value::Null);
}

#[test]
fn a_watchdog_is_no_incident_and_another_version_is_refused() {
    let body = alerts(json!([alert("firing", ZERO, json!({ "alertname": "Watchdog", "severity": "none" }))]));
    assert_eq!(dropped(outcome("alertmanager", &[], body.to_string())), "no_incident_alert");
    rejected(
        outcome("alertmanager", &[], r#"{"version":"3","alerts":[]}"#),
        "unknown_value",
        &["version", "3"],
    );
    let mut bad = alerts(json!([alert("firing", ZERO, json!({}))]));
    bad["alerts"][0]["startsAt"] = json!("2025-12-29 11:00");
    rejected(outcome("alertmanager", &[], bad.to_string()), "bad_time", &["alerts[0].startsAt"]);
}

const DIGEST: &str = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";
const SHA: &str = "527d4a1aca5e8d0df24813df5ad65d049fc8d312";

fn cdevent(kind: &str, subject: Value) -> Value {
    json!({ "context": { "specversion": "0.4.1", "id": "e1", "source": "/ci", "type": kind,
                         "timestamp": "2025-12-29T10:00:00Z" },
            "subject": subject })
}

fn deployed() -> Value {
    let content = json!({ "environment": { "id": "production" },
                          "artifactId": format!("pkg:oci/myapp@{}", DIGEST.replace(':', "%3A")) });
    cdevent("dev.cdevents.service.deployed.0.1.1", json!({ "id": "myapp", "content": content }))
}

#[test]
fn a_service_that_was_deployed_is_a_deployment_in_every_carrier() {
    let bare = emitted(outcome("cdevents", &[], deployed().to_string()));
    assert_eq!(
        field(&bare[0], "deployment"),
        json!({ "deployment_id": "cdevents:/ci:e1", "environment": "production", "version": DIGEST, "digest": DIGEST,
                "state": "succeeded", "started_at": "2025-12-29T10:00:00Z", "finished_at": "2025-12-29T10:00:00Z" })
    );
    assert_eq!(field(&bare[0], "service"), json!("myapp"));
    let ce = [
        ("ce-specversion", "1.0"),
        ("ce-id", "e1"),
        ("ce-source", "/ci"),
        ("ce-time", "2025-12-29T10:00:00Z"),
        ("ce-type", "dev.cdevents.service.deployed.0.1.1"),
        ("ce-subject", "myapp"),
    ];
    // Binary mode: with the whole event, its subject, or the subject's content as data.
    for data in [
        deployed(),
        json!({ "subject": deployed()["subject"] }),
        deployed()["subject"].clone(),
        deployed()["subject"]["content"].clone(),
    ] {
        assert_eq!(emitted(outcome("cdevents", &ce, data.to_string())), bare, "{data}");
    }
    let cloud = |key: &str, data: Value| {
        json!({ "specversion": "1.0", "id": "e1", "source": "/ci", "type": "dev.cdevents.service.deployed.0.1.1",
                "subject": "myapp", "time": "2025-12-29T10:00:00Z", key: data })
    };
    for body in [
        cloud("data", deployed()),
        cloud("data", json!(deployed().to_string())),
        cloud("data", deployed()["subject"].clone()),
    ] {
        assert_eq!(emitted(outcome("cdevents", &[], body.to_string())), bare, "{body}");
    }
    let batch =
        json!([cloud("data", deployed()), cdevent("dev.cdevents.ticket.closed.0.1.0", json!({ "id": "t" }))]);
    assert_eq!(emitted(outcome("cdevents", &[], batch.to_string())), bare);
}

#[test]
fn any_version_of_a_type_is_read() {
    for version in ["", ".0.1.0", ".0.3.0", ".0.4.0-draft", ".1.0.0"] {
        let mut body = deployed();
        body["context"]["type"] = json!(format!("dev.cdevents.service.upgraded{version}"));
        assert_eq!(emitted(outcome("cdevents", &[], body.to_string())).len(), 1, "{version}");
    }
}

#[test]
fn parts_and_the_whole_of_a_deployment_are_records_of_one_rollout() {
    let environment = json!({ "id": "production" });
    let part = cdevent(
        "dev.cdevents.targetrollout.finished.0.1.0",
        json!({ "id": "rt-1", "content": {
        "name": "us-east-1", "environment": environment, "artifactId": "pkg:oci/myapp@1.2.3", "deploymentId": "dep-1",
        "outcome": "failure" } }),
    );
    let whole = cdevent(
        "dev.cdevents.deployment.started.0.1.0",
        json!({ "id": "dep-1", "content": {
        "environment": environment, "artifactId": "pkg:oci/myapp@1.2.3" } }),
    );
    let part = &emitted(outcome("cdevents", &[], part.to_string()))[0];
    let whole = &emitted(outcome("cdevents", &[], whole.to_string()))[0];
    assert_eq!(field(part, "deployment.rollout_id"), field(whole, "deployment.rollout_id"));
    assert_eq!(field(part, "deployment.part"), json!("us-east-1"));
    assert_eq!(field(part, "deployment.state"), json!("failed"));
    assert_eq!(field(part, "deployment.version"), json!("1.2.3"));
    assert_eq!(field(whole, "deployment.state"), json!("running"));
    assert_eq!(field(whole, "service"), json!("myapp"));
}

#[test]
fn an_incident_is_detected_reported_and_resolved() {
    let told = |predicate: &str| {
        let content = json!({ "environment": { "id": "staging-2" }, "service": { "id": "myapp" },
                              "ticketURI": "https://example.com/1", "artifactId": format!("pkg:github/acme/shop@{SHA}") });
        let body = cdevent(
            &format!("dev.cdevents.incident.{predicate}.0.2.0"),
            json!({ "id": "i1", "content": content }),
        );
        let event = emitted(outcome("cdevents", &[], body.to_string())).remove(0);
        assert_eq!(field(&event, "service"), json!("myapp"));
        field(&event, "incident")
    };
    let at = "2025-12-29T10:00:00Z";
    let id = "cdevents:/ci:i1";
    assert_eq!(
        told("detected"),
        json!({ "incident_id": id, "state": "open", "tier": "staging", "detected_at": at,
                                         "names": { "sha": SHA } })
    );
    assert_eq!(
        told("reported"),
        json!({ "incident_id": id, "state": "open", "tier": "staging",
                                         "names": { "sha": SHA } })
    );
    assert_eq!(
        told("resolved"),
        json!({ "incident_id": id, "state": "resolved", "tier": "staging",
                                         "resolved_at": at })
    );
}

#[test]
fn an_artifact_ties_its_digest_to_its_commit() {
    let id = format!("pkg:oci/myapp@{}?repository_url=cr.example/myapp&tag=v1", DIGEST.replace(':', "%3A"));
    let body = |change: &str| {
        cdevent(
            "dev.cdevents.artifact.packaged.0.2.0",
            json!({ "id": id,
        "content": { "change": { "id": change, "source": "https://git.example/acme/shop.git" } } }),
        )
    };
    let event = &emitted(outcome("cdevents", &[], body(SHA).to_string()))[0];
    assert_eq!(
        field(event, "artifact"),
        json!({ "digest": DIGEST, "image": "cr.example/myapp:v1", "sha": SHA,
                                                 "built_at": "2025-12-29T10:00:00Z" })
    );
    assert_eq!(field(event, "repo"), json!("git.example/acme/shop"));
    assert_eq!(dropped(outcome("cdevents", &[], body("feature-1").to_string())), "artifact_without_commit");
}

#[test]
fn what_the_vocabulary_has_and_we_have_not_is_dropped_by_name() {
    for (kind, reason) in [
        ("service.removed.0.3.0", "service_removed_not_used"),
        ("service.published.0.3.0", "service_published_not_used"),
        ("pipelinerun.finished.0.3.0", "pipelinerun_without_commit"),
        ("testcaserun.finished.0.3.0", "testcaserun_without_repository"),
        ("change.merged.0.3.0", "change_without_number"),
        ("environment.modified.0.3.0", "environment_not_used"),
    ] {
        let body = cdevent(&format!("dev.cdevents.{kind}"), json!({ "id": "x", "content": {} }));
        assert_eq!(dropped(outcome("cdevents", &[], body.to_string())), reason);
    }
    let custom = cdevent("dev.cdeventsx.acme-thing.done.0.1.0", json!({ "id": "x" }));
    assert_eq!(dropped(outcome("cdevents", &[], custom.to_string())), "custom_event_not_used");
    let unknown = cdevent("dev.cdevents.rocket.launched.0.1.0", json!({ "id": "x" }));
    rejected(outcome("cdevents", &[], unknown.to_string()), "unknown_event", &["rocket"]);
    rejected(outcome("cdevents", &[], "{}"), "unknown_event", &["ce-"]);
    rejected(outcome("cdevents", &[], "[{}]"), "unknown_event", &["context"]);
}
