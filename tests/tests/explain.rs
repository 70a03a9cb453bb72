//! Every number explains itself: what is said is what the tables hold, with the rule, the key and the remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use correlate::explain::{Considered, Explanation, human};
use model::event::Severity;
use model::fact::{Deployment, Row};
use model::metric::{DoraStep, Grain, Metric, MetricKind};
use model::{Calendar, Day, DeploymentId, Hour, IncidentId, Span, Timestamp};
use oracle::{CatalogModel, Service, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use streamgauge_tests::story::{
    REPO, Teller, catalog, commit, correct, deploy, event, evidence_suffices, incident, of_service,
    reverting, shop, t, touching, versions, with,
};
use streamgauge_tests::{Tables, history};
use topology::Topology;

// Asking.

fn told(events: &[Value], catalog: &CatalogModel) -> Teller {
    Teller::new(catalog, &evidence_suffices(), 3).tell_all(events)
}

fn told_of_shop(events: &[Value]) -> Teller {
    told(events, &catalog(vec![shop()]))
}

#[track_caller]
fn only(explanations: Vec<Explanation>) -> Explanation {
    let [one] =
        <[Explanation; 1]>::try_from(explanations).unwrap_or_else(|many| panic!("not one: {many:#?}"));
    one
}

#[track_caller]
fn deployment(topology: &Topology, id: &str) -> Explanation {
    let id = DeploymentId::new(id);
    only(topology.correlators().iter().flat_map(|task| task.explain_deployment(&id)).collect())
}

fn of_commit_all(topology: &Topology, sha: &str) -> Vec<Explanation> {
    topology.correlators().iter().flat_map(|task| task.explain_commit(sha)).collect()
}

#[track_caller]
fn of_commit(topology: &Topology, sha: &str) -> Explanation {
    only(of_commit_all(topology, sha))
}

#[track_caller]
fn of_incident(topology: &Topology, id: &str) -> Explanation {
    let id = IncidentId::new(id);
    only(topology.correlators().iter().flat_map(|task| task.explain_incident(&id)).collect())
}

/// The one thing that was looked at and whose rule contains a word.
#[track_caller]
fn looked_at<'a>(explanation: &'a Explanation, counted: bool, rule: &str) -> &'a Considered {
    let mut found =
        explanation.considered.iter().filter(|one| one.counted == counted && one.rule.contains(rule));
    let one = found.next().unwrap_or_else(|| panic!("nothing by {rule} in {explanation:#?}"));
    assert!(found.next().is_none(), "several by {rule} in {explanation:#?}");
    one
}

/// It says all of these words.
#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

/// It did not count, for a reason with these words, by this configuration key.
#[track_caller]
fn refused(one: &Considered, words: &[&str], key: Option<&str>) {
    assert!(!one.counted);
    says(&one.detail, words);
    assert_eq!(one.key, key, "{one:#?}");
}

// Numbers.

/// A window's start and end.
fn bounds(step: &DoraStep, calendar: &Calendar) -> (Timestamp, Timestamp) {
    let last = step.as_of.minus(Span::from_seconds(1));
    let from = match step.window.grain() {
        Grain::Hour => Calendar::hour_end(Hour(Calendar::hour(last).0 - step.window.panes())),
        Grain::Day => calendar.day_start(Day(calendar.day(last).0 + 1 - step.window.panes())),
    };
    (from, step.as_of)
}

