//! What is peculiar to Jenkins, CircleCI, Buildkite and Tekton, each fact as a sentence. The deliveries lie in
//! `tests/payloads`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, events_of, field, rejected, told_of};
use serde_json::{Value, json};

/// A field of the only event of a delivery.
fn told(name: &str, path: &str) -> Value {
    let events = events_of(name);
    assert_eq!(events.len(), 1, "{name}");
    field(&events[0], path)
}

#[test]
fn jenkins_tells_milliseconds() {
    assert_eq!(told("jenkins/started", "pipeline_run.started_at"), json!("2025-12-29T10:00:00Z"));
    let text = told("jenkins/of_an_older_version.time_as_text", "occurred_at");
    assert_eq!(text, json!("2025-12-29T10:00:00.500002Z"));
    let seconds = told_of("jenkins/started", |body| body["build"]["timestamp"] = json!(-1));
    rejected(seconds, "bad_time", &["build.timestamp", "milliseconds"]);
}

#[test]
fn the_end_of_a_build_of_jenkins_is_its_completion_and_not_what_ran_behind_it() {
    let end = |name: &str| told(name, "pipeline_run.finished_at");
    assert_eq!(end("jenkins/completed_success"), json!("2025-12-29T10:01:30.5Z"));
    assert_eq!(end("jenkins/finalized_success"), Value::Null);
    let run = |name: &str| told(name, "pipeline_run.run_id");
    assert_eq!(run("jenkins/completed_success"), run("jenkins/finalized_success"));
    let start = told("jenkins/completed_success", "pipeline_run.started_at");
    assert_eq!(start, told("jenkins/started", "pipeline_run.started_at"));
}

#[test]
fn an_unstable_build_of_jenkins_is_a_failed_run_and_a_deployment_that_went_out() {
    let events = events_of("jenkins/deploy.unstable");
    assert_eq!(field(&events[0], "deployment.state"), json!("succeeded"));
    assert_eq!(field(&events[1], "pipeline_run.state"), json!("failed"));
}

#[test]
fn a_build_of_jenkins_deploys_by_its_parameter_or_by_its_job_and_needs_an_environment() {
    let environment = |name: &str| field(&events_of(name)[0], "deployment.environment");
    assert_eq!(environment("jenkins/deploy.by_parameter"), json!("staging"));
    assert_eq!(environment("jenkins/deploy.by_path"), json!("production"));
    // A test against an environment changes nothing there.
    assert_eq!(environment("jenkins/test_against_an_environment"), Value::Null);
    assert_eq!(environment("jenkins/deploy.without_environment"), Value::Null);
}

#[test]
fn a_build_without_its_commit_is_no_run_but_may_be_a_deployment() {
    assert_eq!(dropped(told_of("jenkins/started_before_checkout", |_| {})), "build_without_commit");
    assert_eq!(told("jenkins/deploy.without_commit", "deployment.version"), json!("1.2.3"));
    assert_eq!(told("jenkins/deploy.without_commit", "deployment.sha"), Value::Null);
    assert_eq!(told("tekton/deploy.without_commit", "deployment.environment"), json!("eu-prod"));
}

#[test]
fn an_event_of_a_cdevents_plugin_is_refused_with_the_name_of_the_source_that_reads_it() {
    rejected(told_of("jenkins/refused_cdevent", |_| {}), "unknown_event", &["`cdevents`"]);
    rejected(told_of("tekton/refused_cdevent", |_| {}), "unknown_event", &["`cdevents`"]);
}

#[test]
fn what_runs_again_is_a_run_and_a_deployment_of_its_own() {
    for (first, again, id) in [
        ("circleci/workflow.failed", "circleci/workflow.rerun_from_failed", "pipeline_run.run_id"),
        ("circleci/job.deploy_failed", "circleci/job.deploy_second_try", "deployment.deployment_id"),
        ("buildkite/build.failed", "buildkite/build.rebuilt", "pipeline_run.run_id"),
        ("buildkite/job.deploy_failed", "buildkite/job.deploy_retry", "deployment.deployment_id"),
    ] {
        assert_ne!(told(first, id), told(again, id), "{again}");
        assert_ne!(told(first, id), Value::Null, "{first}");
    }
}

#[test]
fn a_job_that_deploys_nothing_is_no_deployment() {
    for name in ["circleci/job.test", "buildkite/job.test", "buildkite/job.without_name"] {
        assert_eq!(dropped(told_of(name, |_| {})), "job_deploys_nothing", "{name}");
    }
    // What it triggers tells its own deployment: it would count twice.
    assert_eq!(dropped(told_of("buildkite/job.trigger", |_| {})), "trigger_step_not_used");
}

#[test]
fn the_name_of_a_job_says_its_environment() {
    let circleci = |name: &str| {
        let outcome = told_of("circleci/job.deploy_success", |body| body["job"]["name"] = json!(name));
        field(&emitted(outcome)[0], "deployment.environment")
    };
    assert_eq!(circleci("deploy-prod-eu"), json!("production"));
    assert_eq!(circleci("rolloutToStaging"), json!("staging"));
    assert_eq!(circleci("deploy"), json!("deploy"));
    assert_eq!(told("buildkite/job.deploy_passed", "deployment.environment"), json!("production"));
    let deployment = &events_of("tekton/deploy.by_name")[0];
    assert_eq!(field(deployment, "deployment.environment"), json!("staging"));
}

