//! What a fact adds to the metrics (semantics, section 7). One arm per kind of fact, one line per metric.

use crate::state::Published;
use catalog::Catalog;
use model::event::{EnvironmentTier, RunState};
use model::fact::{Change, Deployment, FailureEvidence, Incident, Outcome, PipelineRun, PullRequest, Row};
use model::metric::{ContributionKey, Delta, Metric};
use model::{Calendar, Definitions, RepoName, Scope, Text, Timestamp};
use std::collections::BTreeMap;

/// One metric's case: at what time it is placed, and what it adds.
type Case = (Metric, Timestamp, Delta);

/// Everything that a published row adds, per scope and metric.
pub fn contributions(
    published: &Published,
    catalog: &Catalog,
    calendar: &Calendar,
    definitions: &Definitions,
) -> Vec<(ContributionKey, Delta)> {
    let cases = match &published.row {
        Row::Deployment(deployment) => deployment_cases(deployment, published.failure_source, definitions),
        // Under DevLake's profile the unit of a lead time is the pull request.
        Row::Change(change) if !definitions.is_devlake() => change_cases(change, definitions),
        Row::PullRequest(pull) if definitions.is_devlake() => pull_cases(pull, definitions),
        Row::Incident(incident) => incident_cases(incident, definitions),
        Row::PipelineRun(run) => run_cases(run),
        _ => return Vec::new(),
    };
    let mut out = Vec::with_capacity(cases.len() * 4);
    // A fact's cases are nearly always placed at one instant, and its scopes are the same for all of them.
    let mut scopes: Option<(Timestamp, Vec<Scope>)> = None;
    for (metric, at, delta) in cases {
        if scopes.as_ref().is_none_or(|(of, _)| *of != at) {
            scopes = Some((at, scopes_at(published, catalog, at)));
        }
        for scope in scopes.iter().flat_map(|(_, scopes)| scopes) {
            let key = ContributionKey {
                scope: scope.clone(),
                metric,
                hour: Calendar::hour(at),
                day: calendar.day(at),
            };
            out.push((key, delta.clone()));
        }
    }
    out
}

