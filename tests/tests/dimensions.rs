//! Services, teams, scopes and definitions as rows: who tells them, and when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::fact::{Row, RowChange, RowKey};
use model::table::ChangelogEntry;
use model::{HomeKey, Span, Timestamp};
use oracle::{CatalogModel, Service, Settings};
use serde_json::json;
use std::collections::BTreeMap;
use streamgauge_tests::story::{REPO, Teller, catalog, commit, deploy, incident, shop, t, with};
use streamgauge_tests::{NOW, Tables};
use topology::{Batch, TaskId, Topology};

/// What a transaction tells at a time.
fn punctuate(topology: &mut Topology, now: Timestamp) -> Batch {
    topology.settle(true);
    topology.punctuate(now);
    topology.commit()
}

fn is_dimension(key: &RowKey) -> bool {
    matches!(key, RowKey::Service(_) | RowKey::Team(_) | RowKey::Scope(_) | RowKey::Definition(_))
}

/// The keys of the dimensions that a transaction put.
fn put(batch: &Batch) -> Vec<RowKey> {
    let rows = batch.rows.iter().filter(|(_, change)| matches!(change, RowChange::Upsert(_)));
    rows.map(|(_, change)| change.key()).filter(is_dimension).collect()
}

fn service<'a>(tables: &'a Tables, name: &str) -> &'a model::fact::ServiceDimension {
    match &tables.rows[&RowKey::Service(name.into())] {
        Row::Service(row) => row,
        other => panic!("{other:?}"),
    }
}

fn scope(tables: &Tables, name: &str) -> (Timestamp, bool) {
    match &tables.rows[&RowKey::Scope(name.into())] {
        Row::Scope(row) => (row.first_at, row.failure_source),
        other => panic!("{other:?}"),
    }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::parse(&t(minutes)).unwrap()
}

/// A catalog with a service, owned by these teams from these times on, and one more that nothing was told of.
fn owned_by(teams: Vec<(i64, &str)>) -> CatalogModel {
    let teams = teams.into_iter().map(|(from, team)| (from, team.to_owned())).collect();
    let silent = Service { name: "silent".to_owned(), ..Service::default() };
    let mut model = catalog(vec![Service { teams, ..shop() }, silent]);
    model.group_of_team.insert("old".to_owned(), "retail".to_owned());
    model
}

#[test]
fn services_teams_scopes_and_definitions_are_told_over_any_number_of_tasks() {
    for partitions in [1, 3, 12] {
        let mut teller = Teller::new(&owned_by(vec![(i64::MIN, "old")]), &Settings::default(), partitions);
        teller.tell(&deploy("d2", "x", 60));
        teller.tell(&deploy("d1", "x", 30));
        teller.tell(&with(deploy("d3", "y", 90), json!({"environment": "production"})));
        let mut elsewhere = deploy("d4", "z", 10);
        elsewhere["repo"] = json!("github.com/acme/other");
        teller.tell(&elsewhere);
        let tables = teller.tables();
        let row = service(tables, "shop");
        assert_eq!((row.team.as_ref().unwrap().as_str(), row.groups[0].as_str()), ("old", "retail"));
        assert_eq!((row.repos[0].as_str(), row.failure_source), (REPO, false));
        assert_eq!(service(tables, "silent").team, None);
        assert_eq!(service(tables, "github.com/acme/other").repos[0].as_str(), "github.com/acme/other");
        assert_eq!(scope(tables, "service:shop"), (at(30), false));
        assert_eq!(scope(tables, "group:retail"), (at(30), false));
        assert_eq!(scope(tables, "org:default"), (at(10), false));
        assert!(!tables.rows.contains_key(&RowKey::Scope("service:silent".into())));
        match &tables.rows[&RowKey::Team("old".into())] {
            Row::Team(row) => assert_eq!(row.services, ["shop".into()]),
            other => panic!("{other:?}"),
        }
        let definitions = tables.rows.keys().filter(|key| matches!(key, RowKey::Definition(_)));
        assert_eq!(definitions.count(), 5);
        // The first incident of a service lets its failures be seen, in each of its scopes.
        let told = incident("i", "open", 95, json!({}));
        teller.tell(&told);
        let tables = teller.tables();
        assert!(service(tables, "shop").failure_source && !service(tables, "silent").failure_source);
        assert_eq!(scope(tables, "team:old"), (at(30), true));
        assert_eq!(scope(tables, "org:default"), (at(10), true));
        assert_eq!(scope(tables, "service:github.com/acme/other"), (at(10), false));
    }
}

