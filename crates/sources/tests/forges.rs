//! What is peculiar to Bitbucket, Azure DevOps and Gitea, each fact as a sentence. The deliveries lie in
//! `tests/payloads`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{dropped, emitted, events_of, field, rejected, told_of};
use serde_json::{Value, json};

#[test]
fn a_truncated_push_of_bitbucket_conducts_from_before_to_after_and_makes_no_commit_up() {
    let events = events_of("bitbucket/push.truncated");
    assert_eq!(events.len(), 6);
    assert_eq!(field(&events[0], "push.before"), json!("a".repeat(40)));
    assert_eq!(field(&events[0], "push.commits").as_array().unwrap().len(), 5);
    assert_eq!(field(&events[0], "push.commits.4"), field(&events[0], "push.after"));
    // The oldest that is listed has a parent that is not: only the push's own chain leads on to `before`.
    assert_eq!(field(&events[1], "commit.parents"), Value::Null);
    for (event, older) in events[2..].iter().zip(&events[1..]) {
        assert_eq!(field(event, "commit.parents.0"), field(older, "commit.sha"));
    }
    let merge = &events_of("bitbucket/push.truncated_at_a_merge")[1];
    assert_eq!(field(merge, "commit.parents"), Value::Null);
    assert_eq!(field(merge, "commit.is_merge"), json!(true));
    // A new branch has no `before` to be led to.
    let first = &events_of("bitbucket/push.truncated_new_branch")[1];
    assert_ne!(field(first, "commit.parents"), Value::Null);
}

#[test]
fn a_push_of_the_data_center_may_have_been_cut_where_it_lists_five() {
    let parents = |name: &str| field(&events_of(name)[1], "commit.parents");
    assert_eq!(parents("bitbucket_datacenter/refs_changed.five_of_more"), Value::Null);
    assert_ne!(parents("bitbucket_datacenter/refs_changed.five_in_all"), Value::Null);
    let older = events_of("bitbucket_datacenter/refs_changed.of_an_older_version");
    assert_eq!(older.len(), 1);
    assert_eq!(field(&older[0], "push.commits"), json!([]));
}

#[test]
fn a_head_that_the_list_leaves_out_conducts_to_before() {
    let told = |name: &str, list: &'static str| {
        let outcome = told_of(name, |body| {
            let changes = if list.is_empty() { body } else { body.pointer_mut(list).unwrap() };
            changes["commits"] = json!([]);
        });
        field(&emitted(outcome)[1], "commit.parents")
    };
    assert_eq!(told("bitbucket/push.truncated", "/push/changes/0"), Value::Null);
    assert_eq!(told("bitbucket_datacenter/refs_changed", ""), Value::Null);
    assert_ne!(told("bitbucket/push.forced", "/push/changes/0"), Value::Null);
}

#[test]
fn bitbucket_tells_no_deployment_but_the_tag_that_may_count_as_one() {
    let tag = &events_of("bitbucket/push.tag")[0];
    assert_eq!(field(tag, "source"), json!("bitbucket_tag"));
    assert_eq!(field(tag, "deployment.finished_at"), Value::Null);
    let tag = &events_of("bitbucket_datacenter/refs_changed.tag")[0];
    assert_eq!(field(tag, "source"), json!("bitbucket_datacenter_tag"));
    assert_eq!(field(tag, "deployment.sha"), json!("c".repeat(40)));
    assert_eq!(
        dropped(told_of("bitbucket/commit_status.of_another_tool", |_| {})),
        "commit_status_of_another_tool"
    );
}

#[test]
fn a_declined_pull_request_of_bitbucket_has_no_merge_commit() {
    let declined = &events_of("bitbucket/pullrequest.rejected_with_merge_sha")[0];
    assert_eq!(field(declined, "pull_request.state"), json!("closed"));
    assert_eq!(field(declined, "pull_request.merge_commit_sha"), Value::Null);
    let merged = &events_of("bitbucket/pullrequest.fulfilled")[0];
    assert_eq!(field(merged, "pull_request.merge_commit_sha"), json!("c".repeat(12)));
}

#[test]
fn the_two_bitbuckets_name_each_other_where_one_gets_the_others_deliveries() {
    rejected(told_of("bitbucket/refused_data_center", |_| {}), "unknown_event", &["bitbucket_datacenter"]);
    rejected(told_of("bitbucket_datacenter/refused_cloud", |_| {}), "unknown_event", &["`bitbucket`"]);
}

#[test]
fn a_delivery_of_bitbucket_without_its_header_is_known_by_its_shape() {
    for delivery in common::deliveries().iter().filter(|delivery| delivery.source == "bitbucket") {
        let name = delivery.name.display().to_string();
        // What was taken back, edited or resolved has the shape of what was given.
        let alike = ["unapproved", "by_app", "comment_updated", "created", "issue", "described"];
        if alike.iter().any(|word| name.contains(word)) {
            continue;
        }
        let with = common::outcome("bitbucket", &delivery.headers(), &delivery.body);
        let without = common::outcome("bitbucket", &[], &delivery.body);
        assert_eq!(common::shown(&with), common::shown(&without), "{name}");
    }
}

