//! The four stages, wired together. Read top to bottom: a raw record comes in, table rows go out.
//!
//! ```text
//! raw records ─ ingest ─► events ─ correlate ─► rows (facts)
//!                           ▲  │       └─► contributions ─ aggregate ─► rows (steps, panes)
//!                           └──┘ what one home tells another              └─► load (the shell's)
//! ```
//!
//! The same tasks run in three places: here, driven by a test or by the embedded run (one transaction over all
//! of them), and one by one in a consumer group. A task is named by its stage and its partition; its state is
//! its changelog.

mod partition;

pub use partition::TaskId;

use catalog::Catalog;
use correlate::{Address, Correlator, Emitted, Envelope, Message, Route, partition_of, route};
use model::fact::{Row, RowChange, RowKey};
use model::metric::Window;
use model::raw::{DeadLetter, RawRecord};
use model::table::{ChangelogEntry, RestoreError, Stateful};
use model::{Calendar, Definitions, DeliveryEvent, HomeKey, Text, Timestamp};
use sources::{Outcome, Rejection, SourceSettings};
use std::collections::VecDeque;
use std::sync::Arc;
use windows::Aggregator;

/// What became of one raw record: exactly one of emitted, dropped, rejected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processed {
    /// How many events it told.
    pub emitted: usize,
    /// The counted reason for which it tells nothing.
    pub dropped: Option<Text>,
    /// Why it cannot be read; it is among the dead letters.
    pub rejected: Option<Rejection>,
}

/// Everything that one transaction did.
#[derive(Debug, Default)]
pub struct Batch {
    /// Table rows with the tasks that wrote them, one per key and task, in order of keys and tasks.
    pub rows: Vec<(TaskId, RowChange)>,
    /// Events for the archive, in the order in which they came.
    pub events: Vec<Arc<DeliveryEvent>>,
    /// Rejected records.
    pub dead_letters: Vec<DeadLetter>,
    /// What changed in each task's state.
    pub changelog: Vec<(TaskId, ChangelogEntry)>,
}

/// The tasks of all stages, and what is on its way between them.
#[derive(Debug)]
pub struct Topology {
    definitions: Definitions,
    settings: SourceSettings,
    catalog: Arc<Catalog>,
    correlators: Vec<Correlator>,
    inboxes: Vec<VecDeque<Message>>,
    /// Tasks that have something to settle although their inbox is empty: a new catalog.
    unsettled: bool,
    aggregators: Vec<Aggregator>,
    /// Changed rows in the order in which they came: of one key and task the last one counts.
    rows: Vec<((RowKey, TaskId), RowChange)>,
    events: Vec<Arc<DeliveryEvent>>,
    dead_letters: Vec<DeadLetter>,
}

impl Topology {
    /// Empty tasks, `partitions` of each stage that has state.
    pub fn new(definitions: Definitions, catalog: Arc<Catalog>, partitions: u32) -> Self {
        Self::with_windows(definitions, catalog, partitions, Window::ALL)
    }

    /// As [`Self::new`], with these windows only: what a window costs is measured with it.
    pub fn with_windows(
        definitions: Definitions,
        catalog: Arc<Catalog>,
        partitions: u32,
        windows: &[Window],
    ) -> Self {
        let tasks = partitions.max(1);
        // The zone was checked when the configuration was read.
        let calendar = || Calendar::named(&definitions.timezone).unwrap_or_else(Calendar::utc);
        Self {
            settings: SourceSettings { max_future: definitions.max_future, ..SourceSettings::default() },
            correlators: (0..tasks)
                .map(|task| Correlator::new(definitions.clone(), catalog.clone(), task, tasks))
                .collect(),
            inboxes: (0..tasks).map(|_| VecDeque::new()).collect(),
            unsettled: false,
            aggregators: (0..tasks).map(|_| Aggregator::with_windows(calendar(), windows)).collect(),
            rows: Vec::new(),
            events: Vec::new(),
            dead_letters: Vec::new(),
            definitions,
            catalog,
        }
    }

    /// The definitions by which it computes.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }
    /// The catalog as it is.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
    /// How a source reads, where that is not the default.
    pub fn set_source_settings(&mut self, settings: SourceSettings) {
        self.settings = settings;
    }

    // Ingest: decode, normalise, own. It has no state.

    /// Reads one raw record and sends its events to their homes.
    pub fn process(&mut self, record: &RawRecord) -> Processed {
        match sources::read(record, &self.settings) {
            Outcome::Emit(events) => {
                let emitted = events.len();
                for event in events {
                    self.process_event(event);
                }
                Processed { emitted, ..Processed::default() }
            }
            Outcome::Drop(reason) => Processed { dropped: Some(reason), ..Processed::default() },
            Outcome::Reject(rejection) => {
                let letter = DeadLetter::new(record, rejection.reason.clone(), rejection.detail.clone());
                self.dead_letters.push(letter);
                Processed { rejected: Some(rejection), ..Processed::default() }
            }
        }
    }

    /// Sends one event to its homes, and to the archive.
    pub fn process_event(&mut self, event: DeliveryEvent) {
        let event = Arc::new(event);
        self.events.push(event.clone());
        if let Route::To(targets) = route(&self.catalog, &event) {
            for (address, _) in targets {
                self.send(Envelope { to: address, message: Message::Event(event.clone()) });
            }
        }
    }

    fn send(&mut self, envelope: Envelope) {
        let tasks = self.tasks();
        match envelope.to {
            Address::Home(key) => self.deliver(partition_of(&key, tasks), envelope.message),
            Address::Task(task) => self.deliver(task, envelope.message),
            Address::All => (0..tasks).for_each(|task| self.deliver(task, envelope.message.clone())),
        }
    }

