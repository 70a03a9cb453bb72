//! The worked examples of the semantics, with numbers worked out by hand.
//!
//! Each story is told record by record, backwards, doubled, over three partitions and before its catalog, and each
//! is told to the oracle too (see `story::run_with`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::Timestamp;
use oracle::{CatalogModel, Service, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use streamgauge_tests::story::{
    REPO, Teller, Told, catalog, commit, correct, deploy, event, evidence_suffices, holds, incident,
    of_alias, of_service, reverting, run, run_through, run_with, shop, t, touching, undo, versions, with,
};

/// Where the first day of every story ends.
const TUESDAY: &str = "2026-01-06T00:00:00Z";
const ORG: &str = "org:default";

/// The scope of the service that the repository is while no catalog claims it.
fn of_repo() -> String {
    format!("service:{REPO}")
}

// Rollbacks.

#[test]
fn v1_v2_v3_v1_fails_v2_and_rolls_v3_back() {
    let told = run(&versions(&[("v1.0.0", 60), ("v2.0.0", 120), ("3.0.0", 180), ("1.0.0", 240)]));
    holds(told.deployment("d1"), json!({"failed": false, "rolled_back": false}));
    // d2 finished at 02:00, the rollback at 04:00.
    let recovered = json!({"recovered_at": "2026-01-05T04:00:00Z", "recovery_s": 7200});
    holds(
        told.deployment("d2"),
        json!({"failed": true, "failure_evidence": "rollback", "rolled_back": false}),
    );
    holds(told.deployment("d2"), recovered);
    holds(told.deployment("d3"), json!({"failed": false, "rolled_back": true}));
    holds(told.deployment("d4"), json!({"failed": false, "is_rollback": true, "is_rework": true}));

    let rate = |metric| told.step(&of_repo(), metric, "7d", TUESDAY);
    holds(rate("change_fail_rate"), json!({"value": 0.25, "samples": 4, "confirmed": 1, "inferred": 0}));
    holds(rate("rework_rate"), json!({"value": 0.25, "samples": 4}));
    holds(rate("rollback_rate"), json!({"value": 0.25, "samples": 4}));
    let gone = told.step(&of_repo(), "change_fail_rate", "7d", "2026-01-13T00:00:00Z");
    holds(gone, json!({"value": null, "samples": 0, "confirmed": 0}));
    let recovery = told.step(ORG, "recovery_time", "24h", "2026-01-05T05:00:00Z");
    holds(recovery, json!({"value": 7200, "mean": 7200, "samples": 1}));
}

#[test]
fn going_back_to_what_was_rolled_back_is_a_roll_forward() {
    let told = run(&versions(&[("1.0.0", 60), ("2.0.0", 120), ("1.0.0", 180), ("2.0.0", 240)]));
    holds(told.deployment("d2"), json!({"failed": true}));
    holds(told.deployment("d3"), json!({"is_rollback": true, "failed": false}));
    holds(told.deployment("d4"), json!({"is_rollback": false, "is_rework": false}));
}

#[test]
fn a_rollback_after_the_remediation_window_is_none() {
    let week = 7 * 1440;
    let inside = run(&versions(&[("1.0.0", 0), ("2.0.0", 60), ("1.0.0", 60 + week)]));
    holds(inside.deployment("d2"), json!({"failed": true, "recovery_s": 604_800}));
    let outside = run(&versions(&[("1.0.0", 0), ("2.0.0", 60), ("1.0.0", 61 + week)]));
    holds(outside.deployment("d2"), json!({"failed": false, "recovery_s": null}));
}

// Reverts.

#[test]
fn a_revert_of_a_revert_is_no_evidence_and_takes_none_away() {
    let told = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        reverting("rb", &["b"], 20, "b"),
        reverting("rrb", &["rb"], 30, "rb"),
        deploy("d1", "a", 60),
        deploy("d2", "b", 120),
        deploy("d3", "rb", 180),
        deploy("d4", "rrb", 240),
    ]);
    holds(told.deployment("d2"), json!({"failed": true, "failure_evidence": "reverted", "recovery_s": 3600}));
    holds(told.deployment("d3"), json!({"failed": false, "is_rework": true}));
    holds(told.deployment("d4"), json!({"failed": false, "is_rework": false}));
    // d1 is the first and ships its head after 60 minutes; b, rb and rrb lead 110, 160 and 210 minutes.
    let lead = told.step(&format!("repo:{REPO}"), "change_lead_time", "30d", TUESDAY);
    holds(lead, json!({"samples": 4, "p50": 6600, "p75": 9600, "p90": 12_600, "p95": 12_600, "mean": 8100}));
}

