//! Data-quality signals (semantics, section 10): each is there exactly while what it says holds. Every story is
//! told forwards in one task and backwards in three, and leaves the same signals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use catalog::Catalog;
use model::Definitions;
use model::fact::{DataQuality, Row};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamgauge_tests::Tables;
use streamgauge_tests::story::{
    REPO, commit, correct, deploy, event, incident, of_alias, of_service, t, touching, with,
};
use topology::Topology;

const SHOP: &str = "
[[teams]]
name = \"till\"
[[services]]
name = \"shop\"
repositories = [\"github.com/acme/shop\"]
[[services.teams]]
name = \"till\"
";

type Signals = BTreeMap<(String, String), DataQuality>;

fn of(tables: &Tables) -> Signals {
    let rows = tables.rows.values().filter_map(|row| match row {
        Row::DataQuality(row) => Some((**row).clone()),
        _ => None,
    });
    rows.map(|row| ((row.signal.to_string(), row.subject.to_string()), row)).collect()
}

fn read(toml: &str) -> Arc<Catalog> {
    Arc::new(Catalog::from_toml("catalog.toml", toml, &Definitions::default()).unwrap())
}

fn tell<'a>(topology: &mut Topology, tables: &mut Tables, events: impl Iterator<Item = &'a Value>) {
    for event in events {
        topology.process_event(model::json::from_value(event.clone()).unwrap());
        topology.settle(false);
        tables.load(&topology.commit());
    }
    topology.settle(true);
    tables.load(&topology.commit());
}

/// The signals that a story leaves.
fn signals(toml: &str, events: &[Value]) -> Signals {
    let run = |backwards: bool, tasks: u32| {
        let mut topology = Topology::new(Definitions::default(), read(toml), tasks);
        let mut tables = Tables::default();
        if backwards {
            tell(&mut topology, &mut tables, events.iter().rev());
        } else {
            tell(&mut topology, &mut tables, events.iter());
        }
        of(&tables)
    };
    let found = run(false, 1);
    assert_eq!(found, run(true, 3), "backwards, over three tasks");
    found
}

/// The one signal of a kind, and what it is about.
#[track_caller]
fn only<'a>(found: &'a Signals, signal: &str, subject: &str) -> &'a DataQuality {
    let named: Vec<&str> =
        found.keys().filter(|(s, _)| s == signal).map(|(_, subject)| subject.as_str()).collect();
    assert_eq!(named, [subject], "{signal}");
    let row = &found[&(signal.to_owned(), subject.to_owned())];
    assert!(!row.detail.is_empty() && !row.remedy.is_empty());
    row
}

#[track_caller]
fn none(found: &Signals, signal: &str) {
    assert!(!found.keys().any(|(s, _)| s == signal), "{signal}: {found:?}");
}

/// A first deployment and one that ships commit `b`.
fn shipped() -> Vec<Value> {
    vec![commit("a", &[], 0), commit("b", &["a"], 10), deploy("d1", "a", 20), deploy("d2", "b", 60)]
}