    fn deliver(&mut self, task: u32, message: Message) {
        if let Some(inbox) = self.inboxes.get_mut(task as usize) {
            inbox.push_back(message);
        }
    }

    fn tasks(&self) -> u32 {
        // Made from a u32.
        u32::try_from(self.correlators.len()).unwrap_or(u32::MAX)
    }

    // Correlate and aggregate.

    /// Every task follows a new catalog: facts move to their new homes and windows with them.
    pub fn set_catalog(&mut self, catalog: Arc<Catalog>) {
        for correlator in &mut self.correlators {
            correlator.set_catalog(catalog.clone());
        }
        self.catalog = catalog;
        self.unsettled = true;
    }

    /// Runs the tasks until nothing is on its way any more. When the input is `idle`, late corrections and the
    /// steps that lie ahead are written too; otherwise only what an in-order event changes.
    pub fn settle(&mut self, idle: bool) {
        while self.unsettled || self.inboxes.iter().any(|inbox| !inbox.is_empty()) {
            let everywhere = std::mem::take(&mut self.unsettled);
            for index in 0..self.correlators.len() {
                let Some(inbox) = self.inboxes.get_mut(index) else { continue };
                let messages = std::mem::take(inbox);
                let Some(correlator) = self.correlators.get_mut(index) else { continue };
                if messages.is_empty() && !everywhere {
                    continue;
                }
                for message in &messages {
                    correlator.process(message);
                }
                let emitted = correlator.settle();
                self.pass_on(TaskId::correlate(index), emitted);
            }
        }
        for index in 0..self.aggregators.len() {
            let mut out = Vec::new();
            if let Some(aggregator) = self.aggregators.get_mut(index) {
                aggregator.flush(idle, &mut out);
            }
            self.put_rows(TaskId::aggregate(index), out);
        }
    }

    fn pass_on(&mut self, task: TaskId, emitted: Emitted) {
        self.put_rows(task, emitted.rows);
        let tasks = self.tasks();
        for contribution in &emitted.contributions {
            let task = partition_of(&HomeKey::new(contribution.key.scope.as_str()), tasks);
            if let Some(aggregator) = self.aggregators.get_mut(task as usize) {
                aggregator.apply(contribution);
            }
        }
        for envelope in emitted.messages {
            self.send(envelope);
        }
    }

    fn put_rows(&mut self, task: TaskId, rows: Vec<RowChange>) {
        self.rows.extend(rows.into_iter().map(|change| ((change.key(), task), change)));
    }

    /// Tells what changed in services, teams, scopes and definitions, once everything is settled. `now` decides
    /// whose a service is.
    pub fn punctuate(&mut self, now: Timestamp) {
        for index in 0..self.correlators.len() {
            let Some(correlator) = self.correlators.get_mut(index) else { continue };
            let rows = correlator.punctuate(now);
            self.put_rows(TaskId::correlate(index), rows);
        }
    }

    // The transaction.

    /// Ends the transaction and gives out everything that it did.
    pub fn commit(&mut self) -> Batch {
        let mut changelog = Vec::new();
        let mut entries = Vec::new();
        for (index, correlator) in self.correlators.iter_mut().enumerate() {
            correlator.commit_state(&mut entries);
            changelog.extend(entries.drain(..).map(|entry| (TaskId::correlate(index), entry)));
        }
        for (index, aggregator) in self.aggregators.iter_mut().enumerate() {
            aggregator.commit_state(&mut entries);
            changelog.extend(entries.drain(..).map(|entry| (TaskId::aggregate(index), entry)));
        }
        Batch {
            rows: last_of_each(std::mem::take(&mut self.rows)),
            events: std::mem::take(&mut self.events),
            dead_letters: std::mem::take(&mut self.dead_letters),
            changelog,
        }
    }

    /// Puts one entry of a task's changelog back.
    ///
    /// # Errors
    /// See [`RestoreError`].
    pub fn restore(&mut self, task: TaskId, entry: &ChangelogEntry) -> Result<(), RestoreError> {
        match task.stateful(&mut self.correlators, &mut self.aggregators) {
            Some(stateful) => stateful.restore_entry(entry),
            None => Err(RestoreError::UnknownTask(task.to_string())),
        }
    }

    /// To be called after the last entry.
    pub fn restored(&mut self) {
        self.correlators.iter_mut().for_each(Stateful::restored);
        self.aggregators.iter_mut().for_each(Stateful::restored);
    }

    // Questions.

    /// The correlation tasks, for explanations.
    pub fn correlators(&self) -> &[Correlator] {
        &self.correlators
    }
    /// The aggregation task that holds a scope.
    pub fn aggregator(&self, scope: &model::Scope) -> Option<&Aggregator> {
        self.aggregators.get(partition_of(&HomeKey::new(scope.as_str()), self.tasks()) as usize)
    }
    /// Every fact's row as it was last published, in no particular order.
    pub fn facts(&self) -> impl Iterator<Item = Row> {
        self.correlators.iter().flat_map(Correlator::published)
    }
}

/// The last change of each key and task, in their order.
fn last_of_each(mut rows: Vec<((RowKey, TaskId), RowChange)>) -> Vec<(TaskId, RowChange)> {
    // Each stage gives out its rows nearly in order: a stable sort finds the runs and merges them.
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut last: Vec<((RowKey, TaskId), RowChange)> = Vec::with_capacity(rows.len());
    for (key, change) in rows {
        match last.last_mut() {
            Some((stands, row)) if *stands == key => *row = change,
            _ => last.push((key, change)),
        }
    }
    last.into_iter().map(|((_, task), change)| (task, change)).collect()
}
