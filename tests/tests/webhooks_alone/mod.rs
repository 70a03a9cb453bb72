//! By webhooks alone: what differs from what a mirror and a backfill tell beside them, cell by cell, and that `explain`
//! says of each why.

use super::{CHECKOUT, FIRST, SECOND, SHOP, deliveries, mirror, organisation_toml, records, sha, vendors};
use correlate::explain::{Considered, Explanation};
use model::fact::{Change, Row};
use model::metric::{DoraStep, Grain, Metric, Window};
use model::raw::RawRecord;
use model::{Calendar, Day, DeploymentId, Hour, Scope, Span, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use streamgauge_tests::{NOW, Tables, twin};
use topology::Topology;

/// A run that can be asked.
struct Told {
    topology: Topology,
    tables: Tables,
}

fn tell(records: &[RawRecord]) -> Told {
    let definitions = model::Definitions::default();
    let catalog = catalog::Catalog::from_toml("catalog.toml", &organisation_toml(""), &definitions).unwrap();
    let mut topology = Topology::new(definitions, Arc::new(catalog), 3);
    records.iter().for_each(|record| _ = topology.process(record));
    topology.settle(true);
    topology.punctuate(NOW);
    let mut tables = Tables::default();
    tables.load(&topology.commit());
    Told { topology, tables }
}

/// Webhooks, some of which were lost.
fn webhooks(lost: &[usize]) -> Vec<RawRecord> {
    let all = records(&deliveries());
    all.into_iter().enumerate().filter(|(at, _)| !lost.contains(at)).map(|(_, record)| record).collect()
}

fn everything() -> Told {
    let backfill = vendors::backfilled();
    tell(&webhooks(&[]).into_iter().chain(backfill).chain(mirror()).collect::<Vec<_>>())
}

impl Told {
    fn deployment(&self, id: &str) -> Vec<Explanation> {
        let id = DeploymentId::new(id);
        self.topology.correlators().iter().flat_map(|task| task.explain_deployment(&id)).collect()
    }

    fn commit(&self, sha: &str) -> Vec<Explanation> {
        self.topology.correlators().iter().flat_map(|task| task.explain_commit(sha)).collect()
    }

    /// What did not count in a window.
    fn left_out(
        &self,
        (scope, metric, window): &(Scope, Metric, Window),
        as_of: Timestamp,
    ) -> Vec<Considered> {
        let (from, to) = bounds(*window, as_of);
        let tasks = self.topology.correlators().iter();
        let all = tasks.flat_map(|task| task.explain_metric(scope, *metric, from, to));
        all.filter(|one| !one.counted).collect()
    }

    fn steps(&self) -> BTreeMap<(Scope, Metric, Window), BTreeMap<Timestamp, &DoraStep>> {
        let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for row in self.tables.rows.values() {
            if let Row::Step(step) = row {
                let series = (step.scope.clone(), step.metric, step.window);
                all.entry(series).or_default().insert(step.as_of, &**step);
            }
        }
        all
    }
}

/// A window's start and end.
fn bounds(window: Window, as_of: Timestamp) -> (Timestamp, Timestamp) {
    let (last, utc) = (as_of.minus(Span::from_seconds(1)), Calendar::utc());
    let from = match window.grain() {
        Grain::Hour => Calendar::hour_end(Hour(Calendar::hour(last).0 - window.panes())),
        Grain::Day => utc.day_start(Day(utc.day(last).0 + 1 - window.panes())),
    };
    (from, as_of)
}

/// The windows that differ, at each instant at which either takes a step.
fn windows_that_differ(a: &Told, b: &Told) -> BTreeSet<((Scope, Metric, Window), Timestamp)> {
    let (mine, theirs) = (a.steps(), b.steps());
    let none = BTreeMap::new();
    let mut found = BTreeSet::new();
    for series in mine.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        let (mine, theirs) = (mine.get(series).unwrap_or(&none), theirs.get(series).unwrap_or(&none));
        // A window without data is as one that never had any.
        let at = |steps: &BTreeMap<Timestamp, &DoraStep>, at: Timestamp| {
            let step = steps.range(..=at).next_back().map(|(_, step)| (*step).clone());
            step.filter(|step| step.samples > 0).map(|step| DoraStep { as_of: at, ..step })
        };
        for as_of in mine.keys().chain(theirs.keys()) {
            if at(mine, *as_of) != at(theirs, *as_of) {
                found.insert((series.clone(), *as_of));
            }
        }
    }
    found
}

