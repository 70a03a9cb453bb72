//! What is peculiar to GitLab, each fact as a sentence. The deliveries lie in `tests/payloads/gitlab`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, events_of, field, rejected, told_of};
use serde_json::{Value, json};

#[test]
fn the_commits_of_a_push_carry_no_parents() {
    let events = events_of("gitlab/push.branch");
    assert_eq!(field(&events[0], "push.commits").as_array().unwrap().len(), 2);
    for event in &events[1..] {
        assert_eq!(field(event, "commit.parents"), Value::Null);
    }
    assert_eq!(field(&events[1], "commit.author_kind"), json!("bot"));
    assert_eq!(field(&events[2], "commit.is_merge"), json!(true));
}

#[test]
fn a_push_of_more_than_twenty_commits_conducts_from_before_to_after_and_makes_none_up() {
    let events = events_of("gitlab/push.truncated");
    assert_eq!(events.len(), 21);
    let listed = field(&events[0], "push.commits");
    assert_eq!(listed.as_array().unwrap().len(), 20);
    assert_eq!(field(&events[0], "push.before"), json!("a".repeat(40)));
    assert_eq!(field(&events[0], "push.after"), listed[19]);
}

#[test]
fn a_push_happens_when_it_is_received_and_its_id_does_not_say_when() {
    let event = &events_of("gitlab/push.branch")[0];
    assert_eq!(event.occurred_at, common::received_at());
    assert!(!event.id.as_str().contains("2026"));
    assert_eq!(field(event, "push.forced"), Value::Null);
}

#[test]
fn a_deployment_has_its_commit_from_the_address_and_never_the_short_one() {
    let sha = |name| field(&events_of(name)[0], "deployment.sha");
    assert_eq!(sha("gitlab/deployment.success"), json!("c".repeat(40)));
    assert_eq!(sha("gitlab/deployment.with_short_commit"), Value::Null);
}

#[test]
fn a_time_may_be_written_in_each_of_the_ways_that_gitlab_writes_it() {
    for text in [
        "2016-08-12 15:23:28 UTC",
        "2016-08-12 17:23:28 +0200",
        "2016-08-12T15:23:28Z",
        "2016-08-12 15:23:28Z",
    ] {
        let events =
            emitted(told_of("gitlab/deployment.success", |body| body["status_changed_at"] = json!(text)));
        assert_eq!(field(&events[0], "deployment.finished_at"), json!("2016-08-12T15:23:28Z"), "{text}");
    }
    for text in ["2016-08-12 15:23:28", "yesterday UTC", "1471015408"] {
        let outcome = told_of("gitlab/deployment.success", |body| body["status_changed_at"] = json!(text));
        rejected(outcome, "bad_time", &["status_changed_at"]);
    }
}

#[test]
fn the_tier_of_a_deployment_is_what_gitlab_says() {
    let tier = |name| field(&events_of(name)[0], "deployment.tier");
    assert_eq!(tier("gitlab/deployment.success"), json!("production"));
    assert_eq!(tier("gitlab/deployment.by_bot"), json!("development"));
    assert_eq!(tier("gitlab/deployment.of_an_older_version"), Value::Null);
}

#[test]
fn a_deployment_and_the_job_that_makes_it_are_records_of_one() {
    let id = |name: &str| field(&events_of(name)[0], "deployment.deployment_id");
    for name in
        ["deployment.running", "job.deploy_running", "job.deploy_success", "deployment.of_an_older_version"]
    {
        assert_eq!(id(&format!("gitlab/{name}")), json!("gitlab:job:796"), "{name}");
    }
    assert_eq!(id("gitlab/deployment.by_api"), json!("gitlab:15"));
}

#[test]
fn of_two_states_within_one_second_the_end_is_told_later() {
    let at = json!("2025-12-29 09:14:00 UTC");
    let told =
        |name| emitted(told_of(name, |body| body["status_changed_at"] = at.clone())).remove(0).occurred_at;
    assert!(told("gitlab/deployment.blocked") < told("gitlab/deployment.running"));
    assert!(told("gitlab/deployment.running") < told("gitlab/deployment.success"));
}