/// What an explanation of a step counts, which is what the step says that it is made of.
#[track_caller]
fn adds_up(topology: &Topology, step: &DoraStep) {
    let (from, to) = bounds(step, &Calendar::utc());
    let tasks = topology.correlators().iter();
    let all: Vec<Considered> =
        tasks.flat_map(|task| task.explain_metric(&step.scope, step.metric, from, to)).collect();
    let counted: Vec<&Considered> = all.iter().filter(|one| one.counted).collect();
    assert_eq!(counted.len() as u64, step.samples, "{step:#?}\n{all:#?}");
    match step.metric.kind() {
        MetricKind::Count => assert_eq!(step.value, Some(counted.len() as f64), "{step:#?}"),
        MetricKind::Rate if step.samples > 0 => {
            let hits = counted.iter().filter(|one| one.detail == "1 of 1").count();
            assert_eq!(step.value, Some(hits as f64 / counted.len() as f64), "{step:#?}\n{counted:#?}");
        }
        MetricKind::Median | MetricKind::Mean if step.samples > 0 => {
            let largest = step.p95.filter(|_| step.samples < 20).map(|p95| human(Span::from_seconds(p95)));
            let found = |largest| counted.iter().any(|one| one.detail == largest);
            assert!(largest.is_none_or(found), "{step:#?}\n{counted:#?}");
        }
        _ => {}
    }
    assert!(all.iter().all(|one| one.counted || !one.detail.is_empty()));
}

fn steps(tables: &Tables) -> impl Iterator<Item = &DoraStep> {
    // What is flaky is a workflow on a commit: its runs are facts, it is none.
    let of_facts = |step: &&DoraStep| step.metric != Metric::FlakyRate;
    tables
        .rows
        .values()
        .filter_map(|row| if let Row::Step(step) = row { Some(&**step) } else { None })
        .filter(of_facts)
}

fn deployments(tables: &Tables) -> Vec<&Deployment> {
    let rows = tables.rows.values();
    let mut rows: Vec<&Deployment> =
        rows.filter_map(|row| if let Row::Deployment(row) = row { Some(&**row) } else { None }).collect();
    rows.sort_by_key(|row| (row.finished_at, row.deployment_id.clone()));
    rows
}

/// What a deployment's explanation says is what its row says.
fn agrees(topology: &Topology, row: &Deployment) {
    let explanation = deployment(topology, row.deployment_id.as_str());
    let number = |one: &Considered| one.candidate.split(' ').next().unwrap().parse::<u64>().unwrap();
    let shipped: u64 =
        explanation.considered.iter().filter(|one| one.counted && one.rule == "changes").map(number).sum();
    assert_eq!(row.changes.unwrap_or(0), shipped, "{explanation:#?}");
    let failed = explanation.verdict.contains("it failed (");
    assert_eq!(row.failed == Some(true), failed, "{explanation:#?}");
    if let Some(evidence) = &row.failure_evidence {
        says(&explanation.verdict, &[if failed { evidence.as_str() } else { "" }]);
        let by = |one: &&Considered| one.counted && one.rule.contains(evidence.as_str());
        assert!(explanation.considered.iter().any(|one| by(&one)), "{explanation:#?}");
    }
    if let Some(seconds) = row.recovery_s {
        says(&explanation.verdict, &["recovered", &human(Span::from_seconds(seconds))]);
    }
    for one in &explanation.considered {
        assert!(
            !one.candidate.is_empty() && !one.rule.is_empty() && !one.detail.is_empty(),
            "{explanation:#?}"
        );
    }
}

// Real histories.

