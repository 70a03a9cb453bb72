//! Transactions, behind one small trait, so that another client can replace this one.
//!
//! Kafka's transaction protocol before version 2 lets a delayed `EndTxn` commit or abort a *later* transaction of
//! the same producer. Guard: after a commit that saw a transport error, a time-out or a retry the session is
//! [suspect](EosSession::is_suspect), and is replaced before the next transaction: `init_transactions` raises the
//! producer's epoch, so that what is still under way is refused.

use crate::checkpoint::CHECKPOINT_KEY;
use crate::client;
use crate::settings::KafkaSettings;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A record to produce.
#[derive(Debug, Clone, Copy)]
pub struct OutRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None`: by key.
    pub partition: Option<u32>,
    /// The key; empty: none.
    pub key: &'a [u8],
    /// The value; `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The record's time in milliseconds: when it was computed, never event time.
    pub timestamp_ms: i64,
}

/// The next offset to read of a partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The next offset.
    pub offset: i64,
}

/// Why a transaction did not end as it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EosError {
    /// It was not committed, and is to be aborted: roll the state back, read its records again.
    #[error("the transaction must be aborted: {0}")]
    Abort(String),
    /// Nobody knows whether it was committed: a new session, and the state from the changelog.
    #[error("whether the transaction was committed is unknown: {0}")]
    Unknown(String),
    /// Another process holds this task now.
    #[error("another process has taken over: {0}")]
    Fenced(String),
    /// Nothing more can be done with this producer.
    #[error("the producer has failed: {0}")]
    Fatal(String),
}

/// Transactions of one task. Dropping a session leaves an open transaction to the next one of the same id, which
/// aborts it.
pub trait EosSession {
    /// What names the consumer group and this member's generation in it.
    type Group;
    /// Opens a transaction.
    ///
    /// # Errors
    /// See [`EosError`].
    fn begin(&mut self) -> Result<(), EosError>;
    /// Adds a record; waits while the producer's queue is full.
    ///
    /// # Errors
    /// See [`EosError`].
    fn produce(&mut self, record: OutRecord<'_>) -> Result<(), EosError>;
    /// Commits records and input positions together.
    ///
    /// # Errors
    /// See [`EosError`].
    fn commit(&mut self, positions: &[Position], group: Option<Self::Group>) -> Result<(), EosError>;
    /// Aborts the transaction.
    ///
    /// # Errors
    /// See [`EosError`].
    fn abort(&mut self) -> Result<(), EosError>;
    /// Whether the session must be replaced before the next transaction.
    fn is_suspect(&self) -> bool;
    /// Bytes of keys and values produced so far.
    fn produced_bytes(&self) -> u64;
}

/// What librdkafka tells a producer.
#[derive(Debug)]
pub struct SessionContext {
    /// Whose it is, as in `correlate-3`.
    task: String,
    undelivered: AtomicU64,
    /// The first record of a transaction that was not delivered: its topic and why.
    first_undelivered: Mutex<Option<String>>,
    /// The first partition that the brokers did not take into a transaction, and why.
    refused: Mutex<Option<String>>,
    transport_errors: AtomicBool,
    /// Where the last checkpoint lies; −1: none was delivered.
    checkpoint_offset: AtomicI64,
}

impl ClientContext for SessionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        // Which topic a transaction may not take in is said nowhere else.
        if let Some((_, refused)) = line.split_once("Failed to add partition ") {
            self.refused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| refused.to_owned());
        }
        crate::log::pass_on(level, facility, line, &self.task);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.transport_errors.store(true, Ordering::Relaxed);
        tracing::warn!(task = self.task, %error, reason, "producer");
    }
}

impl ProducerContext for SessionContext {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(record) if record.key() == Some(CHECKPOINT_KEY) => {
                self.checkpoint_offset.store(record.offset(), Ordering::Relaxed);
            }
            Ok(_) => {}
            Err((error, record)) => {
                // Of thousands of records one is enough.
                if self.undelivered.fetch_add(1, Ordering::Relaxed) == 0 {
                    *self.first_undelivered.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(format!("topic {}: {error}", record.topic()));
                }
            }
        }
    }
}

/// How long a session waits between two looks at what the brokers have.
const DELIVERY_PAUSE: Duration = Duration::from_micros(300);

/// [`EosSession`] over librdkafka.
pub struct RdkafkaSession {
    producer: BaseProducer<SessionContext>,
    timeout: Duration,
    suspect: bool,
    produced_bytes: u64,
}

