//! `profile = "devlake"` gives Apache DevLake's numbers (semantics, section 11). The expected numbers are worked by
//! hand from its code, in apache/incubator-devlake: `backend/plugins/dora/tasks/change_lead_time_calculator.go`
//! (below: calculator), `incident_deploy_connector.go` (connector), and the queries of
//! `grafana/dashboards/DORA.json` and `DORADetails-FailedDeploymentRecoveryTime.json` (dashboards).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use catalog::Catalog;
use model::fact::{PullRequest, Row};
use model::metric::DoraStep;
use model::{Definitions, DeliveryEvent, Timestamp};
use oracle::organisation::{self, Random};
use serde_json::{Value, json};
use std::sync::Arc;
use streamgauge_tests::story::{REPO, commit, deploy, event, incident, reverting, t, with};
use streamgauge_tests::{Tables, twin};
use topology::Topology;

/// Seconds after the story's minute.
fn at(minutes: i64, seconds: i64) -> String {
    let whole = Timestamp::parse(&t(minutes)).unwrap();
    Timestamp::from_seconds(whole.seconds() + seconds).unwrap().to_string()
}

/// What a story leaves, told forwards in one task and backwards in three.
fn run(definitions: &Definitions, events: &[Value]) -> Tables {
    let told = |backwards: bool, tasks: u32| {
        let mut topology = Topology::new(definitions.clone(), Arc::new(Catalog::empty(definitions)), tasks);
        let mut tables = Tables::default();
        let mut order: Vec<&Value> = events.iter().collect();
        if backwards {
            order.reverse();
        }
        for event in order {
            topology.process_event(model::json::from_value(event.clone()).unwrap());
            topology.settle(false);
            tables.load(&topology.commit());
        }
        topology.settle(true);
        tables.load(&topology.commit());
        tables
    };
    let tables = told(false, 1);
    assert_eq!(tables, told(true, 3), "backwards, over three tasks");
    tables
}

fn devlake(events: &[Value]) -> Tables {
    run(&Definitions::devlake(), events)
}

/// The story: commit `a` is deployed at 00:20, then pull request 1 (commits `b1`, `b2`, merged as `m`) at 03:00.
fn story() -> Vec<Value> {
    let listed = |sha: &str, at: String| json!({"sha": sha, "committed_at": at});
    let pull = json!({
        "number": 1, "state": "merged", "opened_at": at(60, 0), "merged_at": at(120, 15), "head_ref": "till",
        "base_ref": "main", "head_sha": "b2", "merge_commit_sha": "m", "merge_method": "merge",
        "commits": [listed("b1", t(40)), listed("b2", t(50))],
    });
    vec![
        commit("a", &[], 0),
        deploy("d1", "a", 20),
        // Committed at 00:40, written half a minute before 00:30.
        with(commit("b1", &["a"], 40), json!({"authored_at": at(29, 30)})),
        commit("b2", &["b1"], 50),
        event("pull_request", "pr1", 121, pull),
        event("review", "r1", 90, json!({"number": 1, "submitted_at": at(90, 1), "state": "approved"})),
        commit("m", &["a", "b2"], 120),
        deploy("d2", "m", 180),
    ]
}

fn pull(tables: &Tables) -> PullRequest {
    let rows = tables.rows.values().filter_map(|row| match row {
        Row::PullRequest(row) => Some((**row).clone()),
        _ => None,
    });
    rows.into_iter().next().unwrap()
}

/// The step of the week that ends with the story's second day.
fn step(tables: &Tables, scope: &str, metric: &str) -> DoraStep {
    let end = "2026-01-06T00:00:00Z";
    let steps = tables.rows.values().filter_map(|row| match row {
        Row::Step(row) => Some(row),
        _ => None,
    });
    let mut of = steps.filter(|row| {
        row.scope.as_str() == scope
            && row.metric.as_str() == metric
            && row.window.as_str() == "7d"
            && row.as_of.to_string() == end
    });
    (**of.next().unwrap_or_else(|| panic!("no {metric} of {scope}"))).clone()
}