#[test]
fn a_reverted_commit_of_the_first_deployment_that_swallowed_it_blames_nothing() {
    let told = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        reverting("ra", &["b"], 70, "a"),
        deploy("d1", "b", 60),
        deploy("d2", "ra", 120),
    ]);
    holds(told.deployment("d1"), json!({"failed": false}));
    holds(told.deployment("d2"), json!({"is_rework": false}));
}

// Rollouts.

#[test]
fn of_a_retried_part_the_last_attempt_counts() {
    let part = |id: &str, part: &str, state: &str, started: i64, finished: i64| {
        let fields = json!({
            "rollout_id": "r", "part": part, "state": state, "started_at": t(started), "finished_at": t(finished),
        });
        with(deploy(id, "x", finished), fields)
    };
    let mut events = vec![part("p1", "eu", "failed", 10, 20), part("p2", "us", "succeeded", 11, 15)];
    // One of two parts failed: a partial rollout is no deployment, and a failed attempt.
    let told = run(&events);
    holds(told.deployment("p1"), json!({"outcome": "partial", "parts": 2}));
    let rate = |told: &Told| told.step(ORG, "deployment_success_rate", "24h", "2026-01-05T01:00:00Z").clone();
    holds(&rate(&told), json!({"value": 0, "samples": 1}));
    assert!(told.steps(ORG, "deployment_frequency", "24h").is_empty());

    events.push(part("p3", "eu", "succeeded", 25, 40));
    let told = run(&events);
    assert_eq!(told.keys("deployments").len(), 1);
    holds(
        told.deployment("p1"),
        json!({"outcome": "succeeded", "parts": 2, "rollout_id": "r", "started_at": t(10), "finished_at": t(40)}),
    );
    holds(&rate(&told), json!({"value": 1, "samples": 1}));
}

#[test]
fn targets_of_one_version_are_merged_within_half_an_hour_and_a_second_one_to_a_target_never() {
    let to = |id: &str, target: &str, finished: i64| {
        with(deploy(id, "x", finished), json!({"part": target, "version": "1.0.0"}))
    };
    // b starts at 39, 29 minutes after a's finish; c at 71, 31 after b's; d goes to where c went.
    let told = run(&[to("a", "eu", 10), to("b", "us", 40), to("c", "asia", 72), to("d", "asia", 73)]);
    assert_eq!(told.keys("deployments"), ["a", "c", "d"].map(|id| format!("{REPO} {id}")));
    holds(told.deployment("a"), json!({"finished_at": t(40), "parts": 2}));
    let count = told.step(ORG, "deployment_frequency", "24h", "2026-01-05T02:00:00Z");
    holds(count, json!({"value": 3, "samples": 3, "per_day": 3}));
}

#[test]
fn a_drill_is_invisible() {
    let mut drill = deploy("d1", "b", 60);
    drill["drill"] = json!(true);
    let told = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        drill,
        deploy("d0", "a", 5),
        deploy("d2", "b", 90),
    ]);
    holds(told.deployment("d1"), json!({"changes": null, "failed": null}));
    holds(told.changes(REPO)["b"], json!({"deployment_id": "d2", "lead_time_s": 80 * 60}));
    holds(told.step(ORG, "deployment_frequency", "7d", TUESDAY), json!({"value": 2}));
}

// Changes.

#[test]
fn the_first_deployment_ships_its_head_only() {
    let events = [
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        deploy("d1", "b", 60),
        deploy("d2", "c", 80),
    ];
    let told = run(&events);
    assert_eq!(told.shas(REPO), ["b", "c"]);
    holds(told.deployment("d1"), json!({"changes": 1}));
    // b leads from 00:10 to 01:00, c from 00:20 to 01:20.
    let lead = told.step(ORG, "change_lead_time", "7d", TUESDAY);
    holds(lead, json!({"samples": 2, "p50": 3000, "p75": 3600, "mean": 3300}));
    for (first, shipped) in [("none", vec!["c"]), ("all", vec!["a", "b", "c"])] {
        let settings = Settings { first_deployment: first.to_owned(), ..Settings::default() };
        assert_eq!(run_with(&events, &CatalogModel::default(), &settings).shas(REPO), shipped, "{first}");
    }
}

