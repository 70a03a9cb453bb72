//! What users may do: a broker that denies by default, and stages with exactly the rights that `topics --acls` lists.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

use kafka::acknowledged::AcknowledgedSender;
use kafka::acls::{Operation, calls, of_gateway, of_stages, rules};
use kafka::admin::Admin;
use kafka::{KafkaSettings, Running, Stage, Status};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;
use support::{
    Bench, make_topics, records, send, shared, status, wait_for, wait_until_failing, wait_until_running,
};
use test_broker::{Cluster, Settings, Tool, User};

const PREFIX: &str = "acme.";

fn settings(cluster: &Cluster, user: &User, password: &str) -> KafkaSettings {
    let mut settings = KafkaSettings::new(cluster.bootstrap(), PREFIX, "one");
    let properties = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", user.name()),
        ("sasl.password", password),
        ("ssl.ca.location", &cluster.security().unwrap().ca().display().to_string()),
    ];
    settings.properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    settings
}

/// One broker, its administrator's settings and a user's who may do nothing yet.
fn secured() -> Option<(Arc<Bench>, KafkaSettings, KafkaSettings)> {
    static BENCH: Mutex<Weak<Bench>> = Mutex::new(Weak::new());
    let bench = shared(&BENCH, || Bench::start(&Settings::secure(1, &["dora", "gate"])))?;
    let security = bench.cluster.security().unwrap();
    let (admin, user) = (security.admin().unwrap(), security.user("dora").unwrap());
    let admin = settings(&bench.cluster, &admin, &admin.password().unwrap());
    let user = settings(&bench.cluster, &user, &user.password().unwrap());
    make_topics(&admin, 1);
    Some((bench, admin, user))
}

fn acls(cluster: &Cluster, arguments: &[String]) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    cluster.tool(Tool::Acls, &arguments).unwrap();
}

/// The rule of one right: as `--add` or `--remove`.
fn change(cluster: &Cluster, what: &str, name: &str, operation: Operation) {
    let settings = KafkaSettings::new("", PREFIX, "one");
    let all = rules(&of_stages(&settings, &Stage::ALL));
    let mut rule = all.into_iter().find(|rule| rule.pattern.name == name).unwrap();
    assert!(rule.operations.contains(&operation), "{rule:?}");
    rule.operations = [operation].into();
    let mut arguments = rule.arguments("dora");
    arguments[0] = what.to_owned();
    if what == "--remove" {
        arguments.push("--force".to_owned());
    }
    acls(cluster, &arguments);
}