#[test]
fn the_lead_time_is_the_pull_requests_cycle_time_in_minutes_rounded_up() {
    let tables = devlake(&story());
    let row = pull(&tables);
    // calculator, computeTimeSpan: ⌈minutes⌉. Coding from the earliest author date: 00:29:30 → 01:00 is 30.5 → 31.
    assert_eq!(row.coding_s, Some(31 * 60));
    // 01:00 → 01:30:01 is 30 min 1 s → 31; 01:30:01 → 02:00:15 is 30 min 14 s → 31.
    assert_eq!((row.pickup_s, row.review_s), (Some(31 * 60), Some(31 * 60)));
    // PrDeployTime: merged to the deployment's finish: 02:00:15 → 03:00 is 59 min 45 s → 60.
    assert_eq!((row.waiting_s, row.deploying_s), (None, Some(60 * 60)));
    // PrCycleTime = coding 31 + prDuring (01:00 → 02:00:15 → 61) + deploy 60: not 31 + 31 + 31 + 60.
    assert_eq!(row.lead_time_s, Some(152 * 60));
    assert_eq!(row.deployment_id.as_ref().unwrap().as_str(), "d2");

    for scope in [&format!("repo:{REPO}"), "org:default", &format!("service:{REPO}")] {
        let lead = step(&tables, scope, "change_lead_time");
        assert_eq!(
            (lead.value, lead.samples),
            (Some(152.0 * 60.0), 1),
            "{scope}: one sample, and none of commits"
        );
    }
}

#[test]
fn a_negative_span_is_null_and_counts_as_nothing() {
    let mut story = story();
    // Written after the pull request was opened: coding is null. Not by a whole minute: none, and stays.
    story[2] = with(commit("b1", &["a"], 40), json!({"authored_at": at(65, 0)}));
    story[3] = with(commit("b2", &["b1"], 50), json!({"authored_at": at(61, 0)}));
    let row = pull(&devlake(&story));
    assert_eq!((row.coding_s, row.lead_time_s), (None, Some(121 * 60)));
    story[3] = with(commit("b2", &["b1"], 50), json!({"authored_at": at(60, 30)}));
    assert_eq!(pull(&devlake(&story)).coding_s, Some(0));
    // The first review counts whenever it was: after the merge there is no review time.
    story[5] =
        event("review", "r1", 150, json!({"number": 1, "submitted_at": at(150, 0), "state": "approved"}));
    let row = pull(&devlake(&story));
    assert_eq!((row.pickup_s, row.review_s), (Some(90 * 60), None));
}

#[test]
fn a_pull_request_is_found_by_its_merge_commit_and_never_by_the_first_deployment() {
    // calculator, getDeploymentCommit: `prev_success_deployment_commit_id <> ''`.
    let mut first = story();
    first.remove(1);
    let row = pull(&devlake(&first));
    assert_eq!((row.deployment_id, row.deploying_s), (None, None));
    // `cd.commit_sha = mergeSha`: the head alone, deployed from its branch, is no deployment of it.
    let mut branch = story();
    branch[7] = deploy("d2", "b2", 180);
    assert_eq!(pull(&devlake(&branch)).deployment_id, None);
    let ours = run(&Definitions::default(), &branch);
    assert_eq!(pull(&ours).deployment_id.unwrap().as_str(), "d2");
}

/// The deployment that an incident blames.
fn blamed(tables: &Tables, id: &str) -> Option<String> {
    let incident = tables.rows.values().find_map(|row| match row {
        Row::Incident(row) if row.incident_id.as_str() == id => Some(row),
        _ => None,
    });
    incident.unwrap().deployment_id.as_ref().map(ToString::to_string)
}

#[test]
fn every_incident_is_linked_to_the_latest_successful_deployment_before_it() {
    let mut story = story();
    let fields = json!({"severity": "sev5", "cause": "capacity", "names": {"deployment_id": "d1"}, "started_at": t(1000)});
    story.push(incident("late", "open", 1000, fields));
    // connector: `finished_date < created_date`, strictly.
    story.push(incident("sharp", "open", 180, json!({"started_at": t(180)})));
    story.push(incident("early", "open", 10, json!({"started_at": t(10)})));
    // A partial rollout is no `SUCCESS`.
    let part = |id, name, state| {
        with(deploy(id, "m", 300), json!({"rollout_id": "r", "part": name, "state": state}))
    };
    story.extend([part("p1", "eu", "succeeded"), part("p2", "us", "failed")]);
    let tables = devlake(&story);
    assert_eq!(blamed(&tables, "late").as_deref(), Some("d2"));
    assert_eq!(blamed(&tables, "sharp").as_deref(), Some("d1"));
    assert_eq!(blamed(&tables, "early"), None);
    // dashboards: deployments with an incident ÷ successful deployments.
    let rate = step(&tables, "org:default", "change_fail_rate");
    assert_eq!((rate.value, rate.samples), (Some(1.0), 2));
}