impl std::fmt::Debug for RdkafkaSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RdkafkaSession").field("suspect", &self.suspect).finish_non_exhaustive()
    }
}

impl RdkafkaSession {
    /// Makes a producer and initialises its transactions: earlier producers of the id are fenced, and what they
    /// left open is aborted, before this returns.
    ///
    /// # Errors
    /// See [`EosError`].
    pub fn open(settings: &KafkaSettings, transactional_id: &str) -> Result<Self, EosError> {
        let producer: BaseProducer<SessionContext> = client::transactional(settings, transactional_id)
            .create_with_context(SessionContext {
                task: settings.topics.task_of(transactional_id),
                undelivered: AtomicU64::new(0),
                first_undelivered: Mutex::new(None),
                refused: Mutex::new(None),
                transport_errors: AtomicBool::new(false),
                checkpoint_offset: AtomicI64::new(-1),
            })
            .map_err(|error| EosError::Fatal(format!("producer {transactional_id}: {error}")))?;
        let timeout = settings.transaction_timeout;
        let deadline = Instant::now() + timeout;
        let task = &producer.context().task;
        retry(task, deadline, || producer.init_transactions(Duration::from_secs(10)))
            .map_err(|failed| failed.error())?;
        Ok(Self { producer, timeout, suspect: false, produced_bytes: 0 })
    }

    /// Where the checkpoint of the last transaction lies in its changelog; `None`: there was none.
    pub fn checkpoint_offset(&self) -> Option<i64> {
        let offset = self.producer.context().checkpoint_offset.load(Ordering::Relaxed);
        (offset >= 0).then_some(offset)
    }

    /// Waits until every record is delivered. Neither `flush`, which waits in slices of 100 ms, nor a poll with a
    /// time, which spins through its last millisecond: the processor is the brokers' meanwhile.
    fn drain(&self, deadline: Instant) -> Result<(), EosError> {
        let mut left = self.producer.in_flight_count();
        while left > 0 {
            self.producer.poll(Duration::ZERO);
            let before = std::mem::replace(&mut left, self.producer.in_flight_count());
            if left == before {
                std::thread::sleep(DELIVERY_PAUSE);
                if Instant::now() > deadline {
                    return Err(EosError::Abort("records were not delivered in time".to_owned()));
                }
            }
        }
        match self.producer.context().undelivered.swap(0, Ordering::Relaxed) {
            0 => Ok(()),
            count => Err(EosError::Abort(format!("{count} records were not delivered ({})", self.cause()))),
        }
    }
}

impl RdkafkaSession {
    /// Why records were not delivered. A transaction that cannot go on says so to whoever would begin one; its
    /// records only hear that they were thrown away.
    fn cause(&self) -> String {
        if let Some(refused) =
            self.producer.context().refused.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return refused;
        }
        if let Err(KafkaError::Transaction(error)) = self.producer.begin_transaction()
            && error.txn_requires_abort()
        {
            return error_text(&error);
        }
        let first = &self.producer.context().first_undelivered;
        first.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }
}

impl EosSession for RdkafkaSession {
    type Group = ConsumerGroupMetadata;

    fn begin(&mut self) -> Result<(), EosError> {
        let context: &Arc<SessionContext> = self.producer.context();
        context.undelivered.store(0, Ordering::Relaxed);
        context.transport_errors.store(false, Ordering::Relaxed);
        self.producer.begin_transaction().map_err(|error| classify(error).error())
    }