fn check_history(name: &str, repo: &str, reverted: usize) {
    let Some(told) = history::tell(name, repo) else { return };
    let rows = deployments(&told.tables);
    for row in &rows {
        agrees(&told.topology, row);
    }

    let failed: Vec<_> = rows.iter().filter(|row| row.failed == Some(true)).collect();
    assert_eq!(failed.len(), reverted);
    for row in failed {
        let explanation = deployment(&told.topology, row.deployment_id.as_str());
        let evidence = looked_at(&explanation, true, "reverted");
        says(&evidence.detail, &["the revert of"]);
        says(evidence.remedy.unwrap(), &["streamgauge correct deployment", "--not-failed"]);
        says(evidence.key.unwrap(), &["remediation_window"]);
        // The one that blames it is a deployment of the table that finished later.
        let by = evidence.candidate.strip_prefix("deployment ").unwrap();
        let by = rows.iter().find(|row| row.deployment_id.as_str() == by).unwrap();
        assert!(by.finished_at > row.finished_at && by.is_rework);
    }

    let first = deployment(&told.topology, rows[0].deployment_id.as_str());
    let swallowed: Vec<_> =
        first.considered.iter().filter(|one| one.key == Some("lead_time.first_deployment")).collect();
    assert_eq!(swallowed.len(), 1, "{first:#?}");
    refused(swallowed[0], &["first deployment"], Some("lead_time.first_deployment"));

    let changes = told.tables.rows.values().filter_map(|row| match row {
        Row::Change(row) => Some(row),
        _ => None,
    });
    for change in changes.step_by(500) {
        let explanation = of_commit(&told.topology, &change.commit_sha.to_string());
        says(&explanation.verdict, &["shipped by", change.deployment_id.as_str()]);
        if let Some(seconds) = change.lead_time_s.filter(|_| !change.skewed) {
            says(&explanation.verdict, &[&human(Span::from_seconds(seconds)), "from: commit"]);
        }
    }

    // Of each metric and window the last step that has data, and the last of all.
    let mut asked: BTreeMap<_, &DoraStep> = BTreeMap::new();
    for step in steps(&told.tables).filter(|step| step.scope.as_str() == format!("service:{name}")) {
        asked.insert((step.metric, step.window, step.samples > 0), step);
    }
    assert!(asked.len() >= 5 * 4, "{asked:#?}");
    for step in asked.values() {
        adds_up(&told.topology, step);
    }
}

#[test]
fn every_deployment_of_vector_is_explained_as_its_row_says() {
    check_history("vector", "github.com/vectordotdev/vector", 3);
}

#[test]
fn every_deployment_of_argo_cd_is_explained_as_its_row_says() {
    // None of its releases is followed within a week by one that ships a revert of what it shipped.
    check_history("argo-cd", "github.com/argoproj/argo-cd", 0);
}

// Deployments.

#[test]
fn a_failed_deployment_names_what_blames_it_and_what_to_do_if_that_is_wrong() {
    let story = told_of_shop(&[
        commit("aa", &[], 0),
        commit("bb", &["aa"], 10),
        reverting("cc", &["bb"], 20, "bb"),
        deploy("d1", "aa", 60),
        deploy("d2", "bb", 120),
        deploy("d3", "cc", 180),
        incident("i", "open", 130, json!({})),
    ]);
    let explanation = deployment(&story.topology, "d2");
    // The stronger evidence stands, and the weaker is told beside it.
    says(&explanation.verdict, &["it failed", "reverted", "has not recovered"]);
    let reverted = looked_at(&explanation, true, "reverted");
    says(&reverted.detail, &["cc", "the revert of bb"]);
    says(&reverted.candidate, &["d3"]);
    let temporal = looked_at(&explanation, true, "temporal");
    says(&temporal.candidate, &["incident i"]);
    says(&temporal.detail, &["10 min after it finished"]);
    says(temporal.key.unwrap(), &["failure_window"]);
    says(temporal.remedy.unwrap(), &["correct deployment", "--not-failed"]);
}

#[test]
fn a_rollback_is_named_by_the_version_that_came_back() {
    let story = told_of_shop(&versions(&[("1.0.0", 0), ("2.0.0", 10), ("3.0.0", 20), ("1.0.0", 30)]));
    let explanation = deployment(&story.topology, "d2");
    says(&explanation.verdict, &["it failed", "rollback", "recovered", "20 min"]);
    let evidence = looked_at(&explanation, true, "rollback");
    says(&evidence.candidate, &["d4"]);
    says(&evidence.detail, &["1.0.0"]);
    let explanation = deployment(&story.topology, "d3");
    says(&explanation.verdict, &["no evidence says that it failed"]);
}

