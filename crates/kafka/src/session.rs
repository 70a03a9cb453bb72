//! Transactions, behind one small trait, so that another client can replace this one.
//!
//! Kafka's transaction protocol before version 2 lets a delayed `EndTxn` commit or abort a *later* transaction of
//! the same producer. Guard: after a commit that saw a transport error, a time-out or a retry the session is
//! [suspect](EosSession::is_suspect), and is replaced before the next transaction: `init_transactions` raises the
//! producer's epoch, so that what is still under way is refused.

use crate::client;
use crate::contact::Contact;
use crate::settings::KafkaSettings;
use crate::stats::StageStats;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How long one transactional call may take before it is looked whether brokers answer; calling again goes on with it.
const SLICE: Duration = Duration::from_millis(2_500);
/// How often it is looked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// It was not committed, and there is nobody who could abort it: a new session does.
    #[error("no broker answers: {0}")]
    Away(String),
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
    /// Where the checkpoint of the last transaction lies in its changelog; `None`: there was none.
    fn checkpoint_offset(&self) -> Option<i64>;
}

/// How long a session waits between two looks at what the brokers have.
const DELIVERY_PAUSE: Duration = Duration::from_micros(300);

/// Records produced between two looks at which were delivered: until then librdkafka keeps their memory, and the next
/// ones take fresh memory, which the system has to clear.
const HEAR_EVERY: u32 = 1_000;

/// Most of what a client has to tell that is taken at a time.
const MOST_TOLD: u32 = 10_000;

/// [`EosSession`] over librdkafka.
pub struct RdkafkaSession {
    producer: Arc<BaseProducer<Contact>>,
    timeout: Duration,
    suspect: bool,
    produced_bytes: u64,
    /// Records produced since the client was last heard.
    unheard: u32,
}

impl std::fmt::Debug for RdkafkaSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RdkafkaSession").field("suspect", &self.suspect).finish_non_exhaustive()
    }
}

impl RdkafkaSession {
    /// Makes a producer and initialises its transactions: earlier producers of the id are fenced, and what they
    /// left open is aborted, before this returns. What keeps it waiting is said by the stage.
    ///
    /// # Errors
    /// See [`EosError`].
    pub fn open(
        settings: &KafkaSettings,
        transactional_id: &str,
        stats: &Arc<StageStats>,
    ) -> Result<Self, EosError> {
        let producer: BaseProducer<Contact> = client::transactional(settings, transactional_id)
            .create_with_context(Contact::new(settings, transactional_id, stats))
            .map_err(|error| EosError::Fatal(format!("producer {transactional_id}: {error}")))?;
        let producer = Arc::new(producer);
        let timeout = settings.transaction_timeout;
        let deadline = Instant::now() + timeout;
        let opened = retry(&producer, deadline, || producer.init_transactions(SLICE).map_err(classify));
        opened.map_err(|failed| match failed {
            Failed::Away(_) => failed.before_commit(),
            other => other.of_commit(),
        })?;
        Ok(Self { producer, timeout, suspect: false, produced_bytes: 0, unheard: 0 })
    }

    /// Takes everything that the client has to tell: a poll takes one thing, and its log alone has dozens for each
    /// transaction.
    fn hear(&self) {
        let contact = self.producer.context();
        let mut before = contact.callbacks();
        for _ in 0..MOST_TOLD {
            self.producer.poll(Duration::ZERO);
            if contact.callbacks() == before {
                break;
            }
            before = contact.callbacks();
        }
    }

    /// Waits until every record is delivered. Neither `flush`, which waits in slices of 100 ms, nor a poll with a
    /// time, which spins through its last millisecond: the processor is the brokers' meanwhile.
    fn drain(&self, deadline: Instant) -> Result<(), EosError> {
        let mut left = self.producer.in_flight_count();
        while left > 0 {
            self.hear();
            self.producer.context().look()?;
            let before = std::mem::replace(&mut left, self.producer.in_flight_count());
            if left == before {
                std::thread::sleep(DELIVERY_PAUSE);
                if Instant::now() > deadline {
                    return Err(EosError::Abort("records were not delivered in time".to_owned()));
                }
            }
        }
        match self.producer.context().undelivered() {
            0 => Ok(()),
            count => Err(EosError::Abort(format!("{count} records were not delivered ({})", self.cause()))),
        }
    }

