//! Small stories: events written down in a few words, told to the engine, and the tables that they leave.

use crate::{NOW, Tables, twin};
use model::Timestamp;
use model::fact::Row;
use oracle::{CatalogModel, Input, Service, Settings, compute};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use topology::Topology;

/// The repository of every event that does not say otherwise; it is a service of this name unless claimed.
pub const REPO: &str = "github.com/acme/shop";

/// Seconds since 1970 at 2026-01-05T00:00:00Z, a Monday: when every story begins.
const MONDAY: i64 = 1_767_571_200;

/// Minutes after the story began.
pub fn t(minutes: i64) -> String {
    Timestamp::from_seconds(MONDAY + minutes * 60).unwrap().to_string()
}

pub fn event(kind: &str, id: &str, minutes: i64, body: Value) -> Value {
    let mut event = json!({
        "id": id, "type": kind, "occurred_at": t(minutes), "observed_at": t(minutes), "source": "test", "repo": REPO,
    });
    event[kind] = body;
    event
}

/// Adds or replaces fields of an event's own object.
pub fn with(mut event: Value, fields: Value) -> Value {
    let kind = event["type"].as_str().unwrap().to_owned();
    for (name, value) in fields.as_object().unwrap() {
        event[kind.as_str()][name] = value.clone();
    }
    event
}

/// The event names this service (or alias).
pub fn of_service(mut event: Value, service: &str) -> Value {
    event["service"] = json!(service);
    event
}

/// The event names this alias and no repository.
pub fn of_alias(event: Value, alias: &str) -> Value {
    let mut event = of_service(event, alias);
    event["repo"] = json!(null);
    event
}

pub fn commit(sha: &str, parents: &[&str], minutes: i64) -> Value {
    event("commit", sha, minutes, json!({"sha": sha, "parents": parents, "committed_at": t(minutes)}))
}

/// A commit for which the paths that it touches are told.
pub fn touching(sha: &str, parents: &[&str], minutes: i64, path: &str) -> Value {
    with(commit(sha, parents, minutes), json!({"paths": [path]}))
}

pub fn reverting(sha: &str, parents: &[&str], minutes: i64, reverted: &str) -> Value {
    with(commit(sha, parents, minutes), json!({"reverts": [reverted]}))
}

/// A production deployment that succeeds within one minute.
pub fn deploy(id: &str, sha: &str, finished: i64) -> Value {
    let body = json!({
        "deployment_id": id, "environment": "production", "sha": sha, "state": "succeeded",
        "started_at": t(finished - 1), "finished_at": t(finished),
    });
    event("deployment", id, finished, body)
}

/// Deployments d1, d2, … of versions, each at a minute, with a head that nobody knows.
pub fn versions(list: &[(&str, i64)]) -> Vec<Value> {
    let one = |(i, (version, at)): (usize, &(&str, i64))| {
        with(deploy(&format!("d{}", i + 1), "unknown", *at), json!({"version": version}))
    };
    list.iter().enumerate().map(one).collect()
}

/// A record of an incident of severity 2.
pub fn incident(id: &str, state: &str, at: i64, fields: Value) -> Value {
    let body = json!({"incident_id": id, "state": state, "severity": "sev2"});
    with(event("incident", &format!("{id}-{state}-{at}"), at, body), fields)
}

pub fn correct(id: &str, target: &str, target_id: &str, at: i64, set: Value) -> Value {
    let body = json!({"target": target, "target_id": target_id, "set": set, "reason": "said so"});
    event("correction", id, at, body)
}

/// A correction that takes another one away.
pub fn undo(id: &str, undone: &str, target: &str, target_id: &str, at: i64) -> Value {
    with(correct(id, target, target_id, at, json!({})), json!({"undoes": undone}))
}

/// A service of the story's repository.
pub fn shop() -> Service {
    Service {
        name: "shop".to_owned(),
        repositories: vec![(REPO.to_owned(), Vec::new())],
        ..Service::default()
    }
}

pub fn catalog(services: Vec<Service>) -> CatalogModel {
    CatalogModel { services, ..CatalogModel::default() }
}

/// Rollback, revert and hotfix are evidence enough for every service.
pub fn evidence_suffices() -> Settings {
    Settings { failure_evidence_suffices: true, ..Settings::default() }
}

/// The engine, while it is told a story.
pub struct Teller {
    pub topology: Topology,
    tables: Tables,
}

impl Teller {
    pub fn new(catalog: &CatalogModel, settings: &Settings, partitions: u32) -> Self {
        let definitions = twin::definitions(settings);
        let catalog = twin::catalog(catalog, &definitions);
        Self { topology: Topology::new(definitions, catalog, partitions), tables: Tables::default() }
    }

    pub fn tell(&mut self, event: &Value) {
        let event = model::json::from_value(event.clone()).unwrap_or_else(|e| panic!("{e:?}: {event}"));
        self.topology.process_event(event);
    }

    /// A new catalog is in force from here on.
    pub fn follow(&mut self, catalog: &CatalogModel) {
        let catalog = twin::catalog(catalog, self.topology.definitions());
        self.topology.set_catalog(catalog);
    }

    /// Settles, commits, and gives the tables as they are now.
    pub fn tables(&mut self) -> &Tables {
        self.topology.settle(true);
        self.topology.punctuate(NOW);
        self.tables.load(&self.topology.commit());
        &self.tables
    }

    pub fn tell_all<'a>(mut self, events: impl IntoIterator<Item = &'a Value>) -> Self {
        events.into_iter().for_each(|event| self.tell(event));
        self.tables();
        self
    }
}