#[test]
fn a_deployment_that_lists_its_commits_ships_only_those() {
    let told = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        commit("e", &["c"], 30),
        deploy("d1", "a", 60),
        with(deploy("d2", "c", 80), json!({"commits": ["c", "never-seen"]})),
        deploy("d3", "e", 90),
    ]);
    // b is labelled by d2, which does not list it: nobody ships it.
    assert_eq!(told.shas(REPO), ["a", "c", "e", "never-seen"]);
    holds(told.changes(REPO)["c"], json!({"lead_time_s": 3600, "deployment_id": "d2"}));
    holds(told.changes(REPO)["never-seen"], json!({"lead_time_s": null, "deployment_id": "d2"}));
    holds(told.deployment("d2"), json!({"changes": 2}));
    // Three of the four have a lead time: 60, 60 and 60 minutes.
    holds(told.step(ORG, "change_lead_time", "7d", TUESDAY), json!({"samples": 3, "p50": 3600, "p95": 3600}));
}

#[test]
fn a_deployment_with_an_unknown_head_ships_null_changes_and_is_not_the_first() {
    let mut events = vec![
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        deploy("d1", "nobody-knows", 20),
        deploy("d2", "a", 30),
        deploy("d3", "b", 40),
    ];
    let told = run(&events);
    holds(told.deployment("d1"), json!({"changes": null, "outcome": "succeeded"}));
    holds(told.deployment("d2"), json!({"changes": 1}));
    holds(told.deployment("d3"), json!({"changes": 1}));
    // It counts as a deployment all the same.
    holds(told.step(ORG, "deployment_frequency", "7d", TUESDAY), json!({"value": 3}));
    holds(told.step(ORG, "change_lead_time", "7d", TUESDAY), json!({"samples": 2, "p50": 1800}));
    // When its commit becomes known it is the first, which ships its head, and the next ships what is left: here
    // nothing, as a lies behind that head.
    events.push(commit("nobody-knows", &["a"], 15));
    let told = run(&events);
    holds(told.deployment("d1"), json!({"changes": 1}));
    holds(told.deployment("d2"), json!({"changes": 0}));
    assert_eq!(told.shas(REPO), ["b", "nobody-knows"]);
}

/// As Argo CD and Flux tell it: a digest, and no commit, for theirs would be the configuration repository's.
#[test]
fn a_deployment_that_names_a_digest_ships_the_commit_that_its_artifact_was_built_from() {
    let by_digest = with(deploy("d2", "", 30), json!({"sha": null, "digest": "sha256:ab"}));
    let mut events = vec![commit("a", &[], 0), commit("b", &["a"], 10), deploy("d1", "a", 20), by_digest];
    // Nothing tells what the image was built from: no changes and no lead time, and not the minutes since any commit.
    let told = run(&events);
    holds(told.deployment("d2"), json!({"changes": null, "outcome": "succeeded"}));
    assert_eq!(told.shas(REPO), ["a"]);
    holds(told.step(ORG, "change_lead_time", "7d", TUESDAY), json!({"samples": 1, "p50": 1200}));
    // The registry tells it later: 30 - 10 minutes.
    events.push(event("artifact", "built", 40, json!({"digest": "sha256:ab", "sha": "b"})));
    let told = run(&events);
    holds(told.deployment("d2"), json!({"changes": 1}));
    holds(told.changes(REPO)["b"], json!({"lead_time_s": 1200, "deployment_id": "d2"}));
}

#[test]
fn pushes_make_commits_known_and_chains_are_edges() {
    let push = json!({"ref": "refs/heads/main", "before": "a", "after": "c", "commits": ["b", "c"]});
    let told = run(&[
        commit("a", &[], 0),
        event("push", "p", 5, push),
        deploy("d1", "a", 10),
        deploy("d2", "c", 20),
    ]);
    assert_eq!(told.shas(REPO), ["a", "b", "c"]);
    holds(told.changes(REPO)["b"], json!({"lead_time_s": null}));
    holds(told.deployment("d2"), json!({"changes": 2}));
}

#[test]
fn a_squashed_pull_request_starts_with_its_earliest_commit() {
    let pull_request = json!({
        "number": 7, "state": "merged", "opened_at": t(30), "merged_at": t(90), "head_ref": "topic",
        "base_ref": "main", "head_sha": "x2", "merge_commit_sha": "s", "merge_method": "squash",
        "commits": [{"sha": "x1", "committed_at": t(5)}, {"sha": "x2", "committed_at": t(25)}],
    });
    let review = |id: &str, at: i64| {
        event("review", id, at, json!({"number": 7, "submitted_at": t(at), "state": "approved"}))
    };
    let told = run(&[
        commit("a", &[], 0),
        commit("s", &["a"], 90),
        event("pull_request", "pr7", 90, pull_request),
        review("late", 90),
        review("early", 50),
        deploy("d1", "a", 2),
        deploy("d2", "s", 120),
    ]);
    // 00:05 to 02:00.
    let change = json!({"lead_time_s": 6900, "start_evidence": "pr_first_commit", "pull_request": 7});
    holds(told.changes(REPO)["s"], change);
    holds(
        told.row("pull_requests", &format!("{REPO} 7")),
        json!({
            "coding_s": 1500, "pickup_s": 1200, "review_s": 2400, "waiting_s": 1740, "deploying_s": 60,
            "lead_time_s": 6900, "deployment_id": "d2", "skewed": false,
        }),
    );
}

