//! The independent oracle: every table recomputed in one naive batch from the raw canonical events, straight from
//! the text of the semantics. It shares no code with what it checks, keeps no state and is never incremental.
//!
//! Decisions where the text leaves room are listed in README.md under "Readings".
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod change;
mod correction;
mod failure;
mod graph;
mod incident;
mod metric;
pub mod organisation;
mod ownership;
mod pull_request;
mod record;
mod rename;
mod rollout;
mod run;
mod sha256;
mod step;

use correction::Corrections;
use record::Record;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub use ownership::glob_matches;

/// What a computation is made from.
pub struct Input<'a> {
    /// Canonical events as JSON, in any order, with duplicates.
    pub events: &'a [Value],
    pub catalog: &'a CatalogModel,
    pub definitions: &'a Settings,
}

/// Ownership.
#[derive(Debug, Clone, Default)]
pub struct CatalogModel {
    pub services: Vec<Service>,
    pub group_of_team: BTreeMap<String, String>,
    /// Group → the group above it.
    pub group_parents: BTreeMap<String, String>,
    /// The organisation's name; absent: the settings' one.
    pub organisation: Option<String>,
    /// Repository → the names that it had before: filled from the renames that were told.
    pub former_names: BTreeMap<String, BTreeSet<String>>,
    /// (tier, words), first match; empty: the default rules.
    pub environment_rules: Vec<(String, Vec<String>)>,
}

/// A service of the catalog.
#[derive(Debug, Clone, Default)]
pub struct Service {
    pub name: String,
    /// Repositories, each with path globs (empty: all of it).
    pub repositories: Vec<(String, Vec<String>)>,
    pub aliases: Vec<String>,
    /// (valid from, in microseconds since 1970; `i64::MIN` is always; team).
    pub teams: Vec<(i64, String)>,
    pub dependencies: Vec<String>,
    pub tags: BTreeMap<String, String>,
    pub failure_evidence_suffices: Option<bool>,
    pub incident_source: bool,
    /// In seconds; absent: the settings' one.
    pub failure_window_s: Option<i64>,
    /// The sources whose deployments count; absent: all.
    pub deployments_from: Option<Vec<String>>,
}

/// What decides a number, apart from events and catalog.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `commit`, `authored`, `pr_opened` or `pr_merged`.
    pub lead_time_start: String,
    /// `head`, `none` or `all`.
    pub first_deployment: String,
    /// Author kinds left out of the metric.
    pub lead_time_exclude: Vec<String>,
    /// Absent: unbounded.
    pub failure_window_s: Option<i64>,
    pub remediation_window_s: i64,
    pub merge_within_s: i64,
    pub min_severity: String,
    /// `resolved` or `mitigated`.
    pub restored_at: String,
    pub blame_dependencies: bool,
    pub failure_evidence_suffices: bool,
    pub timezone: String,
    pub max_future_s: i64,
    pub label_scopes: BTreeMap<String, Vec<String>>,
    pub organisation: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lead_time_start: "commit".to_owned(),
            first_deployment: "head".to_owned(),
            lead_time_exclude: Vec::new(),
            failure_window_s: Some(4 * 3600),
            remediation_window_s: 7 * 86_400,
            merge_within_s: 30 * 60,
            min_severity: "sev3".to_owned(),
            restored_at: "resolved".to_owned(),
            blame_dependencies: false,
            failure_evidence_suffices: false,
            timezone: "UTC".to_owned(),
            max_future_s: 600,
            label_scopes: BTreeMap::new(),
            organisation: "default".to_owned(),
        }
    }
}

/// Every table, each row as the JSON that the real row serialises to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tables {
    /// By (service, deployment).
    pub deployments: BTreeMap<(String, String), Value>,
    /// By (service, repository, commit).
    pub changes: BTreeMap<(String, String, String), Value>,
    /// By (repository, number).
    pub pull_requests: BTreeMap<(String, u64), Value>,
    pub incidents: BTreeMap<String, Value>,
    /// By (repository, run, attempt).
    pub pipeline_runs: BTreeMap<(String, String, u64), Value>,
    /// By (scope, metric, window, as of in RFC 3339).
    pub steps: BTreeMap<(String, String, String, String), Value>,
    /// By (source, event, content hash): commits, pushes, pull requests, reviews, runs, deployments and incidents
    /// that wait for the catalog. Reasons are `unnamed`, `unclaimed`, `ambiguous`, `no_repository`.
    pub parked: BTreeMap<(String, String, String), Value>,
}

/// Events sorted into the things that they tell of.
#[derive(Default)]
struct Sorted<'a> {
    commits: BTreeMap<String, BTreeMap<String, Vec<&'a Record>>>,
    pushes: BTreeMap<String, Vec<&'a Record>>,
    pull_requests: BTreeMap<(String, u64), Vec<&'a Record>>,
    reviews: BTreeMap<(String, u64), Vec<&'a Record>>,
    runs: BTreeMap<(String, String, u64), Vec<&'a Record>>,
    artifacts: Vec<&'a Record>,
    deployments: BTreeMap<(String, String), Vec<&'a Record>>,
    incidents: BTreeMap<String, Vec<&'a Record>>,
    parked: Vec<(&'a Record, &'static str)>,
}

