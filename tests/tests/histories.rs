//! Two real histories: every number of every window end equals the oracle's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use oracle::{Input, compute};
use streamgauge_tests::{history, twin};

fn check(name: &str, repo: &str, deployments: usize) {
    let Some(told) = history::tell(name, repo) else { return };
    let input = Input { events: &told.events, catalog: &told.catalog, definitions: &told.settings };
    let expected = compute(&input);
    assert_eq!(expected.deployments.len(), deployments);
    let found = twin::differences(&twin::of_engine(&told.tables), &twin::of_oracle(&expected), 10);
    assert!(found.is_empty(), "{}", found.join("\n"));
    println!(
        "{name}: {deployments} deployments, {} changes, {} steps equal",
        expected.changes.len(),
        expected.steps.len()
    );
}

#[test]
fn every_window_of_argo_cd_equals_the_oracle() {
    check("argo-cd", "github.com/argoproj/argo-cd", 590);
}

#[test]
fn every_window_of_vector_equals_the_oracle() {
    check("vector", "github.com/vectordotdev/vector", 133);
}