fn monorepo() -> CatalogModel {
    let service = |name: &str| Service {
        name: name.to_owned(),
        repositories: vec![(REPO.to_owned(), vec![format!("services/{name}/**"), "lib/**".to_owned()])],
        tags: BTreeMap::from([("layer".to_owned(), "application".to_owned())]),
        ..Service::default()
    };
    catalog(vec![service("cart"), service("checkout")])
}

#[test]
fn a_commit_of_a_monorepo_that_two_services_ship_is_two_changes() {
    let events = [
        touching("a", &[], 0, "lib/x.rs"),
        touching("b", &["a"], 10, "services/cart/main.rs"),
        touching("c", &["b"], 20, "lib/x.rs"),
        commit("pathless", &["c"], 30),
        of_service(deploy("1", "a", 40), "cart"),
        of_service(deploy("1", "a", 40), "checkout"),
        of_service(deploy("2", "pathless", 60), "cart"),
        of_service(deploy("2", "pathless", 80), "checkout"),
        deploy("nobody", "c", 90),
    ];
    let told = run_with(&events, &monorepo(), &Settings::default());
    assert_eq!((told.shas("cart"), told.shas("checkout")), (vec!["a", "b", "c"], vec!["a", "c"]));
    // c reached production with cart at 01:00 and with checkout at 01:20.
    holds(told.changes("cart")["c"], json!({"lead_time_s": 2400}));
    holds(told.changes("checkout")["c"], json!({"lead_time_s": 3600}));
    let repo = format!("repo:{REPO}");
    let scopes = ["service:cart", "service:checkout", ORG, &repo, "tag:layer=application"];
    for (scope, samples) in scopes.into_iter().zip([3, 2, 5, 5, 5]) {
        holds(told.step(scope, "change_lead_time", "90d", TUESDAY), json!({"samples": samples}));
    }
    // A deployment that names only a repository of two services waits.
    assert_eq!(told.parked, ["ambiguous_repository"]);
}

// Corrections.

#[test]
fn a_correction_to_staging_takes_a_deployment_out_after_it_counted_and_its_undo_brings_it_back() {
    let mut events = vec![
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        deploy("d1", "a", 30),
        deploy("d2", "b", 40),
        deploy("d3", "c", 50),
    ];
    let numbers = |told: &Told| {
        let changes = ["d2", "d3"].map(|id| told.deployment(id)["changes"].clone());
        let count = told.step(ORG, "deployment_frequency", "7d", TUESDAY)["value"].clone();
        let lead = told.step(ORG, "change_lead_time", "7d", TUESDAY)["mean"].clone();
        (changes, count, lead)
    };
    // Lead times: a 30, b 30, c 30 minutes.
    let production = ([json!(1), json!(1)], json!(3.0), json!(1800.0));
    // b waits for d3: 40 minutes.
    let staging = ([json!(null), json!(2)], json!(2.0), json!(2000.0));
    assert_eq!(numbers(&run(&events)), production);
    events.push(correct("c1", "deployment", "d2", 43_200, json!({"tier": "staging"})));
    let told = run(&events);
    assert_eq!(numbers(&told), staging);
    holds(told.deployment("d2"), json!({"tier": "staging", "failed": null}));
    events.push(undo("c2", "c1", "deployment", "d2", 43_210));
    assert_eq!(numbers(&run(&events)), production);
    events.push(undo("c3", "c2", "deployment", "d2", 43_220));
    assert_eq!(numbers(&run(&events)), staging);
}

#[test]
fn a_cleared_deployment_is_blamed_by_no_incident_and_nobody_is_instead() {
    let told = run(&[
        deploy("d1", "x", 0),
        deploy("d2", "y", 10),
        incident("i", "open", 20, json!({})),
        correct("c", "deployment", "d2", 30, json!({"failed": false})),
    ]);
    holds(told.deployment("d2"), json!({"failed": false, "failure_evidence": "manual"}));
    holds(told.deployment("d1"), json!({"failed": false}));
    holds(told.incident("i"), json!({"deployment_id": null}));
}