#[test]
fn a_sound_history_raises_no_signal() {
    let found = signals(SHOP, &shipped());
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_commit_that_is_younger_than_its_deployment_is_clock_skew_until_its_time_is_corrected() {
    let mut story = shipped();
    story.push(with(commit("b", &["a"], 10), json!({"committed_at": t(90)})));
    story[4]["id"] = json!("again");
    story[4]["observed_at"] = json!(t(11));
    let found = signals(SHOP, &story);
    let row = only(&found, "clock_skew", &format!("shop {REPO} b"));
    assert_eq!((row.service.as_ref().unwrap().as_str(), row.since.to_string()), ("shop", t(60)));
    assert!(row.detail.contains("30 min"), "{}", row.detail);

    let mut right = commit("b", &["a"], 10);
    right["id"] = json!("right");
    right["observed_at"] = json!(t(12));
    story.push(right);
    none(&signals(SHOP, &story), "clock_skew");
}

#[test]
fn a_recovery_a_restore_and_a_run_that_end_before_they_began_are_clock_skew() {
    let mut story = shipped();
    let names = json!({"names": {"deployment_id": "d2"}, "started_at": t(50), "resolved_at": t(40)});
    story.push(incident("i", "resolved", 70, names));
    let run = json!({"run_id": "r", "attempt": 1, "workflow": "ci", "sha": "b", "state": "passed",
        "started_at": t(30), "finished_at": t(25)});
    story.push(event("pipeline_run", "r", 30, run));
    let found = signals(SHOP, &story);
    let skewed: Vec<&str> = found
        .keys()
        .filter(|(signal, _)| signal == "clock_skew")
        .map(|(_, subject)| subject.as_str())
        .collect();
    assert_eq!(skewed, [&format!("{REPO} r 1"), "i", "shop d2"]);
}

#[test]
fn a_deployment_whose_commit_nobody_told_has_an_unknown_head_until_the_commit_is_told() {
    let mut story = shipped();
    story.push(deploy("d3", "c", 100));
    let found = signals(SHOP, &story);
    let row = only(&found, "unknown_head", "shop d3");
    assert_eq!(row.since.to_string(), t(100));
    assert!(row.detail.contains("its commit c is not known"), "{}", row.detail);

    story.push(commit("c", &["b"], 90));
    none(&signals(SHOP, &story), "unknown_head");

    let listing = with(deploy("d4", "unknown", 120), json!({"commits": ["x"]}));
    none(&signals(SHOP, &[listing]), "unknown_head");
}

#[test]
fn a_commit_of_a_monorepo_without_paths_is_named_while_a_deployment_reaches_it() {
    let monorepo = SHOP.replace("repositories = [\"github.com/acme/shop\"]\n", "")
        + "[[services.repositories]]\nname = \"github.com/acme/shop\"\npaths = [\"shop/**\"]\n";
    let mut story = shipped();
    story[0] = touching("a", &[], 0, "shop/a");
    let of_shop: Vec<Value> = story.iter().map(|event| of_service(event.clone(), "shop")).collect();
    let found = signals(&monorepo, &of_shop);
    assert_eq!(only(&found, "paths_unknown", &format!("shop {REPO} b")).since.to_string(), t(60));

    story[1] = touching("b", &["a"], 10, "docs/b");
    let of_shop: Vec<Value> = story.iter().map(|event| of_service(event.clone(), "shop")).collect();
    none(&signals(&monorepo, &of_shop), "paths_unknown");
}

#[test]
fn an_incident_that_names_what_nobody_deployed_is_unresolved_until_it_is_deployed() {
    let mut story = shipped();
    story.push(incident("i", "open", 70, json!({"names": {"version": "9.9.9"}})));
    let found = signals(SHOP, &story);
    let row = only(&found, "names_unresolved", "i");
    assert!(row.detail.contains("version 9.9.9"), "{}", row.detail);

    story.push(with(deploy("d3", "b", 65), json!({"version": "9.9.9"})));
    none(&signals(SHOP, &story), "names_unresolved");
}

#[test]
fn what_waits_for_the_catalog_is_unattributed_by_claim_since_the_first_that_waits() {
    let story = [
        of_alias(deploy("d1", "a", 20), "argocd:till"),
        of_alias(deploy("d2", "a", 60), "argocd:till"),
        of_alias(incident("i", "open", 70, json!({})), "pagerduty:P1"),
    ];
    let found = signals(SHOP, &story);
    let subjects: Vec<&str> = found.keys().map(|(_, subject)| subject.as_str()).collect();
    assert_eq!(subjects, ["events argocd:till", "incidents pagerduty:P1"]);
    let row = &found[&("unattributed".to_owned(), "events argocd:till".to_owned())];
    assert_eq!(row.since.to_string(), t(20));
    assert!(row.remedy.contains("argocd:till"), "{}", row.remedy);

    let claimed = SHOP
        .replace("[[services.teams]]", "aliases = [\"argocd:till\", \"pagerduty:P1\"]\n[[services.teams]]");
    none(&signals(&claimed, &story), "unattributed");
}

#[test]
fn a_service_that_no_team_owns_is_named_until_the_catalog_gives_it_one() {
    let unowned = "[[services]]\nname = \"shop\"\nrepositories = [\"github.com/acme/shop\"]\n";
    let mut topology = Topology::new(Definitions::default(), read(unowned), 3);
    let mut tables = Tables::default();
    tell(&mut topology, &mut tables, shipped().iter());
    assert_eq!(only(&of(&tables), "unowned_service", "shop").since.to_string(), t(20));
    topology.set_catalog(read(SHOP));
    topology.settle(true);
    tables.load(&topology.commit());
    assert!(of(&tables).is_empty(), "{:?}", of(&tables));
}

#[test]
fn an_environment_that_no_rule_knows_is_named_once_whatever_is_deployed_there() {
    let there = |id, at| with(deploy(id, "a", at), json!({"environment": "blue"}));
    let story = [commit("a", &[], 0), there("d1", 20), there("d2", 60)];
    let found = signals(SHOP, &story);
    assert_eq!(only(&found, "unknown_environment", "shop blue").since.to_string(), t(19));

    let corrected = [
        story.to_vec(),
        vec![
            correct("c1", "deployment", "d1", 100, json!({"tier": "staging"})),
            correct("c2", "deployment", "d2", 100, json!({"tier": "staging"})),
        ],
    ]
    .concat();
    none(&signals(SHOP, &corrected), "unknown_environment");
}

#[test]
fn a_rollout_of_which_a_part_failed_is_partial_until_the_part_is_retried() {
    let part = |id, name, state, at| {
        with(deploy(id, "b", at), json!({"rollout_id": "r", "part": name, "state": state}))
    };
    let mut story = vec![commit("a", &[], 0), commit("b", &["a"], 10), deploy("d1", "a", 20)];
    story.extend([part("p1", "eu", "succeeded", 60), part("p2", "us", "failed", 61)]);
    assert_eq!(only(&signals(SHOP, &story), "partial_rollout", "shop p1").since.to_string(), t(61));
    story.push(part("p3", "us", "succeeded", 70));
    none(&signals(SHOP, &story), "partial_rollout");
}

#[test]
fn a_workflow_that_failed_and_later_passed_on_a_commit_is_flaky_since_it_passed() {
    let run = |attempt: u32, state, at| {
        let body = json!({"run_id": "r", "attempt": attempt, "workflow": "ci", "sha": "b", "state": state,
            "started_at": t(at - 5), "finished_at": t(at)});
        event("pipeline_run", &format!("r{attempt}"), at, body)
    };
    none(&signals(SHOP, &[run(1, "passed", 20), run(2, "failed", 30)]), "flaky_pipeline");
    let found = signals(SHOP, &[run(1, "failed", 20), run(2, "passed", 30), run(3, "passed", 40)]);
    assert_eq!(only(&found, "flaky_pipeline", &format!("{REPO} ci b")).since.to_string(), t(30));
}

#[test]
fn a_flag_change_before_an_incident_that_blames_no_deployment_is_named_until_the_cause_is() {
    let flag = |at| {
        let body = json!({"flag": "new-till", "action": "enabled", "environment": "production"});
        event("flag_change", &format!("f{at}"), at, body)
    };
    let mut story = shipped();
    // The last deployment is over four hours old when the incident starts, the flag's change twelve minutes.
    story.extend([flag(400), flag(408), incident("i", "open", 420, json!({}))]);
    let found = signals(SHOP, &story);
    let row = only(&found, "flag_change_near_incident", "i");
    assert!(row.detail.contains("new-till was changed 12 min before"), "{}", row.detail);
    assert_eq!(row.since.to_string(), t(420));

    let early = [shipped(), vec![flag(100), incident("i", "open", 420, json!({}))]].concat();
    none(&signals(SHOP, &early), "flag_change_near_incident");
    let blamed = [shipped(), vec![flag(70), incident("i", "open", 90, json!({}))]].concat();
    none(&signals(SHOP, &blamed), "flag_change_near_incident");
    story.push(correct("c", "incident", "i", 500, json!({"cause": "flag"})));
    none(&signals(SHOP, &story), "flag_change_near_incident");
}

/// One attempt of a delivery of a hook that failed.
fn lost(id: &str, guid: &str, minutes: i64, more: Value) -> Value {
    let body = json!({"hook": "github.com/acme/shop/hooks/7", "delivery_id": guid});
    with(event("lost_delivery", id, minutes, body), more)
}

const HOOK: &str = "test github.com/acme/shop/hooks/7";

#[test]
fn lost_deliveries_are_counted_by_hook_and_once_each_whatever_tells_of_them_how_often() {
    let mut story = shipped();
    // The first failed twice and was told later, the second is gone.
    story.push(lost("1", "a", 30, json!({"answer": "502", "event": "push"})));
    story.push(lost("2", "a", 35, json!({"answer": "503"})));
    story.push(lost("2", "a", 35, json!({"answer": "503", "healed": true})));
    story.push(lost("3", "b", 40, json!({"answer": "timed out"})));
    let found = signals(SHOP, &story);
    let row = only(&found, "lost_deliveries", HOOK);
    assert_eq!((row.service.as_ref().unwrap().as_str(), row.since.to_string()), ("shop", t(30)));
    for says in [
        "2 deliveries failed",
        &format!("to {}", t(40)),
        "1 of them were told later",
        "about github.com/acme/shop",
        "timed out",
    ] {
        assert!(row.detail.contains(says), "{} does not say {says}", row.detail);
    }
    assert!(row.remedy.contains("deliver the others again"), "{}", row.remedy);

    // Each record again, and what was lost by the hook after all: nothing is counted twice.
    let copies: Vec<Value> = story.iter().chain(&story).cloned().collect();
    assert_eq!(signals(SHOP, &copies), found);

    // The other was told, too.
    story.push(lost("3", "b", 40, json!({"healed": true})));
    let row = only(&signals(SHOP, &story), "lost_deliveries", HOOK).clone();
    assert!(row.detail.contains("2 deliveries failed") && row.detail.contains("2 of them"), "{}", row.detail);
    assert!(row.remedy.starts_with("nothing is missing"), "{}", row.remedy);
}

#[test]
fn lost_deliveries_of_a_hook_of_several_services_are_nobody_s_alone() {
    let of = |id: &str, repo: &str| {
        let hook = json!({"hook": "github.com/orgs/acme/hooks/9"});
        let mut event = lost(id, id, 30, hook);
        event["repo"] = json!(repo);
        event
    };
    let found = signals(SHOP, &[of("1", REPO), of("2", "github.com/acme/cart")]);
    let row = only(&found, "lost_deliveries", "test github.com/orgs/acme/hooks/9");
    assert_eq!(row.service, None);
    assert!(row.detail.contains("github.com/acme/cart, github.com/acme/shop"), "{}", row.detail);
}
