//! The worked examples of the semantics, with numbers worked out by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use streamgauge_oracle::{CatalogModel, Input, Service, Settings, Tables, compute, glob_matches};

const REPO: &str = "github.com/acme/shop";

/// Minutes after 2026-01-05T00:00:00Z.
fn t(minutes: i64) -> String {
    let start: jiff::Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
    jiff::Timestamp::from_second(start.as_second() + minutes * 60).unwrap().to_string()
}

fn event(kind: &str, id: &str, minutes: i64, body: Value) -> Value {
    let mut event = json!({
        "id": id, "type": kind, "occurred_at": t(minutes), "observed_at": t(minutes), "source": "test", "repo": REPO,
    });
    event[kind] = body;
    event
}

/// Adds or replaces fields of an event's own object.
fn with(mut event: Value, fields: Value) -> Value {
    let kind = event["type"].as_str().unwrap().to_owned();
    for (name, value) in fields.as_object().unwrap() {
        event[kind.as_str()][name] = value.clone();
    }
    event
}

fn of_service(mut event: Value, service: &str) -> Value {
    event["service"] = json!(service);
    event
}

fn commit(sha: &str, parents: &[&str], minutes: i64) -> Value {
    event("commit", sha, minutes, json!({"sha": sha, "parents": parents, "committed_at": t(minutes)}))
}

/// A production deployment that succeeds within one minute.
fn deploy(id: &str, sha: &str, finished: i64) -> Value {
    let body = json!({
        "deployment_id": id, "environment": "production", "sha": sha, "state": "succeeded",
        "started_at": t(finished - 1), "finished_at": t(finished),
    });
    event("deployment", id, finished, body)
}

fn incident(id: &str, state: &str, at: i64, fields: Value) -> Value {
    let id_at = format!("{id}-{state}-{at}");
    with(
        event("incident", &id_at, at, json!({"incident_id": id, "state": state, "severity": "sev2"})),
        fields,
    )
}

fn correct(id: &str, target: &str, target_id: &str, at: i64, set: Value) -> Value {
    let body = json!({"target": target, "target_id": target_id, "set": set, "reason": "said so"});
    event("correction", id, at, body)
}

fn run_with(events: &[Value], catalog: &CatalogModel, settings: &Settings) -> Tables {
    let tables = compute(&Input { events, catalog, definitions: settings });
    // The one law: backwards and doubled is the same.
    let mut again: Vec<Value> = events.iter().rev().cloned().collect();
    again.extend(events.iter().cloned());
    assert_eq!(tables, compute(&Input { events: &again, catalog, definitions: settings }));
    tables
}

fn run(events: &[Value]) -> Tables {
    let settings = Settings { failure_evidence_suffices: true, ..Settings::default() };
    run_with(events, &CatalogModel::default(), &settings)
}

fn deployment<'a>(tables: &'a Tables, id: &str) -> &'a Value {
    tables.deployments.iter().find(|((_, other), _)| other == id).map(|(_, row)| row).unwrap()
}

fn changes(tables: &Tables, service: &str) -> BTreeMap<String, Value> {
    let own = tables.changes.iter().filter(|((s, _, _), _)| s == service);
    own.map(|((_, _, sha), row)| (sha.clone(), row.clone())).collect()
}

fn step<'a>(tables: &'a Tables, scope: &str, metric: &str, window: &str, as_of: &str) -> &'a Value {
    let key = (scope.to_owned(), metric.to_owned(), window.to_owned(), as_of.to_owned());
    tables.steps.get(&key).unwrap_or_else(|| panic!("no step {key:?}"))
}

fn versions(list: &[(&str, i64)]) -> Vec<Value> {
    let one = |(i, (version, at)): (usize, &(&str, i64))| {
        with(deploy(&format!("d{}", i + 1), "unknown", *at), json!({"version": version}))
    };
    list.iter().enumerate().map(one).collect()
}