#[test]
fn a_person_who_deploys_may_have_pushed_so_only_a_program_is_told() {
    let kind = |name| field(&events_of(name)[0], "deployment.author_kind");
    assert_eq!(kind("gitlab/deployment.success"), Value::Null);
    assert_eq!(kind("gitlab/deployment.by_bot"), json!("bot"));
}

#[test]
fn the_merge_sha_of_a_request_that_was_not_merged_is_left_out() {
    let event = &events_of("gitlab/merge_request.close_with_merge_sha")[0];
    assert_eq!(field(event, "pull_request.state"), json!("closed"));
    assert_eq!(field(event, "pull_request.merge_commit_sha"), Value::Null);
}

#[test]
fn a_squashed_request_is_its_squashed_commit_and_a_fast_forward_has_none() {
    let event = &events_of("gitlab/merge_request.merge_squash")[0];
    assert_eq!(field(event, "pull_request.merge_commit_sha"), json!("d".repeat(40)));
    assert_eq!(field(event, "pull_request.merge_method"), json!("squash"));
    let event = &events_of("gitlab/merge_request.merge_fast_forward")[0];
    assert_eq!(field(event, "pull_request.state"), json!("merged"));
    assert_eq!(field(event, "pull_request.merge_commit_sha"), Value::Null);
}

#[test]
fn an_approval_and_the_comment_of_another_are_reviews() {
    let approval = &events_of("gitlab/merge_request.approval")[1];
    assert_eq!(field(approval, "review.state"), json!("approved"));
    // `updated_at` is older than the approval.
    assert_eq!(field(approval, "review.submitted_at"), json!("2026-01-01T00:00:00Z"));
    let comment = &events_of("gitlab/note.merge_request")[0];
    assert_eq!(field(comment, "review.state"), json!("commented"));
    assert_eq!(field(comment, "review.submitted_at"), json!("2025-12-28T09:30:00Z"));
    for (name, reason) in [
        ("by_author", "comment_by_author"),
        ("by_bot", "comment_by_bot"),
        ("by_system", "comment_by_system"),
        ("epic", "comment_on_issue"),
    ] {
        assert_eq!(dropped(told_of(&format!("gitlab/note.{name}"), |_| {})), reason);
    }
}

#[test]
fn a_pipeline_that_was_tried_again_ends_as_it_ended_last() {
    let times: Vec<_> = ["pending", "running", "failed", "success"]
        .iter()
        .map(|state| events_of(&format!("gitlab/pipeline.{state}"))[0].occurred_at)
        .collect();
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}

#[test]
fn an_incident_is_opened_acknowledged_mitigated_closed_and_opened_again() {
    let state = |name: &str| field(&events_of(&format!("gitlab/incident.{name}"))[0], "incident.state");
    assert_eq!(state("open"), json!("open"));
    assert_eq!(state("acknowledged"), json!("acknowledged"));
    assert_eq!(state("status_resolved"), json!("mitigated"));
    assert_eq!(state("close"), json!("resolved"));
    assert_eq!(state("reopen"), json!("open"));
    let closed = &events_of("gitlab/incident.close")[0];
    assert_eq!(field(closed, "incident.resolved_at"), json!("2025-12-29T11:00:00Z"));
    assert_eq!(field(closed, "incident.severity"), json!("sev1"));
}

#[test]
fn an_event_or_a_state_that_nobody_documents_is_refused_by_name() {
    rejected(
        told_of("gitlab/push.branch", |body| body["object_kind"] = json!("rocket")),
        "unknown_event",
        &["rocket"],
    );
    rejected(
        told_of("gitlab/pipeline.success", |body| body["object_attributes"]["status"] = json!("lost")),
        "unknown_value",
        &["object_attributes.status", "lost"],
    );
    rejected(
        told_of("gitlab/push.branch", |body| {
            let body = body.as_object_mut().unwrap();
            body.remove("object_kind");
            body.remove("event_name");
        }),
        "unknown_event",
        &["object_kind"],
    );
    rejected(
        told_of("gitlab/push.branch", |body| {
            body["project"] = Value::Null;
            body["repository"] = Value::Null;
        }),
        "missing_field",
        &["project.web_url"],
    );
}