#[test]
fn nothing_but_an_incident_is_a_failure_and_none_at_all_is_a_rate_of_nought() {
    let story = [
        commit("a", &[], 0),
        commit("b", &["a"], 10),
        reverting("rb", &["b"], 20, "b"),
        with(deploy("d1", "a", 60), json!({"version": "1.0.0"})),
        with(deploy("d2", "b", 120), json!({"version": "2.0.0"})),
        with(deploy("d3", "rb", 180), json!({"version": "1.0.0", "hotfix": true})),
    ];
    let rate = step(&devlake(&story), "org:default", "change_fail_rate");
    assert_eq!((rate.value, rate.samples), (Some(0.0), 3));
    let ours = Definitions { failure_evidence_suffices: true, ..Definitions::default() };
    let rate = step(&run(&ours, &story), "org:default", "change_fail_rate");
    assert_eq!(rate.samples, 3);
    assert!(rate.value.unwrap() > 0.3);
}

#[test]
fn parallel_targets_without_a_rollout_are_deployments_of_their_own() {
    let target = |id, name, at| with(deploy(id, "a", at), json!({"part": name}));
    let story = [commit("a", &[], 0), target("d1", "eu", 60), target("d2", "us", 61)];
    assert_eq!(step(&devlake(&story), "org:default", "deployment_frequency").value, Some(2.0));
    let ours = run(&Definitions::default(), &story);
    assert_eq!(step(&ours, "org:default", "deployment_frequency").value, Some(1.0));
}

#[test]
fn recovery_and_restore_are_in_minutes_rounded_down() {
    let mut story = story();
    let fields = json!({"started_at": at(200, 10), "resolved_at": at(240, 59)});
    story.push(incident("i", "resolved", 241, fields));
    let tables = devlake(&story);
    // dashboards: TIMESTAMPDIFF(MINUTE, deployment finished 03:00, resolved 04:00:59) = 60.
    assert_eq!(step(&tables, "org:default", "recovery_time").value, Some(60.0 * 60.0));
    // lead_time_minutes: 03:20:10 → 04:00:59 is 40 min 49 s → 40.
    assert_eq!(step(&tables, "org:default", "time_to_restore").value, Some(40.0 * 60.0));
}

#[test]
fn order_copies_and_partitions_do_not_reach_a_table_under_this_profile_either() {
    let model = oracle::organisation::catalog();
    let definitions = Definitions::devlake();
    let catalog = twin::catalog(&model, &definitions);
    for seed in 0..150 {
        let mut random = Random(seed);
        let values = (0..5 + random.below(60)).map(|number| organisation::event(&mut random, number));
        let mut events: Vec<DeliveryEvent> = values
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|value| model::json::from_value(value).ok())
            .collect();
        let told = |events: &[DeliveryEvent], tasks: u32, every: usize| {
            let mut topology = Topology::new(definitions.clone(), catalog.clone(), tasks);
            let mut tables = Tables::default();
            for (index, event) in events.iter().enumerate() {
                topology.process_event(event.clone());
                if index % every == 0 {
                    topology.settle(false);
                    tables.load(&topology.commit());
                }
            }
            topology.settle(true);
            tables.load(&topology.commit());
            tables
        };
        let plain = told(&events, 1, usize::MAX);
        for _ in 0..random.below(20) {
            events.push(random.pick(&events));
        }
        random.shuffle(&mut events);
        let again = told(&events, random.pick(&[1, 3, 12]), 1 + random.below(5) as usize);
        let found = twin::differences(&twin::of_engine(&again), &twin::of_engine(&plain), 5);
        assert!(plain == again, "seed {seed}: (\"oracle\" is the plain run)\n{}", found.join("\n"));
    }
}
