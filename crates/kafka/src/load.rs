//! The thread of the load stage: rows and events go into ClickHouse, one batch while the next is gathered. Facts and
//! events do not wait for steps and panes, of which there are ten times as many. Offsets are committed after the inserts
//! are acknowledged, so a crash in between loads again, which changes nothing: every row has a key and a version.

use crate::error::Error;
use crate::lane::{Batch, Lane, Loaded, positions};
use crate::member::Moved;
use crate::out::header;
use crate::outside::{Brokers, GroupMember, Outside};
use crate::pace::Pace;
use crate::stage::Unreadable;
use crate::stats::{self, StageStats, Status, Trouble, Written};
use crate::task::Context;
use crate::topics::Stage;
use crate::trace::{self, TraceContext};
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
/// The same while rows wait for those before them to be in.
const POLL_BEHIND: Duration = Duration::from_millis(5);
/// Most facts and events that are gathered.
const GATHERED_FACTS: usize = 50_000;
/// Most steps and panes that are gathered.
const GATHERED_METRICS: usize = 150_000;

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
    /// Lets go of rows whose outcome nobody waits for any more. They may be stored all the same.
    fn abandon(&self, inserting: Self::Inserting);
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
    fn abandon(&self, inserting: Self::Inserting) {
        inserting.abort();
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

/// A member of the group, and what it gathers.
pub struct Load<O: Outside, S: Store> {
    context: Context,
    outside: O,
    store: S,
    stats: Arc<StageStats>,
    member: O::Member,
    /// Facts and events.
    facts: Lane<S>,
    /// Steps and panes.
    metrics: Lane<S>,
    /// The next offset to read of each partition.
    next: BTreeMap<(String, i32), i64>,
    /// Whether facts, and whether metrics, are held up and not read.
    held_up: [bool; 2],
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
            facts: Lane::new(&store, GATHERED_FACTS, Pace::INSERTS),
            metrics: Lane::new(&store, GATHERED_METRICS, Pace::WINDOW_INSERTS),
            store,
            next: BTreeMap::new(),
            held_up: [false; 2],
        })
    }

    /// Takes what comes, follows the group, inserts what is due, and commits what is in.
    ///
    /// # Errors
    /// Why the stage cannot go on; it may be started again.
    pub fn step(&mut self) -> Result<(), Error> {
        self.gather()?;
        self.follow()?;
        let (now, interval) = (self.outside.instant(), self.context.settings.commit_interval);
        self.load(|lane, store| lane.go_on(store, now, interval))?;
        self.read_what_fits()?;
        let waits = |lane: &Lane<S>| lane.since.is_some() || lane.inserting.is_some();
        self.stats.holds(self.next.len(), waits(&self.facts) || waits(&self.metrics));
        self.stats.gathered(self.facts.records() + self.metrics.records());
        self.stats.trouble(Trouble::Brokers, self.member.trouble());
        Ok(())
    }

    /// Inserts what was gathered, before the member leaves.
    ///
    /// # Errors
    /// What is not acknowledged is read again.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.load(Lane::finish)?;
        for lane in [&mut self.facts, &mut self.metrics] {
            if lane.since.is_some() {
                lane.flush(&self.store);
            }
        }
        self.load(Lane::finish)
    }

    /// Reads on without the topics whose rows are held up. The member goes on polling: one that waited for ClickHouse
    /// instead would be taken for dead.
    fn read_what_fits(&mut self) -> Result<(), Error> {
        let held_up = [self.facts.is_held_up(), self.metrics.is_held_up()];
        if held_up == self.held_up {
            return Ok(());
        }
        self.held_up = held_up;
        let topics = &self.context.settings.topics;
        let [no_facts, no_metrics] = held_up;
        let facts = [topics.facts.as_str(), &topics.events];
        let held: Vec<&str> = no_facts
            .then_some(facts)
            .into_iter()
            .flatten()
            .chain(no_metrics.then_some(topics.metrics.as_str()))
            .collect();
        self.member.hold(&held)
    }

    /// Goes on with both lanes, and commits the offsets of what is in.
    fn load(
        &mut self,
        mut go_on: impl FnMut(&mut Lane<S>, &S) -> Result<Option<Loaded>, Error>,
    ) -> Result<(), Error> {
        for loaded in [go_on(&mut self.facts, &self.store), go_on(&mut self.metrics, &self.store)] {
            if let Some(loaded) = loaded? {
                self.commit(loaded);
            }
        }
        Ok(())
    }

    fn follow(&mut self) -> Result<(), Error> {
        while let Some(moved) = self.member.moved() {
            // What is in already is committed; what is not is read again by whoever is next.
            self.load(Lane::loaded)?;
            self.facts.clear(&self.store);
            self.metrics.clear(&self.store);
            self.next.clear();
            self.held_up = [false; 2];
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

    fn gather(&mut self) -> Result<(), Error> {
        let (now, interval) = (self.outside.instant(), self.context.settings.commit_interval);
        let wait = |lane: &Lane<S>| {
            let least = if lane.inserting.is_some() { POLL_BEHIND } else { Duration::ZERO };
            lane.due(interval).map_or(POLL, |due| due.saturating_duration_since(now).clamp(least, POLL))
        };
        let mut wait = wait(&self.facts).min(wait(&self.metrics));
        for _ in 0..64 {
            let Some(message) = self.member.poll(wait)? else { break };
            wait = Duration::ZERO;
            let partition = (message.topic().to_owned(), message.partition());
            let Some(next) = self.next.get_mut(&partition) else { continue };
            if message.offset() < *next {
                continue;
            }
            *next = message.offset() + 1;
            self.context.wire.prepare(message.payload().unwrap_or_default()).map_err(Error::Refused)?;
            let is_metric = message.topic() == self.context.settings.topics.metrics;
            let lane = if is_metric { &mut self.metrics } else { &mut self.facts };
            lane.moved.insert(partition, *next);
            lane.since.get_or_insert_with(|| self.outside.instant());
            take(&mut lane.rows, &mut lane.batch, &message, &self.context);
            if self.context.tracing.is_some() {
                trace_of(&message).into_iter().for_each(|trace| lane.batch.traced.add(trace));
            }
        }
        Ok(())
    }

    /// Commits the offsets of what is in, and counts it.
    fn commit(&self, loaded: Loaded) {
        let Loaded { positions, mut batch, report, took } = loaded;
        if let Err(error) = self.member.commit(&positions) {
            // The rows are in; whoever reads these records again changes nothing.
            tracing::warn!(stage = %Stage::Load, %error, "offsets of loaded rows were not committed");
        }
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
        self.stats.committed(outcomes, &Written::default(), took);
        let (inserts, retries) = (report.inserts, report.retries);
        self.stats.loaded(&stats::Loaded {
            rows: report.rows,
            inserts,
            retries,
            delays: batch.delays(self.outside.now()),
        });
    }
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