#[test]
fn circleci_tells_the_commit_in_one_of_two_places() {
    for name in ["workflow.success", "workflow.gitlab", "workflow.github_app"] {
        let sha = told(&format!("circleci/{name}"), "pipeline_run.sha");
        assert_eq!(sha, json!("c".repeat(40)), "{name}");
    }
    let repo = |name: &str| told(name, "repo");
    assert_eq!(repo("circleci/workflow.gitlab"), json!("gitlab.example.com/acme/shop"));
    // The repository that builds, and not the fork.
    assert_eq!(repo("circleci/workflow.of_a_fork"), json!("github.com/acme/shop"));
    assert_eq!(dropped(told_of("circleci/workflow.without_commit", |_| {})), "workflow_without_commit");
}

#[test]
fn what_circleci_did_not_allow_to_run_is_cancelled_and_not_failed() {
    assert_eq!(told("circleci/workflow.unauthorized", "pipeline_run.state"), json!("cancelled"));
    assert_eq!(told("circleci/job.deploy_unauthorized", "deployment.state"), json!("cancelled"));
}

#[test]
fn only_what_is_sure_is_said_to_have_set_a_deployment_off() {
    let trigger = |name: &str| told(name, "deployment.trigger");
    assert_eq!(trigger("circleci/job.deploy_success"), json!("push"));
    assert_eq!(trigger("circleci/job.deploy_by_api_elsewhere"), Value::Null);
    assert_eq!(trigger("buildkite/job.deploy_hotfix_by_hand"), json!("manual"));
    assert_eq!(trigger("buildkite/job.deploy_a_tag_by_api"), Value::Null);
}

#[test]
fn the_head_that_buildkite_was_asked_to_build_is_the_commit_that_its_agent_found() {
    assert_eq!(told("buildkite/build.of_head", "pipeline_run.sha"), json!("c".repeat(40)));
    assert_eq!(dropped(told_of("buildkite/build.of_head_unresolved", |_| {})), "build_without_commit");
}

#[test]
fn a_build_of_buildkite_that_waits_has_the_state_of_its_step_until_it_is_let_through() {
    let state = |name: &str| told(name, "pipeline_run.state");
    assert_eq!(state("buildkite/build.blocked"), json!("passed"));
    assert_eq!(state("buildkite/build.blocked_by_state"), json!("running"));
    let at = |name: &str| told(name, "occurred_at").as_str().unwrap().to_owned();
    assert!(at("buildkite/build.let_through") > at("buildkite/build.blocked"));
    let id = |name: &str| told(name, "id");
    assert_ne!(id("buildkite/build.let_through"), id("buildkite/build.blocked"));
}

#[test]
fn a_notification_of_buildkite_that_shows_a_later_state_is_a_record_of_that() {
    let late = events_of("buildkite/build.running_but_passed_since");
    assert_eq!(late, events_of("buildkite/build.passed"));
}

#[test]
fn buildkites_older_times_are_read_too() {
    let end = told("buildkite/build.older_times", "pipeline_run.finished_at");
    assert_eq!(end, json!("2025-12-29T10:05:23Z"));
}

#[test]
fn an_event_of_tekton_is_the_same_in_every_carrier() {
    let binary = events_of("tekton/run.successful");
    for name in ["structured", "structured.as_text", "structured.in_base64", "without_headers"] {
        assert_eq!(events_of(&format!("tekton/{name}")), binary, "{name}");
    }
    // Duplicates are documented: the run's own id tells them, and not the CloudEvent's.
    assert_eq!(events_of("tekton/run.started"), events_of("tekton/run.running"));
}

#[test]
fn a_run_of_tekton_that_was_stopped_is_cancelled() {
    for name in ["tekton/run.cancelled", "tekton/run.cancelled_of_old"] {
        assert_eq!(told(name, "pipeline_run.state"), json!("cancelled"), "{name}");
    }
    assert_eq!(told("tekton/run.timed_out", "pipeline_run.state"), json!("failed"));
    assert_eq!(told("tekton/run.completed_with_skipped_tasks", "pipeline_run.state"), json!("passed"));
}

#[test]
fn an_image_of_tekton_has_the_commit_that_it_was_built_from() {
    let events = events_of("tekton/run.with_images");
    assert_eq!(events.len(), 3);
    let image = |event: usize, path: &str| field(&events[event], &format!("artifact.{path}"));
    assert_eq!(image(1, "image"), json!("registry.example.com/shop:1.2.3"));
    assert_eq!(image(1, "sha"), json!("c".repeat(40)));
    // A name without a tag is no image's; its digest is enough.
    assert_eq!(image(2, "image"), Value::Null);
    assert_eq!(events_of("tekton/run.with_list_of_images"), events);
    assert_eq!(events_of("tekton/run.with_images_failed").len(), 1);
}

#[test]
fn tekton_says_commit_and_repository_by_annotations_parameters_or_results() {
    for name in ["run.successful", "run.by_parameters", "run.by_results", "run.of_v1beta1"] {
        let name = format!("tekton/{name}");
        assert_eq!(told(&name, "pipeline_run.sha"), json!("c".repeat(40)), "{name}");
    }
    // A parameter that is called `url` may lead anywhere.
    let elsewhere = told_of("tekton/run.with_url_of_elsewhere", |_| {});
    assert_eq!(dropped(elsewhere), "pipelinerun_without_repository");
}
