//! What a member that died in the middle of a transaction left open, on the real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::broker;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;
use streamgauge_kafka::probe::Probe;
use streamgauge_kafka::{Stage, client};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_group_is_seen_although_offsets_in_a_transaction_are_open() {
    let Some(broker) = broker("open.", 1) else { return };
    let settings = &broker.settings;

    let member: BaseConsumer = client::member(settings, Stage::Correlate).create().unwrap();
    let id = settings.topics.transactional_id(Stage::Correlate, 0);
    let producer: BaseProducer = client::transactional(settings, &id).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&settings.topics.events, 0, Offset::Offset(1)).unwrap();
    let group = member.group_metadata().unwrap();
    producer.send_offsets_to_transaction(&offsets, &group, PATIENCE).unwrap();

    // Who reads committed offsets waits for the end of the transaction: this is what it is about.
    let mut asked = TopicPartitionList::new();
    asked.add_partition(&settings.topics.events, 0);
    assert!(member.committed_offsets(asked, Duration::from_secs(2)).is_err(), "nothing is open");
    let probe = Probe::connect(settings, PATIENCE).unwrap();
    assert_eq!(probe.can_see_group(Stage::Correlate), Ok(()));
}
