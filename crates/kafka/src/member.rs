//! A member of a stage's consumer group. The callbacks of librdkafka become one closed enum, [`Moved`].

use crate::client;
use crate::connection::{Ear, protocol};
use crate::error::Error;
use crate::lag::{self, Heard};
use crate::outside::GroupMember;
use crate::session::Position;
use crate::settings::KafkaSettings;
use crate::stats::StageStats;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the broker may take to answer a question.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What the group did with this member's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    /// These are its partitions now. Nothing is read until [`GroupMember::assign`].
    Assigned(Vec<(String, i32)>),
    /// All of them are taken away, in order.
    Revoked,
    /// All of them were taken away before it was told: others may work on them.
    Lost,
}

/// Reports in a row that name no broker as up before that counts as trouble: a connection may be made anew.
const REPORTS_WITHOUT_BROKER: u32 = 8;
/// How often a member reports, in milliseconds.
const REPORT_EVERY_MS: &str = "500";
/// How long may be waited for the ends of the partitions that are to be read.
const ENDS_WITHIN: Duration = Duration::from_millis(500);
/// While brokers are away, the same is heard many times a second; it is logged so often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What librdkafka tells a member.
#[derive(Debug)]
pub struct MemberContext {
    stats: Arc<StageStats>,
    moved: Mutex<VecDeque<Moved>>,
    /// The partitions that are read, each from an offset on; `None`: none are until the tasks are restored.
    reading: Mutex<Option<BTreeMap<(String, i32), i64>>>,
    /// Those of them that are held.
    held: Mutex<BTreeSet<(String, i32)>>,
    /// How many records waited in each of what is read when it was asked for.
    asked: Mutex<BTreeMap<(String, i32), Option<i64>>>,
    ear: Ear,
    /// Reports in a row that name no broker as up.
    alone: AtomicU32,
    logged: Mutex<Option<Instant>>,
}

impl MemberContext {
    fn reading(&self) -> MutexGuard<'_, Option<BTreeMap<(String, i32), i64>>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn held(&self) -> MutexGuard<'_, BTreeSet<(String, i32)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn asked(&self) -> MutexGuard<'_, BTreeMap<(String, i32), Option<i64>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What was heard of other partitions, or of the same at other offsets, holds no longer.
    fn reads(&self, partitions: Option<BTreeMap<(String, i32), i64>>) {
        *self.reading() = partitions;
        self.asked().clear();
        self.stats.heard(None);
    }
    /// Logs what does not stop the member, but not all the time.
    fn warn(&self, error: &KafkaError, reason: &str) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(stage = %self.stats.stage, %error, reason, "reading waits");
        }
    }
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        crate::log::pass_on(level, facility, line, self.stats.stage.as_str());
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.ear.note(&error, reason);
        self.warn(&error, reason);
    }
    fn stats(&self, statistics: Statistics) {
        if lag::is_any_up(&statistics) {
            self.alone.store(0, Ordering::Relaxed);
        } else {
            self.alone.fetch_add(1, Ordering::Relaxed);
        }
        let heard = lag::heard(&statistics, self.reading().as_ref(), &self.held(), &self.asked());
        self.stats.heard(Some(heard));
    }
}

impl ConsumerContext for MemberContext {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::warn!(%error, "offsets were not committed; their records are read again");
        }
    }
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        self.reads(None);
        let moved = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                // Nothing is read before the tasks are restored.
                if let Err(error) = client::assign(consumer, &TopicPartitionList::new()) {
                    tracing::error!(stage = %self.stats.stage, %error, "assignment");
                }
                let partitions =
                    tpl.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect();
                Moved::Assigned(partitions)
            }
            _ => {
                let moved = if consumer.assignment_lost() { Moved::Lost } else { Moved::Revoked };
                if let Err(error) = client::unassign(consumer) {
                    tracing::error!(stage = %self.stats.stage, %error, "revocation");
                }
                moved
            }
        };
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).push_back(moved);
    }
}