#[test]
fn v1_v2_v3_v1_fails_v2_and_rolls_v3_back() {
    let tables = run(&versions(&[("v1.0.0", 60), ("v2.0.0", 120), ("3.0.0", 180), ("1.0.0", 240)]));
    let [d1, d2, d3, d4] = ["d1", "d2", "d3", "d4"].map(|id| deployment(&tables, id));
    assert_eq!((&d1["failed"], &d3["failed"], &d4["failed"]), (&json!(false), &json!(false), &json!(false)));
    assert_eq!((&d2["failed"], &d2["failure_evidence"]), (&json!(true), &json!("rollback")));
    assert_eq!((&d3["rolled_back"], &d2["rolled_back"]), (&json!(true), &json!(false)));
    assert_eq!((&d4["is_rollback"], &d4["is_rework"]), (&json!(true), &json!(true)));
    // d2 finished at 02:00, the rollback at 04:00.
    assert_eq!((&d2["recovered_at"], &d2["recovery_s"]), (&json!("2026-01-05T04:00:00Z"), &json!(7200)));
    let scope = format!("service:{REPO}");
    let rate = step(&tables, &scope, "change_fail_rate", "7d", "2026-01-06T00:00:00Z");
    assert_eq!((&rate["value"], &rate["samples"], &rate["confirmed"]), (&json!(0.25), &json!(4), &json!(1)));
    let gone = step(&tables, &scope, "change_fail_rate", "7d", "2026-01-13T00:00:00Z");
    assert_eq!((&gone["value"], &gone["samples"], &gone["confirmed"]), (&json!(null), &json!(0), &json!(0)));
    let recovery = step(&tables, "org:default", "recovery_time", "24h", "2026-01-05T05:00:00Z");
    assert_eq!((&recovery["value"], &recovery["mean"]), (&json!(7200.0), &json!(7200.0)));
}

#[test]
fn going_back_to_what_was_rolled_back_is_a_roll_forward() {
    let tables = run(&versions(&[("1.0.0", 60), ("2.0.0", 120), ("1.0.0", 180), ("2.0.0", 240)]));
    assert_eq!(deployment(&tables, "d3")["is_rollback"], true);
    assert_eq!(deployment(&tables, "d4")["is_rollback"], false);
    assert_eq!(deployment(&tables, "d3")["failed"], false);
}

#[test]
fn a_rollback_after_the_remediation_window_is_none() {
    let week = 7 * 1440;
    let inside = run(&versions(&[("1.0.0", 0), ("2.0.0", 60), ("1.0.0", 60 + week)]));
    assert_eq!(deployment(&inside, "d2")["failed"], true);
    let outside = run(&versions(&[("1.0.0", 0), ("2.0.0", 60), ("1.0.0", 61 + week)]));
    assert_eq!(deployment(&outside, "d2")["failed"], false);
}

#[test]
fn a_revert_of_a_revert_is_no_evidence_and_takes_none_away() {
    let tables = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        with(commit("rb", &["b"], 20), json!({"reverts": ["b"]})),
        with(commit("rrb", &["rb"], 30), json!({"reverts": ["rb"]})),
        deploy("d1", "a", 60),
        deploy("d2", "b", 120),
        deploy("d3", "rb", 180),
        deploy("d4", "rrb", 240),
    ]);
    assert_eq!(deployment(&tables, "d2")["failure_evidence"], "reverted");
    assert_eq!(deployment(&tables, "d2")["recovery_s"], 3600);
    assert_eq!(deployment(&tables, "d3")["failed"], false);
    assert_eq!(deployment(&tables, "d3")["is_rework"], true);
    assert_eq!(deployment(&tables, "d4")["is_rework"], false);
    // d1 is the first and ships its head; b, rb, rrb lead 110, 160 and 210 minutes.
    let lead = step(&tables, &format!("repo:{REPO}"), "change_lead_time", "30d", "2026-01-06T00:00:00Z");
    assert_eq!((&lead["samples"], &lead["p50"], &lead["p75"]), (&json!(4), &json!(6600), &json!(9600)));
    assert_eq!((&lead["p90"], &lead["mean"]), (&json!(12600), &json!(8100.0)));
}

#[test]
fn a_reverted_commit_of_the_first_deployment_that_swallowed_it_blames_nothing() {
    let tables = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        with(commit("ra", &["b"], 70), json!({"reverts": ["a"]})),
        deploy("d1", "b", 60),
        deploy("d2", "ra", 120),
    ]);
    assert_eq!(deployment(&tables, "d1")["failed"], false);
}

