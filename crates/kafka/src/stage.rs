//! What the two stages with state do with a batch. The rest, reading and committing, is the same for both.

use crate::error::Error;
use crate::out::{Out, decode_message};
use crate::pace::Pace;
use crate::session::{EosError, EosSession};
use crate::topics::{Stage, Topics};
use crate::wire::Wire;
use ::catalog::Catalog;
use correlate::{Correlator, Message};
use model::fact::{RowChange, RowKey};
use model::metric::{Contribution, ContributionKey, Contributions, Delta};
use model::table::Stateful;
use model::{Calendar, Definitions, DeliveryEvent, Timestamp};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use windows::Aggregator;

/// Rows of late corrections that one transaction of the aggregate stage writes, roughly.
const CORRECTED_ROWS: usize = 50_000;
/// Rounds in which a task answers itself within one transaction; what is left then goes through the topic.
const OWN_ROUNDS: usize = 100;

/// Why a record cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// A counted word.
    pub reason: &'static str,
    /// What exactly.
    pub detail: String,
}

/// What a stage with state does. A task is one of these with its changelog.
pub trait Logic: Sized + Send {
    /// A record, decoded.
    type Input: Send;
    /// Which stage it is.
    const STAGE: Stage;
    /// How long it gathers.
    const PACE: Pace;
    /// Its input topics: the group is told of the first; the same partition of the others comes with it.
    fn inputs(topics: &Topics) -> Vec<String>;
    /// Its changelog.
    fn changelog(topics: &Topics) -> &str;
    /// An empty task.
    fn new(definitions: &Definitions, catalog: Arc<Catalog>, task: u32, tasks: u32) -> Self;
    /// Decodes a record of one of the inputs.
    ///
    /// # Errors
    /// [`Unreadable`]: it goes to the dead letters.
    fn decode(wire: &Wire, input: usize, value: &[u8]) -> Result<Self::Input, Unreadable>;
    /// Its state.
    fn state(&mut self) -> &mut dyn Stateful;
    /// Takes a newer catalog.
    fn adopt(&mut self, catalog: Arc<Catalog>);
    /// Takes a record.
    fn process(&mut self, input: Self::Input);
    /// Writes what the records of a batch changed.
    ///
    /// # Errors
    /// See [`EosError`].
    fn settle<S: EosSession>(&mut self, out: &mut Out<'_, S>) -> Result<(), EosError>;
    /// Whether there is something to write without new records.
    fn owes(&self, now: Timestamp) -> bool;
    /// How many ranges of rows are to be written anew.
    fn owed(&self) -> u64;
    /// Writes some of it.
    ///
    /// # Errors
    /// See [`EosError`].
    fn punctuate<S: EosSession>(&mut self, now: Timestamp, out: &mut Out<'_, S>) -> Result<(), EosError>;
}

/// The correlate stage.
#[derive(Debug)]
pub struct Correlate {
    correlator: Correlator,
    /// Whether something came since the dimensions were told.
    told: Option<Timestamp>,
}

/// How often the dimensions are looked at while nothing comes: teams change with the calendar.
const DIMENSIONS_EVERY_S: i64 = 3_600;

impl Logic for Correlate {
    type Input = Message;
    const STAGE: Stage = Stage::Correlate;
    const PACE: Pace = Pace::PROMPT;

    fn inputs(topics: &Topics) -> Vec<String> {
        vec![topics.events.clone(), topics.messages.clone()]
    }
    fn changelog(topics: &Topics) -> &str {
        &topics.correlate_changelog
    }
    fn new(definitions: &Definitions, catalog: Arc<Catalog>, task: u32, tasks: u32) -> Self {
        Self { correlator: Correlator::new(definitions.clone(), catalog, task, tasks), told: None }
    }
    fn decode(wire: &Wire, input: usize, value: &[u8]) -> Result<Message, Unreadable> {
        if input == 0 {
            return Ok(Message::Event(Arc::new(wire.decode::<DeliveryEvent>(value)?)));
        }
        decode_message(value).map_err(|detail| Unreadable { reason: "malformed", detail })
    }
    fn state(&mut self) -> &mut dyn Stateful {
        &mut self.correlator
    }
    fn adopt(&mut self, catalog: Arc<Catalog>) {
        self.correlator.set_catalog(catalog);
        self.told = None;
    }
    fn process(&mut self, input: Message) {
        self.correlator.process(&input);
        self.told = None;
    }

    fn settle<S: EosSession>(&mut self, out: &mut Out<'_, S>) -> Result<(), EosError> {
        // The first round is nearly all of it, and in order; what later ones add is merged into it.
        let mut rounds = 0;
        let (mut rows, mut contributions) = (Vec::new(), Vec::new());
        for round in 0..=OWN_ROUNDS {
            let emitted = self.correlator.settle();
            rounds += u32::from(!emitted.rows.is_empty() || !emitted.contributions.is_empty());
            rows.extend(emitted.rows);
            contributions.extend(emitted.contributions);
            let mut own = VecDeque::new();
            for envelope in emitted.messages {
                for task in out.tasks_of(&envelope.to) {
                    if task == out.task && round < OWN_ROUNDS {
                        own.push_back(envelope.message.clone());
                    } else {
                        out.message(task, &envelope.message)?;
                    }
                }
            }
            if own.is_empty() {
                break;
            }
            own.iter().for_each(|message| self.correlator.process(message));
        }
        if rounds > 1 {
            rows = last_of_each(rows);
            contributions = summed(contributions);
        }
        rows.iter().try_for_each(|change| out.fact(change))?;
        out.contributions(contributions)
    }

    fn owes(&self, now: Timestamp) -> bool {
        self.told.is_none_or(|told| now.since(told).seconds() >= DIMENSIONS_EVERY_S)
    }
    fn owed(&self) -> u64 {
        0
    }
    fn punctuate<S: EosSession>(&mut self, now: Timestamp, out: &mut Out<'_, S>) -> Result<(), EosError> {
        // A catalog that came without records moves things, too.
        self.settle(out)?;
        for change in self.correlator.punctuate(now) {
            out.fact(&change)?;
        }
        self.told = Some(now);
        Ok(())
    }
}

/// The last change of each row, in the order of their keys.
fn last_of_each(rows: Vec<RowChange>) -> Vec<RowChange> {
    let last: BTreeMap<RowKey, RowChange> = rows.into_iter().map(|change| (change.key(), change)).collect();
    last.into_values().collect()
}

/// The sum of each pane's changes, in the order of their keys.
fn summed(contributions: Vec<Contribution>) -> Vec<Contribution> {
    let mut sums: BTreeMap<ContributionKey, Delta> = BTreeMap::new();
    for Contribution { key, delta } in contributions {
        sums.entry(key).or_default().add(&delta, 1);
    }
    let sums = sums.into_iter().filter(|(_, delta)| !delta.is_zero());
    sums.map(|(key, delta)| Contribution { key, delta }).collect()
}

/// The aggregate stage.
#[derive(Debug)]
pub struct Aggregate {
    aggregator: Aggregator,
}

impl Logic for Aggregate {
    type Input = Contributions;
    const STAGE: Stage = Stage::Aggregate;
    const PACE: Pace = Pace::WINDOWS;

    fn inputs(topics: &Topics) -> Vec<String> {
        vec![topics.contributions.clone()]
    }
    fn changelog(topics: &Topics) -> &str {
        &topics.aggregate_changelog
    }
    fn new(definitions: &Definitions, _: Arc<Catalog>, _: u32, _: u32) -> Self {
        // The zone was checked when the configuration was read.
        let calendar = Calendar::named(&definitions.timezone).unwrap_or_else(Calendar::utc);
        Self { aggregator: Aggregator::new(calendar) }
    }
    fn decode(wire: &Wire, _: usize, value: &[u8]) -> Result<Contributions, Unreadable> {
        wire.decode(value)
    }
    fn state(&mut self) -> &mut dyn Stateful {
        &mut self.aggregator
    }
    fn adopt(&mut self, _: Arc<Catalog>) {}
    fn process(&mut self, input: Contributions) {
        input.contributions.iter().for_each(|contribution| self.aggregator.apply(contribution));
    }
    fn settle<S: EosSession>(&mut self, out: &mut Out<'_, S>) -> Result<(), EosError> {
        let mut rows = Vec::new();
        self.aggregator.flush(false, &mut rows);
        out.metrics(rows)
    }
    fn owes(&self, _: Timestamp) -> bool {
        self.aggregator.is_dirty()
    }
    fn owed(&self) -> u64 {
        self.aggregator.owed() as u64
    }
    fn punctuate<S: EosSession>(&mut self, _: Timestamp, out: &mut Out<'_, S>) -> Result<(), EosError> {
        let mut rows = Vec::new();
        self.aggregator.flush_some(CORRECTED_ROWS, &mut rows);
        out.metrics(rows)
    }
}

/// A task's name, as in `correlate-3`.
pub fn task_name(stage: Stage, task: u32) -> String {
    format!("{stage}-{task}")
}

/// Whether a stage stops for a failed transaction, or only its task begins anew.
pub fn is_final(error: &Error) -> bool {
    !matches!(
        error,
        Error::Transaction {
            source: EosError::Abort(_) | EosError::Away(_) | EosError::Unknown(_) | EosError::Fenced(_),
            ..
        }
    )
}
