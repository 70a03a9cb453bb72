//! One task of each stage, called one by one, so that each can be timed. What they do together is what
//! `topology::Topology` does with one partition.

use crate::input::Input;
use correlate::{Correlator, Message, Route, route};
use model::fact::RowChange;
use model::metric::Contribution;
use model::raw::RawRecord;
use model::table::{ChangelogEntry, Stateful};
use model::{Calendar, DeliveryEvent};
use sources::{Outcome, SourceSettings};
use std::sync::Arc;
use windows::Aggregator;

pub struct Tasks {
    settings: SourceSettings,
    catalog: Arc<catalog::Catalog>,
    correlator: Correlator,
    pub aggregator: Aggregator,
}

/// What correlation gives out in one transaction.
#[derive(Default)]
pub struct Correlated {
    pub rows: Vec<RowChange>,
    pub contributions: Vec<Contribution>,
}

impl Tasks {
    pub fn new(input: &Input) -> Self {
        Self {
            settings: SourceSettings::default(),
            catalog: input.catalog.clone(),
            correlator: Correlator::new(input.definitions.clone(), input.catalog.clone(), 0, 1),
            aggregator: Aggregator::new(Calendar::utc()),
        }
    }

    pub fn ingest(&self, records: &[RawRecord]) -> Vec<Arc<DeliveryEvent>> {
        let mut events = Vec::with_capacity(records.len());
        for record in records {
            if let Outcome::Emit(told) = sources::read(record, &self.settings) {
                events.extend(told.into_iter().map(Arc::new));
            }
        }
        events
    }

    pub fn correlate(&mut self, events: Vec<Arc<DeliveryEvent>>) -> Correlated {
        let mut messages: Vec<Message> = Vec::with_capacity(events.len());
        for event in events {
            if let Route::To(targets) = route(&self.catalog, &event) {
                messages.extend(targets.iter().map(|_| Message::Event(event.clone())));
            }
        }
        let mut out = Correlated::default();
        while !messages.is_empty() {
            messages.iter().for_each(|message| self.correlator.process(message));
            let emitted = self.correlator.settle();
            out.rows.extend(emitted.rows);
            out.contributions.extend(emitted.contributions);
            messages = emitted.messages.into_iter().map(|envelope| envelope.message).collect();
        }
        out
    }

    pub fn aggregate(&mut self, contributions: &[Contribution], idle: bool) -> Vec<RowChange> {
        let mut rows = Vec::new();
        contributions.iter().for_each(|contribution| self.aggregator.apply(contribution));
        self.aggregator.flush(idle, &mut rows);
        rows
    }

    /// The changelog of the transaction, encoded.
    pub fn encode(&mut self) -> Vec<ChangelogEntry> {
        let mut entries = Vec::new();
        self.correlator.commit_state(&mut entries);
        self.aggregator.commit_state(&mut entries);
        entries
    }
}
