//! A changelog as brokers hold it, through librdkafka.

use crate::client;
use crate::error::Error;
use crate::log::Reader;
use crate::member::ANSWER_WITHIN;
use crate::probe::is_topic_denied;
use crate::settings::KafkaSettings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long nothing may come before a restore is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// The same while all brokers are away: the stage says so sooner.
const AWAY: Duration = Duration::from_secs(5);

/// Reads its committed records; see [`Outside::read`](crate::outside::Outside::read).
///
/// # Errors
/// When it may not be read, or nothing comes for [`SILENCE`].
pub fn read(
    settings: &KafkaSettings,
    topic: &str,
    partition: u32,
    name: &str,
    from: i64,
    mut take: impl FnMut(i64, &[u8], Option<&[u8]>),
) -> Result<bool, Error> {
    let mut config = client::reader(settings);
    // Nothing is written to it meanwhile: its end is told at once.
    config
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "5")
        .set("fetch.message.max.bytes", "8388608");
    if from > 0 {
        config.set("auto.offset.reset", "error");
    }
    let consumer: BaseConsumer<Reader> = config
        .create_with_context(Reader { of: name.to_owned() })
        .map_err(Error::client("the consumer of a changelog"))?;
    let stuck_for = |limit: Duration, reason: String| Error::RestoreStuck {
        task: name.to_owned(),
        seconds: limit.as_secs(),
        reason,
    };
    let stuck = |reason| stuck_for(SILENCE, reason);
    let mut list = TopicPartitionList::new();
    let begin = if from > 0 { Offset::Offset(from) } else { client::FROM_THE_FIRST };
    list.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), begin)
        .map_err(|error| stuck(error.to_string()))?;
    client::assign(&consumer, &list).map_err(|error| stuck(error.to_string()))?;
    let mut heard = Instant::now();
    let mut last = "nothing".to_owned();
    let mut all_down = false;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                all_down = false;
                take(message.offset(), message.key().unwrap_or_default(), message.payload());
            }
            // Under read_committed this is the last stable offset: the task's producer was initialised before,
            // so that nothing is open any more.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(true),
            // It begins later or ends earlier than it did.
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                return Ok(false);
            }
            Some(Err(error)) if is_topic_denied(&error) => {
                return Err(Error::Consume(format!("topic {topic}: {error}")));
            }
            Some(Err(error)) => {
                all_down |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
                last = error.to_string();
            }
            None => {}
        }
        let limit = if all_down { AWAY } else { SILENCE };
        if heard.elapsed() > limit {
            return Err(stuck_for(limit, last));
        }
    }
}

/// The end of a changelog: its last stable offset.
///
/// # Errors
/// When the broker does not answer in time.
pub fn end(settings: &KafkaSettings, topic: &str, partition: u32, name: &str) -> Result<i64, Error> {
    let consumer: BaseConsumer<Reader> = client::reader(settings)
        .create_with_context(Reader { of: name.to_owned() })
        .map_err(Error::client("the consumer of a changelog"))?;
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    let watermarks = consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN);
    watermarks.map(|(_, end)| end).map_err(|error| Error::RestoreStuck {
        task: name.to_owned(),
        seconds: ANSWER_WITHIN.as_secs(),
        reason: error.to_string(),
    })
}