    /// Sends the offsets on a thread of its own: while its brokers are away librdkafka does not return from this call,
    /// whatever time-out it is given. The thread that is left behind ends when brokers are back, and refuse it.
    fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        group: &Arc<ConsumerGroupMetadata>,
        deadline: Instant,
    ) -> Result<(), Failed> {
        let (told, heard) = sync_channel(1);
        let (producer, offsets, group) = (self.producer.clone(), offsets.clone(), group.clone());
        std::thread::Builder::new()
            .name("offsets".to_owned())
            .spawn(move || _ = told.send(producer.send_offsets_to_transaction(&offsets, &group, SLICE)))
            .map_err(|error| Failed::Abort(format!("no thread for the offsets: {error}")))?;
        loop {
            match heard.recv_timeout(LOOK_EVERY) {
                Ok(sent) => return sent.map_err(classify),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failed::Fatal("the thread of the offsets died".to_owned()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Errors are heard in here.
            self.producer.poll(Duration::ZERO);
            if let Err(EosError::Away(reason)) = self.producer.context().look() {
                return Err(Failed::Away(reason));
            }
            if Instant::now() > deadline {
                return Err(Failed::Away("the offsets were not taken in time".to_owned()));
            }
        }
    }

    /// Sends a record once the producer's queue has room.
    fn send_later(&self, mut out: BaseRecord<'_, [u8], [u8]>) -> Result<(), EosError> {
        let deadline = Instant::now() + self.timeout;
        self.producer.context().waits();
        loop {
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(DELIVERY_PAUSE);
            self.producer.context().look()?;
            match self.producer.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if Instant::now() > deadline {
                        return Err(EosError::Abort("the producer's queue stays full".to_owned()));
                    }
                    out = back;
                }
                Err((error, back)) => return Err(not_taken(&error, &back)),
            }
        }
    }
}

impl RdkafkaSession {
    /// Why records were not delivered. A transaction that cannot go on says so to whoever would begin one; its
    /// records only hear that they were thrown away.
    fn cause(&self) -> String {
        if let Some(refused) = self.producer.context().refused() {
            return refused;
        }
        if let Err(KafkaError::Transaction(error)) = self.producer.begin_transaction()
            && error.txn_requires_abort()
        {
            return error_text(&error);
        }
        self.producer.context().first_undelivered()
    }
}

impl EosSession for RdkafkaSession {
    type Group = ConsumerGroupMetadata;

    fn begin(&mut self) -> Result<(), EosError> {
        // What happened before it, as to a coordinator that was not connected yet, is none of this transaction's.
        self.hear();
        self.producer.context().begin();
        self.producer.begin_transaction().map_err(|error| classify(error).of_commit())
    }