#[test]
fn what_was_told_is_not_told_again_until_a_team_takes_over() {
    let over = at(10 * 60);
    let model = owned_by(vec![(i64::MIN, "old"), (over.micros(), "new")]);
    let mut teller = Teller::new(&model, &Settings::default(), 3);
    teller.tell(&deploy("d1", "x", 30));
    let hour = Span::from_hours(1);
    assert!(!put(&punctuate(&mut teller.topology, over.minus(hour))).is_empty());
    for now in [over.minus(hour), over.minus(Span::from_seconds(1))] {
        assert_eq!(punctuate(&mut teller.topology, now).rows, []);
    }
    let told = put(&punctuate(&mut teller.topology, over));
    let expected = [RowKey::Service("shop".into()), RowKey::Team("new".into()), RowKey::Team("old".into())];
    assert_eq!(told, expected);
    assert_eq!(punctuate(&mut teller.topology, over.plus(hour)).rows, []);
}

#[test]
fn a_restored_task_tells_nothing_anew() {
    let mut teller = Teller::new(&owned_by(vec![(i64::MIN, "old")]), &Settings::default(), 3);
    let topology = &mut teller.topology;
    topology.process_event(model::json::from_value(deploy("d1", "x", 30)).unwrap());
    let batch = punctuate(topology, NOW);
    assert!(put(&batch).contains(&RowKey::Scope("team:old".into())));
    let mut state: BTreeMap<(TaskId, Vec<u8>), ChangelogEntry> = BTreeMap::new();
    state.extend(batch.changelog.into_iter().map(|(task, entry)| ((task, entry.key.clone()), entry)));
    let mut restored = Topology::new(topology.definitions().clone(), topology.catalog().clone(), 3);
    for ((task, _), entry) in &state {
        restored.restore(*task, entry).unwrap();
    }
    restored.restored();
    assert_eq!(punctuate(&mut restored, NOW).rows, []);
}

#[test]
fn a_thing_that_moves_is_deleted_by_its_old_task_and_put_by_its_new_one() {
    const TASKS: u32 = 12;
    let task = |repo: &str| TaskId::Correlate(correlate::partition_of(&HomeKey::new(repo), TASKS));
    // A service's home is the smallest of its repositories.
    let smaller =
        (0..).map(|n| format!("github.com/acme/a{n}")).find(|repo| task(repo) != task(REPO)).unwrap();
    let mut teller = Teller::new(&catalog(vec![shop()]), &Settings::default(), TASKS);
    teller.tell(&commit("x", &[], 0));
    teller.tell(&deploy("d1", "x", 30));
    let mut tables = Tables::default();
    tables.load(&punctuate(&mut teller.topology, NOW));
    let before = tables.rows.clone();
    let moved =
        Service { repositories: vec![(REPO.to_owned(), vec![]), (smaller.clone(), vec![])], ..shop() };
    teller.follow(&catalog(vec![moved]));
    let batch = punctuate(&mut teller.topology, NOW);
    let deployment = RowKey::Deployment("shop".into(), "d1".into());
    for key in [deployment, RowKey::Service("shop".into()), RowKey::Scope("service:shop".into())] {
        let told: BTreeMap<TaskId, bool> = batch
            .rows
            .iter()
            .filter(|(_, change)| change.key() == key)
            .map(|(task, change)| (*task, matches!(change, RowChange::Upsert(_))))
            .collect();
        assert_eq!(told, BTreeMap::from([(task(REPO), false), (task(&smaller), true)]), "{key:?}");
    }
    tables.load(&batch);
    let changed = before.iter().filter(|(key, row)| tables.rows.get(*key) != Some(*row));
    let changed: Vec<&RowKey> = changed.map(|(key, _)| key).collect();
    assert_eq!(changed, [&RowKey::Service("shop".into())], "it has one repository more");
    assert_eq!(before.len(), tables.rows.len());
}
