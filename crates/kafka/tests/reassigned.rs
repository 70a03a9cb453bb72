//! Partitions that are let go faster than librdkafka's own threads can follow, on the real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};
use streamgauge_kafka::admin::Admin;
use streamgauge_kafka::{KafkaSettings, Stage, client};
use test_broker::{Cluster, Settings, is_available};

const PATIENCE: Duration = Duration::from_secs(30);

/// librdkafka 2.12.1 aborts the process at the first of these that comes too soon, unless each waits for the one before.
#[test]
fn partitions_may_be_assigned_again_before_they_were_let_go() {
    if !is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let settings = KafkaSettings::new(cluster.bootstrap(), "again.", "test");
    let specs = settings.topics.specs(3, []);
    Admin::new(&settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
    let events = &settings.topics.events;
    let producer: BaseProducer = client::producer(&settings).create().unwrap();
    for partition in 0..3 {
        producer.send(BaseRecord::<(), str>::to(events).partition(partition).payload("one")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    let member: BaseConsumer = client::member(&settings, Stage::Correlate).create().unwrap();
    let mut all = TopicPartitionList::new();
    for partition in 0..3 {
        all.add_partition_offset(events, partition, Offset::Offset(0)).unwrap();
    }
    for round in 0..50 {
        client::assign(&member, &all).unwrap();
        let asked = Instant::now();
        let mut read = 0;
        while read < 3 {
            read += u32::from(member.poll(Duration::from_millis(100)).is_some_and(|message| message.is_ok()));
            assert!(asked.elapsed() < PATIENCE, "round {round}: {read} of 3 records");
        }
        // They are read: now they are started, and each of these lets them go.
        client::assign(&member, &all).unwrap();
        client::assign(&member, &TopicPartitionList::new()).unwrap();
        client::unassign(&member).unwrap();
    }
}
