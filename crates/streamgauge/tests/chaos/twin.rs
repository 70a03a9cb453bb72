//! The organisation as the oracle takes it: its events as JSON, its catalog read anew from the file.

use crate::outputs::events_of;
use model::raw::RawRecord;
use oracle::{CatalogModel, Input, Service, Settings};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use streamgauge_tests::twin::of_oracle;
use toml::{Table, Value};

/// The oracle's tables: table → key → row.
pub type Tables = BTreeMap<&'static str, BTreeMap<String, Json>>;

/// The tables that the oracle computes from raw records.
pub fn expected(records: &[RawRecord], catalog: &str) -> Tables {
    let events: Vec<Json> = events_of(records)
        .map(|event| serde_json::from_str(&model::json::to_text(&event)).unwrap())
        .collect();
    let catalog = read(&catalog.parse::<Table>().unwrap());
    of_oracle(&oracle::compute(&Input {
        events: &events,
        catalog: &catalog,
        definitions: &Settings::default(),
    }))
}

fn text(of: &Value, key: &str) -> Option<String> {
    of.get(key)?.as_str().map(str::to_owned)
}

fn texts(of: &Value, key: &str) -> Vec<String> {
    let list = of.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn list<'a>(of: &'a Table, key: &str) -> &'a [Value] {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The keys that `generate` writes; criticality and targets decide no number.
fn read(catalog: &Table) -> CatalogModel {
    let pairs = |kind: &str, above: &str| -> BTreeMap<String, String> {
        let pair = |of: &Value| Some((text(of, "name")?, text(of, above)?));
        list(catalog, kind).iter().filter_map(pair).collect()
    };
    CatalogModel {
        services: list(catalog, "services").iter().map(service).collect(),
        group_of_team: pairs("teams", "group"),
        group_parents: pairs("groups", "parent"),
        organisation: catalog.get("organisation").and_then(|organisation| text(organisation, "name")),
        ..CatalogModel::default()
    }
}

fn service(of: &Value) -> Service {
    let repository = |repository: &Value| match repository.as_str() {
        Some(name) => (name.to_owned(), Vec::new()),
        None => (text(repository, "name").unwrap(), texts(repository, "paths")),
    };
    let repositories = of.get("repositories").and_then(Value::as_array);
    let tags = of.get("tags").and_then(Value::as_table);
    Service {
        name: text(of, "name").unwrap(),
        repositories: repositories.into_iter().flatten().map(repository).collect(),
        aliases: texts(of, "aliases"),
        teams: text(of, "team").into_iter().map(|team| (i64::MIN, team)).collect(),
        dependencies: texts(of, "dependencies"),
        tags: tags
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        // Unless it says so itself, a service is seen to fail where PagerDuty knows it.
        incident_source: of
            .get("incident_source")
            .and_then(Value::as_bool)
            .unwrap_or_else(|| texts(of, "aliases").iter().any(|alias| alias.starts_with("pagerduty:"))),
        deployments_from: of.get("deployments_from").map(|_| texts(of, "deployments_from")),
        ..Service::default()
    }
}
