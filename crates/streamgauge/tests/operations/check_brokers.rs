use crate::support::{make_topics, records, send, status, wait_for, wait_until_failing};
use crate::{Place, bench};
use kafka::admin::Admin;
use kafka::probe::Probe;
use kafka::topics::Cleanup;
use kafka::{Running, Stage, Status};
use model::{Definitions, Span};
use std::time::Duration;

#[test]
fn topics_and_migrate_make_all_that_check_asks_for() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "good");
    place.expect(
        1,
        &["check"],
        &["problem  topic good.events: it does not exist → `streamgauge topics` makes it"],
    );
    place.expect(0, &["topics", "--dry-run"], &["missing"]);
    place.expect(0, &["topics"], &["made"]);
    place.expect(
        0,
        &["migrate", "--dry-run"],
        &["CREATE TABLE IF NOT EXISTS good.deployments_rows", "INSERT INTO good.schema_migrations"],
    );
    place.expect(
        1,
        &["check"],
        &[
            "problem  tables in good: 8 migrations did not run: dimensions, delivery",
            "→ `streamgauge migrate` runs them",
        ],
    );
    place.expect(0, &["migrate"], &["migration 8 (quick_views) ran"]);
    place.expect(0, &["migrate"], &["up to date (version 8)"]);
    place.expect(
        0,
        &["migrate", "--grants", "dora"],
        &["GRANT SELECT, INSERT ON good.changes_rows TO dora;"],
    );
    let catalog = "[[services]]\nname = \"checkout\"\n";
    std::fs::write(place.folder.path().join("catalog.toml"), catalog).unwrap();
    place.expect(0, &["--catalog", "catalog.toml", "check"], &["warning  catalog: none is published yet"]);
    place.expect(0, &["catalog", "apply", "catalog.toml"], &["1 services"]);
    let says = [
        "ok       brokers: 1 broker at 127.0.0.1:",
        "Kafka 4.0 or newer",
        "ok       stage correlate: it may read and write what it needs, and its transactions work",
        "ok       state of aggregate: none yet",
        "ok       catalog: catalog.toml is the one that counts",
        "ok       tables in good: as the migrations made them",
        "ok       loading: a row that was acknowledged is read at once",
        "0 problems, ",
    ];
    place.expect(0, &["--catalog", "catalog.toml", "check"], &says);
    let json = place.expect(0, &["check", "--format", "json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let good = |finding: &serde_json::Value| finding["status"] == "ok" || finding["what"] == "disk";
    assert!(json.as_array().unwrap().iter().all(good), "{json}");

    std::fs::write(place.folder.path().join("catalog.toml"), "[[services]]\nname = \"cart\"\n").unwrap();
    place.expect(0, &["--catalog", "catalog.toml", "check"], &["warning  catalog: the one that counts (from catalog.toml) differs from catalog.toml → `streamgauge catalog apply"]);
    std::fs::write(place.folder.path().join("catalog.toml"), "[[services]]\nnaem = \"cart\"\n").unwrap();
    place.expect(1, &["--catalog", "catalog.toml", "check"], &["problem  catalog catalog.toml:2:1: "]);
}

#[test]
fn every_topic_that_is_not_as_it_must_be_is_named_with_what_mends_it() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "bad");
    let mut specs = place.settings.topics.specs(1, ["github", "canonical"]);
    specs.retain(|spec| spec.name != "bad.messages");
    for spec in &mut specs {
        match spec.name.as_str() {
            "bad.facts" => spec.cleanup = Cleanup::Compact,
            "bad.events" => spec.max_record_bytes = 1_000,
            "bad.contributions" => spec.cleanup = Cleanup::Delete { retention_ms: 3_600_000 },
            "bad.metrics" => spec.partitions = 3,
            "bad.catalog" => spec.partitions = 2,
            _ => {}
        }
    }
    Admin::new(&place.settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
    let alter = "kafka-configs.sh --alter --entity-type topics --entity-name";
    let says = [
        "problem  topic bad.messages: it does not exist → `streamgauge topics` makes it".to_owned(),
        format!("problem  topic bad.facts: cleanup.policy is compact, not delete → {alter} bad.facts --add-config cleanup.policy=delete"),
        format!("problem  topic bad.events: max.message.bytes is 1000, not 27262976 → {alter} bad.events --add-config max.message.bytes=27262976"),
        "warning  topic bad.contributions: retention.ms is 3600000, not 604800000: a stage that is stopped for longer loses records".to_owned(),
        "bad.metrics".to_owned(),
        "have 1 and 3 partitions, and need the same number".to_owned(),
        "problem  topic bad.catalog: 2 partitions, not 1".to_owned(),
        "warning  topics of raw records: bad.raw.alertmanager, bad.raw.argo_rollouts, bad.raw.argocd and".to_owned(),
        "ok       stage load: it may read what it loads".to_owned(),
    ];
    place.expect(1, &["check"], &says.each_ref().map(String::as_str));
    place.configure(bench.url(), "partitions = 3");
    let text = place.expect(2, &["topics", "--dry-run"], &["1 partitions, not 3"]);
    assert!(text.contains("cleanup.policy is compact, not delete"), "{text}");
}