#[test]
fn of_a_retried_part_the_last_attempt_counts() {
    let part = |id: &str, part: &str, state: &str, started: i64, finished: i64| {
        let fields = json!({
            "rollout_id": "r", "part": part, "state": state, "started_at": t(started), "finished_at": t(finished),
        });
        with(deploy(id, "x", finished), fields)
    };
    let tables = run(&[
        part("p1", "eu", "failed", 10, 20),
        part("p2", "us", "succeeded", 11, 15),
        part("p3", "eu", "succeeded", 25, 40),
    ]);
    assert_eq!(tables.deployments.len(), 1);
    let d = deployment(&tables, "p1");
    assert_eq!((&d["outcome"], &d["parts"], &d["rollout_id"]), (&json!("succeeded"), &json!(2), &json!("r")));
    assert_eq!((&d["started_at"], &d["finished_at"]), (&json!(t(10)), &json!(t(40))));
    // Unknown head, no list.
    assert_eq!(d["changes"], json!(null));
}

#[test]
fn targets_of_one_version_are_merged_within_half_an_hour_and_a_second_one_to_a_target_never() {
    let to = |id: &str, target: &str, finished: i64| {
        with(deploy(id, "x", finished), json!({"part": target, "version": "1.0.0"}))
    };
    // b starts at 39, 29 minutes after a's finish; c at 71, 31 after b's; d goes to where c went.
    let tables = run(&[to("a", "eu", 10), to("b", "us", 40), to("c", "asia", 72), to("d", "asia", 73)]);
    let ids: Vec<&String> = tables.deployments.keys().map(|(_, id)| id).collect();
    assert_eq!(ids, ["a", "c", "d"]);
    assert_eq!(deployment(&tables, "a")["finished_at"], t(40));
}

#[test]
fn the_first_deployment_ships_its_head_only() {
    let events = [
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        deploy("d1", "b", 60),
        deploy("d2", "c", 80),
    ];
    let tables = run(&events);
    assert_eq!(changes(&tables, REPO).keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(deployment(&tables, "d1")["changes"], 1);
    let shipped = |first: &str| {
        let settings = Settings { first_deployment: first.to_owned(), ..Settings::default() };
        let tables = run_with(&events, &CatalogModel::default(), &settings);
        changes(&tables, REPO).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(shipped("none"), ["c"]);
    assert_eq!(shipped("all"), ["a", "b", "c"]);
}

#[test]
fn a_deployment_that_lists_its_commits_ships_only_those() {
    let tables = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        commit("e", &["c"], 30),
        deploy("d1", "a", 60),
        with(deploy("d2", "c", 80), json!({"commits": ["c", "never-seen"]})),
        deploy("d3", "e", 90),
    ]);
    // b is labelled by d2, which does not list it: nobody ships it.
    let changes = changes(&tables, REPO);
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["a", "c", "e", "never-seen"]);
    assert_eq!(changes["c"]["lead_time_s"], 3600);
    assert_eq!(changes["never-seen"]["lead_time_s"], json!(null));
    assert_eq!(deployment(&tables, "d2")["changes"], 2);
}

fn pull_request(fields: Value) -> Value {
    let body = json!({
        "number": 7, "state": "merged", "opened_at": t(30), "merged_at": t(90), "head_ref": "topic",
        "base_ref": "main", "head_sha": "x2",
    });
    with(event("pull_request", "pr7", 90, body), fields)
}

#[test]
fn a_squashed_pull_request_starts_with_its_earliest_commit() {
    let listed = json!([{"sha": "x1", "committed_at": t(5)}, {"sha": "x2", "committed_at": t(25)}]);
    let fields = json!({"merge_commit_sha": "s", "merge_method": "squash", "commits": listed});
    let review = |id: &str, at: i64| {
        event("review", id, at, json!({"number": 7, "submitted_at": t(at), "state": "approved"}))
    };
    let tables = run(&[
        commit("a", &[], 0),
        commit("s", &["a"], 90),
        pull_request(fields),
        review("late", 90),
        review("early", 50),
        deploy("d1", "a", 2),
        deploy("d2", "s", 120),
    ]);
    let change = &changes(&tables, REPO)["s"];
    // 00:05 to 02:00.
    assert_eq!(
        (&change["lead_time_s"], &change["start_evidence"]),
        (&json!(6900), &json!("pr_first_commit"))
    );
    assert_eq!(change["pull_request"], 7);
    let pr = &tables.pull_requests[&(REPO.to_owned(), 7)];
    let spans = ["coding_s", "pickup_s", "review_s", "waiting_s", "deploying_s", "lead_time_s"]
        .map(|f| pr[f].clone());
    assert_eq!(spans, [1500, 1200, 2400, 1740, 60, 6900].map(Value::from));
    assert_eq!((&pr["deployment_id"], &pr["skewed"]), (&json!("d2"), &json!(false)));
}

