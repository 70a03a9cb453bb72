//! What a check tries on the brokers: it joins no group, leaves nothing that anybody reads, and touches no changelog
//! with a transaction (an open one would hide what a restore has to read).

use crate::acls::{Operation, Pattern, Resource, of_stages};
use crate::checkpoint::{CHECKPOINT_KEY, Checkpoint};
use crate::client;
use crate::connection::{self, Ear, Refusal};
use crate::member::ANSWER_WITHIN;
use crate::settings::KafkaSettings;
use crate::topics::Stage;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one question may take.
const WITHIN: Duration = Duration::from_secs(10);
/// How long one of several attempts may take.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// The numbers of requests by which releases are told apart.
const TXN_OFFSET_COMMIT: i16 = 28;
const END_TXN: i16 = 26;
const DESCRIBE_TRANSACTIONS: i16 = 65;

/// How a topic is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there.
    There {
        /// How many partitions it has.
        partitions: u32,
        /// How many of them have no leader.
        leaderless: u32,
        /// How many of them have copies that are behind.
        behind: u32,
    },
    /// It does not exist.
    Missing,
    /// This user may not see it.
    Denied,
    /// The brokers say something else.
    Other(String),
}

/// Brokers that answer.
pub struct Probe {
    settings: KafkaSettings,
    consumer: BaseConsumer<Ear>,
    /// How many brokers there are.
    pub brokers: usize,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

impl Probe {
    /// Connects.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn connect(settings: &KafkaSettings, within: Duration) -> Result<Self, Refusal> {
        let (consumer, brokers) = connection::connect(settings, within)?;
        Ok(Self { settings: settings.clone(), consumer, brokers })
    }

