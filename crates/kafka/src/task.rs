//! A task of a stage with state: its changelog, its transactions.
//!
//! A transaction holds everything that a batch did: outputs, changelog, checkpoint, input offsets. There is one way
//! back from a transaction that failed, whatever failed: the task is dropped and restored from its changelog.

use crate::catalog::{ReadCatalog, Revision};
use crate::checkpoint::{CATALOG_KEY, CHECKPOINT_KEY, Checkpoint, LAYOUT};
use crate::error::Error;
use crate::kept::{Committed, Kept};
use crate::local::name_of;
use crate::out::Out;
use crate::outside::{GroupOf, Outside};
use crate::restore::{self, Ahead, Restored, Source};
use crate::session::{EosError, EosSession, Position};
use crate::settings::KafkaSettings;
use crate::stage::{Logic, Unreadable, task_name};
use crate::stats::{StageStats, TaskState, Written};
use crate::trace::{Span, TraceContext, Traced, Tracing};
use crate::wire::Wire;
use model::raw::{DeadLetter, Origin, RawRecord};
use model::{Definitions, Text, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every task of a stage is made with.
#[derive(Clone)]
pub struct Context {
    /// How Kafka is reached.
    pub settings: KafkaSettings,
    /// What decides a number.
    pub definitions: Definitions,
    /// The hash of the definitions.
    pub definition: String,
    /// How a catalog is read.
    pub read_catalog: ReadCatalog,
    /// How many tasks the stage has.
    pub tasks: u32,
    /// Where spans go.
    pub tracing: Tracing,
    /// What the stage counts, and how it stands.
    pub stats: Arc<StageStats>,
    /// How messages are written and read.
    pub wire: Arc<Wire>,
}

/// A task.
pub struct Task<L: Logic, O: Outside> {
    name: String,
    partition: u32,
    logic: L,
    session: O::Session,
    checkpoint: Checkpoint,
    /// Bytes of the state's keys and values.
    bytes: u64,
    /// The end of the changelog after the last transaction of this task; `None`: it made none.
    own_end: Option<i64>,
    kept: Kept,
    catalog: Revision,
    /// The next offset to read of each input, what waits included; −1: from the start.
    next: Vec<i64>,
    waiting: Vec<L::Input>,
    letters: Vec<DeadLetter>,
    waiting_bytes: usize,
    waiting_since: Option<Instant>,
    /// The traces that the waiting records are part of.
    traced: Traced,
    /// The newest catalog that an event which waits was routed by.
    needs_catalog: i64,
    /// When the last batch of records was done.
    last_worked: Instant,
    last_punctuated: Instant,
    punctuate_cost: Duration,
    /// Whether the last transaction of corrections left some for the next.
    unfinished: bool,
    last_transaction: Duration,
}

/// After how much silence corrections are written.
const IDLE_AFTER: Duration = Duration::from_millis(100);
/// How often corrections are written while records come.
const CORRECT_EVERY: Duration = Duration::from_secs(5);
/// While records come, at most one part in so many of the time goes into corrections.
const CORRECTION_SHARE: u32 = 20;
/// The longest pause between two transactions of corrections: one that had to wait for its brokers says nothing about
/// the next.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Makes the state of a task that may become this process's, of its local copy.
pub fn ahead<L: Logic, O: Outside>(
    context: &Context,
    outside: &O,
    partition: u32,
    catalog: &Revision,
) -> Option<Ahead<L>> {
    let (topic, name) = (L::changelog(&context.settings.topics), task_name(L::STAGE, partition));
    restore::ahead(&Source { context, outside, topic, partition, name: &name, newest: catalog })
}

impl<L: Logic, O: Outside> Task<L, O> {
    /// Opens a task: fences others, restores the state, and finds where its input goes on.
    ///
    /// # Errors
    /// When the state cannot be read or used.
    pub fn open(
        context: &Context,
        outside: &O,
        partition: u32,
        catalog: &Revision,
        ahead: Option<Ahead<L>>,
        committed: impl FnOnce(&[String]) -> Result<Vec<Option<i64>>, Error>,
    ) -> Result<Self, Error> {
        let stats = &context.stats;
        let name = task_name(L::STAGE, partition);
        let topics = &context.settings.topics;
        // First the fence: what an earlier owner has under way can no longer change what is read next.
        let id = topics.transactional_id(L::STAGE, partition);
        let session = outside.session(&id).map_err(Error::transaction(&name))?;
        let started = outside.instant();
        let topic = L::changelog(topics);
        let source = Source { context, outside, topic, partition, name: &name, newest: catalog };
        let Restored { logic, catalog, checkpoint, entries_read, bytes, kept, from_copy, is_ahead } =
            restore::restore::<L, O>(&source, ahead)?;
        let inputs = L::inputs(topics);
        let begun = crate::checkpoint::begin_at(checkpoint.as_ref(), &inputs, &committed(&inputs)?);
        let offsets = match begun {
            Ok(offsets) => offsets,
            Err(source) => {
                // A process that was stopped meanwhile may have been taken for dead, and the next owner gone on. Behind a
                // new fence nobody does: what the changelog holds then is all that there is.
                let _fence = outside.session(&id).map_err(Error::transaction(&name))?;
                if restore::checkpoint(outside, L::changelog(topics), partition, &name)? == checkpoint {
                    return Err(Error::State { task: name, source });
                }
                let reason = "it went on elsewhere while it was restored here";
                return Err(Error::transaction(&name)(EosError::Fenced(reason.to_owned())));
            }
        };
        let took = outside.instant() - started;
        stats.restored(from_copy);
        tracing::info!(
            stage = %L::STAGE,
            task = name,
            partition,
            records = entries_read,
            from_copy,
            ahead = is_ahead,
            took_ms = took.as_millis() as u64,
            sequence = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.sequence),
            "restored"
        );
        let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint {
            layout: LAYOUT,
            definition: context.definition.clone(),
            tasks: context.tasks,
            offsets: vec![None; inputs.len()],
            catalog: -2,
            ..Checkpoint::default()
        });
        let now = outside.instant();
        let task = Self {
            name,
            partition,
            logic,
            session,
            checkpoint,
            bytes,
            own_end: None,
            kept,
            catalog,
            next: offsets.iter().map(|offset| offset.unwrap_or(-1)).collect(),
            waiting: Vec::new(),
            letters: Vec::new(),
            waiting_bytes: 0,
            waiting_since: None,
            traced: Traced::default(),
            needs_catalog: -1,
            last_worked: now,
            last_punctuated: now,
            punctuate_cost: Duration::ZERO,
            unfinished: false,
            last_transaction: Duration::ZERO,
        };
        stats.holds_state(partition, task.holds());
        Ok(task)
    }

    /// Takes the task up again after its partition went and came back: fences others, and looks whether the end
    /// of the changelog is still its own. If not, it must be opened anew.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn resume(&mut self, context: &Context, outside: &O) -> Result<bool, Error> {
        let Some(own) = self.own_end else { return Ok(false) };
        let topics = &context.settings.topics;
        let id = topics.transactional_id(L::STAGE, self.partition);
        self.session = outside.session(&id).map_err(Error::transaction(&self.name))?;
        let end = outside.end(L::changelog(topics), self.partition, &self.name)?;
        if end != own {
            return Ok(false);
        }
        self.waiting.clear();
        self.letters.clear();
        (self.waiting_bytes, self.waiting_since, self.needs_catalog) = (0, None, -1);
        self.traced = Traced::default();
        self.next = self.checkpoint.offsets.iter().map(|offset| offset.unwrap_or(-1)).collect();
        context.stats.holds_state(self.partition, self.holds());
        Ok(true)
    }

    /// The newest catalog that an event which waits was routed by.
    pub fn needs_catalog(&self) -> i64 {
        self.needs_catalog
    }
    /// What its state holds.
    fn holds(&self) -> TaskState {
        TaskState { entries: self.checkpoint.entries, bytes: self.bytes, owed: self.logic.owed() }
    }

    /// Where its inputs are to be read from.
    pub fn positions(&self, inputs: &[String]) -> Vec<Position> {
        let partition = i32::try_from(self.partition).unwrap_or(i32::MAX);
        let position =
            |(topic, next): (&String, &i64)| Position { topic: topic.clone(), partition, offset: *next };
        inputs.iter().zip(&self.next).map(position).collect()
    }

    /// Takes a record of an input into the batch that waits. One that was taken before is passed over.
    pub fn take(&mut self, wire: &Wire, outside: &O, input: usize, record: Taken<'_>) {
        if let Some(next) = self.next.get_mut(input) {
            if record.offset < *next {
                return;
            }
            *next = record.offset + 1;
        }
        self.needs_catalog = self.needs_catalog.max(record.catalog);
        self.waiting_bytes += record.value.len();
        self.waiting_since.get_or_insert_with(|| outside.instant());
        if let Some(trace) = record.trace {
            self.traced.add(trace);
        }
        match L::decode(wire, input, record.value) {
            Ok(decoded) => self.waiting.push(decoded),
            Err(unreadable) => {
                let Taken { topic, offset, .. } = record;
                let (task, partition, reason) = (self.name.as_str(), self.partition, unreadable.reason);
                tracing::warn!(stage = %L::STAGE, task, topic, partition, offset, reason, "a record is rejected");
                self.letters.push(letter(&record, partition, unreadable, outside.now()));
            }
        }
    }

    /// When the batch that waits is to be processed: at once when it is full, else at the stage's pace.
    pub fn due(&self, settings: &KafkaSettings) -> Option<Instant> {
        let since = self.waiting_since?;
        let full = self.waiting.len() + self.letters.len() >= settings.batch_records
            || self.waiting_bytes >= settings.batch_bytes;
        let interval = L::PACE.after(self.last_transaction, settings.commit_interval);
        Some(if full { since } else { since + interval })
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.waiting_since.is_none() && now - self.last_worked >= IDLE_AFTER
    }

    /// Whether the next corrections follow the last at once.
    pub fn goes_on(&self, now: Instant) -> bool {
        self.unfinished && self.is_idle(now)
    }

    /// Whether corrections are to be written now.
    pub fn owes(&self, now: Instant, at: Timestamp) -> bool {
        let share = (self.punctuate_cost * CORRECTION_SHARE).min(LONGEST_PAUSE);
        let pause = match (self.is_idle(now), self.unfinished) {
            (true, true) => Duration::ZERO,
            (true, false) => share,
            (false, _) => CORRECT_EVERY.max(share),
        };
        now - self.last_punctuated >= pause && self.logic.owes(at)
    }

    /// Whether a newer catalog came than its state was concluded by, and no record waits that would bring it there.
    pub fn is_behind(&self, catalog: i64) -> bool {
        self.waiting_since.is_none() && catalog > self.catalog.offset
    }

    /// Processes the batch that waits, in one transaction.
    ///
    /// # Errors
    /// The task must be dropped.
    pub fn work(
        &mut self,
        context: &Context,
        outside: &O,
        newest: &Revision,
        group: impl FnOnce() -> Option<GroupOf<O>>,
    ) -> Result<(), Error> {
        let (waiting, letters) = (std::mem::take(&mut self.waiting), std::mem::take(&mut self.letters));
        (self.waiting_bytes, self.waiting_since, self.needs_catalog) = (0, None, -1);
        let taken = waiting.len() as u64;
        let span = self.span(&context.settings, taken);
        let trace = span.as_ref().map(|span| span.context.header());
        let offsets = self.next.iter().map(|next| (*next >= 0).then_some(*next)).collect();
        let told = Told { offsets, trace };
        let done = self.transaction(context, outside, newest, group, told, |logic, out| {
            waiting.into_iter().for_each(|input| logic.process(input));
            letters.iter().try_for_each(|letter| out.letter(letter))?;
            logic.settle(out)
        })?;
        self.last_worked = outside.instant();
        let rejected = letters.iter().map(|letter| ("rejected", letter.reason.as_str(), 1));
        let outcomes = std::iter::once(("emitted", "", taken)).chain(rejected);
        context.stats.committed(outcomes, &done, self.last_transaction);
        if let (Some(span), Some(spans)) = (span, &context.tracing) {
            span.end(&**spans);
        }
        Ok(())
    }

    /// The span of the batch that waits, where any of its records is traced.
    fn span(&mut self, settings: &KafkaSettings, records: u64) -> Option<Span> {
        let topics = &settings.topics;
        let inputs = L::inputs(topics);
        let traced = std::mem::take(&mut self.traced);
        let span = traced.span(&topics.group(L::STAGE), inputs.first().map(String::as_str))?;
        Some(
            span.with("messaging.destination.partition.id", self.partition.to_string())
                .with("messaging.batch.message_count", records)
                .with("streamgauge.stage", L::STAGE.as_str())
                .with("streamgauge.task", self.name.as_str()),
        )
    }

    /// Writes some of what is owed, in one transaction.
    ///
    /// # Errors
    /// The task must be dropped.
    pub fn punctuate(
        &mut self,
        context: &Context,
        outside: &O,
        newest: &Revision,
        group: impl FnOnce() -> Option<GroupOf<O>>,
    ) -> Result<(), Error> {
        let now = outside.now();
        let started = outside.instant();
        // Records may wait: they are no part of it.
        let told = Told { offsets: self.checkpoint.offsets.clone(), trace: None };
        let done =
            self.transaction(context, outside, newest, group, told, |logic, out| logic.punctuate(now, out))?;
        context.stats.committed([], &done, self.last_transaction);
        self.last_punctuated = outside.instant();
        self.punctuate_cost = self.last_punctuated - started;
        self.unfinished = self.logic.owes(now);
        Ok(())
    }

    fn transaction(
        &mut self,
        context: &Context,
        outside: &O,
        newest: &Revision,
        group: impl FnOnce() -> Option<GroupOf<O>>,
        told: Told,
        work: impl FnOnce(&mut L, &mut Out<'_, O::Session>) -> Result<(), EosError>,
    ) -> Result<Written, Error> {
        let started = outside.instant();
        let done = self.attempt(context, outside, newest, group, told, work);
        self.last_transaction = outside.instant() - started;
        match &done {
            Ok(_) => context.stats.holds_state(self.partition, self.holds()),
            Err(error) => {
                context.stats.failed();
                if matches!(error, EosError::Abort(_)) {
                    // What it held is not left open for as long as its time-out.
                    if let Err(error) = self.session.abort() {
                        tracing::warn!(stage = %L::STAGE, task = self.name, %error, "aborting");
                    }
                }
            }
        }
        done.map_err(Error::transaction(&self.name))
    }

    fn attempt(
        &mut self,
        context: &Context,
        outside: &O,
        newest: &Revision,
        group: impl FnOnce() -> Option<GroupOf<O>>,
        told: Told,
        work: impl FnOnce(&mut L, &mut Out<'_, O::Session>) -> Result<(), EosError>,
    ) -> Result<Written, EosError> {
        let topics = &context.settings.topics;
        if self.session.is_suspect() {
            let id = topics.transactional_id(L::STAGE, self.partition);
            self.session = outside.session(&id)?;
        }
        self.session.begin()?;
        let adopted = newest.offset > self.catalog.offset || self.checkpoint.catalog == -2;
        if newest.offset > self.catalog.offset {
            self.logic.adopt(newest.catalog.clone());
            self.catalog = newest.clone();
        }
        let mut checkpoint = self.checkpoint.clone();
        checkpoint.sequence += 1;
        checkpoint.changed = 0;
        checkpoint.catalog = self.catalog.offset;
        checkpoint.offsets = told.offsets;
        let mut out = Out {
            session: &mut self.session,
            topics,
            wire: &context.wire,
            task: self.partition,
            tasks: context.tasks,
            rev: checkpoint.sequence,
            definition: &context.definition,
            catalog: self.catalog.offset,
            now_ms: outside.now().micros().div_euclid(1_000),
            trace: told.trace,
            written: Written::default(),
        };
        work(&mut self.logic, &mut out)?;
        let changelog = L::changelog(topics);
        let adopted = adopted.then(|| restore::encode_catalog(&self.catalog));
        if let Some(record) = &adopted {
            out.changelog(changelog, CATALOG_KEY, Some(record))?;
        }
        let mut changes = Vec::new();
        self.logic.state().commit_changes(&mut changes);
        let mut bytes = self.bytes;
        for change in &changes {
            bytes += size(&change.key, change.value.as_deref());
            bytes = bytes.saturating_sub(size(&change.key, change.before.as_deref()));
            checkpoint.count(&change.key, change.before.as_deref(), change.value.as_deref());
            out.changelog(changelog, &change.key, change.value.as_deref())?;
        }
        let encoded = postcard::to_allocvec(&checkpoint)
            .map_err(|error| EosError::Fatal(format!("the checkpoint cannot be encoded: {error}")))?;
        out.changelog(changelog, CHECKPOINT_KEY, Some(&encoded))?;
        let written = out.written;
        let inputs = L::inputs(topics).into_iter().zip(&checkpoint.offsets);
        let partition = i32::try_from(self.partition).unwrap_or(i32::MAX);
        let position = |(topic, offset): (String, &Option<i64>)| {
            offset.map(|offset| Position { topic, partition, offset })
        };
        let positions: Vec<Position> = inputs.filter_map(position).collect();
        self.session.commit(&positions, group())?;
        (self.checkpoint, self.bytes) = (checkpoint, bytes);
        // The checkpoint is the transaction's last record there; the record that ends the transaction follows.
        let offset = self.session.checkpoint_offset();
        self.own_end = offset.map(|offset| offset + 2);
        let committed = Committed { changes, catalog: adopted, checkpoint_at: offset, at: outside.now() };
        let copy = name_of(changelog, self.partition);
        self.kept = self.kept.go_on(outside.local(), &copy, committed, &context.stats, &self.name);
        Ok(written)
    }
}

/// What a transaction says of the records that it is about.
struct Told {
    /// Up to where each input is processed by it.
    offsets: Vec<Option<i64>>,
    /// The header with the span of its records.
    trace: Option<String>,
}

/// A record as it comes from an input topic.
#[derive(Debug, Clone, Copy)]
pub struct Taken<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The offset.
    pub offset: i64,
    /// The value.
    pub value: &'a [u8],
    /// The catalog that routed it; −1: not said.
    pub catalog: i64,
    /// The trace that it is part of.
    pub trace: Option<TraceContext>,
}

/// Bytes of an entry of the state; none where it is not there.
fn size(key: &[u8], value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| (key.len() + value.len()) as u64)
}

fn letter(record: &Taken<'_>, partition: u32, unreadable: Unreadable, received_at: Timestamp) -> DeadLetter {
    let topic = Text::new(record.topic);
    let offset = u64::try_from(record.offset).unwrap_or(0);
    let record = RawRecord {
        source: topic.clone(),
        headers: Vec::new(),
        body: record.value.to_vec(),
        received_at,
        origin: Origin { topic, partition, offset },
    };
    DeadLetter::new(&record, Text::new(unreadable.reason), unreadable.detail)
}