// Incidents.

#[test]
fn a_reclassified_incident_takes_its_blame_its_recovery_and_both_windows_away() {
    let mut events = vec![
        deploy("d1", "x", 0),
        incident("i", "open", 20, json!({"cause": "unknown"})),
        incident("i", "resolved", 50, json!({})),
    ];
    let told = run(&events);
    holds(told.deployment("d1"), json!({"failed": true, "failure_evidence": "temporal", "recovery_s": 3000}));
    let rate = |told: &Told| told.step(ORG, "change_fail_rate", "24h", "2026-01-05T01:00:00Z").clone();
    holds(&rate(&told), json!({"value": 1, "samples": 1, "inferred": 1, "confirmed": 0}));
    holds(told.step(ORG, "recovery_time", "7d", TUESDAY), json!({"value": 3000}));

    events.push(correct("c", "incident", "i", 43_200, json!({"cause": "capacity"})));
    let told = run(&events);
    holds(told.deployment("d1"), json!({"failed": false, "failure_evidence": null, "recovered_at": null}));
    holds(&rate(&told), json!({"value": 0, "samples": 1, "inferred": 0}));
    assert!(told.steps(ORG, "recovery_time", "7d").is_empty());
    // Time to restore asks for no cause: 00:20 to 00:50.
    holds(told.incident("i"), json!({"deployment_id": null, "cause": "capacity"}));
    holds(told.step(ORG, "time_to_restore", "7d", TUESDAY), json!({"value": 1800, "samples": 1}));
}

#[test]
fn a_reopened_incident_is_open_until_it_is_resolved_again() {
    let mut events = vec![
        deploy("d1", "x", 0),
        incident("i", "open", 60, json!({"started_at": t(30)})),
        incident("i", "resolved", 90, json!({"resolved_at": t(85)})),
    ];
    let told = run(&events);
    let temporal = json!({"failure_evidence": "temporal", "recovery_s": 5100, "impact_to_recovery_s": 3300});
    holds(told.deployment("d1"), temporal);
    events.push(incident("i", "open", 100, json!({})));
    let told = run(&events);
    holds(told.deployment("d1"), json!({"failed": true, "recovered_at": null}));
    holds(told.incident("i"), json!({"status": "open", "resolved_at": null}));
    assert!(told.steps(ORG, "time_to_restore", "7d").is_empty());
    // Resolved once more, without a time of its own: it ended when that was first said.
    events.push(incident("i", "resolved", 150, json!({})));
    events.push(incident("i", "resolved", 160, json!({})));
    let told = run(&events);
    holds(told.incident("i"), json!({"time_to_restore_s": 120 * 60}));
    holds(told.deployment("d1"), json!({"recovery_s": 150 * 60, "impact_to_recovery_s": 120 * 60}));
}

#[test]
fn late_incident_turns_an_old_deployment_into_a_failed_one() {
    let catalog = catalog(vec![Service { incident_source: true, ..shop() }]);
    let two = [deploy("d1", "x", 0), deploy("d2", "y", 120)];
    let told = |incident: Option<Value>| {
        let events: Vec<Value> = two.iter().cloned().chain(incident).collect();
        run_with(&events, &catalog, &Settings::default())
    };
    let rate =
        |told: &Told| told.step("service:shop", "change_fail_rate", "24h", "2026-01-05T03:00:00Z").clone();
    holds(&rate(&told(None)), json!({"value": 0, "samples": 2, "inferred": 0}));
    // Told 30 days later: it started four hours after d1 to the second, but d2 had replaced d1.
    let after = told(Some(incident("i", "open", 43_200, json!({"started_at": t(240)}))));
    holds(&rate(&after), json!({"value": 0.5, "samples": 2, "inferred": 1}));
    holds(after.deployment("d1"), json!({"failed": false}));
    holds(after.deployment("d2"), json!({"failed": true}));
    // Four hours after d2 is within, one second more blames nobody.
    let inclusive = told(Some(incident("i", "open", 43_200, json!({"started_at": "2026-01-05T06:00:00Z"}))));
    holds(inclusive.deployment("d2"), json!({"failed": true}));
    let outside = told(Some(incident("i", "open", 43_200, json!({"started_at": "2026-01-05T06:00:01Z"}))));
    holds(outside.deployment("d2"), json!({"failed": false}));
    holds(&rate(&outside), json!({"value": 0, "samples": 2}));
}

