//! A generation on the brokers: whether it has caught up, what of the raw records it can still read, and its end.

use crate::admin::Admin;
use crate::client;
use crate::connection::Ear;
use crate::error::Error;
use crate::log::Reader;
use crate::member::ANSWER_WITHIN;
use crate::settings::KafkaSettings;
use crate::topics::Stage;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long nothing may come of a partition before asking is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// A partition of raw records that no longer begins with its first record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The first offset that is still there.
    pub begins_at: i64,
}

/// The input of a stage: topics with their partitions.
///
/// # Errors
/// When no broker answers.
pub fn inputs(settings: &KafkaSettings, stage: Stage) -> Result<BTreeMap<String, u32>, Error> {
    let mut there = Admin::new(settings)?.partitions()?;
    there.retain(|topic, _| reads(settings, stage, topic));
    Ok(there)
}

/// Whether a stage reads a topic.
fn reads(settings: &KafkaSettings, stage: Stage, topic: &str) -> bool {
    let topics = &settings.topics;
    match stage {
        Stage::Ingest => settings.source_of(topic).is_some(),
        Stage::Correlate => topic == topics.events || topic == topics.messages,
        Stage::Aggregate => topic == topics.contributions,
        Stage::Load => [&topics.facts, &topics.metrics, &topics.events].into_iter().any(|read| read == topic),
    }
}

/// Each partition of these topics.
fn places<'a>(
    topics: impl IntoIterator<Item = (&'a String, &'a u32)>,
) -> impl Iterator<Item = (&'a str, i32)> {
    topics.into_iter().flat_map(|(topic, partitions)| {
        (0..i32::try_from(*partitions).unwrap_or(i32::MAX)).map(move |partition| (topic.as_str(), partition))
    })
}

/// The partitions of raw records of which older records are gone.
///
/// # Errors
/// When the brokers do not answer.
pub fn shortened(settings: &KafkaSettings) -> Result<Vec<Shortened>, Error> {
    let consumer: BaseConsumer<Reader> = client::reader(settings)
        .create_with_context(Reader { of: "raw records".to_owned() })
        .map_err(Error::client("a consumer of raw records"))?;
    let mut raw = inputs(settings, Stage::Ingest)?;
    raw.retain(|topic, _| Some(topic) != settings.topics.archive().as_ref());
    let mut found = Vec::new();
    for (topic, partition) in places(&raw) {
        let (begins_at, _) = consumer
            .fetch_watermarks(topic, partition, ANSWER_WITHIN)
            .map_err(|error| unread(topic, &error))?;
        if begins_at > 0 {
            found.push(Shortened { topic: topic.to_owned(), partition, begins_at });
        }
    }
    Ok(found)
}

/// How many records wait for each stage that its group has not processed: at most, because records that end
/// transactions are counted with them; 0 only when none waits.
///
/// # Errors
/// When the brokers do not answer, or this user may not see a group.
pub fn waiting(settings: &KafkaSettings) -> Result<Vec<(Stage, u64)>, Error> {
    let there = Admin::new(settings)?.partitions()?;
    Stage::ALL.iter().map(|stage| Ok((*stage, waiting_for(settings, *stage, &there)?))).collect()
}

fn waiting_for(settings: &KafkaSettings, stage: Stage, there: &BTreeMap<String, u32>) -> Result<u64, Error> {
    let mut config = client::member(settings, stage);
    config.set("enable.partition.eof", "true").set("fetch.wait.max.ms", "5");
    let consumer: BaseConsumer<Ear> =
        config.create_with_context(Ear::default()).map_err(Error::client("a consumer of a stage's input"))?;
    let mut list = TopicPartitionList::new();
    for (topic, partition) in places(there.iter().filter(|(topic, _)| reads(settings, stage, topic))) {
        list.add_partition(topic, partition);
    }
    let group = settings.topics.group(stage);
    let committed = consumer
        .committed_offsets(list, ANSWER_WITHIN)
        .map_err(|error| Error::Consume(format!("the offsets of the group {group}: {error}")))?;
    let mut waits = 0;
    for element in committed.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        let (begin, end) = consumer
            .fetch_watermarks(topic, partition, ANSWER_WITHIN)
            .map_err(|error| unread(topic, &error))?;
        let next = match element.offset() {
            Offset::Offset(next) => next.max(begin),
            _ => begin,
        };
        if next < end && holds_records(&consumer, topic, partition, next)? {
            waits += u64::try_from(end - next).unwrap_or(0);
        }
    }
    Ok(waits)
}

/// Whether a partition holds a record from an offset on: what lies there may be no more than the ends of transactions.
fn holds_records(
    consumer: &BaseConsumer<Ear>,
    topic: &str,
    partition: i32,
    from: i64,
) -> Result<bool, Error> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(from))
        .and_then(|()| client::assign(consumer, &list))
        .map_err(|error| unread(topic, &error))?;
    let asked = Instant::now();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(_)) => return Ok(true),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(false),
            Some(Err(error)) if asked.elapsed() > SILENCE => return Err(unread(topic, &error)),
            None if asked.elapsed() > SILENCE => {
                return Err(Error::Consume(format!("topic {topic}: no answer")));
            }
            Some(Err(_)) | None => {}
        }
    }
}

fn unread(topic: &str, error: &KafkaError) -> Error {
    Error::Consume(format!("topic {topic}: {error}"))
}