fn monorepo() -> CatalogModel {
    let service = |name: &str| Service {
        name: name.to_owned(),
        repositories: vec![(REPO.to_owned(), vec![format!("services/{name}/**"), "lib/**".to_owned()])],
        tags: BTreeMap::from([("layer".to_owned(), "application".to_owned())]),
        ..Service::default()
    };
    CatalogModel { services: vec![service("cart"), service("checkout")], ..CatalogModel::default() }
}

#[test]
fn a_commit_of_a_monorepo_that_two_services_ship_is_two_changes() {
    let touching = |sha: &str, parents: &[&str], at: i64, path: &str| {
        with(commit(sha, parents, at), json!({"paths": [path]}))
    };
    let tables = run_with(
        &[
            touching("a", &[], 0, "lib/x.rs"),
            touching("b", &["a"], 10, "services/cart/main.rs"),
            touching("c", &["b"], 20, "lib/x.rs"),
            commit("pathless", &["c"], 30),
            of_service(deploy("1", "a", 40), "cart"),
            of_service(deploy("1", "a", 40), "checkout"),
            of_service(deploy("2", "pathless", 60), "cart"),
            of_service(deploy("2", "pathless", 80), "checkout"),
            deploy("nobody", "c", 90),
        ],
        &monorepo(),
        &Settings::default(),
    );
    assert_eq!(changes(&tables, "cart").keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(changes(&tables, "checkout").keys().collect::<Vec<_>>(), ["a", "c"]);
    let lead = |scope: &str| {
        step(&tables, scope, "change_lead_time", "90d", "2026-01-06T00:00:00Z")["samples"].clone()
    };
    let scopes =
        ["service:cart", "service:checkout", "org:default", &format!("repo:{REPO}"), "tag:layer=application"];
    assert_eq!(scopes.map(lead), [3, 2, 5, 5, 5].map(Value::from));
    // A deployment that names only a repository of two services waits.
    assert_eq!(tables.parked.len(), 1);
    assert_eq!(tables.parked.values().next().unwrap()["reason"], "ambiguous");
    // No failure source: no fail rate.
    assert!(!tables.steps.keys().any(|(_, metric, _, _)| metric == "change_fail_rate"));
}

#[test]
fn a_reopened_incident_is_open_until_it_is_resolved_again() {
    let base = vec![
        deploy("d1", "x", 0),
        incident("i", "open", 60, json!({"started_at": t(30)})),
        incident("i", "resolved", 90, json!({"resolved_at": t(85)})),
    ];
    let tables = run(&base);
    let d1 = deployment(&tables, "d1");
    assert_eq!((&d1["failure_evidence"], &d1["recovery_s"]), (&json!("temporal"), &json!(5100)));
    assert_eq!(d1["impact_to_recovery_s"], 3300);
    let mut reopened = base.clone();
    reopened.push(incident("i", "open", 100, json!({})));
    let tables = run(&reopened);
    assert_eq!(deployment(&tables, "d1")["recovered_at"], json!(null));
    assert_eq!(tables.incidents["i"]["resolved_at"], json!(null));
    assert!(!tables.steps.keys().any(|(_, metric, _, _)| metric == "time_to_restore"));
    // Resolved once more, without a time of its own: it ended when that was said.
    reopened.push(incident("i", "resolved", 150, json!({})));
    reopened.push(incident("i", "resolved", 160, json!({})));
    let tables = run(&reopened);
    assert_eq!(tables.incidents["i"]["time_to_restore_s"], 120 * 60);
    assert_eq!(deployment(&tables, "d1")["recovery_s"], 150 * 60);
}

#[test]
fn a_late_incident_turns_an_old_deployment_into_a_failed_one() {
    let service = Service { name: REPO.to_owned(), incident_source: true, ..Service::default() };
    let mut service = service;
    service.repositories = vec![(REPO.to_owned(), Vec::new())];
    let catalog = CatalogModel { services: vec![service], ..CatalogModel::default() };
    let mut events = vec![deploy("d1", "x", 0), deploy("d2", "y", 120)];
    let before = run_with(&events, &catalog, &Settings::default());
    let rate = |tables: &Tables| {
        let row = step(tables, &format!("service:{REPO}"), "change_fail_rate", "24h", "2026-01-05T03:00:00Z")
            .clone();
        (row["value"].clone(), row["samples"].clone(), row["inferred"].clone())
    };
    assert_eq!(rate(&before), (json!(0.0), json!(2), json!(0)));
    // Told 30 days later: it started four hours after d1 to the second, but d2 had replaced d1.
    events.push(incident("i", "open", 43_200, json!({"started_at": t(240)})));
    let after = run_with(&events, &catalog, &Settings::default());
    assert_eq!(rate(&after), (json!(0.5), json!(2), json!(1)));
    assert_eq!(deployment(&after, "d2")["failed"], true);
    assert_eq!(deployment(&after, "d1")["failed"], false);
    // One second more than four hours after d2 blames nobody.
    events.pop();
    let late = incident("i", "open", 43_200, json!({"started_at": "2026-01-05T06:00:01Z"}));
    events.push(late);
    let after = run_with(&events, &catalog, &Settings::default());
    assert_eq!(deployment(&after, "d2")["failed"], false);
}

#[test]
fn a_day_of_25_hours_ends_25_hours_after_it_began() {
    // Europe/Berlin leaves summer time on 2026-10-25: that day lasts from 22:00Z to 23:00Z.
    let at = |id: &str, time: &str| {
        let fields = json!({"started_at": time, "finished_at": time});
        with(deploy(id, "x", 0), fields)
    };
    let settings = Settings { timezone: "Europe/Berlin".to_owned(), ..Settings::default() };
    let events = [
        at("first", "2026-10-24T22:00:00Z"),
        at("last", "2026-10-25T22:59:59Z"),
        at("next", "2026-10-25T23:00:00Z"),
    ];
    let tables = run_with(&events, &CatalogModel::default(), &settings);
    let row = step(&tables, "org:default", "deployment_frequency", "7d", "2026-10-25T23:00:00Z");
    assert_eq!((&row["value"], &row["days_with"]), (&json!(2.0), &json!(1)));
    assert_eq!(row["per_day"], json!(2.0 / 7.0));
    let row = step(&tables, "org:default", "deployment_frequency", "7d", "2026-10-26T23:00:00Z");
    assert_eq!((&row["value"], &row["days_with"]), (&json!(3.0), &json!(2)));
    // Seven days after each day of data a row says that it left.
    let days: Vec<&String> = tables
        .steps
        .keys()
        .filter(|(s, m, w, _)| s == "org:default" && m == "deployment_frequency" && w == "7d")
        .map(|(_, _, _, as_of)| as_of)
        .collect();
    let expected =
        ["2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z", "2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z"];
    assert_eq!(days, expected);
}

#[test]
fn a_correction_to_staging_takes_a_deployment_out_and_its_undo_brings_it_back() {
    let mut events = vec![
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        commit("c", &["b"], 20),
        deploy("d1", "a", 30),
        deploy("d2", "b", 40),
        deploy("d3", "c", 50),
        correct("c1", "deployment", "d2", 60, json!({"tier": "staging"})),
    ];
    let tables = run(&events);
    assert_eq!(deployment(&tables, "d3")["changes"], 2);
    assert_eq!(
        (&deployment(&tables, "d2")["changes"], &deployment(&tables, "d2")["failed"]),
        (&json!(null), &json!(null))
    );
    let mut undo = correct("c2", "deployment", "d2", 70, json!({}));
    undo["correction"]["undoes"] = json!("c1");
    events.push(undo);
    assert_eq!(deployment(&run(&events), "d2")["changes"], 1);
    let mut redo = correct("c3", "deployment", "d2", 80, json!({}));
    redo["correction"]["undoes"] = json!("c2");
    events.push(redo);
    assert_eq!(deployment(&run(&events), "d2")["tier"], "staging");
}

#[test]
fn a_cleared_deployment_is_blamed_by_no_incident_and_nobody_is_instead() {
    let tables = run(&[
        deploy("d1", "x", 0),
        deploy("d2", "y", 10),
        incident("i", "open", 20, json!({})),
        correct("c", "deployment", "d2", 30, json!({"failed": false})),
    ]);
    let d2 = deployment(&tables, "d2");
    assert_eq!((&d2["failed"], &d2["failure_evidence"]), (&json!(false), &json!("manual")));
    assert_eq!(deployment(&tables, "d1")["failed"], false);
    assert_eq!(tables.incidents["i"]["deployment_id"], json!(null));
}

#[test]
fn a_reclassified_incident_no_longer_blames() {
    let mut events = vec![deploy("d1", "x", 0), incident("i", "open", 20, json!({"cause": "unknown"}))];
    assert_eq!(deployment(&run(&events), "d1")["failed"], true);
    events.push(correct("c", "incident", "i", 30, json!({"cause": "capacity"})));
    assert_eq!(deployment(&run(&events), "d1")["failed"], false);
}

#[test]
fn a_dependency_is_blamed_by_the_same_rule() {
    let service = |name: &str, dependencies: Vec<String>| Service {
        name: name.to_owned(),
        dependencies,
        ..Service::default()
    };
    let services = vec![service("web", vec!["db".to_owned()]), service("db", Vec::new())];
    let catalog = CatalogModel { services, ..CatalogModel::default() };
    let settings = Settings { blame_dependencies: true, ..Settings::default() };
    let failed = |cause: &str| {
        let events = [
            of_service(deploy("w", "x", 0), "web"),
            of_service(deploy("d", "y", 5), "db"),
            of_service(incident("i", "open", 20, json!({"cause": cause})), "web"),
        ];
        let tables = run_with(&events, &catalog, &settings);
        ["w", "d"].map(|id| deployment(&tables, id)["failed"] == true)
    };
    assert_eq!(failed("unknown"), [true, true]);
    assert_eq!(failed("dependency"), [false, true]);
    assert_eq!(failed("capacity"), [false, false]);
}

#[test]
fn linked_records_are_one_incident_under_the_target_of_the_duplicate() {
    let tables = run(&[
        incident("alert", "open", 0, json!({})),
        incident("page", "acknowledged", 5, json!({"links": ["alert"]})),
        incident("ticket", "resolved", 30, json!({})),
        correct("c", "incident", "ticket", 40, json!({"duplicate_of": "page"})),
    ]);
    assert_eq!(tables.incidents.keys().collect::<Vec<_>>(), ["page"]);
    let row = &tables.incidents["page"];
    assert_eq!(row["members"], json!(["alert", "page", "ticket"]));
    assert_eq!((&row["status"], &row["time_to_restore_s"]), (&json!("resolved"), &json!(1800)));
}

#[test]
fn an_incident_that_names_a_sha_blames_the_deployment_that_shipped_it() {
    let tables = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 1),
        commit("c", &["b"], 2),
        deploy("d1", "a", 10),
        deploy("d2", "c", 20),
        deploy("d3", "c", 30),
        incident("i", "open", 40, json!({"names": {"version": "9.9.9", "sha": "b"}, "cause": "capacity"})),
    ]);
    assert_eq!(deployment(&tables, "d2")["failure_evidence"], "explicit");
    assert_eq!(tables.incidents["i"]["deployment_id"], "d2");
}

