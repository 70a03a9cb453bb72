//! The one law, held against the oracle itself: small random organisations, in any order and with copies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use serde_json::Value;
use streamgauge_oracle::organisation::{Random, catalog, event, settings};
use streamgauge_oracle::{Input, Tables, compute};

/// What must hold of any tables.
fn check(tables: &Tables) {
    for ((service, id), row) in &tables.deployments {
        let own =
            tables.changes.iter().filter(|((s, _, _), c)| s == service && c["deployment_id"] == *id).count();
        assert_eq!(row["changes"].as_u64().unwrap_or(0), own as u64);
        assert!(row["recovered_at"].is_null() || row["failed"] == true);
        assert!(row["failed"] != true || !row["failure_evidence"].is_null());
    }
    for row in tables.steps.values() {
        let rate = row["metric"].as_str().unwrap().ends_with("_rate");
        assert!(!rate || row["value"].as_f64().is_none_or(|value| (0.0..=1.0).contains(&value)));
        let of_nothing = row["value"].is_null() || row["metric"] == "deployment_frequency";
        assert!(row["samples"] != 0 || of_nothing);
    }
}

#[test]
fn any_order_and_any_copies_of_the_same_events_give_the_same_tables() {
    let mut seen = [0; 5];
    for seed in 0..100 {
        let mut random = Random(seed);
        let settings = settings(&mut random);
        let count = 10 + random.below(80);
        let mut events: Vec<Value> = (0..count).map(|number| event(&mut random, number)).collect();
        let compute =
            |events: &[Value]| compute(&Input { events, catalog: &catalog(), definitions: &settings });
        let tables = compute(&events);
        check(&tables);
        for _ in 0..count {
            events.push(random.pick(&events));
        }
        random.shuffle(&mut events);
        assert_eq!(tables, compute(&events), "seed {seed}");
        let failed = tables.deployments.values().filter(|row| row["failed"] == true).count();
        let recovered = tables.deployments.values().filter(|row| !row["recovered_at"].is_null()).count();
        let sizes = [tables.changes.len(), failed, recovered, tables.parked.len(), tables.steps.len()];
        for (sum, size) in seen.iter_mut().zip(sizes) {
            *sum += size;
        }
    }
    assert!(seen.iter().all(|sum| *sum > 40), "the organisations are too dull: {seen:?}");
}