#[test]
fn a_first_deployment_names_the_commits_that_it_swallowed_and_the_key_that_ships_them() {
    let story = told_of_shop(&[
        commit("aa", &[], 0),
        commit("bb", &["aa"], 10),
        commit("cc", &["bb"], 20),
        deploy("d1", "cc", 60),
    ]);
    let explanation = deployment(&story.topology, "d1");
    says(&looked_at(&explanation, true, "changes").candidate, &["1 "]);
    let swallowed = looked_at(&explanation, false, "changes");
    says(&swallowed.candidate, &["2 commits"]);
    refused(swallowed, &["first deployment", "such as aa"], Some("lead_time.first_deployment"));
    let explanation = of_commit(&story.topology, "aa");
    says(&explanation.verdict, &["no change"]);
    refused(
        looked_at(&explanation, false, "changes"),
        &["first deployment"],
        Some("lead_time.first_deployment"),
    );
}

#[test]
fn an_unknown_head_says_where_the_commit_would_have_to_come_from() {
    let mut nothing = deploy("d2", "x", 20);
    nothing["deployment"]["sha"] = json!(null);
    let story = told_of_shop(&[deploy("d1", "abc", 10), nothing]);
    let explanation = deployment(&story.topology, "d1");
    let head = looked_at(&explanation, false, "head");
    says(&head.candidate, &["abc"]);
    refused(head, &["not known"], Some("services.repositories (catalog)"));
    says(head.remedy.unwrap(), &["import the repository's history"]);
    let explanation = deployment(&story.topology, "d2");
    let head = looked_at(&explanation, false, "head");
    says(head.remedy.unwrap(), &["`sha`", "`digest`"]);
}

#[test]
fn a_deployment_that_is_not_of_production_says_which_tier_and_where_that_is_decided() {
    let staging = with(deploy("d1", "x", 10), json!({"environment": "staging-eu"}));
    let story = told_of_shop(&[staging]);
    let explanation = deployment(&story.topology, "d1");
    says(&explanation.verdict, &["cannot fail", "staging"]);
    let tier = looked_at(&explanation, false, "tier");
    refused(tier, &["staging-eu", "only production counts"], Some("environments (catalog)"));
    says(tier.remedy.unwrap(), &["[[environments]]"]);
}

#[test]
fn of_a_retried_part_the_attempt_that_does_not_count_says_so() {
    let part = |id: &str, state: &str, at: i64| {
        with(deploy(id, "x", at), json!({"rollout_id": "r", "part": "eu", "state": state}))
    };
    let story = told_of_shop(&[part("p1", "failed", 10), part("p2", "succeeded", 20)]);
    let explanation = deployment(&story.topology, "p1");
    assert_eq!(explanation, deployment(&story.topology, "p2"));
    says(&looked_at(&explanation, false, "retries").candidate, &["p1"]);
    says(&looked_at(&explanation, false, "retries").detail, &["failed", "retried"]);
    says(&looked_at(&explanation, true, "retries").candidate, &["p2"]);
}

#[test]
fn a_service_without_a_failure_source_says_what_would_be_one() {
    let story =
        Teller::new(&catalog(vec![shop()]), &Settings::default(), 3).tell_all(&[deploy("d1", "x", 10)]);
    let explanation = deployment(&story.topology, "d1");
    let source = looked_at(&explanation, false, "failure source");
    refused(source, &["null"], Some("failure_evidence_suffices"));
    says(source.remedy.unwrap(), &["incident alias", "failure_evidence_suffices = true"]);
}

// Commits.

/// A pull request that was squashed into `cc`.
fn squashed(listed: Option<Value>) -> Value {
    let body = json!({
        "number": 7, "state": "merged", "opened_at": t(5), "merged_at": t(30), "head_ref": "work", "base_ref": "main",
        "head_sha": "ab", "merge_commit_sha": "cc", "merge_method": "squash", "commits": listed,
    });
    event("pull_request", "pr", 30, body)
}

