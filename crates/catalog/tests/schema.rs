//! The JSON Schema knows every key that the parser takes, and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::metric::Metric;
use serde_json::Value;
use std::collections::BTreeSet;
use streamgauge_catalog::TABLES;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../schemas/config/catalog.schema.json")).unwrap()
}

/// The table that a path such as `services[].aliases[]` means: of alternatives the one that is a table.
fn table<'s>(schema: &'s Value, path: &str) -> &'s Value {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.fold(schema, |node, step| find(&node["properties"][step.trim_end_matches("[]")]).unwrap())
}

fn find(node: &Value) -> Option<&Value> {
    if node.get("properties").is_some() {
        return Some(node);
    }
    let further = node["anyOf"].as_array().into_iter().flatten().chain(node.get("items"));
    further.filter_map(find).next()
}

fn keys(node: &Value) -> BTreeSet<&str> {
    node["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_schema_has_every_key_that_the_parser_takes_and_no_other() {
    let schema = schema();
    for (path, known) in TABLES {
        let table = table(&schema, path);
        assert_eq!(keys(table), known.iter().copied().collect(), "keys of {path:?}");
        assert_eq!(table["additionalProperties"], Value::Bool(false), "{path:?} is closed");
    }
    let targets = &schema["properties"]["targets"]["additionalProperties"];
    assert_eq!(keys(targets), Metric::ALL.iter().map(|metric| metric.as_str()).collect());
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(node: &Value, path: &str) {
        for (key, value) in node["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].as_str().is_some_and(|text| text.ends_with('.')), "{path}.{key}");
            walk(value, &format!("{path}.{key}"));
        }
        for part in node["anyOf"].as_array().into_iter().flatten().chain(node.get("items")) {
            walk(part, path);
        }
    }
    walk(&schema(), "");
}