#[test]
fn with_exactly_the_listed_rights_every_stage_runs_and_lacking_one_the_failure_is_named() {
    let Some((bench, admin, user)) = secured() else { return };
    let client = bench.database("rights");
    // Nothing is allowed yet: every stage says so, and nothing stops.
    let mut running = Running::start(&bench.plan(&user, &Stage::ALL, &client)).unwrap();
    for stage in Stage::ALL {
        wait_until_failing(&running, stage, "this user lacks ");
    }
    running.stop();

    for call in calls(&rules(&of_stages(&user, &Stage::ALL)), "dora") {
        acls(&bench.cluster, &call);
    }
    let mut running = Running::start(&bench.plan(&user, &Stage::ALL, &client)).unwrap();
    Stage::ALL.iter().for_each(|stage| wait_until_running(&running, *stage));
    send(&admin, &records(2));
    for view in ["deployments", "changes", "dora_steps", "events", "services"] {
        wait_for(&format!("rows in {view}"), || {
            match bench.ask("rights", &format!("SELECT count() > 0 FROM {view}")) {
                one if one == "1" => Ok(()),
                other => Err(other),
            }
        });
    }
    for stage in Stage::ALL {
        assert_eq!(status(&running, stage), Status::Running, "{stage}");
    }
    running.stop();

    use Operation::{Read, Write};
    use Stage::{Aggregate, Correlate, Ingest, Load};
    let lacks = [
        (
            Correlate,
            "acme.correlate",
            Read,
            "this user lacks Read on group acme.correlate: `streamgauge topics --acls",
        ),
        (Correlate, "acme.correlate.", Write, "this user lacks Write on transactional id acme.correlate.…"),
        (Correlate, "acme.events", Read, "this user lacks Read on topic acme.events"),
        (
            Correlate,
            "acme.correlate.changelog",
            Read,
            "this user lacks Read on topic acme.correlate.changelog",
        ),
        (Correlate, "acme.catalog", Read, "this user lacks Read on topic acme.catalog"),
        (
            Correlate,
            "acme.facts",
            Write,
            "\"acme.facts\" [0] to transaction: Broker: Topic authorization failed): `streamgauge",
        ),
        (Ingest, "acme.raw.", Read, "no topic acme.raw.… is there, or none that this user may read"),
        (Ingest, "acme.dlq", Write, "this user lacks Write on topic acme.dlq"),
        (Aggregate, "acme.metrics", Write, "\"acme.metrics\" [0] to transaction"),
        (Load, "acme.load", Read, "this user lacks Read on group acme.load"),
    ];
    for (day, (stage, name, operation, says)) in (3..).zip(lacks) {
        let started = Instant::now();
        change(&bench.cluster, "--remove", name, operation);
        let mut running = Running::start(&bench.plan(&user, &Stage::ALL, &client)).unwrap();
        // What the stage writes is seen only when it has something to write.
        send(&admin, &records(day));
        wait_until_failing(&running, stage, says);
        change(&bench.cluster, "--add", name, operation);
        wait_until_running(&running, stage);
        running.stop();
        eprintln!("{operation} on {name}: {:?}", started.elapsed());
    }
}

#[test]
fn a_gateway_with_its_one_right_delivers_and_sees_no_other_topic() {
    let Some((bench, _, _)) = secured() else { return };
    let gate = bench.cluster.security().unwrap().user("gate").unwrap();
    let gate = settings(&bench.cluster, &gate, &gate.password().unwrap());
    let deliver = || {
        let sender = AcknowledgedSender::new(&gate).unwrap();
        let (told, heard) = tokio::sync::oneshot::channel();
        let records = records(1);
        let push = records.iter().find(|record| record.source.as_str() == "github").unwrap();
        sender.send(push, told);
        heard.blocking_recv().unwrap()
    };
    let visible = || Admin::new(&gate).unwrap().partitions().unwrap();
    assert!(visible().is_empty(), "{:?}", visible());
    assert!(deliver().unwrap_err().contains("authorization"));
    for call in calls(&rules(&of_gateway(&gate)), "gate") {
        acls(&bench.cluster, &call);
    }
    wait_for("the right", deliver);
    assert!(visible().keys().all(|topic| topic.starts_with("acme.raw.")), "{:?}", visible());
}

#[test]
fn wrong_credentials_are_named_and_right_ones_go_on() {
    let Some((bench, admin, _)) = secured() else { return };
    let client = bench.database("credentials");
    let mut wrong = admin.clone();
    wrong.properties.insert("sasl.password".to_owned(), "guessed".to_owned());
    let mut running = Running::start(&bench.plan(&wrong, &[Stage::Ingest, Stage::Load], &client)).unwrap();
    for stage in [Stage::Ingest, Stage::Load] {
        wait_until_failing(&running, stage, "refuses the credentials");
        let Status::Failing(reason) = status(&running, stage) else { panic!("it does not fail") };
        assert!(reason.contains("correct kafka.sasl.username and its password"), "{reason}");
        assert!(!reason.contains("guessed"), "{reason}");
    }
    running.stop();
    let mut running = Running::start(&bench.plan(&admin, &[Stage::Ingest, Stage::Load], &client)).unwrap();
    wait_until_running(&running, Stage::Ingest);
    wait_until_running(&running, Stage::Load);
    running.stop();
}
