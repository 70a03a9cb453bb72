//! The thread of the ingest stage: raw records become events, sent to their homes. It has no state, so one producer
//! serves all partitions of the process; the group's generation fences it.

use crate::catalog::{Follower, Revision};
use crate::error::Error;
use crate::member::Moved;
use crate::out::{Out, header};
use crate::outside::{Brokers, Catalogs, GroupMember, Outside};
use crate::pace::Pace;
use crate::remedy::remedied;
use crate::session::{EosError, EosSession, Position};
use crate::stage::{Unreadable, is_final};
use crate::stats::{StageStats, Status, Trouble, Written};
use crate::task::Context;
use crate::topics::Stage;
use crate::trace::{self, Span, TraceContext};
use crate::wire::Wire;
use correlate::{Address, Route, partition_of, route};
use model::raw::{DeadLetter, Origin, RawRecord};
use model::{DeliveryEvent, HomeKey, Text, Timestamp};
use rdkafka::message::{Headers, Message};
use sources::{Outcome, Rejection, SourceSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for a record.
const POLL: Duration = Duration::from_millis(50);

/// How many records of a batch became what, and why.
type Outcomes = BTreeMap<(&'static str, Text), u64>;

/// What a committed transaction did.
struct Ingested {
    outcomes: Outcomes,
    written: Written,
    spans: Vec<Span>,
}

/// Works until it is told to stop.
///
/// # Errors
/// Why the stage cannot go on; it may be started again.
pub fn run(
    context: &Context,
    sources: &SourceSettings,
    catalog: &Follower,
    stats: &Arc<StageStats>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let outside = Brokers::new(&context.settings, stats);
    let mut ingest = Ingest::join(context.clone(), outside, sources.clone(), catalog)?;
    while !stop.load(Ordering::Relaxed) {
        ingest.step()?;
    }
    ingest.finish()
}

/// A member of the group with its producer.
pub struct Ingest<O: Outside, C> {
    context: Context,
    outside: O,
    sources: SourceSettings,
    catalog: C,
    stats: Arc<StageStats>,
    member: O::Member,
    session: O::Session,
    waiting: Vec<RawRecord>,
    waiting_bytes: usize,
    since: Option<Instant>,
    /// The next offset to read of each partition, what waits included.
    next: BTreeMap<(String, i32), i64>,
    last_transaction: Duration,
}

impl<O: Outside, C: Catalogs> Ingest<O, C> {
    /// Joins the group.
    ///
    /// # Errors
    /// When a client cannot be made, or transactions cannot be initialised.
    pub fn join(context: Context, outside: O, sources: SourceSettings, catalog: C) -> Result<Self, Error> {
        let pattern = context.settings.topics.raw_pattern();
        let mapped = context.settings.mapped.keys().map(String::as_str);
        let subscribed: Vec<&str> = std::iter::once(pattern.as_str()).chain(mapped).collect();
        let member = outside.member(&subscribed)?;
        let session = outside.session(&transactional_id(&context)).map_err(Error::transaction("ingest"))?;
        Ok(Self {
            stats: context.stats.clone(),
            context,
            outside,
            sources,
            catalog,
            member,
            session,
            waiting: Vec::new(),
            waiting_bytes: 0,
            since: None,
            next: BTreeMap::new(),
            last_transaction: Duration::ZERO,
        })
    }

    /// Takes what comes, follows the group, and commits what is due.
    ///
    /// # Errors
    /// Why the stage cannot go on; it may be started again.
    pub fn step(&mut self) -> Result<(), Error> {
        self.gather()?;
        // Before a transaction: the group moves partitions while it is polled, and a commit names the generation as of
        // now. What waits of partitions that have gone would be committed under the generation that took them away.
        self.follow()?;
        if self.is_due() {
            self.work()?;
        }
        self.stats.holds(self.next.len(), self.since.is_some());
        self.stats.trouble(Trouble::Brokers, self.member.trouble());
        self.stats.follows(self.catalog.offset());
        Ok(())
    }

    /// Commits what waits, before the member leaves.
    ///
    /// # Errors
    /// What was not committed is read again.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() { Ok(()) } else { self.work() }
    }

    /// Does what the group asks for. What waits is thrown away: its next owner reads it.
    fn follow(&mut self) -> Result<(), Error> {
        while let Some(moved) = self.member.moved() {
            self.forget();
            self.next.clear();
            match moved {
                Moved::Assigned(partitions) => {
                    tracing::info!(stage = %Stage::Ingest, partitions = partitions.len(), "assigned");
                    self.stats.assigned(partitions.len());
                    let committed = self.member.committed(&partitions)?;
                    self.next =
                        partitions.into_iter().zip(committed.iter().map(|at| at.unwrap_or(-1))).collect();
                    self.member.assign(&self.positions())?;
                    self.stats.holds(self.next.len(), false);
                    self.stats.set_status(Status::Running);
                }
                Moved::Revoked | Moved::Lost => {
                    self.stats.assigned(0);
                    self.stats.set_status(Status::Starting);
                }
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.waiting.clear();
        (self.waiting_bytes, self.since) = (0, None);
    }

    fn positions(&self) -> Vec<Position> {
        self.next
            .iter()
            .map(|((topic, partition), offset)| Position {
                topic: topic.clone(),
                partition: *partition,
                offset: *offset,
            })
            .collect()
    }

    fn interval(&self) -> Duration {
        Pace::PROMPT.after(self.last_transaction, self.context.settings.commit_interval)
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.context.settings.batch_records
            || self.waiting_bytes >= self.context.settings.batch_bytes
    }

    fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| self.outside.instant() - since >= self.interval())
    }

    fn gather(&mut self) -> Result<(), Error> {
        let waited = |since| self.outside.instant() - since;
        let left = self.since.map(|since| self.interval().saturating_sub(waited(since)));
        let mut wait = left.map_or(POLL, |left| left.min(POLL));
        for _ in 0..64 {
            if self.is_full() {
                break;
            }
            let Some(message) = self.member.poll(wait)? else { break };
            wait = Duration::ZERO;
            let Some(next) = self.next.get_mut(&(message.topic().to_owned(), message.partition())) else {
                continue;
            };
            if message.offset() < *next {
                continue;
            }
            *next = message.offset() + 1;
            let source = self.context.settings.source_of(message.topic()).unwrap_or_default();
            let record = raw_record(&message, source, || self.outside.now());
            self.context.wire.prepare(&record.body).map_err(Error::Refused)?;
            self.waiting_bytes += record.body.len();
            self.since.get_or_insert_with(|| self.outside.instant());
            self.waiting.push(record);
        }
        Ok(())
    }

    /// Processes what waits, in one transaction. After one that failed everything is read again from what is
    /// committed.
    fn work(&mut self) -> Result<(), Error> {
        let started = self.outside.instant();
        let done = self.attempt(&self.catalog.newest());
        self.last_transaction = self.outside.instant() - started;
        self.forget();
        match done {
            Ok(Ingested { outcomes, written, spans }) => {
                let outcomes =
                    outcomes.iter().map(|((outcome, reason), records)| (*outcome, reason.as_str(), *records));
                self.stats.committed(outcomes, &written, self.last_transaction);
                if let Some(tracing) = &self.context.tracing {
                    spans.into_iter().for_each(|span| span.end(&**tracing));
                }
                Ok(())
            }
            Err(error) => {
                self.stats.failed();
                if matches!(error, EosError::Abort(_))
                    && let Err(error) = self.session.abort()
                {
                    tracing::warn!(stage = %Stage::Ingest, %error, "aborting");
                }
                let error = Error::transaction("ingest")(error);
                if is_final(&error) {
                    return Err(error);
                }
                tracing::warn!(stage = %Stage::Ingest, %error, "the records are read again");
                self.stats.trouble(Trouble::Transactions, Some(remedied(error.whole())));
                self.outside.sleep(Duration::from_millis(200));
                let id = transactional_id(&self.context);
                self.session = self.outside.session(&id).map_err(Error::transaction("ingest"))?;
                let partitions: Vec<_> = self.next.keys().cloned().collect();
                let committed = self.member.committed(&partitions)?;
                self.next = partitions.into_iter().zip(committed.iter().map(|at| at.unwrap_or(-1))).collect();
                self.member.assign(&self.positions())
            }
        }
    }

    fn attempt(&mut self, catalog: &Revision) -> Result<Ingested, EosError> {
        if self.session.is_suspect() {
            self.session = self.outside.session(&transactional_id(&self.context))?;
        }
        self.session.begin()?;
        let mut out = Out {
            session: &mut self.session,
            topics: &self.context.settings.topics,
            wire: &self.context.wire,
            task: 0,
            tasks: self.context.tasks,
            rev: 0,
            definition: &self.context.definition,
            catalog: catalog.offset,
            now_ms: self.outside.now().micros().div_euclid(1_000),
            trace: None,
            written: Written::default(),
        };
        let (mut outcomes, mut spans) = (Outcomes::new(), Vec::new());
        for record in &self.waiting {
            let span = self.context.tracing.as_ref().and_then(|_| span(&self.context, record));
            out.trace = span.as_ref().map(|span| span.context.header());
            let outcome = match read(&self.context.wire, record, &self.sources) {
                Outcome::Emit(events) => {
                    for event in &events {
                        send(&mut out, event, catalog)?;
                    }
                    ("emitted", Text::default())
                }
                Outcome::Drop(reason) => ("dropped", reason),
                Outcome::Reject(rejection) => {
                    let Origin { topic, partition, offset } = &record.origin;
                    let (topic, reason) = (topic.as_str(), rejection.reason.as_str());
                    tracing::debug!(stage = %Stage::Ingest, topic, partition, offset, reason, "a record is rejected");
                    let letter = DeadLetter::new(record, rejection.reason.clone(), rejection.detail);
                    out.letter(&letter)?;
                    ("rejected", rejection.reason)
                }
            };
            spans.extend(span.map(|span| span.with("streamgauge.outcome", outcome.0)));
            *outcomes.entry(outcome).or_default() += 1;
        }
        let written = out.written;
        let positions: Vec<Position> =
            self.positions().into_iter().filter(|position| position.offset >= 0).collect();
        self.session.commit(&positions, self.member.group())?;
        Ok(Ingested { outcomes, written, spans })
    }
}

fn transactional_id(context: &Context) -> String {
    context.settings.topics.transactional_id(Stage::Ingest, &context.settings.instance)
}

/// What a source makes of a record, whichever client wrote it.
fn read(wire: &Wire, record: &RawRecord, sources: &SourceSettings) -> Outcome {
    match wire.body(record) {
        Ok(None) => sources::read(record, sources),
        Ok(Some(body)) => {
            let RawRecord { source, headers, received_at, origin, .. } = record;
            let (source, headers, origin) = (source.clone(), headers.clone(), origin.clone());
            sources::read(&RawRecord { source, headers, body, received_at: *received_at, origin }, sources)
        }
        Err(Unreadable { reason, detail }) => {
            Outcome::Reject(Rejection { reason: Text::new(reason), detail })
        }
    }
}

/// The span of a record that is part of a trace.
fn span(context: &Context, record: &RawRecord) -> Option<Span> {
    let (_, header) = record.headers.iter().find(|(name, _)| name.as_str() == trace::HEADER)?;
    let parent = TraceContext::read(header.as_bytes())?;
    let (topic, group) = (record.origin.topic.as_str(), context.settings.topics.group(Stage::Ingest));
    let mut span = Span::begin(parent.child(), &group, Some(topic))
        .with("messaging.destination.partition.id", record.origin.partition.to_string())
        .with("messaging.kafka.offset", record.origin.offset)
        .with("streamgauge.stage", Stage::Ingest.as_str())
        .with("streamgauge.source", record.source.as_str());
    span.parent = Some(parent);
    Some(span)
}

/// Sends an event to each task that holds one of its homes, once.
fn send<S: EosSession>(
    out: &mut Out<'_, S>,
    event: &DeliveryEvent,
    catalog: &Revision,
) -> Result<(), EosError> {
    let value = out.wire.encode(event);
    match route(&catalog.catalog, event) {
        Route::To(targets) => {
            let mut sent = BTreeSet::new();
            for (address, _) in targets {
                let home = if let Address::Home(key) = &address { Some(key) } else { None };
                for task in out.tasks_of(&address) {
                    if sent.insert(task) {
                        out.event(&value, home, task)?;
                    }
                }
            }
            Ok(())
        }
        // Of no home: any task hands it on to the archive, always the same one.
        Route::Archive(_) => {
            let task = partition_of(&HomeKey::new(event.id.as_str()), out.tasks);
            out.event(&value, None, task)
        }
    }
}

/// A raw record as it lies in its topic.
fn raw_record(message: &impl Message, source: &str, now: impl FnOnce() -> Timestamp) -> RawRecord {
    let mut received_at = None;
    let mut headers = Vec::new();
    for held in message.headers().into_iter().flat_map(Headers::iter) {
        let Some(value) = held.value.and_then(|value| std::str::from_utf8(value).ok()) else { continue };
        if held.key == header::RECEIVED_AT {
            received_at = Timestamp::parse(value).ok();
        } else {
            headers.push((Text::new(held.key.to_ascii_lowercase()), value.to_owned()));
        }
    }
    let stamped = message.timestamp().to_millis().map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000)));
    RawRecord {
        source: Text::new(source),
        headers,
        body: message.payload().unwrap_or_default().to_vec(),
        received_at: received_at.or(stamped).unwrap_or_else(now),
        origin: Origin {
            topic: Text::new(message.topic()),
            partition: u32::try_from(message.partition()).unwrap_or(0),
            offset: u64::try_from(message.offset()).unwrap_or(0),
        },
    }
}