#[test]
fn a_squashed_pull_request_whose_commits_nobody_told_says_where_the_lead_time_starts_and_why() {
    let story = |listed| {
        told_of_shop(&[
            commit("aa", &[], 0),
            with(commit("cc", &["aa"], 30), json!({"authored_at": t(1)})),
            squashed(listed),
            deploy("d1", "aa", 10),
            deploy("d2", "cc", 60),
        ])
    };
    let alone = story(None);
    let explanation = of_commit(&alone.topology, "cc");
    says(&explanation.verdict, &["after 30 min", "from: commit"]);
    let pull = looked_at(&explanation, false, "start");
    says(&pull.candidate, &["commits of pull request 7"]);
    refused(pull, &["not told", "the earliest commit that is"], Some("lead_time.start"));
    says(pull.remedy.unwrap(), &["backfill the pull request"]);
    // With its list nothing is left to say.
    let listed = story(Some(json!([{"sha": "ab", "committed_at": t(2)}])));
    let explanation = of_commit(&listed.topology, "cc");
    says(&explanation.verdict, &["after 58 min", "from: pr_first_commit"]);
    assert!(explanation.considered.iter().all(|one| one.rule != "start" || one.counted), "{explanation:#?}");
}

#[test]
fn a_commit_that_is_only_named_says_by_whom_and_what_would_tell_of_it() {
    let story = told_of_shop(&[deploy("d1", "abc", 10)]);
    let explanation = of_commit(&story.topology, "abc");
    says(&explanation.verdict, &["no change", "neither a push nor a history told of it"]);
    let named = looked_at(&explanation, false, "head");
    says(&named.candidate, &["deployment d1"]);
    says(named.remedy.unwrap(), &["[git.mirror]", "backfill", "import"]);
    assert!(of_commit_all(&story.topology, "abd").is_empty());
}

#[test]
fn a_commit_says_which_deployment_ships_it_or_why_none_does() {
    let story = told_of_shop(&[
        commit("aa", &[], 0),
        commit("b1", &["aa"], 10),
        commit("b2", &["aa"], 20),
        commit("cc", &["b1", "b2"], 30),
        commit("dd", &["cc"], 40),
        deploy("d1", "aa", 50),
        deploy("d2", "cc", 70),
    ]);
    let shipped = of_commit(&story.topology, "b1");
    says(&shipped.verdict, &["shipped by d2", "1 h", "from: commit"]);
    says(&looked_at(&shipped, true, "label").candidate, &["d2"]);
    let merge = of_commit(&story.topology, "cc");
    says(&merge.verdict, &["merge commit"]);
    refused(looked_at(&merge, false, "changes"), &["merge commit"], None);
    let waiting = of_commit(&story.topology, "dd");
    says(&waiting.verdict, &["no succeeded production deployment"]);
    says(looked_at(&waiting, false, "changes").remedy.unwrap(), &["deploy it"]);
    assert!(waiting.considered.iter().all(|one| !one.counted));
}

#[test]
fn a_commit_that_its_deployment_does_not_list_or_that_is_skewed_says_so() {
    let story = told_of_shop(&[
        commit("aa", &[], 0),
        commit("bb", &["aa"], 10),
        commit("cc", &["bb"], 200),
        deploy("d1", "aa", 50),
        with(deploy("d2", "cc", 70), json!({"commits": ["cc"]})),
    ]);
    let unlisted = of_commit(&story.topology, "bb");
    refused(looked_at(&unlisted, false, "changes"), &["lists its commits"], None);
    let skewed = of_commit(&story.topology, "cc");
    says(&skewed.verdict, &["shipped by d2", "before it was made"]);
    says(&looked_at(&skewed, false, "skew").detail, &["-7800 s", "clock", "left out of percentiles"]);
}