    /// The oldest release that the brokers may be of, by the requests that they take.
    ///
    /// # Errors
    /// Brokers that are too old for a group's offsets in a transaction.
    pub fn release(&self) -> Result<&'static str, Refusal> {
        // What the brokers take is told while polling.
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.consumer.context().request(TXN_OFFSET_COMMIT).is_none() && Instant::now() < deadline {
            let _ = self.consumer.poll(Duration::from_millis(20));
        }
        let takes =
            |number, version| self.consumer.context().request(number).is_some_and(|newest| newest >= version);
        match () {
            () if takes(END_TXN, 5) => Ok("4.0 or newer"),
            () if takes(DESCRIBE_TRANSACTIONS, 0) => Ok("3.0 or newer"),
            () if takes(TXN_OFFSET_COMMIT, 3) => Ok("2.5 or newer"),
            () if self.consumer.context().request(TXN_OFFSET_COMMIT).is_none() => Ok("of an unknown release"),
            () => Err(Refusal::new(
                "the brokers are older than Kafka 2.5: they cannot fence a member of a group in a transaction",
                "upgrade the brokers",
            )),
        }
    }

    /// How a topic is seen. Asking makes none.
    pub fn topic(&self, name: &str) -> Seen {
        let metadata = match self.consumer.fetch_metadata(Some(name), ANSWER_WITHIN) {
            Ok(metadata) => metadata,
            Err(error) => return Seen::Other(error.to_string()),
        };
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            return Seen::Missing;
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => {
                let count = |wanted: &dyn Fn(&rdkafka::metadata::MetadataPartition) -> bool| {
                    let count = topic.partitions().iter().filter(|partition| wanted(partition)).count();
                    u32::try_from(count).unwrap_or(u32::MAX)
                };
                Seen::There {
                    partitions: count(&|_| true),
                    leaderless: count(&|partition| partition.leader() < 0),
                    behind: count(&|partition| partition.isr().len() < partition.replicas().len()),
                }
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Seen::Missing,
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Seen::Denied,
            Some(other) => Seen::Other(other.to_string()),
        }
    }

    /// The topics of raw records that this user sees.
    ///
    /// # Errors
    /// When the brokers do not answer, or show none.
    pub fn raw_topics(&self) -> Result<Vec<String>, Refusal> {
        let metadata = self.consumer.fetch_metadata(None, ANSWER_WITHIN).map_err(|error| {
            Refusal::new(format!("the brokers do not list their topics ({error})"), "see the brokers' logs")
        })?;
        let names =
            metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| topic.name());
        let raw: Vec<String> =
            names.filter(|name| self.settings.source_of(name).is_some()).map(str::to_owned).collect();
        if raw.is_empty() {
            return Err(Refusal::new(
                format!(
                    "no topic {}… is there, or none that this user may read",
                    self.settings.topics.raw("")
                ),
                "`streamgauge topics` makes them, `streamgauge topics --acls USER` prints the rules that allow it",
            ));
        }
        Ok(raw)
    }

    /// What a stage lacks, as far as it can be seen without touching anything: topics that are missing or denied,
    /// a group that is denied.
    pub fn lacks(&self, stage: Stage) -> Option<Refusal> {
        for need in of_stages(&self.settings, &[stage]) {
            let Pattern { resource: Resource::Topic, name, prefixed: false } = &need.rule.pattern else {
                continue;
            };
            match self.topic(name) {
                Seen::Missing => return Some(missing(name)),
                Seen::Denied => {
                    let operation = need.rule.operations.first().copied().unwrap_or(Operation::Describe);
                    return Some(denied(operation, Resource::Topic, name));
                }
                Seen::There { .. } | Seen::Other(_) => {}
            }
        }
        if stage == Stage::Ingest
            && let Err(refusal) = self.raw_topics()
        {
            return Some(refusal);
        }
        self.can_see_group(stage).err()
    }

    /// The topics of several that cannot be read, each with the reason.
    pub fn cannot_read_of(&self, topics: &[String]) -> Vec<Refusal> {
        // All at once is quick; when one cannot be read, each is asked.
        if topics.is_empty() || self.reach_ends(topics) {
            return Vec::new();
        }
        topics.iter().filter_map(|topic| self.can_read(topic).err()).collect()
    }

    /// Whether the end of every topic's first partition is reached.
    fn reach_ends(&self, topics: &[String]) -> bool {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            if list.add_partition_offset(topic, 0, Offset::End).is_err() {
                return false;
            }
        }
        if client::assign(&self.consumer, &list).is_err() {
            return false;
        }
        let deadline = Instant::now() + WITHIN;
        let mut left = topics.len();
        while left > 0 && Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                Some(Err(error)) if is_topic_denied(&error) => break,
                Some(_) | None => {}
            }
        }
        let _ = client::unassign(&self.consumer);
        left == 0
    }

    /// The first topic that a stage has to read and may not.
    pub fn cannot_read(&self, stage: Stage) -> Option<Refusal> {
        let mut topics: Vec<String> = of_stages(&self.settings, &[stage])
            .into_iter()
            .filter(|need| need.rule.operations.contains(&Operation::Read))
            .map(|need| need.rule.pattern)
            .filter(|pattern| pattern.resource == Resource::Topic && !pattern.prefixed)
            .map(|pattern| pattern.name)
            .collect();
        if stage == Stage::Ingest {
            topics.extend(self.raw_topics().unwrap_or_default());
        }
        self.cannot_read_of(&topics).into_iter().next()
    }

    /// Whether a topic can be read: up to the end of its first partition, from its end.
    ///
    /// # Errors
    /// Why not.
    pub fn can_read(&self, topic: &str) -> Result<(), Refusal> {
        let mut list = TopicPartitionList::new();
        let other = |error: &dyn std::fmt::Display| {
            Refusal::new(format!("topic {topic} cannot be read ({error})"), "see the brokers' logs")
        };
        list.add_partition_offset(topic, 0, Offset::End).map_err(|error| other(&error))?;
        client::assign(&self.consumer, &list).map_err(|error| other(&error))?;
        let deadline = Instant::now() + WITHIN;
        let read = loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Err(KafkaError::PartitionEOF(_)) | Ok(_)) => break Ok(()),
                Some(Err(error)) if is_topic_denied(&error) => {
                    break Err(denied(Operation::Read, Resource::Topic, topic));
                }
                Some(Err(_)) | None if Instant::now() < deadline => {}
                Some(Err(error)) => break Err(other(&error)),
                None => break Err(other(&"no answer")),
            }
        };
        let _ = client::unassign(&self.consumer);
        read
    }

    /// Whether the group of a stage can be seen; nothing is joined.
    ///
    /// # Errors
    /// Why not.
    pub fn can_see_group(&self, stage: Stage) -> Result<(), Refusal> {
        let group = self.settings.topics.group(stage);
        let silent = |error: &KafkaError| {
            Refusal::new(format!("the group {group} does not answer ({error})"), "see the brokers' logs")
        };
        // What a member that died left open would else hold the answer back until its transaction times out: the stage
        // would be away for longer than a static member may.
        let consumer: BaseConsumer<Ear> = client::member(&self.settings, stage)
            .set("isolation.level", "read_uncommitted")
            .create_with_context(Ear::default())
            .map_err(|error| silent(&error))?;
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.settings.topics.events, 0);
        let deadline = Instant::now() + WITHIN;
        loop {
            // Who may not see the group hears it beside, and waits for an answer in vain.
            let Err(error) = consumer.committed_offsets(list.clone(), ASK_AGAIN) else { return Ok(()) };
            while consumer.poll(Duration::from_millis(20)).is_some() {}
            if consumer.context().code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed) {
                return Err(denied(Operation::Read, Resource::Group, &group));
            }
            if Instant::now() > deadline {
                return Err(silent(&error));
            }
        }
    }

    /// Whether transactions of a stage work, and whether each of the topics can be written in one: what is written
    /// is aborted. Compacted topics are left alone.
    ///
    /// # Errors
    /// Why transactions do not work at all.
    pub fn transactions(&self, stage: Stage, topics: &[&str]) -> Result<Vec<Refusal>, Refusal> {
        let of = if stage == Stage::Ingest {
            format!("{}.check", self.settings.instance)
        } else {
            "check".to_owned()
        };
        let id = self.settings.topics.transactional_id(stage, of);
        let failed = |error: &KafkaError| refused_transaction(error, &id, &self.settings);
        let producer: BaseProducer<Delivery> = client::transactional(&self.settings, &id)
            .create_with_context(Delivery::default())
            .map_err(|error| failed(&error))?;
        producer.init_transactions(WITHIN).map_err(|error| failed(&error))?;
        let mut refusals = Vec::new();
        for topic in topics {
            producer.begin_transaction().map_err(|error| failed(&error))?;
            let record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).key(b"check").payload(b"");
            let sent = producer.send(record).map_err(|(error, _)| error);
            let delivered =
                sent.and_then(|()| producer.flush(WITHIN)).and_then(|()| producer.context().take());
            if let Err(error) = delivered {
                refusals.push(if is_denied(&error) {
                    denied(Operation::Write, Resource::Topic, topic)
                } else {
                    Refusal::new(
                        format!("topic {topic} cannot be written ({error})"),
                        "see the brokers' logs",
                    )
                });
            }
            producer.abort_transaction(WITHIN).map_err(|error| failed(&error))?;
        }
        Ok(refusals)
    }

    /// Whether a compacted topic can be written: a record without a key is refused by those who may, for having none.
    /// The topic must be compacted: another one takes it.
    ///
    /// # Errors
    /// Why not.
    pub fn can_write_compacted(&self, topic: &str) -> Result<(), Refusal> {
        let attempt = || -> Result<(), KafkaError> {
            let mut config = client::producer(&self.settings);
            config
                .set("enable.idempotence", "false")
                .set("message.timeout.ms", WITHIN.as_millis().to_string());
            let producer: BaseProducer<Delivery> = config.create_with_context(Delivery::default())?;
            let record = BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"");
            producer.send(record).map_err(|(error, _)| error)?;
            producer.flush(WITHIN)?;
            producer.context().take()
        };
        match attempt() {
            Err(error) if is_denied(&error) => Err(denied(Operation::Write, Resource::Topic, topic)),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidRecord) => Ok(()),
            Err(error) => Err(Refusal::new(
                format!("topic {topic} cannot be written ({error})"),
                "see the brokers' logs",
            )),
            Ok(()) => Ok(()),
        }
    }

    /// The last checkpoint of the first task of a changelog; `None`: there is none.
    ///
    /// # Errors
    /// When the changelog cannot be read.
    pub fn checkpoint(&self, changelog: &str) -> Result<Option<Checkpoint>, Refusal> {
        let failed = |error: &dyn std::fmt::Display| {
            Refusal::new(format!("topic {changelog} cannot be read ({error})"), "see the brokers' logs")
        };
        let (low, high) =
            self.consumer.fetch_watermarks(changelog, 0, WITHIN).map_err(|error| failed(&error))?;
        // A transaction's checkpoint is its last record: it lies near the end, but not at it.
        let mut back = 256;
        loop {
            let from = (high - back).max(low);
            let found = self.last_checkpoint(changelog, from).map_err(|error| failed(&error))?;
            if found.is_some() || from <= low {
                return Ok(found);
            }
            back = back.saturating_mul(16);
        }
    }

    fn last_checkpoint(&self, changelog: &str, from: i64) -> Result<Option<Checkpoint>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(changelog, 0, Offset::Offset(from))?;
        client::assign(&self.consumer, &list)?;
        let mut found = None;
        let mut heard = Instant::now();
        let ended = loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if message.key() == Some(CHECKPOINT_KEY) {
                        found = message.payload().and_then(|value| postcard::from_bytes(value).ok());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break Ok(()),
                Some(Err(error)) if is_topic_denied(&error) || heard.elapsed() > WITHIN => break Err(error),
                None if heard.elapsed() > WITHIN => {
                    break Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
                }
                Some(Err(_)) | None => {}
            }
        };
        let _ = client::unassign(&self.consumer);
        ended.map(|()| found)
    }
}

