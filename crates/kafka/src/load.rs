//! The thread of the load stage: rows and events go into ClickHouse, one batch while the next is gathered. Offsets are
//! committed after the inserts are acknowledged, so a crash in between loads again, which changes nothing: every row has a key and a version.

use crate::error::Error;
use crate::member::Moved;
use crate::out::header;
use crate::outside::{Brokers, GroupMember, Outside};
use crate::session::Position;
use crate::stage::Unreadable;
use crate::stats::{Delays, Loaded, StageStats, Status, Trouble, Written};
use crate::task::Context;
use crate::topics::Stage;
use crate::trace::{self, TraceContext, Traced};
use model::fact::{RowChange, RowChanges};
use model::{DeliveryEvent, Text, Timestamp};
use rdkafka::message::{Headers, Message};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use warehouse::rows::Stamp;
use warehouse::{Client, Limits, LoadReport, Loader};

/// The longest wait for a record.
const POLL: Duration = Duration::from_millis(50);
/// The shortest time for which rows are gathered: many small inserts cost the server more than one large one.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
/// Most rows that are gathered.
const GATHERED_ROWS: usize = 200_000;
/// Most bytes of rows that are gathered, roughly.
const GATHERED_BYTES: usize = 64 << 20;

/// Rows that are gathered until they are inserted.
pub trait Rows {
    /// Lets a changed row wait. Per key the greatest `rev` wins.
    fn push(&mut self, change: &RowChange, stamp: Stamp, definition: &Text);
    /// Lets an event wait for the archive.
    fn push_event(&mut self, event: &DeliveryEvent, stamp: Stamp);
    /// How many rows wait, and roughly how many bytes they take.
    fn buffered(&self) -> (usize, usize);
    /// Throws away what waits.
    fn clear(&mut self);
}

/// Where rows are stored.
pub trait Store {
    /// What gathers them.
    type Rows: Rows;
    /// Rows on their way.
    type Inserting;
    /// Gathers nothing yet.
    fn rows(&self) -> Self::Rows;
    /// Begins to insert everything that was gathered.
    fn insert(&self, rows: Self::Rows) -> Self::Inserting;
    /// Whether the outcome is known.
    fn is_over(&self, inserting: &Self::Inserting) -> bool;
    /// Waits for the outcome. Gives back what gathers, empty, with what became of the rows and how long that took.
    ///
    /// # Errors
    /// When the outcome is lost.
    fn outcome(&self, inserting: Self::Inserting) -> Result<Stored<Self::Rows>, Error>;
}

/// What became of rows that were inserted.
pub struct Stored<R> {
    /// What gathered them, empty.
    pub rows: R,
    /// Whether every insert was acknowledged.
    pub report: warehouse::Result<LoadReport>,
    /// How long it took.
    pub took: Duration,
}

/// ClickHouse.
pub struct Warehouse {
    client: Client,
    handle: Handle,
}

/// A server that is away shows in the stage's status soon; the stage itself tries again for as long as it takes.
fn limits() -> Limits {
    Limits { attempts: 5, ..Limits::default() }
}

impl Store for Warehouse {
    type Rows = Loader;
    type Inserting = JoinHandle<Stored<Loader>>;

    fn rows(&self) -> Loader {
        Loader::new(self.client.clone(), limits())
    }
    fn insert(&self, mut rows: Loader) -> Self::Inserting {
        self.handle.spawn(async move {
            let started = Instant::now();
            let report = rows.flush().await;
            Stored { rows, report, took: started.elapsed() }
        })
    }
    fn is_over(&self, inserting: &Self::Inserting) -> bool {
        inserting.is_finished()
    }
    fn outcome(&self, inserting: Self::Inserting) -> Result<Stored<Loader>, Error> {
        let lost = |error: JoinError| Error::Thread { stage: Stage::Load, reason: error.to_string() };
        self.handle.block_on(inserting).map_err(lost)
    }
}

impl Rows for Loader {
    fn push(&mut self, change: &RowChange, stamp: Stamp, definition: &Text) {
        Self::push(self, change, stamp, definition);
    }
    fn push_event(&mut self, event: &DeliveryEvent, stamp: Stamp) {
        Self::push_event(self, event, stamp);
    }
    fn buffered(&self) -> (usize, usize) {
        Self::buffered(self)
    }
    fn clear(&mut self) {
        Self::clear(self);
    }
}

/// Works until it is told to stop.
///
/// # Errors
/// Why the stage cannot go on; it may be started again.
pub fn run(
    context: &Context,
    client: &Client,
    handle: &Handle,
    stats: &Arc<StageStats>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let outside = Brokers::new(&context.settings, stats);
    let warehouse = Warehouse { client: client.clone(), handle: handle.clone() };
    let mut load = Load::join(context.clone(), outside, warehouse)?;
    while !stop.load(Ordering::Relaxed) {
        load.step()?;
    }
    load.stop()
}