/// A member of a stage's consumer group, used by one thread.
pub struct Member {
    consumer: BaseConsumer<MemberContext>,
    group: String,
    brokers: String,
    protocol: String,
    instance: String,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}

impl Member {
    /// Joins the group of a stage; `topics` may be patterns that begin with `^`. How far it is behind goes to the
    /// stage's counters.
    ///
    /// # Errors
    /// [`Error::Client`] for settings that librdkafka refuses.
    pub fn join(settings: &KafkaSettings, topics: &[&str], stats: &Arc<StageStats>) -> Result<Self, Error> {
        let mut config = client::member(settings, stats.stage);
        config.set("statistics.interval.ms", REPORT_EVERY_MS);
        let context = MemberContext {
            stats: stats.clone(),
            moved: Mutex::default(),
            reading: Mutex::new(None),
            held: Mutex::default(),
            asked: Mutex::default(),
            ear: Ear::default(),
            alone: AtomicU32::new(0),
            logged: Mutex::new(None),
        };
        let consumer: BaseConsumer<MemberContext> =
            config.create_with_context(context).map_err(Error::client("a consumer"))?;
        consumer.subscribe(topics).map_err(Error::client("a subscription"))?;
        Ok(Self {
            consumer,
            group: settings.topics.group(stats.stage),
            brokers: settings.brokers.clone(),
            protocol: protocol(settings).to_owned(),
            instance: settings.instance.clone(),
        })
    }

    /// Asks how far each partition goes. The client reports it too, but of one to which nothing is written a second later.
    fn hear_of_ends(&self, positions: &[Position]) {
        let places = positions.iter().map(|at| ((at.topic.clone(), at.partition), Offset::End));
        let Ok(list) = TopicPartitionList::from_topic_map(&places.collect()) else { return };
        let Ok(ends) = self.consumer.offsets_for_times(list, ENDS_WITHIN) else { return };
        let lag = |at: &Position| {
            let place = (at.topic.clone(), at.partition);
            let end = ends.find_partition(&at.topic, at.partition).filter(|end| end.error().is_ok());
            let lag = match end.map(|end| end.offset()) {
                Some(Offset::Offset(end)) => Some((end - at.offset.max(0)).max(0)),
                _ => None,
            };
            (place, lag)
        };
        let partitions: BTreeMap<_, _> = positions.iter().map(lag).collect();
        self.consumer.context().asked().clone_from(&partitions);
        self.consumer.context().stats.heard(Some(Heard { partitions, trouble: None, reads: true }));
    }

    /// What is said when the next record to be read is no longer there.
    fn gone(&self) -> String {
        let place = |topic: &str, partition: i32, next: i64| {
            let (begin, end) = self.consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN).ok()?;
            (next < begin || next > end)
                .then(|| format!("{topic}/{partition} is read from {next} on, but holds {begin} to {end}"))
        };
        let positions = self.consumer.position().unwrap_or_default();
        let reading = self.consumer.context().reading().clone().unwrap_or_default();
        let places: Vec<String> = reading
            .iter()
            .filter_map(|((topic, partition), from)| {
                let position = positions.find_partition(topic, *partition).map(|found| found.offset());
                let next = if let Some(Offset::Offset(next)) = position { next } else { *from };
                place(topic, *partition, next)
            })
            .collect();
        format!(
            "records that were not read are no longer there ({}): what they told is lost to the group {}; compute everything \
             anew in another generation (set `generation`, then `streamgauge replay`), or bring the records back",
            places.join(", "),
            self.group
        )
    }

    /// Whether another member has come under its name: for librdkafka that is one fatal error among others.
    fn is_fenced(&self) -> bool {
        let fatal = self.consumer.client().fatal_error();
        fatal.is_some_and(|(code, _)| code == RDKafkaErrorCode::FencedInstanceId)
    }
}