#[test]
fn a_dependency_is_blamed_by_the_same_rule() {
    let web = Service { name: "web".to_owned(), dependencies: vec!["db".to_owned()], ..Service::default() };
    let db = Service { name: "db".to_owned(), ..Service::default() };
    let catalog = catalog(vec![web, db]);
    let settings = Settings { blame_dependencies: true, ..evidence_suffices() };
    // w finished at 00:00, d at 00:05; the incident lasts from 00:20 to 00:40.
    for (cause, recoveries) in [
        ("unknown", [json!(2400), json!(2100)]),
        ("dependency", [json!(null), json!(2100)]),
        ("capacity", [json!(null), json!(null)]),
    ] {
        let events = [
            of_service(deploy("w", "x", 0), "web"),
            of_service(deploy("d", "y", 5), "db"),
            of_service(incident("i", "open", 20, json!({"cause": cause})), "web"),
            of_service(incident("i", "resolved", 40, json!({})), "web"),
        ];
        let told = run_with(&events, &catalog, &settings);
        for (id, recovery) in ["w", "d"].into_iter().zip(recoveries) {
            holds(told.deployment(id), json!({"failed": !recovery.is_null(), "recovery_s": recovery}));
        }
    }
}

#[test]
fn linked_records_are_one_incident_under_the_target_of_the_duplicate() {
    let told = run(&[
        incident("alert", "open", 0, json!({})),
        incident("page", "acknowledged", 5, json!({"links": ["alert"]})),
        incident("ticket", "resolved", 30, json!({})),
        correct("c", "incident", "ticket", 40, json!({"duplicate_of": "page"})),
    ]);
    assert_eq!(told.keys("incidents"), ["page"]);
    let one =
        json!({"members": ["alert", "page", "ticket"], "status": "resolved", "time_to_restore_s": 1800});
    holds(told.incident("page"), one);
    holds(told.step(ORG, "time_to_restore", "7d", TUESDAY), json!({"samples": 1, "p50": 1800}));
}

#[test]
fn an_incident_that_names_a_sha_blames_the_deployment_that_shipped_it() {
    let told = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 1),
        commit("c", &["b"], 2),
        deploy("d1", "a", 10),
        deploy("d2", "c", 20),
        deploy("d3", "c", 30),
        incident("i", "open", 40, json!({"names": {"version": "9.9.9", "sha": "b"}, "cause": "capacity"})),
    ]);
    holds(told.deployment("d2"), json!({"failed": true, "failure_evidence": "explicit"}));
    holds(told.incident("i"), json!({"deployment_id": "d2"}));
}

#[test]
fn without_a_failure_source_a_service_has_no_fail_rate_and_all_else() {
    let mut events: Vec<Value> = versions(&[("1.0.0", 0), ("2.0.0", 10), ("1.0.0", 50)]);
    let of =
        |events: &[Value], service: Service| run_with(events, &catalog(vec![service]), &Settings::default());
    let metrics = ["change_fail_rate", "rework_rate", "recovery_time"];
    let told = of(&events, shop());
    for metric in metrics {
        for scope in ["service:shop", ORG] {
            assert!(told.steps(scope, metric, "7d").is_empty(), "{scope} {metric}");
        }
    }
    // The fact knows it, and what asks for no failure source counts.
    holds(told.deployment("d2"), json!({"failed": true, "recovery_s": 2400}));
    holds(told.step("service:shop", "deployment_frequency", "7d", TUESDAY), json!({"value": 3}));
    holds(
        told.step("service:shop", "rollback_rate", "7d", TUESDAY),
        json!({"value": 1.0 / 3.0, "samples": 3}),
    );

    // What the catalog says is enough, and so is a first incident, even one that blames nobody.
    let third = |told: &Told| {
        let rate = json!({"value": 1.0 / 3.0, "samples": 3});
        holds(told.step("service:shop", "change_fail_rate", "7d", TUESDAY), rate.clone());
        holds(told.step("service:shop", "rework_rate", "7d", TUESDAY), rate);
        holds(
            told.step("service:shop", "recovery_time", "7d", TUESDAY),
            json!({"value": 2400, "samples": 1}),
        );
    };
    third(&of(&events, Service { incident_source: true, ..shop() }));
    third(&of(&events, Service { failure_evidence_suffices: Some(true), ..shop() }));
    events.push(incident("i", "open", 43_200, json!({"cause": "capacity"})));
    third(&of(&events, shop()));
}

// Time.

