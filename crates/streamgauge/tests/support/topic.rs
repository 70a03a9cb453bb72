//! What stands in a topic, as a reader of committed records sees it.
#![allow(dead_code, reason = "not every binary needs all of it")]

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::time::Duration;

/// Hands every committed record of a topic to `each`. `reader` is a client that reads committed records.
#[allow(clippy::disallowed_methods, reason = "it is assigned once")]
pub fn read_all(mut reader: ClientConfig, topic: &str, mut each: impl FnMut(&BorrowedMessage<'_>)) {
    reader.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = reader.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let partitions = metadata.topics()[0].partitions().len();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, i32::try_from(partition).unwrap(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut ended = BTreeSet::new();
    while ended.len() < partitions {
        match consumer.poll(Duration::from_secs(20)).expect("records or the end within 20 s") {
            Ok(message) => each(&message),
            Err(KafkaError::PartitionEOF(partition)) => _ = ended.insert(partition),
            Err(error) => panic!("{topic}: {error}"),
        }
    }
}

/// Every value of a topic; of one partition in their order.
pub fn values(reader: ClientConfig, topic: &str) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    read_all(reader, topic, |message| values.push(message.payload().unwrap_or_default().to_vec()));
    values
}