    fn produce(&mut self, record: OutRecord<'_>) -> Result<(), EosError> {
        let mut deadline = None;
        self.produced_bytes += (record.key.len() + record.value.map_or(0, <[u8]>::len)) as u64;
        let mut out = BaseRecord::<[u8], [u8]>::to(record.topic).timestamp(record.timestamp_ms);
        if let Some(partition) = record.partition {
            out = out.partition(i32::try_from(partition).unwrap_or(i32::MAX));
        }
        if !record.key.is_empty() {
            out = out.key(record.key);
        }
        if let Some(value) = record.value {
            out = out.payload(value);
        }
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            let add = |headers: OwnedHeaders, (key, value): &(&str, &[u8])| {
                headers.insert(Header { key, value: Some(*value) })
            };
            out = out.headers(record.headers.iter().fold(headers, add));
        }
        loop {
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + self.timeout) {
                        return Err(EosError::Abort("the producer's queue stays full".to_owned()));
                    }
                    self.producer.poll(Duration::ZERO);
                    std::thread::sleep(DELIVERY_PAUSE);
                    out = back;
                }
                Err((error, _)) => {
                    return Err(EosError::Abort(format!(
                        "a record of {} bytes for topic {}: {error}",
                        record.value.map_or(0, <[u8]>::len),
                        record.topic
                    )));
                }
            }
        }
    }

    fn commit(
        &mut self,
        positions: &[Position],
        group: Option<ConsumerGroupMetadata>,
    ) -> Result<(), EosError> {
        let deadline = Instant::now() + self.timeout;
        self.drain(deadline)?;
        let task = &self.producer.context().task;
        let mut retried = false;
        if let Some(group) = group.filter(|_| !positions.is_empty()) {
            let offsets = offsets(positions)?;
            let sent = retry(task, deadline, || {
                self.producer.send_offsets_to_transaction(&offsets, &group, Duration::from_secs(5))
            });
            retried |= sent.map_err(|failed| failed.before_commit())?;
        }
        let ended = retry(task, deadline, || self.producer.commit_transaction(Duration::from_secs(5)));
        match ended {
            Ok(again) => retried |= again,
            Err(failed) => {
                self.suspect = true;
                return Err(failed.error());
            }
        }
        self.suspect = retried || self.producer.context().transport_errors.load(Ordering::Relaxed);
        Ok(())
    }

    fn abort(&mut self) -> Result<(), EosError> {
        // What comes after an abort begins with a new epoch.
        self.suspect = true;
        let deadline = Instant::now() + self.timeout;
        retry(&self.producer.context().task, deadline, || {
            self.producer.abort_transaction(Duration::from_secs(5))
        })
        .map(|_| ())
        .map_err(|failed| failed.error())
    }

    fn is_suspect(&self) -> bool {
        self.suspect
    }
    fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }
}

fn offsets(positions: &[Position]) -> Result<TopicPartitionList, EosError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        list.add_partition_offset(&position.topic, position.partition, Offset::Offset(position.offset))
            .map_err(|error| EosError::Fatal(error.to_string()))?;
    }
    Ok(list)
}

/// What an error of a transactional call asks for.
#[derive(Debug)]
enum Failed {
    /// The same call again.
    Retry(String),
    /// The deadline passed while it was tried again.
    TimedOut(String),
    Abort(String),
    Fenced(String),
    Fatal(String),
}

impl Failed {
    /// Of `init_transactions` and `commit_transaction`: a time-out leaves the outcome open.
    fn error(self) -> EosError {
        match self {
            Self::Retry(reason) | Self::TimedOut(reason) => EosError::Unknown(reason),
            other => other.before_commit(),
        }
    }
    /// Of a call before the commit: nothing is committed.
    fn before_commit(self) -> EosError {
        match self {
            Self::Retry(reason) | Self::TimedOut(reason) | Self::Abort(reason) => EosError::Abort(reason),
            Self::Fenced(reason) => EosError::Fenced(reason),
            Self::Fatal(reason) => EosError::Fatal(reason),
        }
    }
}

/// Calls until it is done, or until the deadline while it may be tried again. Returns whether it was tried again.
fn retry(
    task: &str,
    deadline: Instant,
    mut call: impl FnMut() -> Result<(), KafkaError>,
) -> Result<bool, Failed> {
    let mut again = false;
    loop {
        match call().map_err(classify) {
            Ok(()) => return Ok(again),
            Err(Failed::Retry(reason)) if Instant::now() > deadline => return Err(Failed::TimedOut(reason)),
            Err(Failed::Retry(reason)) => {
                tracing::warn!(task, reason, "a transactional call is tried again");
                again = true;
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(failed) => return Err(failed),
        }
    }
}

fn classify(error: KafkaError) -> Failed {
    let KafkaError::Transaction(inner) = &error else { return Failed::Fatal(error.to_string()) };
    let reason = error_text(inner);
    match inner.code() {
        RDKafkaErrorCode::Fenced
        | RDKafkaErrorCode::ProducerFenced
        | RDKafkaErrorCode::InvalidProducerEpoch => Failed::Fenced(reason),
        _ if inner.txn_requires_abort() => Failed::Abort(reason),
        _ if inner.is_retriable() => Failed::Retry(reason),
        _ => Failed::Fatal(reason),
    }
}

fn error_text(error: &RDKafkaError) -> String {
    format!("{} ({})", error.string(), error.name())
}