#[test]
fn a_drill_is_invisible() {
    let mut drill = deploy("d1", "b", 60);
    drill["drill"] = json!(true);
    let tables = run(&[
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        drill,
        deploy("d0", "a", 5),
        deploy("d2", "b", 90),
    ]);
    assert_eq!(
        (&deployment(&tables, "d1")["changes"], &deployment(&tables, "d1")["failed"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(changes(&tables, REPO)["b"]["deployment_id"], "d2");
    let count = step(&tables, "org:default", "deployment_frequency", "7d", "2026-01-06T00:00:00Z");
    assert_eq!(count["value"], json!(2.0));
}

#[test]
fn a_sha_that_failed_and_later_passed_is_flaky_where_its_last_run_finished() {
    let attempt = |attempt: u64, state: &str, started: i64, finished: i64| {
        let body = json!({
            "run_id": "1", "attempt": attempt, "workflow": "ci", "sha": "a", "state": state,
            "started_at": t(started), "finished_at": t(finished),
        });
        event("pipeline_run", &format!("r{attempt}"), finished, body)
    };
    let tables = run(&[attempt(1, "failed", 0, 10), attempt(2, "passed", 70, 90)]);
    let scope = format!("repo:{REPO}");
    let row = step(&tables, &scope, "flaky_rate", "24h", "2026-01-05T02:00:00Z");
    assert_eq!((&row["value"], &row["samples"]), (&json!(1.0), &json!(1)));
    let row = step(&tables, &scope, "pipeline_success_rate", "24h", "2026-01-05T02:00:00Z");
    assert_eq!((&row["value"], &row["samples"]), (&json!(0.5), &json!(2)));
    let row = step(&tables, &scope, "time_in_ci", "24h", "2026-01-05T02:00:00Z");
    assert_eq!((&row["p50"], &row["p75"], &row["mean"]), (&json!(600), &json!(1200), &json!(900.0)));
}

#[test]
fn pushes_make_commits_known_and_chains_are_edges() {
    let push = json!({"ref": "refs/heads/main", "before": "a", "after": "c", "commits": ["b", "c"]});
    let tables = run(&[
        commit("a", &[], 0),
        event("push", "p", 5, push),
        deploy("d1", "a", 10),
        deploy("d2", "c", 20),
    ]);
    let changes = changes(&tables, REPO);
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(changes["b"]["lead_time_s"], json!(null));
    assert_eq!(deployment(&tables, "d2")["changes"], 2);
}

#[test]
fn ownership_is_taken_when_the_contribution_is_placed() {
    let moved: jiff::Timestamp = t(60).parse().unwrap();
    let service = Service {
        name: "shop".to_owned(),
        repositories: vec![(REPO.to_owned(), Vec::new())],
        teams: vec![(i64::MIN, "old".to_owned()), (moved.as_microsecond(), "new".to_owned())],
        ..Service::default()
    };
    let catalog = CatalogModel {
        services: vec![service],
        group_of_team: BTreeMap::from([("old".to_owned(), "retail".to_owned())]),
        group_parents: BTreeMap::from([("retail".to_owned(), "business".to_owned())]),
        ..CatalogModel::default()
    };
    let tables = run_with(&[deploy("d1", "x", 59), deploy("d2", "x", 60)], &catalog, &Settings::default());
    assert_eq!(
        (&deployment(&tables, "d1")["team"], &deployment(&tables, "d2")["team"]),
        (&json!("old"), &json!("new"))
    );
    for (scope, count) in
        [("team:old", 1.0), ("team:new", 1.0), ("group:business", 1.0), ("service:shop", 2.0)]
    {
        let row = step(&tables, scope, "deployment_frequency", "30d", "2026-01-06T00:00:00Z");
        assert_eq!(row["value"], json!(count), "{scope}");
    }
}

#[test]
fn an_alias_that_nobody_claims_is_parked_and_an_unknown_name_is_a_service() {
    let alias = |service: &str| {
        let mut event = of_service(incident("i", "open", 0, json!({})), service);
        event["repo"] = json!(null);
        event
    };
    let tables = run(&[alias("pagerduty:P1")]);
    assert_eq!((tables.incidents.len(), tables.parked.len()), (0, 1));
    let tables = run(&[alias("somewhere")]);
    assert_eq!(tables.incidents["i"]["service"], "somewhere");
}

#[test]
fn a_glob_matches_whole_segments() {
    assert!(glob_matches("services/cart/**", "services/cart/src/main.rs"));
    assert!(glob_matches("services/*/Cargo.toml", "services/cart/Cargo.toml"));
    assert!(glob_matches("services/cart", "services/cart/a/b"));
    assert!(!glob_matches("services/cart/**", "services/cartoon/main.rs"));
    assert!(!glob_matches("*.rs", "src/main.rs"));
}
