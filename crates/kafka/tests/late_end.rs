//! The end of a transaction that reaches the broker late, on the real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../../streamgauge/tests/support/topic.rs"]
mod topic;

use std::sync::Arc;
use std::time::Duration;
use streamgauge_kafka::admin::Admin;
use streamgauge_kafka::session::{EosSession, OutRecord, RdkafkaSession};
use streamgauge_kafka::{KafkaSettings, Stage, StageStats, client};
use test_broker::{Cluster, Fault, Proxy, Settings, is_available};

/// How late it comes, and when it has come for certain.
const LATE: Duration = Duration::from_secs(3);
const CAME: Duration = Duration::from_secs(5);

/// Two transactions, of which the first one's end comes late and the second one is not ended: what is committed.
fn committed(replaces: bool) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::bind().unwrap();
    let plan = Settings { proxies: vec![proxy.port()], ..Settings::plain(1) };
    let cluster = Cluster::start(&folder.path().join("kafka"), &plan).unwrap();
    proxy.forward(cluster.proxied(1).unwrap());
    proxy.set(|number| if number == 1 { Fault::Late(LATE) } else { Fault::Pass });
    let direct = KafkaSettings::new(cluster.bootstrap(), "late.", "test");
    let specs = direct.topics.specs(1, []);
    Admin::new(&direct).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();

    let proxied = KafkaSettings::new(format!("127.0.0.1:{}", proxy.port()), "late.", "test");
    let stats = Arc::new(StageStats::new(Stage::Ingest));
    let open = || RdkafkaSession::open(&proxied, "late.test", &stats).unwrap();
    let topic = &direct.topics.facts;
    let produce = |session: &mut RdkafkaSession, value: &str| {
        session.begin().unwrap();
        let value = Some(value.as_bytes());
        let record = OutRecord { topic, partition: Some(0), key: b"k", value, headers: &[], timestamp_ms: 1 };
        session.produce(record).unwrap();
    };
    let mut session = open();
    produce(&mut session, "first");
    session.commit(&[], None).unwrap();
    assert_eq!(proxy.met(), (2, 1), "the end was sent again");
    assert!(session.is_suspect(), "that the end was sent again went unnoticed");
    if replaces {
        session = open();
    }
    produce(&mut session, "second");
    std::thread::sleep(CAME);
    let values = topic::values(client::reader(&direct), topic);
    values.into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

#[test]
fn an_end_that_comes_late_commits_the_next_transaction_unless_the_producer_was_replaced() {
    if !is_available() {
        return;
    }
    assert_eq!(committed(true), ["first"]);
    // Without the guard: this is what it is for.
    assert_eq!(committed(false), ["first", "second"]);
}