#[test]
fn a_day_of_25_hours_ends_25_hours_after_it_began_and_one_of_23_after_23() {
    let at = |id: &str, time: &str| {
        let mut event = with(deploy(id, "x", 0), json!({"started_at": time, "finished_at": time}));
        event["occurred_at"] = json!(time);
        event["observed_at"] = json!(time);
        event
    };
    let settings = Settings { timezone: "Europe/Berlin".to_owned(), ..Settings::default() };
    let days = |times: [&str; 3]| {
        let events: Vec<Value> =
            ["first", "last", "next"].into_iter().zip(times).map(|(i, t)| at(i, t)).collect();
        run_with(&events, &CatalogModel::default(), &settings)
    };
    let count = |told: &Told, as_of: &str| told.step(ORG, "deployment_frequency", "7d", as_of).clone();
    // Europe/Berlin leaves summer time on 2026-10-25: that day lasts from 22:00Z to 23:00Z.
    let told = days(["2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z", "2026-10-25T23:00:00Z"]);
    let two = json!({"value": 2, "days_with": 1, "per_day": 2.0 / 7.0});
    holds(&count(&told, "2026-10-25T23:00:00Z"), two.clone());
    holds(&count(&told, "2026-10-26T23:00:00Z"), json!({"value": 3, "days_with": 2}));
    // Seven days after each day of data a row says that it left.
    assert_eq!(
        told.steps(ORG, "deployment_frequency", "7d"),
        ["2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z", "2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z"]
    );
    // It enters summer time on 2026-03-29: that day lasts from 23:00Z to 22:00Z.
    let told = days(["2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z", "2026-03-29T22:00:00Z"]);
    holds(&count(&told, "2026-03-29T22:00:00Z"), two);
    holds(&count(&told, "2026-03-30T22:00:00Z"), json!({"value": 3, "days_with": 2}));
}

// Pipelines.

#[test]
fn a_sha_that_failed_and_later_passed_is_flaky_where_its_last_run_finished() {
    let attempt = |attempt: u64, state: &str, started: i64, finished: i64| {
        let body = json!({
            "run_id": "1", "attempt": attempt, "workflow": "ci", "sha": "a", "state": state,
            "started_at": t(started), "finished_at": t(finished),
        });
        event("pipeline_run", &format!("r{attempt}"), finished, body)
    };
    let told = run(&[attempt(1, "failed", 0, 10), attempt(2, "passed", 70, 90)]);
    let scope = format!("repo:{REPO}");
    let row = |metric| told.step(&scope, metric, "24h", "2026-01-05T02:00:00Z");
    holds(row("flaky_rate"), json!({"value": 1, "samples": 1}));
    holds(row("pipeline_success_rate"), json!({"value": 0.5, "samples": 2}));
    holds(row("time_in_ci"), json!({"p50": 600, "p75": 1200, "mean": 900}));
}

// Ownership.

fn owned_by(teams: Vec<(i64, &str)>) -> CatalogModel {
    let teams = teams.into_iter().map(|(from, team)| (from, team.to_owned())).collect();
    CatalogModel {
        group_of_team: BTreeMap::from([("old".to_owned(), "retail".to_owned())]),
        group_parents: BTreeMap::from([("retail".to_owned(), "business".to_owned())]),
        ..catalog(vec![Service { teams, ..shop() }])
    }
}

/// How many deployments each scope has over 30 days; `None` where it has no row.
fn counts<const N: usize>(told: &Told, scopes: [&str; N]) -> [Option<f64>; N] {
    scopes.map(|scope| {
        let any = !told.steps(scope, "deployment_frequency", "30d").is_empty();
        any.then(|| told.step(scope, "deployment_frequency", "30d", TUESDAY)["value"].as_f64().unwrap())
    })
}

#[test]
fn ownership_is_taken_when_the_contribution_is_placed() {
    let moved = Timestamp::parse(&t(60)).unwrap().micros();
    let events = [deploy("d1", "x", 59), deploy("d2", "x", 60)];
    let told = run_with(&events, &owned_by(vec![(i64::MIN, "old"), (moved, "new")]), &Settings::default());
    holds(told.deployment("d1"), json!({"team": "old"}));
    holds(told.deployment("d2"), json!({"team": "new"}));
    assert_eq!(
        counts(&told, ["team:old", "team:new", "group:business", "service:shop"]),
        [Some(1.0), Some(1.0), Some(1.0), Some(2.0)]
    );
}

