//! One organisation, told to the engine and to the oracle.

use crate::Tables;
use catalog::Catalog;
use model::definitions::{Definitions, FirstDeployment, LeadTimeStart, RestoredAt};
use model::event::Severity;
use model::fact::Row;
use model::{Span, Text, Timestamp};
use oracle::{CatalogModel, Settings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// The oracle's settings as the engine's definitions.
pub fn definitions(settings: &Settings) -> Definitions {
    Definitions {
        lead_time_start: LeadTimeStart::from_word(&settings.lead_time_start).unwrap(),
        first_deployment: FirstDeployment::from_word(&settings.first_deployment).unwrap(),
        failure_window: settings.failure_window_s.map(Span::from_seconds),
        remediation_window: Span::from_seconds(settings.remediation_window_s),
        merge_within: Span::from_seconds(settings.merge_within_s),
        min_severity: Severity::from_word(&settings.min_severity).unwrap(),
        restored_at: RestoredAt::from_word(&settings.restored_at).unwrap(),
        blame_dependencies: settings.blame_dependencies,
        failure_evidence_suffices: settings.failure_evidence_suffices,
        timezone: settings.timezone.clone(),
        label_scopes: settings
            .label_scopes
            .iter()
            .map(|(key, values)| (Text::new(key), values.iter().map(Text::new).collect()))
            .collect(),
        organisation: settings.organisation.clone(),
        ..Definitions::default()
    }
}

/// The oracle's catalog as the engine reads it.
pub fn catalog(model: &CatalogModel, definitions: &Definitions) -> Arc<Catalog> {
    let toml = catalog_text(model);
    Arc::new(
        Catalog::from_toml("catalog.toml", &toml, definitions).unwrap_or_else(|e| panic!("{e:?}\n{toml}")),
    )
}

/// The oracle's catalog as a file.
pub fn catalog_text(model: &CatalogModel) -> String {
    let mut toml = String::new();
    let mut teams: Vec<&String> =
        model.services.iter().flat_map(|s| s.teams.iter().map(|(_, team)| team)).collect();
    teams.sort();
    teams.dedup();
    for team in teams {
        writeln!(toml, "[[teams]]\nname = {team:?}").unwrap();
        if let Some(group) = model.group_of_team.get(team) {
            writeln!(toml, "group = {group:?}").unwrap();
        }
    }
    let mut groups: Vec<&String> = model.group_of_team.values().chain(model.group_parents.keys()).collect();
    groups.extend(model.group_parents.values());
    groups.sort();
    groups.dedup();
    for group in groups {
        writeln!(toml, "[[groups]]\nname = {group:?}").unwrap();
        if let Some(parent) = model.group_parents.get(group) {
            writeln!(toml, "parent = {parent:?}").unwrap();
        }
    }
    for service in &model.services {
        writeln!(toml, "[[services]]\nname = {:?}\naliases = {:?}", service.name, service.aliases).unwrap();
        writeln!(toml, "dependencies = {:?}", service.dependencies).unwrap();
        writeln!(toml, "incident_source = {}", service.incident_source).unwrap();
        if let Some(suffices) = service.failure_evidence_suffices {
            writeln!(toml, "failure_evidence_suffices = {suffices}").unwrap();
        }
        if let Some(seconds) = service.failure_window_s {
            writeln!(toml, "failure_window = \"{seconds}s\"").unwrap();
        }
        if let Some(sources) = &service.deployments_from {
            writeln!(toml, "deployments_from = {sources:?}").unwrap();
        }
        if !service.tags.is_empty() {
            let tags: Vec<String> = service.tags.iter().map(|(k, v)| format!("{k:?} = {v:?}")).collect();
            writeln!(toml, "tags = {{ {} }}", tags.join(", ")).unwrap();
        }
        for (repo, globs) in &service.repositories {
            writeln!(toml, "[[services.repositories]]\nname = {repo:?}\npaths = {globs:?}").unwrap();
        }
        for (from, team) in &service.teams {
            writeln!(toml, "[[services.teams]]\nname = {team:?}").unwrap();
            if *from != i64::MIN {
                writeln!(toml, "valid_from = \"{}\"", Timestamp::from_micros(*from)).unwrap();
            }
        }
    }
    toml
}

/// The engine's tables as the oracle writes them: table → key → row.
pub fn of_engine(tables: &Tables) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let mut out: BTreeMap<&'static str, BTreeMap<String, Value>> = BTreeMap::new();
    for row in tables.rows.values() {
        let (table, key, value) = match row {
            Row::Deployment(row) => {
                ("deployments", format!("{} {}", row.service, row.deployment_id), serde_json::to_value(row))
            }
            Row::Change(row) => (
                "changes",
                format!("{} {} {}", row.service, row.repo, row.commit_sha),
                serde_json::to_value(row),
            ),
            Row::PullRequest(row) => {
                ("pull_requests", format!("{} {}", row.repo, row.number), serde_json::to_value(row))
            }
            Row::Incident(row) => ("incidents", row.incident_id.to_string(), serde_json::to_value(row)),
            Row::PipelineRun(row) => (
                "pipeline_runs",
                format!("{} {} {}", row.repo, row.run_id, row.attempt),
                serde_json::to_value(row),
            ),
            Row::Step(row) => (
                "steps",
                format!("{} {} {} {}", row.scope, row.metric, row.window, row.as_of),
                serde_json::to_value(row),
            ),
            Row::ParkedEvent(row) => (
                "parked",
                format!("{} {} {}", row.source, row.event_id, row.hash),
                serde_json::to_value(&row.event_type),
            ),
            _ => continue,
        };
        out.entry(table).or_default().insert(key, value.unwrap());
    }
    out
}