/// The scopes of a published row, each once.
fn scopes_at(published: &Published, catalog: &Catalog, at: Timestamp) -> Vec<Scope> {
    let mut scopes = published.extra_scopes.clone();
    match &published.row {
        Row::Deployment(row) => scopes.extend(catalog.scopes(&row.service, at)),
        Row::Change(row) => scopes.extend(catalog.scopes(&row.service, at)),
        Row::PullRequest(row) => {
            scopes.extend(row.service.iter().flat_map(|service| catalog.scopes(service, at)));
        }
        Row::Incident(row) => scopes.extend(catalog.scopes(&row.service, at)),
        Row::PipelineRun(row) => scopes.extend(scopes_of_repo(catalog, &row.repo, at)),
        _ => {}
    }
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

fn deployment_cases(row: &Deployment, failure_source: bool, definitions: &Definitions) -> Vec<Case> {
    let Some(finish) = row.finished_at else { return Vec::new() };
    if row.tier != EnvironmentTier::Production || row.drill {
        return Vec::new();
    }
    let mut cases = Vec::new();
    let mut add = |metric, delta| cases.push((metric, finish, delta));
    match row.outcome {
        Outcome::Succeeded => {
            add(Metric::DeploymentFrequency, Delta::count());
            add(Metric::DeploymentSuccessRate, Delta::rate(true));
            add(Metric::RollbackRate, Delta::rate(row.is_rollback));
            if let Some(automated) = row.automated {
                add(Metric::AutomatedRate, Delta::rate(automated));
            }
            if failure_source {
                add(Metric::ReworkRate, Delta::rate(row.is_rework));
                add(Metric::ChangeFailRate, failed(row));
            }
        }
        Outcome::Partial => {
            add(Metric::DeploymentSuccessRate, Delta::rate(false));
            if failure_source && row.failed == Some(true) {
                add(Metric::ChangeFailRate, failed(row));
            }
        }
        Outcome::Failed => add(Metric::DeploymentSuccessRate, Delta::rate(false)),
        Outcome::Cancelled | Outcome::Running => {}
    }
    if row.outcome != Outcome::Running && row.canary_steps.is_some() {
        let promoted = row.canary_promoted.unwrap_or(row.outcome == Outcome::Succeeded);
        add(Metric::CanarySuccessRate, Delta::rate(promoted));
    }
    if let (true, false, Some(at), Some(seconds)) =
        (failure_source, row.skewed, row.recovered_at, row.recovery_s)
    {
        cases.push((Metric::RecoveryTime, at, Delta::sample(told(seconds, definitions))));
    }
    cases
}

/// DevLake tells recoveries in whole minutes, rounded down (`TIMESTAMPDIFF(MINUTE, …)`, `lead_time_minutes`).
fn told(seconds: i64, definitions: &Definitions) -> i64 {
    if definitions.is_devlake() { seconds - seconds.rem_euclid(60) } else { seconds }
}

fn failed(row: &Deployment) -> Delta {
    let failed = row.failed == Some(true);
    let inferred = failed && row.failure_evidence == Some(FailureEvidence::Temporal);
    Delta { inferred: i64::from(inferred), confirmed: i64::from(failed && !inferred), ..Delta::rate(failed) }
}

fn change_cases(row: &Change, definitions: &Definitions) -> Vec<Case> {
    let excluded = row.author_kind.is_some_and(|kind| definitions.lead_time_exclude.contains(&kind));
    match row.lead_time_s {
        Some(seconds) if !row.skewed && !row.drill && !excluded => {
            vec![(Metric::ChangeLeadTime, row.deployed_at, Delta::sample(seconds))]
        }
        _ => Vec::new(),
    }
}

/// A merged pull request with a deployment is one sample: its cycle time.
fn pull_cases(row: &PullRequest, definitions: &Definitions) -> Vec<Case> {
    let excluded = row.author_kind.is_some_and(|kind| definitions.lead_time_exclude.contains(&kind));
    match (row.deployed_at, row.lead_time_s) {
        (Some(at), Some(seconds)) if !excluded => vec![(Metric::ChangeLeadTime, at, Delta::sample(seconds))],
        _ => Vec::new(),
    }
}

fn incident_cases(row: &Incident, definitions: &Definitions) -> Vec<Case> {
    if row.tier != EnvironmentTier::Production || row.drill {
        return Vec::new();
    }
    let mut cases = Vec::new();
    let sound = |seconds: Option<i64>| seconds.filter(|seconds| *seconds >= 0);
    if let (Some(resolved), Some(seconds)) = (row.resolved_at, sound(row.time_to_restore_s)) {
        // DevLake's dashboards select incidents by when they were created.
        let at = if definitions.is_devlake() { row.started_at } else { resolved };
        cases.push((Metric::TimeToRestore, at, Delta::sample(told(seconds, definitions))));
    }
    if let Some(seconds) = sound(row.time_to_detect_s) {
        cases.push((Metric::TimeToDetect, row.detected_at, Delta::sample(seconds)));
    }
    cases
}

fn run_cases(row: &PipelineRun) -> Vec<Case> {
    let passed = match row.state {
        RunState::Passed => true,
        RunState::Failed => false,
        _ => return Vec::new(),
    };
    let Some(finish) = row.finished_at.filter(|_| !row.drill) else { return Vec::new() };
    let mut cases = vec![(Metric::PipelineSuccessRate, finish, Delta::rate(passed))];
    if let (Some(seconds), false) = (row.duration_s, row.skewed) {
        cases.push((Metric::TimeInCi, finish, Delta::sample(seconds)));
    }
    cases
}

/// The scopes of what happens in a repository: of each of its services, each scope once, and its own.
pub fn scopes_of_repo(catalog: &Catalog, repo: &RepoName, at: Timestamp) -> Vec<Scope> {
    let services = catalog.services_of_repo(repo, at);
    let mut scopes: Vec<Scope> = services.iter().flat_map(|service| catalog.scopes(service, at)).collect();
    scopes.push(Scope::new(format!("repo:{repo}")));
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The scopes that a deployment's labels make: listed keys and values, other values under `__other__`.
pub fn label_scopes(labels: &BTreeMap<Text, Text>, definitions: &Definitions) -> Vec<Scope> {
    let listed = definitions.label_scopes.iter();
    listed
        .filter_map(|(key, allowed)| {
            let value = labels.get(key)?;
            let value = if allowed.contains(value) { value.as_str() } else { "__other__" };
            Some(Scope::new(format!("tag:{key}={value}")))
        })
        .collect()
}
