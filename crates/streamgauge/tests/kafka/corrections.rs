//! Corrections and replayed dead letters: as if nothing had been wrong.

use crate::organisation::Organisation;
use crate::stage::{Stage, shared};
use crate::views::{VIEWS, digest_query};
use catalog::Catalog;
use kafka::{Plan, Running};
use model::{Definitions, Span};
use sources::SourceSettings;
use std::sync::Arc;

/// Everything but the archive of events, in which a correction stays.
fn content(stage: &Stage<'_>) -> String {
    let views: Vec<String> = VIEWS
        .iter()
        .filter(|view| **view != "events")
        .map(|view| {
            format!(
                "SELECT '{view}' AS view, count() AS rows, \
                 sum(cityHash64(toString(tuple(* EXCEPT (rev, computed_at))))) AS hash FROM {view}"
            )
        })
        .collect();
    stage.ask(&format!("SELECT * FROM ({}) ORDER BY view", views.join(" UNION ALL ")))
}

#[test]
fn a_correction_changes_what_it_names_leaves_a_row_with_its_reason_and_can_be_undone() {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::new(2, 6);
    let mut stage = Stage::new(&shared, &organisation, "corrected", 2);
    stage.start("a", &[]);
    stage.send(&organisation.records);
    stage.expect_equal();
    let before = content(&stage);
    let which = "FROM deployments WHERE tier = 'production' AND failed = 0 AND outcome = 'succeeded'";
    let line = stage.ask(&format!("SELECT service, deployment_id {which} ORDER BY ALL LIMIT 1"));
    let [service, id] = line.trim_end().split('\t').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
    let correct = |more: &[&str]| {
        let config = stage.config();
        let mut command = stage.command_with(&config, "operator");
        command.args(["correct", "deployment", id, "--service", service, "--format", "json"]).args(more);
        let told = command.output().unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let event: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        event["id"].as_str().unwrap().to_owned()
    };
    let failed =
        format!("SELECT failed FROM deployments WHERE service = '{service}' AND deployment_id = '{id}'");
    let correction = correct(&["--failed", "true", "--reason", "orders were lost"]);
    stage.expect_answer(&failed, "true\n");
    let audit = "SELECT JSONExtractString(body, 'correction', 'reason') FROM events WHERE source = 'correct' \
                 ORDER BY occurred_at";
    stage.expect_answer(audit, "orders were lost\n");
    assert_ne!(content(&stage), before);
    correct(&["--undo", &correction, "--reason", "it was another one"]);
    stage.expect_answer(audit, "orders were lost\nit was another one\n");
    stage.expect_until("the tables are those from before the correction", || content(&stage) == before);
    stage.stop("a");
}

/// Runs `ingest` with a clock that takes every record for one from the future, until all are refused.
fn refuse(stage: &Stage<'_>, count: u64) {
    let read_catalog = |file: &str, text: &str| {
        Catalog::from_toml(file, text, &Definitions::default()).map_err(|mistakes| format!("{mistakes:?}"))
    };
    let century = Span::from_seconds(-100 * 365 * 86_400);
    let plan = Plan {
        settings: stage.settings(),
        definitions: Definitions::default(),
        sources: SourceSettings { max_future: century, ..SourceSettings::default() },
        read_catalog: Arc::new(read_catalog),
        stages: vec![kafka::Stage::Ingest],
        warehouse: None,
        local: None,
    };
    let mut running = Running::start(&plan).unwrap();
    stage.expect_until("every record is read", || running.stats()[0].snapshot().records_in >= count);
    running.stop();
}

#[test]
fn dead_letters_that_are_replayed_count_as_if_they_had_never_been_refused() {
    let Some(shared) = shared() else { return };
    let organisation = Organisation::new(2, 6);
    let mut stage = Stage::new(&shared, &organisation, "replayed", 2);
    let (refused, rest) = organisation.records.split_at(organisation.records.len() / 2);
    stage.send(refused);
    refuse(&stage, refused.len() as u64);
    stage.start("a", &[]);
    stage.send(rest);
    stage.expect_until("the other records count", || stage.ask("SELECT count() FROM deployments") != "0\n");
    assert_ne!(stage.ask(&digest_query()), organisation.expected);
    let config = stage.config();
    let mut replay = stage.command_with(&config, "operator");
    let told = replay.args(["dlq", "replay", "--reason", "skew"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    stage.expect_equal();
    stage.stop("a");
}