/// The oracle's tables in the same form.
pub fn of_oracle(tables: &oracle::Tables) -> BTreeMap<&'static str, BTreeMap<String, Value>> {
    let mut out: BTreeMap<&'static str, BTreeMap<String, Value>> = BTreeMap::new();
    let mut put = |table, key: String, row: &Value| {
        out.entry(table).or_default().insert(key, row.clone());
    };
    tables.deployments.iter().for_each(|((s, d), row)| put("deployments", format!("{s} {d}"), row));
    tables.changes.iter().for_each(|((s, r, c), row)| put("changes", format!("{s} {r} {c}"), row));
    tables.pull_requests.iter().for_each(|((r, n), row)| put("pull_requests", format!("{r} {n}"), row));
    tables.incidents.iter().for_each(|(i, row)| put("incidents", i.clone(), row));
    tables
        .pipeline_runs
        .iter()
        .for_each(|((r, i, a), row)| put("pipeline_runs", format!("{r} {i} {a}"), row));
    tables.steps.iter().for_each(|((s, m, w, a), row)| put("steps", format!("{s} {m} {w} {a}"), row));
    tables
        .parked
        .iter()
        .for_each(|((s, e, h), row)| put("parked", format!("{s} {e} {h}"), &row["event_type"]));
    out
}

/// What differs, told so that a person can find it: at most `limit` differences.
pub fn differences(
    engine: &BTreeMap<&'static str, BTreeMap<String, Value>>,
    oracle: &BTreeMap<&'static str, BTreeMap<String, Value>>,
    limit: usize,
) -> Vec<String> {
    let mut found = Vec::new();
    let none = BTreeMap::new();
    for table in ["deployments", "changes", "pull_requests", "incidents", "pipeline_runs", "parked", "steps"]
    {
        let (mine, theirs) = (engine.get(table).unwrap_or(&none), oracle.get(table).unwrap_or(&none));
        let mut keys: Vec<&String> = mine.keys().chain(theirs.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            match (mine.get(key), theirs.get(key)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(Value::Object(a)), Some(Value::Object(b))) => {
                    let mut fields: Vec<&String> = a.keys().chain(b.keys()).collect();
                    fields.sort();
                    fields.dedup();
                    let fields: Vec<String> = fields
                        .into_iter()
                        .filter(|field| a.get(*field) != b.get(*field))
                        .map(|field| format!("{field}: engine {:?}, oracle {:?}", a.get(field), b.get(field)))
                        .collect();
                    found.push(format!("{table} [{key}] {}", fields.join("; ")));
                }
                (a, b) => found.push(format!("{table} [{key}] engine {a:?}, oracle {b:?}")),
            }
            if found.len() >= limit {
                return found;
            }
        }
    }
    found
}
