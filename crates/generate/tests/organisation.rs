//! What the engine makes of a generated organisation: numbers as real ones are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use catalog::Catalog;
use model::Definitions;
use model::event::EnvironmentTier;
use model::fact::{Deployment, FailureEvidence, Outcome, Row};
use model::raw::RawRecord;
use std::collections::BTreeMap;
use std::sync::Arc;
use streamgauge_generate::{Options, catalog_toml, generate, steady, steady_catalog_toml};
use topology::Topology;

fn facts(catalog: &str, records: impl Iterator<Item = RawRecord>) -> Vec<Row> {
    let definitions = Definitions::default();
    let catalog = Catalog::from_toml("generated.toml", catalog, &definitions).unwrap();
    let mut topology = Topology::new(definitions, Arc::new(catalog), 1);
    for (record, count) in records.zip(1_u32..) {
        assert_eq!(topology.process(&record).rejected, None);
        if count.is_multiple_of(2_000) {
            topology.settle(false);
        }
    }
    topology.settle(true);
    topology.facts().collect()
}

#[test]
fn a_generated_organisation_has_facts_of_every_kind_in_plausible_shares() {
    let options = Options { services: 20, teams: 4, days: 35, ..Options::default() };
    let facts = facts(&catalog_toml(&options), generate(&options));
    let parked: Vec<&Row> = facts.iter().filter(|row| matches!(row, Row::ParkedEvent(_))).collect();
    assert!(parked.is_empty(), "{:?}", parked.first());

    let production: Vec<&Deployment> = facts
        .iter()
        .filter_map(|row| match row {
            Row::Deployment(row) if row.tier == EnvironmentTier::Production => Some(&**row),
            _ => None,
        })
        .collect();
    let succeeded = production.iter().filter(|row| row.outcome == Outcome::Succeeded).count();
    let permille =
        |test: fn(&Deployment) -> bool| 1_000 * production.iter().filter(|row| test(row)).count() / succeeded;
    let attempts_failed = permille(|row| row.outcome == Outcome::Failed);
    assert!((5..=60).contains(&attempts_failed), "{attempts_failed} of 1000 attempts failed");
    let failed = permille(|row| row.failed == Some(true));
    assert!((50..=200).contains(&failed), "{failed} of 1000 failed");
    let rollbacks = permille(|row| row.is_rollback);
    assert!((5..=80).contains(&rollbacks), "{rollbacks} of 1000 are rollbacks");
    let rework = permille(|row| row.is_rework);
    assert!((20..=150).contains(&rework), "{rework} of 1000 are rework");

    let mut evidence: BTreeMap<Option<FailureEvidence>, usize> = BTreeMap::new();
    for row in &production {
        *evidence.entry(row.failure_evidence).or_default() += 1;
        if row.failed == Some(true) && row.recovery_s.is_some_and(|seconds| seconds < 0) {
            panic!("recovered before it failed: {row:?}");
        }
    }
    for kind in FailureEvidence::ALL.iter().filter(|kind| **kind != FailureEvidence::Manual) {
        assert!(evidence.contains_key(&Some(*kind)), "no deployment failed by {kind}: {evidence:?}");
    }

    let shipped = facts.iter().filter(|row| matches!(row, Row::Change(_))).count();
    assert!(shipped > succeeded, "{shipped} changes in {succeeded} deployments");
    let skewed = facts.iter().filter(|row| matches!(row, Row::Change(row) if row.skewed)).count();
    assert_eq!(skewed, 0);
    assert!(facts.iter().any(|row| matches!(row, Row::Incident(row) if row.resolved_at.is_some())));
    assert!(facts.iter().any(|row| matches!(row, Row::PullRequest(_))));
    assert!(facts.iter().any(|row| matches!(row, Row::PipelineRun(_))));
    assert!(facts.iter().any(|row| matches!(row, Row::FlagChange(_))));
}

#[test]
fn a_steady_organisation_ships_three_commits_by_one_deployment_per_service_and_day() {
    let options = Options { services: 12, teams: 4, days: 9, ..Options::default() };
    let facts = facts(&steady_catalog_toml(&options), steady(&options));
    let count = |test: fn(&Row) -> bool| facts.iter().filter(|row| test(row)).count();
    let service_days = 12 * 9;
    let succeeded = |row: &Row| {
        matches!(row, Row::Deployment(row)
            if row.tier == EnvironmentTier::Production && row.outcome == Outcome::Succeeded)
    };
    assert_eq!(count(succeeded), service_days);
    assert_eq!(count(|row| matches!(row, Row::Deployment(_))), service_days);
    // A service's first deployment ships its head alone, not the history behind it.
    let changes = 3 * service_days - 2 * 12;
    assert_eq!(count(|row| matches!(row, Row::Change(row) if row.lead_time_s.is_some())), changes);
    assert_eq!(count(|row| matches!(row, Row::ParkedEvent(_))), 0);
}
