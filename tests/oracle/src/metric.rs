//! What every fact adds to every metric (semantics, section 7).

use crate::change::World;
use crate::failure::Failures;
use crate::incident::Incident;
use crate::rollout::Deployment;
use crate::run::Run;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that a metric counts.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Microseconds since 1970.
    pub at: i64,
    pub numerator: i64,
    pub denominator: i64,
    pub confirmed: i64,
    pub inferred: i64,
    pub sample: Option<i64>,
}

/// (scope, metric) → all that it is made of.
pub type Parts = BTreeMap<(String, &'static str), Vec<Part>>;

fn add(parts: &mut Parts, scopes: &BTreeSet<String>, metric: &'static str, part: &Part) {
    for scope in scopes {
        parts.entry((scope.clone(), metric)).or_default().push(part.clone());
    }
}

fn rate(at: i64, hit: bool) -> Part {
    Part { at, numerator: i64::from(hit), denominator: 1, ..Part::default() }
}

fn sample(at: i64, seconds: i64) -> Part {
    Part { at, sample: Some(seconds), ..Part::default() }
}

/// Everything that enters a metric.
pub fn contributions(world: &World, incidents: &[Incident], failures: &Failures, runs: &[Run]) -> Parts {
    let mut parts = Parts::new();
    let attributed: BTreeSet<&str> = incidents.iter().map(|incident| incident.service.as_str()).collect();
    let sees_failures = |service: &str| {
        let entry = world.catalog.entry(service);
        let suffices = entry.and_then(|entry| entry.failure_evidence_suffices);
        entry.is_some_and(|entry| entry.incident_source)
            || attributed.contains(service)
            || suffices.unwrap_or(world.settings.failure_evidence_suffices)
    };
    for (index, deployment) in world.deployments.iter().enumerate() {
        if deployment.counts() && deployment.finished.is_some() {
            deployment_parts(&mut parts, index, world, failures, sees_failures(&deployment.service));
        }
    }
    for change in &world.changes {
        let deployment = &world.deployments[change.deployment];
        let excluded =
            change.author_kind.as_ref().is_some_and(|kind| world.settings.lead_time_exclude.contains(kind));
        if let Some((seconds, false)) = change.lead_time(world)
            && !excluded
            && !change.drill
        {
            let at = deployment.end();
            let mut scopes = scopes_of(deployment, at, world);
            if let Some(repo) = &deployment.repo {
                scopes.remove(&format!("repo:{repo}"));
            }
            scopes.insert(format!("repo:{}", change.repo));
            add(&mut parts, &scopes, "change_lead_time", &sample(at, seconds));
        }
    }
    for incident in incidents.iter().filter(|incident| incident.counts()) {
        let scopes = |at: i64| {
            let mut scopes = world.catalog.scopes(&incident.service, at, world.settings);
            scopes.extend(incident.repo.iter().map(|repo| format!("repo:{repo}")));
            scopes
        };
        if let (Some((seconds, false)), Some(at)) = (incident.time_to_restore(), incident.resolved) {
            add(&mut parts, &scopes(at), "time_to_restore", &sample(at, seconds));
        }
        if let Some((seconds, false)) = incident.time_to_detect() {
            let at = incident.detected;
            add(&mut parts, &scopes(at), "time_to_detect", &sample(at, seconds));
        }
    }
    run_parts(&mut parts, runs, world);
    parts
}

/// The scopes of a deployment at a time: those of its service, its repository and its labels.
fn scopes_of(deployment: &Deployment, at: i64, world: &World) -> BTreeSet<String> {
    let mut scopes = world.catalog.scopes(&deployment.service, at, world.settings);
    scopes.extend(deployment.repo.iter().map(|repo| format!("repo:{repo}")));
    for (key, allowed) in &world.settings.label_scopes {
        if let Some(value) = deployment.labels.get(key) {
            let value = if allowed.contains(value) { value } else { "__other__" };
            scopes.insert(format!("tag:{key}={value}"));
        }
    }
    scopes
}

fn deployment_parts(
    parts: &mut Parts,
    index: usize,
    world: &World,
    failures: &Failures,
    sees_failures: bool,
) {
    let deployment = &world.deployments[index];
    let at = deployment.end();
    let scopes = scopes_of(deployment, at, world);
    let succeeded = deployment.succeeded();
    if succeeded {
        add(parts, &scopes, "deployment_frequency", &Part { at, numerator: 1, ..Part::default() });
        add(parts, &scopes, "rollback_rate", &rate(at, failures.is_rollback[index]));
        if let Some(automated) = deployment.automated {
            add(parts, &scopes, "automated_rate", &rate(at, automated));
        }
    }
    if matches!(deployment.outcome, "succeeded" | "failed" | "partial") {
        add(parts, &scopes, "deployment_success_rate", &rate(at, succeeded));
    }
    if let Some(canary) = &deployment.canary {
        let promoted = canary.get("promoted").and_then(serde_json::Value::as_bool);
        add(
            parts,
            &scopes,
            "canary_success_rate",
            &rate(at, promoted.unwrap_or(deployment.outcome == "succeeded")),
        );
    }
    if !sees_failures {
        return;
    }
    let failed = failures.failed[index] == Some(true);
    if succeeded || failed {
        let inferred = failed && failures.evidence[index] == Some(5);
        let confirmed = i64::from(failed && !inferred);
        add(
            parts,
            &scopes,
            "change_fail_rate",
            &Part { confirmed, inferred: i64::from(inferred), ..rate(at, failed) },
        );
    }
    if succeeded {
        add(parts, &scopes, "rework_rate", &rate(at, failures.is_rework[index]));
    }
    if let (Some((seconds, false)), Some(at)) =
        (failures.recovery_time(index, world), failures.recovered[index])
    {
        add(parts, &scopes_of(deployment, at, world), "recovery_time", &sample(at, seconds));
    }
}

fn run_parts(parts: &mut Parts, runs: &[Run], world: &World) {
    // Every service of the repository, and once in every wider scope.
    let scopes = |repo: &str, at: i64| {
        let mut scopes = BTreeSet::from([format!("repo:{repo}")]);
        for service in world.catalog.services_of_repo(repo) {
            scopes.extend(world.catalog.scopes(&service, at, world.settings));
        }
        scopes
    };
    let mut shas: BTreeMap<(&str, &str, &str), Vec<&Run>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.decided()) {
        let Some(at) = run.finished else { continue };
        shas.entry((&run.repo, &run.workflow, &run.sha)).or_default().push(run);
        add(parts, &scopes(&run.repo, at), "pipeline_success_rate", &rate(at, run.state == "passed"));
        if let Some((seconds, false)) = run.duration() {
            add(parts, &scopes(&run.repo, at), "time_in_ci", &sample(at, seconds));
        }
    }
    for ((repo, _, _), runs) in shas {
        let order = |run: &Run| (run.finished, run.run_id.clone(), run.attempt);
        let flaky = runs.iter().any(|failed| {
            failed.state == "failed"
                && runs.iter().any(|run| run.state == "passed" && order(run) > order(failed))
        });
        let at = runs.iter().filter_map(|run| run.finished).max().unwrap();
        add(parts, &scopes(repo, at), "flaky_rate", &rate(at, flaky));
    }
}
