//! What one home told another while a catalog was in force is right under the next one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use oracle::{CatalogModel, Input, Service, Settings, compute};
use serde_json::{Value, json};
use streamgauge_tests::story::{Teller, catalog, deploy, incident, of_service, versions};
use streamgauge_tests::twin;

/// A service whose home is that of its first repository.
fn service(name: &str, repo: &str, dependencies: &[&str]) -> Service {
    Service {
        name: name.to_owned(),
        repositories: vec![(repo.to_owned(), Vec::new())],
        dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        ..Service::default()
    }
}

/// Homes fall to other tasks with each number of partitions: some of these move what the story moves.
const PARTITIONS: std::ops::Range<u32> = 1..12;

/// Tells `told` under each catalog in turn; in the end the tables are the oracle's.
#[track_caller]
fn follow(told: &[(&CatalogModel, &[Value])], settings: &Settings) {
    let events: Vec<Value> = told.iter().flat_map(|(_, events)| events.to_vec()).collect();
    let (last, _) = told.last().unwrap();
    let expected = compute(&Input { events: &events, catalog: last, definitions: settings });
    for partitions in PARTITIONS {
        let mut teller = Teller::new(told[0].0, settings, partitions);
        for (catalog, events) in told {
            teller.follow(catalog);
            events.iter().for_each(|event| teller.tell(event));
            teller.tables();
        }
        let found = twin::differences(&twin::of_engine(teller.tables()), &twin::of_oracle(&expected), 5);
        assert!(found.is_empty(), "{partitions} partitions: the oracle differs:\n{}", found.join("\n"));
    }
}

fn named_by(id: &str, service: &str, at: i64, names: Value) -> Value {
    of_service(incident(id, "open", at, json!({"names": names})), service)
}

#[test]
fn a_blame_is_taken_back_where_it_was_told_though_that_home_went_and_came_back() {
    let api = service("api", "r/api", &[]);
    let here = catalog(vec![service("shop", "r/shop", &[]), api.clone()]);
    let there = catalog(vec![service("shop", "r/other", &[]), api]);
    let blaming = [
        of_service(deploy("d1", "a", 10), "shop"),
        named_by("i1", "api", 20, json!({"deployment_id": "d1"})),
    ];
    let no_more = [named_by("i1", "api", 30, json!({"version": "7"}))];
    follow(&[(&here, &blaming), (&there, &no_more), (&here, &[])], &Settings::default());
}

#[test]
fn a_dependency_s_blame_follows_the_incident_s_service_to_its_new_home() {
    let settings = Settings { blame_dependencies: true, ..Settings::default() };
    let store = service("store", "r/store", &[]);
    let before = catalog(vec![service("shop", "r/shop", &["store"]), store.clone()]);
    let after = catalog(vec![service("shop", "r/other", &["store"]), store]);
    let mut story: Vec<Value> =
        versions(&[("1", 10)]).into_iter().map(|event| of_service(event, "store")).collect();
    story.push(of_service(incident("i1", "open", 20, json!({"cause": "dependency"})), "shop"));
    follow(&[(&before, &story), (&after, &[])], &settings);
    follow(&[(&before, &story), (&after, &[]), (&before, &[])], &settings);
}
