//! The clients' settings. Everything that exactly-once rests on is set here and cannot be overridden.

use crate::settings::KafkaSettings;
use crate::topics::{LARGE_RECORD_BYTES, Stage};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Most kilobytes that one consumer fetches ahead.
const FETCHED_KILOBYTES: u32 = 32 * 1024;
/// Most kilobytes that one producer holds.
const PRODUCED_KILOBYTES: u32 = 64 * 1024;
/// Most records that one producer holds.
const PRODUCED_RECORDS: u32 = 500_000;

/// Where a client that was just made begins to read a whole partition. `Beginning` would have to be asked of a broker
/// that is not connected yet, and librdkafka asks again after 500 ms; an offset that is no longer there is asked for
/// then (`auto.offset.reset`).
pub const FROM_THE_FIRST: Offset = Offset::Offset(0);

fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (key, value) in &settings.properties {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", format!("streamgauge-{}", settings.instance))
        .set("allow.auto.create.topics", "false")
        // A connection that was merely idle is no fault.
        .set("log.connection.close", "false")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.max.ms", "2000");
    config
}

/// A client that asks and administers.
pub fn admin(settings: &KafkaSettings) -> ClientConfig {
    base(settings)
}

/// A member of a stage's group: it sees committed records only, and commits nothing by itself.
pub fn member(settings: &KafkaSettings, stage: Stage) -> ClientConfig {
    let mut config = reader(settings);
    config
        .set("group.id", settings.topics.group(stage))
        // Who has not read what retention took must not go on as if there had been nothing.
        .set("auto.offset.reset", "error")
        // Tasks are moved as a whole: all of a member's partitions go before any comes.
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", (settings.session_timeout.as_millis() / 5).to_string())
        .set("max.poll.interval.ms", "300000")
        .set("topic.metadata.refresh.interval.ms", "10000");
    if settings.static_membership {
        // A member that comes back within its session has its partitions still, and nobody else's move.
        config.set("group.instance.id", format!("{}.{stage}", settings.instance));
    }
    config
}

/// A reader without a group: of a changelog, of the catalog.
pub fn reader(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config
        // librdkafka wants a group even where none is joined, and looks for its coordinator.
        .set("group.id", settings.topics.reader_group())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "100")
        // What is fetched ahead is bounded; by default a full queue would be looked at again after a second only.
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.message.max.bytes", "4194304")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", FETCHED_KILOBYTES.to_string());
    config
}

/// A producer without transactions, for what one command sends.
pub fn producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        // In the last millisecond of each pause librdkafka's thread spins, and with pauses of 2 ms that is half of it; every
        // transaction waits for its last pause.
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("message.max.bytes", LARGE_RECORD_BYTES.to_string())
        .set("queue.buffering.max.kbytes", PRODUCED_KILOBYTES.to_string())
        .set("queue.buffering.max.messages", PRODUCED_RECORDS.to_string());
    config
}

/// A transactional producer. A record that cannot be delivered fails before its transaction times out.
pub fn transactional(settings: &KafkaSettings, transactional_id: &str) -> ClientConfig {
    let timeout_ms = settings.transaction_timeout.as_millis();
    let mut config = producer(settings);
    config
        .set("transactional.id", transactional_id)
        // Whether the end of a transaction was sent again is said in these lines only; see `contact.rs`.
        .set("debug", "eos")
        .set_log_level(RDKafkaLogLevel::Debug)
        .set("transaction.timeout.ms", timeout_ms.to_string())
        .set("message.timeout.ms", (timeout_ms * 2 / 3).to_string());
    config
}

/// Gives a consumer other partitions to read, once those before them were told to stop.
///
/// librdkafka tells a partition to stop each time it is let go, and aborts the process at the second answer (its issue
/// 5573) where one was let go twice before the first. Its main thread takes everything in order, so that a question
/// asked before lets that answer in. Before, and not after: a member that leaves is gone once it has let go, and then
/// a question is never answered.
///
/// # Errors
/// What librdkafka refuses.
#[allow(clippy::disallowed_methods, reason = "the one place that waits")]
pub fn assign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    consumer.assignment()?;
    consumer.assign(partitions)
}

/// Takes all partitions from a consumer, as [`assign`] does.
///
/// # Errors
/// What librdkafka refuses.
#[allow(clippy::disallowed_methods, reason = "the one place that waits")]
pub fn unassign<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> KafkaResult<()> {
    consumer.assignment()?;
    consumer.unassign()
}