/// The tables that events leave: the same when told record by record, backwards, doubled and over 3 partitions,
/// and the same as the oracle's.
#[track_caller]
pub fn run_with(events: &[Value], catalog: &CatalogModel, settings: &Settings) -> Told {
    let teller = |partitions| Teller::new(catalog, settings, partitions);
    let mut one_by_one = teller(1);
    for event in events {
        one_by_one.tell(event);
        // What each record retracts is committed before the next one comes.
        one_by_one.tables();
    }
    let tables = one_by_one.tables().clone();
    let mut before_the_catalog = Teller::new(&CatalogModel::default(), settings, 3).tell_all(events);
    before_the_catalog.follow(catalog);
    for (how, mut other) in [
        ("backwards", teller(1).tell_all(events.iter().rev())),
        ("doubled", teller(1).tell_all(events.iter().flat_map(|event| [event, event]))),
        ("backwards and again, over 3 partitions", teller(3).tell_all(events.iter().rev().chain(events))),
        ("over 3 partitions, before the catalog came", before_the_catalog),
    ] {
        if *other.tables() != tables {
            let found = twin::differences(&twin::of_engine(&other.tables), &twin::of_engine(&tables), 5);
            panic!("{how} differs (here \"oracle\" is what was told one by one):\n{}", found.join("\n"));
        }
    }
    let expected = compute(&Input { events, catalog, definitions: settings });
    let told = Told::of(&tables);
    let found = twin::differences(&told.rows, &twin::of_oracle(&expected), 5);
    assert!(found.is_empty(), "the oracle differs:\n{}", found.join("\n"));
    told
}

/// Without a catalog, where rollback, revert and hotfix are evidence enough.
#[track_caller]
pub fn run(events: &[Value]) -> Told {
    run_with(events, &CatalogModel::default(), &evidence_suffices())
}

/// The tables before and after a new catalog: those after are what the new catalog alone would have given.
#[track_caller]
pub fn run_through(
    events: &[Value],
    before: &CatalogModel,
    after: &CatalogModel,
    settings: &Settings,
) -> (Told, Told) {
    let expected = run_with(events, after, settings);
    for partitions in [1, 3] {
        let mut teller = Teller::new(before, settings, partitions).tell_all(events);
        teller.follow(after);
        let found = twin::differences(&Told::of(teller.tables()).rows, &expected.rows, 5);
        assert!(
            found.is_empty(),
            "the old catalog left (engine: changed; oracle: new):\n{}",
            found.join("\n")
        );
    }
    (run_with(events, before, settings), expected)
}

/// The tables that a story left, as JSON.
pub struct Told {
    rows: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// Why each parked event waits.
    pub parked: Vec<String>,
}

impl Told {
    fn of(tables: &Tables) -> Self {
        let reason = |row: &Row| match row {
            Row::ParkedEvent(row) => Some(row.reason.to_string()),
            _ => None,
        };
        Self { rows: twin::of_engine(tables), parked: tables.rows.values().filter_map(reason).collect() }
    }

    /// The keys of a table's rows, in order.
    pub fn keys(&self, table: &str) -> Vec<&str> {
        self.rows.get(table).into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    #[track_caller]
    pub fn row(&self, table: &str, key: &str) -> &Value {
        let row = self.rows.get(table).and_then(|rows| rows.get(key));
        row.unwrap_or_else(|| panic!("no {key:?} among {:#?}", self.keys(table)))
    }

    /// A deployment whose id only one service has.
    #[track_caller]
    pub fn deployment(&self, id: &str) -> &Value {
        let mut rows = self.rows["deployments"].values().filter(|row| row["deployment_id"] == id);
        let row = rows.next().unwrap_or_else(|| panic!("no {id:?} among {:#?}", self.keys("deployments")));
        assert!(rows.next().is_none(), "several services deployed {id:?}");
        row
    }

    #[track_caller]
    pub fn incident(&self, id: &str) -> &Value {
        self.row("incidents", id)
    }

    /// The changes of a service by their commits.
    pub fn changes(&self, service: &str) -> BTreeMap<&str, &Value> {
        let rows = self.rows.get("changes").into_iter().flatten().map(|(_, row)| row);
        rows.filter(|row| row["service"] == service)
            .map(|row| (row["commit_sha"].as_str().unwrap(), row))
            .collect()
    }

    /// The commits of a service's changes.
    pub fn shas(&self, service: &str) -> Vec<&str> {
        self.changes(service).into_keys().collect()
    }

    #[track_caller]
    pub fn step(&self, scope: &str, metric: &str, window: &str, as_of: &str) -> &Value {
        self.row("steps", &format!("{scope} {metric} {window} {as_of}"))
    }

    /// When a metric of a scope changes.
    pub fn steps(&self, scope: &str, metric: &str, window: &str) -> Vec<&str> {
        let start = format!("{scope} {metric} {window} ");
        self.keys("steps").into_iter().filter_map(|key| key.strip_prefix(start.as_str())).collect()
    }
}

/// A row has these fields, whatever else it has.
#[track_caller]
pub fn holds(row: &Value, fields: Value) {
    for (name, expected) in fields.as_object().unwrap() {
        let found = row.get(name).unwrap_or_else(|| panic!("no field {name} in {row:#}"));
        let equal = match (found.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => found == expected,
        };
        assert!(equal, "{name} is {found}, not {expected}, in {row:#}");
    }
}