#[test]
fn a_commit_of_a_monorepo_is_explained_for_each_service() {
    let service = |name: &str| Service {
        name: name.to_owned(),
        repositories: vec![(REPO.to_owned(), vec![format!("{name}/**")])],
        ..Service::default()
    };
    let events = [
        touching("aa", &[], 0, "cart/x"),
        commit("bb", &["aa"], 10),
        of_service(deploy("1", "bb", 20), "cart"),
        of_service(deploy("2", "bb", 30), "till"),
    ];
    let settings = Settings { first_deployment: "all".to_owned(), ..Settings::default() };
    let story = Teller::new(&catalog(vec![service("cart"), service("till")]), &settings, 3).tell_all(&events);
    let of = |sha: &str, service: &str| {
        let tasks = story.topology.correlators().iter();
        let all = tasks.flat_map(|task| task.explain_commit(sha));
        only(all.filter(|one| one.subject.ends_with(&format!("for {service}"))).collect())
    };
    says(&of("aa", "cart").verdict, &["shipped by 1", "20 min"]);
    let key = Some("services.repositories.paths (catalog)");
    refused(looked_at(&of("aa", "till"), false, "changes"), &["none of the service's paths"], key);
    let unknown = of("bb", "cart");
    refused(looked_at(&unknown, false, "changes"), &["not known"], key);
    says(looked_at(&unknown, false, "changes").remedy.unwrap(), &["--paths"]);
}

// Incidents.

#[test]
fn an_incident_that_blames_says_whom_by_which_rule_and_how_to_correct_it() {
    let story = told_of_shop(&[
        deploy("d1", "x", 0),
        incident("i", "open", 20, json!({})),
        incident("j", "resolved", 50, json!({"links": ["i"]})),
    ]);
    // Asked by either of its records.
    for id in ["i", "j"] {
        let explanation = of_incident(&story.topology, id);
        says(&explanation.subject, &["incident i of shop"]);
        says(&explanation.verdict, &["restored after 30 min", "blames deployment d1", "temporal"]);
        let records = explanation.considered.iter().filter(|one| one.rule == "one incident");
        assert_eq!(records.count(), 2);
        says(looked_at(&explanation, true, "temporal").remedy.unwrap(), &["correct deployment"]);
    }
}

#[test]
fn an_incident_that_blames_nobody_says_whether_severity_cause_or_window_decides_it() {
    let blames_nobody = |fields: Value, at: i64, words: &[&str], key: Option<&str>, remedy: Option<&str>| {
        let story = told_of_shop(&[deploy("d1", "x", 0), incident("i", "open", at, fields)]);
        let explanation = of_incident(&story.topology, "i");
        says(&explanation.verdict, &["open", "not resolved", "blames no deployment"]);
        let blame = looked_at(&explanation, false, "temporal");
        refused(blame, words, key);
        assert_eq!(blame.remedy.is_some(), remedy.is_some(), "{blame:#?}");
        says(blame.remedy.unwrap_or_default(), &[remedy.unwrap_or_default()]);
        // Whoever doubts the deployment's side is told the same.
        let deployment = deployment(&story.topology, "d1");
        let miss = looked_at(&deployment, false, "temporal");
        says(&miss.candidate, &["incident i"]);
        assert_eq!((&miss.detail, miss.key), (&blame.detail, blame.key));
    };
    let severity = json!({"severity": "sev4"});
    let low = ["sev4", "does not reach", Severity::Sev3.as_str()];
    blames_nobody(severity, 20, &low, Some("incident.min_severity"), Some("correct incident ID --severity"));
    let cause = json!({"cause": "capacity"});
    blames_nobody(cause, 20, &["cause is capacity"], None, Some("correct incident ID --cause change"));
    let late = ["d1", "5 h after", "outside the failure window"];
    blames_nobody(json!({}), 300, &late, Some("failure_window"), None);
    let names = json!({"names": {"version": "9.9.9"}});
    blames_nobody(names, 20, &["resolves to nothing"], None, Some("correct incident ID --deployment-id"));
    blames_nobody(json!({"tier": "staging"}), 20, &["staging"], None, None);
}

#[test]
fn an_incident_before_any_deployment_says_that_none_served() {
    let story = told_of_shop(&[deploy("d1", "x", 60), incident("i", "open", 20, json!({}))]);
    refused(
        looked_at(&of_incident(&story.topology, "i"), false, "temporal"),
        &["no deployment served"],
        None,
    );
}