/// The cells of facts that differ: table, key and field; without a field where the row is missing.
fn cells_that_differ(a: &Told, b: &Told) -> BTreeSet<(&'static str, String, Option<String>)> {
    let (mine, theirs) = (twin::of_engine(&a.tables), twin::of_engine(&b.tables));
    let mut found = BTreeSet::new();
    for table in mine.keys().chain(theirs.keys()).filter(|table| **table != "steps") {
        let rows = |tables: &BTreeMap<&'static str, BTreeMap<String, Value>>| {
            tables.get(table).cloned().unwrap_or_default()
        };
        let (mine, theirs) = (rows(&mine), rows(&theirs));
        for key in mine.keys().chain(theirs.keys()) {
            let (Some(Value::Object(a)), Some(Value::Object(b))) = (mine.get(key), theirs.get(key)) else {
                if mine.get(key) != theirs.get(key) {
                    found.insert((*table, key.clone(), None));
                }
                continue;
            };
            let fields = a.keys().chain(b.keys()).filter(|field| a.get(*field) != b.get(*field));
            found.extend(fields.map(|field| (*table, key.clone(), Some(field.clone()))));
        }
    }
    found
}

/// Who says why a cell differs.
enum Asked {
    Deployment(&'static str),
    Commit(char),
}

/// A cell that differs, who is asked, by which rule it did not count, and words of the reason.
type Explained = (&'static str, String, Option<&'static str>, Asked, &'static str, &'static str);

const UNKNOWN_HEAD: &str = "not known in a repository of the service";

/// Exactly these cells of facts differ, and each is explained; so is each window that differs, which are so many.
#[track_caller]
fn differs_only(lost: &[usize], cells: Vec<Explained>, windows: usize) {
    let (alone, expected) = (tell(&webhooks(lost)), everything());
    let listed: BTreeSet<_> =
        cells.iter().map(|(table, key, field, ..)| (*table, key.clone(), field.map(str::to_owned))).collect();
    assert_eq!(cells_that_differ(&alone, &expected), listed);
    for (table, key, field, asked, rule, words) in cells {
        let explanations = match asked {
            Asked::Deployment(id) => alone.deployment(id),
            Asked::Commit(of) => alone.commit(&sha(of)),
        };
        let says = |one: &&Considered| !one.counted && one.rule == rule && one.detail.contains(words);
        let why = explanations.iter().flat_map(|one| &one.considered).find(says);
        let why = why.unwrap_or_else(|| panic!("{table} {key} {field:?} by {rule}: {explanations:#?}"));
        assert!(why.key.is_some() || why.remedy.is_some(), "{why:#?}");
    }

    // A window's numbers differ by the changes that are missing: their deployments are named.
    let changes = |told: &Told| -> BTreeMap<_, _> {
        let rows = told.tables.rows.values().filter_map(|row| match row {
            Row::Change(row) => Some(((row.service.clone(), row.commit_sha.clone()), (**row).clone())),
            _ => None,
        });
        rows.collect()
    };
    let known = changes(&alone);
    let missing: Vec<_> = changes(&expected)
        .into_iter()
        .filter(|(key, _)| !known.contains_key(key))
        .map(|(_, row)| row)
        .collect();
    let differ = windows_that_differ(&alone, &expected);
    let count = differ.len();
    for (series, as_of) in differ {
        let (scope, metric, window) = &series;
        assert_eq!(*metric, Metric::ChangeLeadTime, "{series:?}");
        let (from, to) = bounds(*window, as_of);
        let of_scope = |row: &&Change| {
            let scopes =
                [format!("service:{}", row.service), format!("repo:{}", row.repo), "org:default".to_owned()];
            scopes.iter().any(|one| one == scope.as_str()) && row.deployed_at >= from && row.deployed_at < to
        };
        let left_out = alone.left_out(&series, as_of);
        let mut explained = 0;
        for change in missing.iter().filter(of_scope) {
            let name = format!("changes of deployment {} of {}", change.deployment_id, change.service);
            let why = left_out.iter().find(|one| one.candidate == name);
            let why = why.unwrap_or_else(|| panic!("{name} in {series:?} at {as_of}: {left_out:#?}"));
            assert!(why.key.is_some() && why.remedy.is_some(), "{why:#?}");
            explained += 1;
        }
        assert!(explained > 0, "nothing explains {series:?} at {as_of}");
    }
    assert_eq!(count, windows, "windows that differ");
}

fn change(service: &str, repo: &str, of: char) -> String {
    format!("{service} {repo} {}", sha(of))
}

const CART: &str = "github.com/acme/cart";

/// A push does not say when a commit was written.
fn authored(of: char) -> Explained {
    let (service, repo) = if of == '7' { ("cart", CART) } else { ("checkout", CHECKOUT) };
    let words = "no record says when it was written";
    ("changes", change(service, repo, of), Some("authored_at"), Asked::Commit(of), "start", words)
}

#[test]
fn webhooks_that_all_came_tell_all_but_when_commits_were_written() {
    differs_only(&[], ['1', '2', '3', '7'].map(authored).into(), 0);
}

#[test]
fn a_lost_first_push_makes_another_deployment_the_first_and_each_difference_is_explained() {
    let cells = vec![
        (
            "deployments",
            format!("checkout {FIRST}"),
            Some("changes"),
            Asked::Deployment(FIRST),
            "head",
            UNKNOWN_HEAD,
        ),
        (
            "deployments",
            format!("checkout {SECOND}"),
            Some("changes"),
            Asked::Deployment(SECOND),
            "first deployment",
            "it finished earlier, but its head is not known",
        ),
        // Known as what was there before the second push.
        (
            "changes",
            change("checkout", CHECKOUT, '1'),
            None,
            Asked::Commit('1'),
            "changes",
            "the first deployment of the service does not ship the history behind its head",
        ),
        (
            "changes",
            change("checkout", CHECKOUT, '2'),
            None,
            Asked::Commit('2'),
            "changes",
            "the first deployment of the service does not ship the history behind its head",
        ),
        authored('3'),
        authored('7'),
    ];
    differs_only(&[0], cells, 19);
}

#[test]
fn a_lost_push_leaves_an_unknown_head_and_each_difference_is_explained() {
    let cells = vec![
        (
            "deployments",
            format!("checkout {SECOND}"),
            Some("changes"),
            Asked::Deployment(SECOND),
            "head",
            UNKNOWN_HEAD,
        ),
        // Nobody named it: what its deployment ships cannot be told.
        ("changes", change("checkout", CHECKOUT, '2'), None, Asked::Deployment(SECOND), "head", UNKNOWN_HEAD),
        (
            "changes",
            change("checkout", CHECKOUT, '3'),
            None,
            Asked::Commit('3'),
            "head",
            "what it ships cannot be told",
        ),
        authored('1'),
        authored('7'),
    ];
    differs_only(&[5], cells, 16);
}

#[test]
fn a_lost_push_of_gitlab_leaves_a_run_without_its_deployment_and_each_difference_is_explained() {
    let run = format!("{SHOP} jenkins:ci.example.com/job/ops/job/deploy-shop-prod/7 1");
    let cells = vec![
        (
            "deployments",
            "shop gitlab:job:796".to_owned(),
            Some("changes"),
            Asked::Deployment("gitlab:job:796"),
            "head",
            UNKNOWN_HEAD,
        ),
        (
            "pipeline_runs",
            run,
            Some("start_to_deploy_s"),
            Asked::Commit('c'),
            "start to deploy",
            "no deployment after it is known to reach its commit",
        ),
        authored('1'),
        authored('2'),
        authored('3'),
        authored('7'),
    ];
    differs_only(&[19], cells, 0);
}

#[test]
fn a_lost_tag_leaves_a_version_that_is_no_commit_and_each_difference_is_explained() {
    let tag = "2.0.0 is no known tag of its repositories";
    let cart = |field| {
        ("deployments", "cart shipit:9".to_owned(), Some(field), Asked::Deployment("shipit:9"), "head", tag)
    };
    let cells = vec![
        cart("changes"),
        cart("commit_sha"),
        ("changes", change("cart", CART, '7'), None, Asked::Deployment("shipit:9"), "head", tag),
        authored('1'),
        authored('2'),
        authored('3'),
    ];
    differs_only(&[25], cells, 14);
}