impl GroupMember for Member {
    type Group = ConsumerGroupMetadata;
    type Record<'a> = BorrowedMessage<'a>;

    fn poll(&self, timeout: Duration) -> Result<Option<BorrowedMessage<'_>>, Error> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                Err(Error::Consume(self.gone()))
            }
            Some(Err(error)) if passes(&error) => {
                self.consumer.context().warn(&error, "");
                Ok(None)
            }
            Some(Err(_)) if self.is_fenced() => Err(Error::Consume(format!(
                "another process runs as kafka.instance {:?}: give each process a name of its own",
                self.instance
            ))),
            Some(Err(error)) => Err(Error::Consume(error.to_string())),
        }
    }

    fn moved(&self) -> Option<Moved> {
        self.consumer.context().moved.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn trouble(&self) -> Option<String> {
        let context = self.consumer.context();
        let alone = context.alone.load(Ordering::Relaxed) >= REPORTS_WITHOUT_BROKER;
        alone.then(|| context.ear.refusal(&self.brokers, &self.protocol).to_string())
    }

    fn assign(&self, positions: &[Position]) -> Result<(), Error> {
        // A client goes on holding what it held, even where it was away meanwhile.
        self.hold(&[])?;
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            let offset =
                if position.offset < 0 { Offset::Beginning } else { Offset::Offset(position.offset) };
            list.add_partition_offset(&position.topic, position.partition, offset)
                .map_err(|error| Error::Consume(error.to_string()))?;
        }
        client::assign(&self.consumer, &list).map_err(|error| Error::Consume(error.to_string()))?;
        let reading = positions.iter().map(|at| ((at.topic.clone(), at.partition), at.offset)).collect();
        self.consumer.context().reads(Some(reading));
        self.hear_of_ends(positions);
        Ok(())
    }

    fn hold(&self, topics: &[&str]) -> Result<(), Error> {
        let reading = self.consumer.context().reading();
        let of_topics = |at: &&(String, i32)| topics.contains(&at.0.as_str());
        let wanted: BTreeSet<_> =
            reading.iter().flat_map(BTreeMap::keys).filter(of_topics).cloned().collect();
        drop(reading);
        let mut held = self.consumer.context().held();
        let failed = |error: KafkaError| Error::Consume(format!("holding partitions: {error}"));
        self.consumer.resume(&list_of(held.difference(&wanted))).map_err(failed)?;
        self.consumer.pause(&list_of(wanted.difference(&held))).map_err(failed)?;
        *held = wanted;
        Ok(())
    }

    fn committed(&self, partitions: &[(String, i32)]) -> Result<Vec<Option<i64>>, Error> {
        let list = list_of(partitions);
        let failed = |error: KafkaError| Error::Consume(format!("committed offsets: {error}"));
        let committed = self.consumer.committed_offsets(list, ANSWER_WITHIN).map_err(failed)?;
        let offset = |(topic, partition): &(String, i32)| {
            let element = committed.find_partition(topic, *partition)?;
            if let Offset::Offset(offset) = element.offset() { Some(offset) } else { None }
        };
        Ok(partitions.iter().map(offset).collect())
    }

    fn commit(&self, positions: &[Position]) -> Result<(), Error> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            list.add_partition_offset(&position.topic, position.partition, Offset::Offset(position.offset))
                .map_err(|error| Error::Consume(error.to_string()))?;
        }
        self.consumer
            .commit(&list, rdkafka::consumer::CommitMode::Async)
            .map_err(|error| Error::Consume(format!("committing offsets: {error}")))
    }

    fn group(&self) -> Option<ConsumerGroupMetadata> {
        self.consumer.group_metadata()
    }
}

fn list_of<'a>(partitions: impl IntoIterator<Item = &'a (String, i32)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

/// Whether librdkafka goes on by itself after an error.
fn passes(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::PollExceeded
                | RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::FencedInstanceId
        )
    ) && !matches!(error, KafkaError::MessageConsumptionFatal(_))
}