/// A topic that is not there.
pub fn missing(topic: &str) -> Refusal {
    Refusal::new(format!("topic {topic} does not exist"), "`streamgauge topics` makes it")
}

/// A right that is lacking.
pub fn denied(operation: Operation, resource: Resource, name: &str) -> Refusal {
    Refusal::new(
        format!("this user lacks {operation} on {} {name}", resource.as_str()),
        "`streamgauge topics --acls USER` prints the rules that allow it",
    )
}

/// Whether an error says that the user may not read or write a topic.
pub fn is_topic_denied(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// Whether an error says that the user may not.
pub fn is_denied(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    };
    matches!(
        code,
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
        )
    )
}

fn refused_transaction(error: &KafkaError, id: &str, settings: &KafkaSettings) -> Refusal {
    let code = match error {
        KafkaError::Transaction(inner) => Some(inner.code()),
        other => other.rdkafka_error_code(),
    };
    match code {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            denied(Operation::Write, Resource::TransactionalId, id)
        }
        Some(RDKafkaErrorCode::InvalidTransactionTimeout) => Refusal::new(
            format!(
                "the brokers refuse a transaction time-out of {} ms",
                settings.transaction_timeout.as_millis()
            ),
            "raise transaction.max.timeout.ms on the brokers to that or more",
        ),
        _ => Refusal::new(
            format!("transactions do not work ({error})"),
            "is the topic __transaction_state healthy (as many brokers as transaction.state.log.replication.factor)?",
        ),
    }
}

/// What became of the one record under way.
#[derive(Debug, Default)]
struct Delivery(Mutex<Option<KafkaError>>);

impl Delivery {
    fn take(&self) -> Result<(), KafkaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

impl ClientContext for Delivery {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "probing");
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