#[test]
fn a_team_that_hands_a_service_over_hands_its_windows_over() {
    let scopes = ["team:old", "team:new", "group:retail", "group:business", "service:shop"];
    let events = [deploy("d1", "x", 59), deploy("d2", "x", 60)];
    let (old, new) = (owned_by(vec![(i64::MIN, "old")]), owned_by(vec![(i64::MIN, "new")]));
    let (before, after) = run_through(&events, &old, &new, &Settings::default());
    assert_eq!(counts(&before, scopes), [Some(2.0), None, Some(2.0), Some(2.0), Some(2.0)]);
    assert_eq!(counts(&after, scopes), [None, Some(2.0), None, None, Some(2.0)]);
    holds(after.deployment("d1"), json!({"team": "new"}));
    // From a time on: what was placed before stays.
    let moved = Timestamp::parse(&t(60)).unwrap().micros();
    let dated = owned_by(vec![(i64::MIN, "old"), (moved, "new")]);
    let (_, after) = run_through(&events, &old, &dated, &Settings::default());
    assert_eq!(counts(&after, scopes), [Some(1.0), Some(1.0), Some(1.0), Some(1.0), Some(2.0)]);
}

#[test]
fn an_alias_claimed_later_lets_parked_events_join() {
    let events = [
        deploy("d1", "x", 0),
        of_alias(incident("i", "open", 20, json!({})), "pagerduty:P1"),
        of_alias(incident("i", "resolved", 50, json!({})), "pagerduty:P1"),
    ];
    let unclaimed = catalog(vec![Service { incident_source: true, ..shop() }]);
    let claimed =
        catalog(vec![Service { aliases: vec!["pagerduty:P1".to_owned()], ..unclaimed.services[0].clone() }]);
    let (before, after) = run_through(&events, &unclaimed, &claimed, &Settings::default());
    let rate = |told: &Told| told.step("service:shop", "change_fail_rate", "7d", TUESDAY).clone();
    assert_eq!((before.parked.len(), before.keys("incidents").len()), (2, 0));
    holds(&rate(&before), json!({"value": 0, "samples": 1}));
    assert_eq!((after.parked.len(), after.keys("incidents")), (0, vec!["i"]));
    holds(&rate(&after), json!({"value": 1, "samples": 1, "inferred": 1}));
    holds(after.deployment("d1"), json!({"failed": true, "recovery_s": 3000}));
    // Given back, they wait again.
    let (_, again) = run_through(&events, &claimed, &unclaimed, &Settings::default());
    assert_eq!(again.parked.len(), 2);
    holds(again.deployment("d1"), json!({"failed": false}));
}

#[test]
fn a_repository_that_another_service_claims_takes_its_facts_along() {
    let events = [commit("a", &[], 0), commit("b", &["a"], 10), deploy("d1", "a", 30), deploy("d2", "b", 40)];
    let till = catalog(vec![Service { name: "till".to_owned(), ..shop() }]);
    let (before, after) = run_through(&events, &catalog(vec![shop()]), &till, &Settings::default());
    let scopes = ["service:shop", "service:till", ORG];
    assert_eq!(counts(&before, scopes), [Some(2.0), None, Some(2.0)]);
    assert_eq!(counts(&after, scopes), [None, Some(2.0), Some(2.0)]);
    assert_eq!((before.shas("shop"), after.shas("shop")), (vec!["a", "b"], vec![]));
    assert_eq!((before.shas("till"), after.shas("till")), (vec![], vec!["a", "b"]));
}

#[test]
fn an_alias_that_nobody_claims_is_parked_and_an_unknown_name_is_a_service() {
    let told = run(&[of_alias(incident("i", "open", 0, json!({})), "pagerduty:P1")]);
    assert_eq!((told.keys("incidents").len(), told.parked.len()), (0, 1));
    let told = run(&[of_alias(incident("i", "open", 0, json!({})), "somewhere")]);
    holds(told.incident("i"), json!({"service": "somewhere"}));
}

#[test]
fn a_parked_event_says_what_would_let_it_join() {
    let mut teller = Teller::new(&catalog(vec![shop()]), &Settings::default(), 3);
    teller.tell(&of_alias(incident("i", "open", 0, json!({})), "pagerduty:P1"));
    let claims = |teller: &mut Teller| {
        let rows = teller.tables().rows.values();
        let claims = rows.filter_map(|row| match row {
            model::fact::Row::ParkedEvent(row) => row.claim.as_ref().map(ToString::to_string),
            _ => None,
        });
        claims.collect::<Vec<_>>()
    };
    assert_eq!(claims(&mut teller), ["pagerduty:P1"]);
    teller.follow(&catalog(vec![Service { aliases: vec!["pagerduty:P1".to_owned()], ..shop() }]));
    assert!(claims(&mut teller).is_empty());
}