#[test]
fn brokers_that_cannot_be_talked_to_are_told_apart() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "apart");
    let check = |variable: &str, value: &str, says: &str| {
        let output = crate::common::streamgauge(place.folder.path())
            .args(["--config", "c.toml", "check"])
            .env(variable, value)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(1) && text.contains(says), "{variable}={value}: {text}");
    };
    check(
        "STREAMGAUGE__KAFKA__BROKERS",
        "127.0.0.1:1",
        "problem  brokers: 127.0.0.1:1 refuses connections → start the broker there, or correct kafka.brokers",
    );
    check(
        "STREAMGAUGE__KAFKA__BROKERS",
        "no-such-broker.invalid:9092",
        "cannot be found: its name does not resolve",
    );
    check("STREAMGAUGE__KAFKA__PROTOCOL", "ssl", "set kafka.protocol to that of the listener");
}

#[test]
fn a_transaction_time_out_above_that_of_the_brokers_is_named() {
    let Some(bench) = bench() else { return };
    let mut place = Place::new(&bench, "timeout");
    make_topics(&place.settings, 1);
    // The brokers' own limit is 15 minutes.
    place.settings.transaction_timeout = Duration::from_secs(3_600);
    let probe = Probe::connect(&place.settings, Duration::from_secs(10)).unwrap();
    let refusal = probe.transactions(Stage::Correlate, &["timeout.facts"]).unwrap_err().to_string();
    assert!(refusal.contains("raise transaction.max.timeout.ms on the brokers"), "{refusal}");
}

#[test]
fn two_configurations_under_one_prefix_are_named_by_check_and_at_run_time() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "two");
    make_topics(&place.settings, 1);
    let client = bench.database("two");
    let plan = bench.plan(&place.settings, &Stage::ALL, &client);
    let mut running = Running::start(&plan).unwrap();
    send(&place.settings, &records(1));
    wait_for("state of both stages", || match bench.ask("two", "SELECT count() > 0 FROM dora_steps") {
        one if one == "1" => Ok(()),
        other => Err(other),
    });
    running.stop();
    place.expect(
        0,
        &["check"],
        &["ok       state of correlate: made by this configuration", "ok       state of aggregate: made by"],
    );

    place.configure(bench.url(), "failure_window = \"1h\"");
    let says = "the state was made by the definitions";
    let remedy = "→ two configurations share one generation; give this one a generation of its own (set `generation`, then \
                  `streamgauge replay`), or the other's configuration";
    place.expect(
        1,
        &["check"],
        &[&format!("problem  state of correlate: {says}"), "problem  state of aggregate", remedy],
    );

    let mut other = plan.clone();
    other.definitions = Definitions { failure_window: Some(Span::from_hours(1)), ..Definitions::default() };
    let mut running = Running::start(&other).unwrap();
    wait_until_failing(&running, Stage::Correlate, "two configurations share one generation");
    assert_eq!(status(&running, Stage::Load), Status::Running);
    running.stop();
    let mut running = Running::start(&plan).unwrap();
    crate::support::wait_until_running(&running, Stage::Correlate);
    running.stop();
}
