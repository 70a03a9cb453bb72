//! What must hold of the documented payloads beyond what their goldens show, by the facts that each vendor states.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, field, outcome, record, rejected};
use model::{DeliveryEvent, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use streamgauge_sources::{SourceSettings, read};

fn payload(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn told(source: &str, name: &str) -> DeliveryEvent {
    emitted(outcome(source, &[], payload(&format!("{source}/{name}.json")).to_string())).remove(0)
}

/// The state that a thing ends in when its records are put in their order.
fn last_state(mut records: Vec<DeliveryEvent>, path: &str) -> Value {
    records.sort_by_key(DeliveryEvent::order);
    field(records.last().unwrap(), path)
}

fn in_every_order(records: &[DeliveryEvent], path: &str, state: &str) {
    for turn in 0..records.len() {
        let mut turned = records.to_vec();
        turned.rotate_left(turn);
        // Whoever arrives later was observed later: that must not decide.
        for (index, event) in turned.iter_mut().enumerate() {
            event.observed_at =
                Timestamp::from_seconds(1_800_000_000 + i64::try_from(index).unwrap()).unwrap();
        }
        assert_eq!(last_state(turned, path), json!(state), "turned by {turn}");
    }
}

#[test]
fn the_revision_of_a_configuration_repository_is_never_a_deployments_commit() {
    for (source, names) in [
        ("argocd", &["synced", "notified_synced", "several_sources_and_images", "failed_by_hand"][..]),
        ("flux", &["kustomization_succeeded", "kustomization_of_a_tag", "helm_upgrade_succeeded"]),
    ] {
        for name in names {
            let event = told(source, name);
            assert_eq!(field(&event, "deployment.sha"), Value::Null, "{source}/{name}");
            assert_eq!(event.repo, None, "{source}/{name}");
            let told = model::json::to_value(&event)["deployment"]["version"].to_string();
            assert!(!told.contains("731f7ead") && !told.contains("5a9b1d2c"), "{told}");
        }
    }
}

#[test]
fn argo_cd_tells_an_image_only_from_a_status_that_is_newer_than_the_sync() {
    let stale = told("argocd", "synced_not_yet_compared");
    assert_eq!(field(&stale, "deployment.image"), Value::Null);
    assert_eq!(field(&stale, "deployment.state"), json!("succeeded"));
    assert_eq!(field(&told("argocd", "synced_and_drifted"), "deployment.image"), Value::Null);
    assert_eq!(field(&told("argocd", "synced"), "deployment.image"), json!("ghcr.io/acme/checkout:v1.42.0"));
    // They are records of one deployment: the one that knows fills in the one that does not.
    assert_eq!(field(&stale, "id"), field(&told("argocd", "synced"), "id"));
}

#[test]
fn a_notification_and_a_watch_tell_the_same_sync_as_the_same_event() {
    let mut watched = told("argocd", "synced");
    watched.observed_at = common::received_at();
    assert_eq!(watched, told("argocd", "notified_synced"));
    assert_eq!(told("argocd", "watch_modified"), watched);
}

#[test]
fn flux_repeats_a_revision_and_it_stays_one_deployment_that_ended_the_first_time() {
    let first = told("flux", "kustomization_succeeded");
    let again = told("flux", "kustomization_succeeded_repeated");
    assert_eq!(field(&first, "deployment.deployment_id"), field(&again, "deployment.deployment_id"));
    // No record states an end: it is when the first record of the final run occurred.
    assert_eq!(field(&again, "deployment.finished_at"), Value::Null);
    assert!(first.occurred_at < again.occurred_at);
}

#[test]
fn launchdarkly_arrives_out_of_order_and_keeps_its_own_times() {
    let (off, on) =
        (told("launchdarkly", "turned_off_told_before_it_was_on"), told("launchdarkly", "turned_on"));
    assert!(on.occurred_at < off.occurred_at);
    assert_eq!(field(&on, "occurred_at"), json!("2025-12-29T10:12:18.774Z"));
    assert_eq!(field(&off, "flag_change.to"), json!("off"));
}

#[test]
fn whatever_order_the_words_about_one_thing_arrive_in_the_last_one_wins() {
    let of = |source: &str, names: &[&str]| names.iter().map(|name| told(source, name)).collect::<Vec<_>>();
    let state = "deployment.state";
    in_every_order(&of("argocd", &["synced_within_a_second", "running"]), state, "succeeded");
    let kubernetes = ["deployment_complete", "deployment_created_replica_set", "deployment_progressing"];
    in_every_order(&of("kubernetes", &kubernetes), state, "succeeded");
    in_every_order(&of("terraform", &["applied_within_the_same_moment", "applying"]), state, "succeeded");
    let codedeploy = ["codedeploy_success_in_the_same_second", "codedeploy_start", "codedeploy_ready"];
    in_every_order(&of("aws", &codedeploy), state, "succeeded");
    let state = "incident.state";
    in_every_order(
        &of("jira", &["incident_created", "incident_resolved", "incident_in_progress"]),
        state,
        "resolved",
    );
    in_every_order(&of("opsgenie", &["closed", "created", "acknowledged"]), state, "resolved");
    in_every_order(&of("incidentio", &["closed", "created", "monitoring"]), state, "resolved");
    in_every_order(
        &of("grafana", &["oncall_resolved", "oncall_created", "oncall_acknowledged"]),
        state,
        "resolved",
    );
    in_every_order(&of("datadog", &["recovered", "triggered", "renotified"]), state, "resolved");
    in_every_order(&of("aws", &["alarm_ended", "alarm_began"]), state, "resolved");
}

#[test]
fn each_field_that_a_webhook_does_not_say_is_absent_and_not_false() {
    let event = told("terraform", "applied");
    for absent in
        ["sha", "digest", "image", "trigger", "author_kind", "approved", "hotfix", "canary", "started_at"]
    {
        assert_eq!(field(&event, &format!("deployment.{absent}")), Value::Null, "{absent}");
    }
    let event = told("opsgenie", "acknowledged");
    for absent in ["resolved_at", "mitigated_at", "started_at", "cause", "names", "links"] {
        assert_eq!(field(&event, &format!("incident.{absent}")), Value::Null, "{absent}");
    }
}

#[test]
fn a_registry_says_no_commit_unless_the_tag_is_one() {
    for (source, name) in [("harbor", "pushed_with_version_tag"), ("dockerhub", "pushed_latest")] {
        let body = payload(&format!("{source}/{name}.json"));
        assert_eq!(dropped(outcome(source, &[], body.to_string())), "artifact_without_commit");
    }
}

#[test]
fn a_time_of_servicenow_needs_the_zone_that_the_source_is_set_to() {
    let body = payload("servicenow/new.json")["body"].to_string();
    rejected(outcome("servicenow", &[], &body), "bad_time", &["incident.sys_updated_on", "without a zone"]);
    let at = |zone: &str| {
        let settings =
            SourceSettings { default_time_zone: Some(zone.to_owned()), ..SourceSettings::default() };
        let events = emitted(read(&record("servicenow", &[], &body), &settings));
        field(&events[0], "incident.detected_at")
    };
    assert_eq!(at("UTC"), json!("2025-12-29T09:58:12Z"));
    assert_eq!(at("Asia/Tokyo"), json!("2025-12-29T00:58:12Z"));
}

#[test]
fn findings_without_a_time_of_their_own_occurred_when_they_were_received() {
    let mut sarif = payload("sarif/code_with_provenance.json");
    sarif["runs"][0].as_object_mut().unwrap().remove("invocations");
    let mut trivy = payload("trivy/image_with_labels.json");
    trivy.as_object_mut().unwrap().remove("CreatedAt");
    let snyk = payload("snyk/issues_new_and_removed.json")["body"].clone();
    for (source, body) in [("sarif", sarif), ("trivy", trivy), ("snyk", snyk)] {
        let events = emitted(outcome(source, &[], body.to_string()));
        assert!(events.iter().all(|event| event.occurred_at == common::received_at()), "{source}");
    }
}

#[test]
fn an_alert_group_is_linked_to_the_alerts_that_it_groups() {
    let alert = told("grafana", "alert_firing");
    let group = told("grafana", "oncall_of_grouped_alerts");
    assert_eq!(field(&group, "incident.links"), json!([field(&alert, "incident.incident_id")]));
}

#[test]
fn what_says_ghcr_and_what_says_github_is_read_alike() {
    let body = payload("ghcr/published_without_header.json").to_string();
    assert_eq!(outcome("ghcr", &[], &body), outcome("github", &[], &body));
}
