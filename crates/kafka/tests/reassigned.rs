//! Partitions that are let go faster than librdkafka's own threads can follow, on the real broker.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::broker;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use streamgauge_kafka::member::{Member, Moved};
use streamgauge_kafka::outside::GroupMember;
use streamgauge_kafka::session::Position;
use streamgauge_kafka::{KafkaSettings, Stage, StageStats, client};

const PATIENCE: Duration = Duration::from_secs(30);

/// librdkafka 2.12.1 aborts the process at the first of these that comes too soon, unless each waits for the one before.
#[test]
fn partitions_may_be_assigned_again_before_they_were_let_go() {
    let Some(broker) = broker("again.", 3) else { return };
    let settings = &broker.settings;
    let events = &settings.topics.events;
    let producer: BaseProducer = client::producer(settings).create().unwrap();
    for partition in 0..3 {
        producer.send(BaseRecord::<(), str>::to(events).partition(partition).payload("one")).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    let member: BaseConsumer = client::member(settings, Stage::Correlate).create().unwrap();
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

/// A member that leaves is told of it by its group while it ends, and lets its partitions go then: whatever is asked of
/// librdkafka after that is not answered any more.
#[test]
fn a_member_that_leaves_ends() {
    let Some(broker) = broker("leaves.", 3) else { return };
    // Such a member asks nobody before it is gone.
    let settings = KafkaSettings { static_membership: true, ..broker.settings.clone() };
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for round in 0..40 {
            let stats = Arc::new(StageStats::new(Stage::Correlate));
            let member = Member::join(&settings, &[settings.topics.events.as_str()], &stats).unwrap();
            let moved = loop {
                assert!(member.poll(Duration::from_millis(10)).unwrap().is_none());
                if let Some(moved) = member.moved() {
                    break moved;
                }
            };
            let Moved::Assigned(partitions) = moved else { panic!("{moved:?}") };
            let position = |(topic, partition)| Position { topic, partition, offset: 0 };
            member.assign(&partitions.into_iter().map(position).collect::<Vec<_>>()).unwrap();
            drop(member);
            tell.send(round).unwrap();
        }
    });
    for round in 0..40 {
        assert_eq!(told.recv_timeout(PATIENCE), Ok(round), "the member of this round does not end");
    }
}