/// Computes every table.
pub fn compute(input: &Input) -> Tables {
    let settings = input.definitions;
    let mut records = records(input.events, settings);
    let (renames, catalog) = rename::Renames::of(&records, input.catalog);
    // An incident's repository is that of its start.
    for record in records.iter_mut().filter(|record| record.kind != "incident") {
        record.repo = record.repo.as_ref().map(|repo| renames.last(repo, record.occurred));
    }
    let catalog = catalog.with_named_repositories(records.iter().filter_map(|record| record.repo.as_ref()));
    let corrections = Corrections::of(&records);
    let mut sorted = sort(&records, &catalog);

    let deployments = rollout::deployments(&sorted.deployments, &catalog, settings, &corrections);
    let world = change::World::of(&sorted, &catalog, settings, deployments);
    let (incidents, lost) = incident::incidents(&sorted.incidents, &catalog, &corrections, &renames);
    sorted.parked.extend(lost);
    let failures = failure::Failures::of(&world, &incidents);
    let runs = run::runs(&sorted.runs, &world);

    let mut tables = Tables::default();
    for index in 0..world.deployments.len() {
        tables.deployments.insert(world.deployments[index].key(), failures.row(index, &world));
    }
    for change in &world.changes {
        let key = (change.service.clone(), change.repo.clone(), change.sha.clone());
        tables.changes.insert(key, change.row(&world));
    }
    for pull_request in world.pull_requests.values() {
        tables
            .pull_requests
            .insert((pull_request.repo.clone(), pull_request.number), pull_request.row(&world));
    }
    for (index, incident) in incidents.iter().enumerate() {
        tables.incidents.insert(incident.id.clone(), incident.row(&catalog, failures.blamed(index, &world)));
    }
    for run in &runs {
        tables.pipeline_runs.insert((run.repo.clone(), run.run_id.clone(), run.attempt), run.row());
    }
    for (record, reason) in sorted.parked {
        let key = (record.source.clone(), record.id.clone(), record.hex());
        let row = json!({
            "source": record.source, "event_id": record.id, "hash": record.hex(), "event_type": record.kind,
            "occurred_at": record::rfc3339(record.occurred), "reason": reason,
        });
        tables.parked.insert(key, row);
    }
    let panes = metric::contributions(&world, &incidents, &failures, &runs);
    tables.steps = step::steps(&panes, &settings.timezone);
    tables
}

/// Every record once, without those whose clock is ahead.
fn records(events: &[Value], settings: &Settings) -> Vec<Record> {
    let mut records: Vec<Record> = events.iter().map(Record::read).collect();
    records.retain(|record| record.occurred - record.observed <= settings.max_future_s * 1_000_000);
    records.sort_by(|a, b| a.key().cmp(&b.key()));
    records.dedup_by(|a, b| a.key() == b.key());
    records
}

fn sort<'a>(records: &'a [Record], catalog: &CatalogModel) -> Sorted<'a> {
    let mut sorted = Sorted::default();
    for record in records {
        let text = |field: &str| record.body[field].as_str().unwrap_or_default().to_owned();
        let (hint, repo) = (record.service.as_deref(), record.repo.as_deref());
        match record.kind.as_str() {
            "artifact" => sorted.artifacts.push(record),
            "incident" => sorted.incidents.entry(text("incident_id")).or_default().push(record),
            "deployment" => match catalog.service_of(hint, repo) {
                Ok(service) => {
                    let from = catalog.entry(&service).and_then(|entry| entry.deployments_from.as_ref());
                    if from.is_none_or(|sources| sources.contains(&record.source)) {
                        sorted.deployments.entry((service, text("deployment_id"))).or_default().push(record);
                    }
                }
                Err(reason) => sorted.parked.push((record, reason)),
            },
            "commit" | "push" | "pull_request" | "review" | "pipeline_run" => {
                match catalog.repo_of(hint, repo) {
                    Ok(repo) => {
                        let number = record.body["number"].as_u64().unwrap_or_default();
                        let attempt = record.body["attempt"].as_u64().unwrap_or_default();
                        match record.kind.as_str() {
                            "commit" => {
                                sorted
                                    .commits
                                    .entry(repo)
                                    .or_default()
                                    .entry(text("sha"))
                                    .or_default()
                                    .push(record);
                            }
                            "push" => sorted.pushes.entry(repo).or_default().push(record),
                            "pull_request" => {
                                sorted.pull_requests.entry((repo, number)).or_default().push(record)
                            }
                            "review" => sorted.reviews.entry((repo, number)).or_default().push(record),
                            _ => sorted.runs.entry((repo, text("run_id"), attempt)).or_default().push(record),
                        }
                    }
                    Err(reason) => sorted.parked.push((record, reason)),
                }
            }
            _ => {}
        }
    }
    sorted
}