// Metrics.

#[test]
fn what_counts_adds_up_to_every_step_of_every_scope() {
    let run = |id: &str, state: &str, at: i64| {
        let body = json!({
            "run_id": id, "attempt": 1, "workflow": "ci", "sha": "bb", "state": state, "started_at": t(0),
        });
        event("pipeline_run", id, at, body)
    };
    let service = Service { tags: BTreeMap::from([("layer".to_owned(), "edge".to_owned())]), ..shop() };
    let mut story = told(
        &[
            commit("aa", &[], 0),
            commit("bb", &["aa"], 10),
            reverting("cc", &["bb"], 20, "bb"),
            commit("dd", &["cc"], 5000),
            run("1", "passed", 15),
            run("2", "failed", 17),
            deploy("d1", "aa", 60),
            with(deploy("d2", "bb", 120), json!({"trigger": "push"})),
            with(deploy("d3", "cc", 180), json!({"trigger": "manual", "author_kind": "human"})),
            with(deploy("d4", "dd", 4000), json!({"canary": {"steps": 3, "promoted": true}})),
            with(deploy("d5", "dd", 4100), json!({"state": "failed"})),
            with(deploy("d6", "dd", 4200), json!({"environment": "staging"})),
            with(deploy("d7", "aa", 4300), json!({"hotfix": true})),
            incident("i", "open", 130, json!({"started_at": t(125), "detected_at": t(128)})),
            incident("i", "resolved", 300, json!({})),
            incident("k", "open", 4010, json!({"cause": "capacity"})),
            correct("c", "deployment", "d7", 4400, json!({"failed": true})),
        ],
        &catalog(vec![service]),
    );
    let tables = story.tables().clone();
    let metrics: BTreeSet<Metric> = steps(&tables).map(|step| step.metric).collect();
    // Every metric that facts add to has something to explain here.
    assert_eq!(metrics.len(), Metric::ALL.len() - 1, "{metrics:?}");
    for step in steps(&tables) {
        adds_up(&story.topology, step);
    }
    deployments(&tables).iter().for_each(|row| agrees(&story.topology, row));
}

#[test]
fn what_does_not_count_in_a_metric_says_why() {
    let story = Teller::new(&catalog(vec![shop()]), &Settings::default(), 3).tell_all(&[
        commit("aa", &[], 0),
        commit("bb", &["aa"], 500),
        deploy("d1", "aa", 60),
        deploy("d2", "bb", 70),
        with(deploy("d3", "aa", 80), json!({"state": "failed"})),
        with(deploy("d4", "aa", 90), json!({"environment": "staging"})),
    ]);
    let tasks = story.topology.correlators();
    let (from, to) = (Timestamp::MIN, Timestamp::parse("2026-01-06T00:00:00Z").unwrap());
    let asked = |metric: Metric| -> Vec<Considered> {
        let all = tasks.iter().flat_map(|task| task.explain_metric(&"service:shop".into(), metric, from, to));
        all.filter(|one| !one.counted).collect()
    };
    let of = |all: &[Considered], name: &str| -> Considered {
        all.iter()
            .find(|one| one.candidate.contains(name))
            .unwrap_or_else(|| panic!("no {name} in {all:#?}"))
            .clone()
    };
    let frequency = asked(Metric::DeploymentFrequency);
    assert_eq!(frequency.len(), 2, "{frequency:#?}");
    refused(&of(&frequency, "d3"), &["outcome is failed"], None);
    refused(&of(&frequency, "d4"), &["staging", "not production"], Some("environments (catalog)"));
    let rate = asked(Metric::ChangeFailRate);
    refused(&of(&rate, "d1"), &["no failure source"], Some("failure_evidence_suffices"));
    let lead = asked(Metric::ChangeLeadTime);
    assert_eq!(lead.len(), 1);
    refused(&of(&lead, "bb"), &["clock skew"], None);
}