/// Rows on their way, while the next are gathered.
struct Inserting<S: Store> {
    rows: S::Inserting,
    /// What is committed once they are in.
    positions: Vec<Position>,
    batch: Batch,
}

/// A member of the group, and what it gathers.
pub struct Load<O: Outside, S: Store> {
    context: Context,
    outside: O,
    store: S,
    stats: Arc<StageStats>,
    member: O::Member,
    /// What is gathered.
    rows: S::Rows,
    /// The one whose rows are in, with its memory.
    spare: Option<S::Rows>,
    inserting: Option<Inserting<S>>,
    /// The next offset to read of each partition.
    next: BTreeMap<(String, i32), i64>,
    /// Those of `next` that moved since the last commit.
    moved: BTreeMap<(String, i32), i64>,
    since: Option<Instant>,
    batch: Batch,
    last_load: Duration,
}

/// What was gathered, for the counters.
#[derive(Default)]
struct Batch {
    records: u64,
    unreadable: u64,
    /// When each event happened, and when it reached us.
    times: Vec<(Timestamp, Timestamp)>,
    traced: Traced,
}

impl Batch {
    fn delays(&self, now: Timestamp) -> Delays {
        let mut delays = Delays::default();
        // A clock that runs ahead makes no event early.
        let seconds = |since: Timestamp| now.micros().saturating_sub(since.micros()).max(0) as f64 / 1e6;
        for (occurred, observed) in &self.times {
            delays.occurred.observe(seconds(*occurred));
            delays.observed.observe(seconds(*observed));
        }
        delays
    }
}