    fn produce(&mut self, record: OutRecord<'_>) -> Result<(), EosError> {
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
        match self.producer.send(out) {
            Ok(()) => {}
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                self.send_later(back)?;
            }
            Err((error, back)) => return Err(not_taken(&error, &back)),
        }
        self.unheard += 1;
        if self.unheard >= HEAR_EVERY {
            self.unheard = 0;
            self.hear();
        }
        Ok(())
    }

    fn commit(
        &mut self,
        positions: &[Position],
        group: Option<ConsumerGroupMetadata>,
    ) -> Result<(), EosError> {
        let deadline = Instant::now() + self.timeout;
        let mut retried = false;
        // Before the last records are delivered: both wait for brokers, and neither for the other.
        if let Some(group) = group.filter(|_| !positions.is_empty()) {
            let (offsets, group) = (offsets(positions)?, Arc::new(group));
            let sent = retry(&self.producer, deadline, || self.send_offsets(&offsets, &group, deadline));
            retried |= sent.map_err(|failed| failed.before_commit())?;
        }
        self.producer.context().waits();
        self.drain(deadline)?;
        let commit = || self.producer.commit_transaction(SLICE).map_err(classify);
        let ended = retry(&self.producer, deadline, commit);
        match ended {
            Ok(again) => retried |= again,
            Err(failed) => {
                self.suspect = true;
                return Err(failed.of_commit());
            }
        }
        // Whether it was sent again is told in here.
        self.hear();
        self.suspect = retried || self.producer.context().is_unsettled();
        Ok(())
    }

    fn abort(&mut self) -> Result<(), EosError> {
        // What comes after an abort begins with a new epoch.
        self.suspect = true;
        if self.producer.context().is_silent() {
            // The next session of the same id does it.
            return Ok(());
        }
        let deadline = Instant::now() + self.timeout;
        let abort = || self.producer.abort_transaction(SLICE).map_err(classify);
        let aborted = retry(&self.producer, deadline, abort);
        aborted.map(|_| ()).map_err(Failed::of_commit)
    }

    fn is_suspect(&self) -> bool {
        self.suspect
    }
    fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }
    fn checkpoint_offset(&self) -> Option<i64> {
        self.producer.context().checkpoint_offset()
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

/// A record that the producer does not even take.
fn not_taken(error: &KafkaError, record: &BaseRecord<'_, [u8], [u8]>) -> EosError {
    let bytes = record.payload.map_or(0, <[u8]>::len);
    EosError::Abort(format!("a record of {bytes} bytes for topic {}: {error}", record.topic))
}

/// What an error of a transactional call asks for.
#[derive(Debug)]
enum Failed {
    /// The same call again.
    Retry(String),
    /// The deadline passed while it was tried again.
    TimedOut(String),
    /// No broker could be connected to meanwhile.
    Away(String),
    Abort(String),
    Fenced(String),
    Fatal(String),
}

impl Failed {
    /// Of `init_transactions` and `commit_transaction`: a time-out leaves the outcome open.
    fn of_commit(self) -> EosError {
        match self {
            Self::Retry(reason) | Self::TimedOut(reason) => EosError::Unknown(reason),
            Self::Away(reason) => EosError::Unknown(format!("no broker answers: {reason}")),
            other => other.before_commit(),
        }
    }
    /// Of a call before the commit: nothing is committed.
    fn before_commit(self) -> EosError {
        match self {
            Self::Retry(reason) | Self::TimedOut(reason) | Self::Abort(reason) => EosError::Abort(reason),
            Self::Away(reason) => EosError::Away(reason),
            Self::Fenced(reason) => EosError::Fenced(reason),
            Self::Fatal(reason) => EosError::Fatal(reason),
        }
    }
}

/// Calls until it is done, or until the deadline or all brokers are away while it may be tried again. Returns whether
/// it was tried again.
fn retry(
    producer: &BaseProducer<Contact>,
    deadline: Instant,
    mut call: impl FnMut() -> Result<(), Failed>,
) -> Result<bool, Failed> {
    let contact = producer.context();
    contact.waits();
    let mut again = false;
    loop {
        match call() {
            Ok(()) => {
                contact.answers();
                return Ok(again);
            }
            Err(Failed::Retry(reason)) if Instant::now() > deadline => return Err(Failed::TimedOut(reason)),
            Err(Failed::Retry(reason)) => {
                tracing::warn!(task = contact.task, reason, "a transactional call is tried again");
                again = true;
                // Errors are heard in here.
                producer.poll(Duration::ZERO);
                std::thread::sleep(LOOK_EVERY);
                if let Err(EosError::Away(reason)) = contact.look() {
                    return Err(Failed::Away(reason));
                }
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