#[test]
fn azure_tries_a_merge_before_it_merges_and_the_trial_is_no_merge_commit() {
    let tried = &events_of("azure/git.pullrequest.merge_tried")[0];
    assert_eq!(field(tried, "pull_request.state"), json!("open"));
    assert_eq!(field(tried, "pull_request.merge_commit_sha"), Value::Null);
    let merged = &events_of("azure/git.pullrequest.completed")[0];
    assert_eq!(field(merged, "pull_request.merge_commit_sha"), json!("c".repeat(40)));
    assert_eq!(field(merged, "pull_request.merge_method"), json!("squash"));
    assert_eq!(field(merged, "occurred_at"), json!("2025-12-29T09:00:05.28Z"));
}

#[test]
fn a_vote_in_azure_is_a_review_and_neither_the_authors_own_nor_a_teams_is() {
    let states: Vec<Value> = events_of("azure/git.pullrequest.updated_votes")[1..]
        .iter()
        .map(|event| field(event, "review.state"))
        .collect();
    assert_eq!(states, [json!("approved"), json!("changes_requested")]);
    assert_eq!(events_of("azure/git.pullrequest.updated_own_vote").len(), 1);
}

#[test]
fn a_build_and_its_run_in_azure_are_one_run() {
    let build = told_of("azure/build.succeeded", |body| body["resource"]["id"] = json!(31));
    let run = &events_of("azure/run.succeeded")[0];
    assert_eq!(field(&emitted(build)[0], "pipeline_run.run_id"), field(run, "pipeline_run.run_id"));
}

#[test]
fn a_redeployment_in_azure_is_a_deployment_of_its_own() {
    let id = |name: &str| field(&events_of(name)[0], "deployment.deployment_id");
    assert_ne!(id("azure/release.succeeded"), id("azure/release.succeeded_again_by_hand"));
    assert_ne!(id("azure/stage.succeeded"), id("azure/stage.succeeded_again"));
    assert_eq!(id("azure/release.succeeded"), id("azure/release.started"));
    // Where no attempt is told, only what is over is read, by its time.
    assert_eq!(
        dropped(told_of("azure/release.started_without_attempt", |_| {})),
        "deployment_started_without_attempt"
    );
    let later = told_of("azure/release.succeeded_without_attempt", |body| {
        body["createdDate"] = json!("2025-12-29T10:00:00Z");
    });
    assert_ne!(
        field(&emitted(later)[0], "deployment.deployment_id"),
        id("azure/release.succeeded_without_attempt")
    );
}

#[test]
fn every_address_of_a_repository_in_azure_is_one_name() {
    let repo = |name: &str| field(&events_of(name)[0], "repo");
    for name in ["git.push", "git.push.new_branch", "git.push.old_host", "build.succeeded"] {
        assert_eq!(repo(&format!("azure/{name}")), json!("dev.azure.com/acme/Retail/shop"), "{name}");
    }
}

#[test]
fn gitea_lists_the_newest_five_commits_in_either_order_and_the_push_still_conducts() {
    let commits = |name: &str| field(&events_of(name)[0], "push.commits");
    assert_eq!(commits("gitea/push.branch"), commits("gitea/push.oldest_first"));
    let events = events_of("gitea/push.truncated");
    assert_eq!(events.len(), 6);
    assert_eq!(field(&events[0], "push.before"), json!("a".repeat(40)));
    assert_eq!(field(&events[0], "push.commits.4"), field(&events[0], "push.after"));
    assert!(events[1..].iter().all(|event| field(event, "commit.parents") == Value::Null));
}

#[test]
fn a_tag_of_gitea_told_by_push_and_by_create_is_one_deployment_of_the_head_commit() {
    let pushed = &events_of("gitea/push.annotated_tag")[0];
    let created = &events_of("gitea/create.tag")[0];
    assert_eq!(field(pushed, "deployment.deployment_id"), field(created, "deployment.deployment_id"));
    assert_eq!(field(pushed, "deployment.sha"), json!("c".repeat(40)));
    // It tells the tag's own object.
    assert_eq!(field(created, "deployment.sha"), Value::Null);
}

#[test]
fn the_merge_sha_of_an_unmerged_pull_request_of_gitea_is_left_out() {
    let closed = &events_of("gitea/pull_request.closed_with_merge_sha")[0];
    assert_eq!(field(closed, "pull_request.state"), json!("closed"));
    assert_eq!(field(closed, "pull_request.merge_commit_sha"), Value::Null);
}

#[test]
fn runs_of_gitea_that_share_an_id_are_told_apart_by_their_attempt() {
    let run = |name: &str, part: &str| field(&events_of(name)[0], &format!("pipeline_run.{part}"));
    let (first, second) = ("gitea/workflow_run.success", "gitea/workflow_run.failure_second_attempt");
    assert_eq!(run(first, "run_id"), run(second, "run_id"));
    assert_eq!(run(first, "attempt"), json!(1));
    assert_eq!(run(second, "attempt"), json!(2));
}

#[test]
fn a_delivery_of_gitea_without_its_header_is_known_by_its_shape() {
    for delivery in common::deliveries().iter().filter(|delivery| delivery.source == "gitea") {
        let name = delivery.name.display().to_string();
        if name.contains("refused_") {
            continue;
        }
        let with = common::outcome("gitea", &delivery.headers(), &delivery.body);
        let without = common::outcome("gitea", &[], &delivery.body);
        assert_eq!(common::shown(&with), common::shown(&without), "{name}");
    }
}
