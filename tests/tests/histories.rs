//! Two real histories: every number of every window end equals the oracle's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::Definitions;
use model::json;
use oracle::{CatalogModel, Input, Service, Settings, compute};
use serde_json::Value;
use streamgauge_tests::{Tables, history, twin};
use topology::Topology;

fn check(name: &str, repo: &str, deployments: usize) {
    let Some(records) = history::read(name, repo) else { return };
    let settings = Settings { failure_evidence_suffices: true, ..Settings::default() };
    let definitions: Definitions = twin::definitions(&settings);
    let model = CatalogModel {
        services: vec![Service {
            name: name.to_owned(),
            repositories: vec![(repo.to_owned(), Vec::new())],
            ..Service::default()
        }],
        ..CatalogModel::default()
    };
    let catalog = twin::catalog(&model, &definitions);
    let mut events: Vec<Value> = Vec::new();
    let mut topology = Topology::new(definitions, catalog, 3);
    let mut tables = Tables::default();
    for batch in records.chunks(5_000) {
        for record in batch {
            let processed = topology.process(record);
            assert_eq!(processed.rejected, None);
        }
        topology.settle(false);
        let batch = topology.commit();
        events.extend(batch.events.iter().map(|event| json::to_value(event)));
        tables.load(&batch);
    }
    topology.settle(true);
    tables.load(&topology.commit());
    let expected = compute(&Input { events: &events, catalog: &model, definitions: &settings });
    assert_eq!(expected.deployments.len(), deployments);
    let found = twin::differences(&twin::of_engine(&tables), &twin::of_oracle(&expected), 10);
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!("{name}: {deployments} deployments, {} changes, {} steps equal", expected.changes.len(), expected.steps.len());
}

#[test]
fn every_window_of_argo_cd_equals_the_oracle() {
    check("argo-cd", "github.com/argoproj/argo-cd", 590);
}

#[test]
fn every_window_of_vector_equals_the_oracle() {
    check("vector", "github.com/vectordotdev/vector", 133);
}
