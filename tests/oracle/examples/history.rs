//! Computes one git history with the oracle alone:
//! `zcat argo-cd.ndjson.gz | cargo run --release -p streamgauge-oracle --example history -- argo-cd`
//!
//! Standard output is NDJSON: first the numbers of deployments and changes, then every step of `service:<name>`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use streamgauge_oracle::{CatalogModel, Input, Settings, compute};

fn at(seconds: &Value) -> String {
    jiff::Timestamp::from_second(seconds.as_i64().unwrap()).unwrap().to_string()
}

fn main() {
    let name = std::env::args().nth(1).expect("the repository's name is the first argument");
    let mut events = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let fact: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (time, kind, id, body) = match fact["type"].as_str().unwrap() {
            "commit" => {
                let reverts = fact["reverts"].as_str().map(|sha| json!([sha]));
                let body = json!({
                    "sha": fact["sha"], "parents": fact["parents"], "authored_at": at(&fact["authored_at"]),
                    "committed_at": at(&fact["committed_at"]), "reverts": reverts,
                });
                (at(&fact["committed_at"]), "commit", fact["sha"].as_str().unwrap().to_owned(), body)
            }
            "tag" => {
                let (id, time) = (format!("tag:{}", fact["name"].as_str().unwrap()), at(&fact["tagged_at"]));
                let body = json!({
                    "deployment_id": id, "environment": "production", "state": "succeeded", "version": fact["name"],
                    "sha": fact["sha"], "started_at": time, "finished_at": time,
                });
                (time, "deployment", id, body)
            }
            _ => continue,
        };
        let mut event = json!({
            "id": id, "type": kind, "occurred_at": time, "observed_at": time, "source": "git", "repo": name,
            "imported": true,
        });
        event[kind] = body;
        events.push(event);
    }
    let settings = Settings { failure_evidence_suffices: true, ..Settings::default() };
    let catalog = CatalogModel::default();
    let started = std::time::Instant::now();
    let tables = compute(&Input { events: &events, catalog: &catalog, definitions: &settings });
    eprintln!("computed in {:.1} s", started.elapsed().as_secs_f64());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let failed = tables.deployments.values().filter(|row| row["failed"] == true).count();
    let recovered = tables.deployments.values().filter(|row| !row["recovery_s"].is_null()).count();
    let head = json!({
        "service": name, "deployments": tables.deployments.len(), "changes": tables.changes.len(), "failed": failed,
        "recovered": recovered, "rollbacks": tables.deployments.values().filter(|r| r["is_rollback"] == true).count(),
        "rework": tables.deployments.values().filter(|r| r["is_rework"] == true).count(),
        "skewed_changes": tables.changes.values().filter(|r| r["skewed"] == true).count(),
    });
    writeln!(out, "{head}").unwrap();
    for ((scope, ..), row) in &tables.steps {
        if *scope == format!("service:{name}") {
            writeln!(out, "{row}").unwrap();
        }
    }
}