impl<O: Outside, S: Store> Load<O, S> {
    /// Joins the group.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn join(context: Context, outside: O, store: S) -> Result<Self, Error> {
        let topics = &context.settings.topics;
        let member = outside.member(&[&topics.facts, &topics.metrics, &topics.events])?;
        Ok(Self {
            stats: context.stats.clone(),
            context,
            outside,
            member,
            rows: store.rows(),
            store,
            spare: None,
            inserting: None,
            next: BTreeMap::new(),
            moved: BTreeMap::new(),
            since: None,
            batch: Batch::default(),
            last_load: Duration::ZERO,
        })
    }

    /// Takes what comes, follows the group, inserts what is due, and commits what is in.
    ///
    /// # Errors
    /// Why the stage cannot go on; it may be started again.
    pub fn step(&mut self) -> Result<(), Error> {
        self.gather()?;
        self.follow()?;
        if self.is_due() {
            self.flush()?;
        } else if self.inserting.as_ref().is_some_and(|inserting| self.store.is_over(&inserting.rows)) {
            self.finish()?;
        }
        self.stats.holds(self.next.len(), self.since.is_some() || self.inserting.is_some());
        self.stats.trouble(Trouble::Brokers, self.member.trouble());
        Ok(())
    }

    /// Inserts what was gathered, before the member leaves.
    ///
    /// # Errors
    /// What is not acknowledged is read again.
    pub fn stop(&mut self) -> Result<(), Error> {
        if self.since.is_some() {
            self.flush()?;
        }
        self.finish()
    }

    fn follow(&mut self) -> Result<(), Error> {
        while let Some(moved) = self.member.moved() {
            self.finish()?;
            self.rows.clear();
            (self.since, self.batch) = (None, Batch::default());
            self.next.clear();
            self.moved.clear();
            match moved {
                Moved::Assigned(partitions) => {
                    tracing::info!(stage = %Stage::Load, partitions = partitions.len(), "assigned");
                    self.stats.assigned(partitions.len());
                    let committed = self.member.committed(&partitions)?;
                    self.next =
                        partitions.into_iter().zip(committed.iter().map(|at| at.unwrap_or(-1))).collect();
                    self.member.assign(&positions(&self.next))?;
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

    fn is_full(&self) -> bool {
        let (rows, bytes) = self.rows.buffered();
        rows >= GATHERED_ROWS || bytes >= GATHERED_BYTES
    }

    fn interval(&self) -> Duration {
        (self.last_load * 2).max(SHORTEST_INTERVAL).min(self.context.settings.commit_interval)
    }

    fn is_due(&self) -> bool {
        self.is_full() || self.since.is_some_and(|since| self.outside.instant() - since >= self.interval())
    }

    fn gather(&mut self) -> Result<(), Error> {
        let waited = |since| self.outside.instant() - since;
        let left = self.since.map(|since| self.interval().saturating_sub(waited(since)));
        let mut wait = left.map_or(POLL, |left| left.min(POLL));
        for _ in 0..64 {
            let Some(message) = self.member.poll(wait)? else { break };
            wait = Duration::ZERO;
            let partition = (message.topic().to_owned(), message.partition());
            let Some(next) = self.next.get_mut(&partition) else { continue };
            if message.offset() < *next {
                continue;
            }
            *next = message.offset() + 1;
            self.moved.insert(partition, *next);
            self.since.get_or_insert_with(|| self.outside.instant());
            self.context.wire.prepare(message.payload().unwrap_or_default()).map_err(Error::Refused)?;
            take(&mut self.rows, &mut self.batch, &message, &self.context);
            if self.context.tracing.is_some() {
                trace_of(&message).into_iter().for_each(|trace| self.batch.traced.add(trace));
            }
        }
        Ok(())
    }

    /// Begins to insert what was gathered, once what was gathered before is in.
    fn flush(&mut self) -> Result<(), Error> {
        self.finish()?;
        let empty = self.spare.take().unwrap_or_else(|| self.store.rows());
        let rows = self.store.insert(std::mem::replace(&mut self.rows, empty));
        let (positions, batch) = (positions(&self.moved), std::mem::take(&mut self.batch));
        self.inserting = Some(Inserting { rows, positions, batch });
        self.moved.clear();
        self.since = None;
        Ok(())
    }

    /// Waits for the rows that are on their way, then commits their offsets.
    fn finish(&mut self) -> Result<(), Error> {
        let Some(Inserting { rows, positions, mut batch }) = self.inserting.take() else { return Ok(()) };
        let Stored { rows, report, took } = self.store.outcome(rows)?;
        let report = report?;
        self.spare = Some(rows);
        if let Err(error) = self.member.commit(&positions) {
            // The rows are in; whoever reads these records again changes nothing.
            tracing::warn!(stage = %Stage::Load, %error, "offsets of loaded rows were not committed");
        }
        self.last_load = took;
        let traced = std::mem::take(&mut batch.traced);
        let group = self.context.settings.topics.group(Stage::Load);
        if let (Some(spans), Some(span)) = (&self.context.tracing, traced.span(&group, None)) {
            span.with("messaging.batch.message_count", batch.records)
                .with("streamgauge.stage", Stage::Load.as_str())
                .with("streamgauge.rows", report.total())
                .with("db.system.name", "clickhouse")
                .end(&**spans);
        }
        let outcomes = [("emitted", "", batch.records), ("dropped", "unreadable", batch.unreadable)];
        self.stats.committed(outcomes, &Written::default(), self.last_load);
        let (inserts, retries) = (report.inserts, report.retries);
        self.stats.loaded(&Loaded {
            rows: report.rows,
            inserts,
            retries,
            delays: batch.delays(self.outside.now()),
        });
        Ok(())
    }
}

fn positions(next: &BTreeMap<(String, i32), i64>) -> Vec<Position> {
    next.iter()
        .map(|((topic, partition), offset)| Position {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
        })
        .collect()
}

/// Takes a record into the loader's buffer. One that cannot be read is none of ours: it is counted and logged with
/// its place, and stays in its topic.
fn take(rows: &mut impl Rows, batch: &mut Batch, message: &impl Message, context: &Context) {
    let (wire, topics) = (&context.wire, &context.settings.topics);
    let value = message.payload().unwrap_or_default();
    let ms = message.timestamp().to_millis().unwrap_or(0);
    let computed_at = Timestamp::from_micros(ms.saturating_mul(1_000));
    let task = u32::try_from(message.partition()).unwrap_or(0);
    let taken = if message.topic() == topics.events {
        wire.decode::<DeliveryEvent>(value).map(|event| {
            batch.times.push((event.occurred_at, event.observed_at));
            rows.push_event(&event, Stamp { task: 0, rev: 1, computed_at });
        })
    } else {
        let (rev, definition) = row_headers(message);
        let stamp = Stamp { task, rev, computed_at };
        if message.topic() == topics.metrics {
            wire.decode::<RowChanges>(value).map(|group| {
                group.rows.iter().for_each(|change| rows.push(change, stamp, &definition));
            })
        } else {
            wire.decode::<RowChange>(value).map(|change| rows.push(&change, stamp, &definition))
        }
    };
    match taken {
        Ok(()) => batch.records += 1,
        Err(Unreadable { detail: error, .. }) => {
            batch.unreadable += 1;
            let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
            tracing::error!(stage = %Stage::Load, topic, partition, offset, %error, "a record cannot be loaded and is passed over");
        }
    }
}

/// The trace that a record is part of.
fn trace_of(message: &impl Message) -> Option<TraceContext> {
    let header = message.headers()?.iter().find(|held| held.key == trace::HEADER)?;
    TraceContext::read(header.value?)
}

fn row_headers(message: &impl Message) -> (u64, Text) {
    let (mut rev, mut definition) = (0, Text::default());
    for held in message.headers().into_iter().flat_map(Headers::iter) {
        match (held.key, held.value) {
            (header::REV, Some(value)) => rev = value.try_into().map_or(0, u64::from_be_bytes),
            (header::DEFINITION, Some(value)) => {
                definition = Text::new(std::str::from_utf8(value).unwrap_or_default());
            }
            _ => {}
        }
    }
    (rev, definition)
}
