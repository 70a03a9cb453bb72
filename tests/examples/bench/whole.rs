//! Events through the whole topology, after a history that is not timed: in order, and with the corrections of late
//! contributions that are written at the end of a day.

use crate::import::BATCH;
use crate::input::{self, START};
use crate::median;
use catalog::Catalog;
use generate::Options;
use model::metric::Window;
use model::{Definitions, DeliveryEvent, Span};
use sources::{Outcome, SourceSettings};
use std::sync::Arc;
use std::time::Instant;
use topology::Topology;

/// Events of one transaction.
const SMALL_BATCH: usize = 100;

/// A small organisation's events, read, in the order in which they happened.
pub struct Organisation {
    definitions: Definitions,
    catalog: Arc<Catalog>,
    events: Vec<DeliveryEvent>,
}

/// Median microseconds per event over the days.
#[derive(Clone, Copy)]
pub struct Cost {
    pub in_order: f64,
    /// The corrections of a day's late contributions included.
    pub corrected: f64,
}

impl Organisation {
    pub fn of_days(days: u32, seed: u64) -> Self {
        let input = input::generated(&Options { services: 5, teams: 2, days, seed, start: START });
        let mut events: Vec<DeliveryEvent> = Vec::new();
        for record in input.records {
            if let Outcome::Emit(told) = sources::read(&record, &SourceSettings::default()) {
                events.extend(told);
            }
        }
        events.sort_by(|a, b| (a.occurred_at, &a.source, &a.id).cmp(&(b.occurred_at, &b.source, &b.id)));
        Self { definitions: input.definitions, catalog: input.catalog, events }
    }

    /// The events of the days in `[from, to)`.
    pub fn days(&self, from: u32, to: u32) -> &[DeliveryEvent] {
        let at = |day: u32| {
            let start = START.plus(Span::from_days(i64::from(day)));
            self.events.partition_point(|event| event.occurred_at < start)
        };
        &self.events[at(from)..at(to)]
    }

    /// A topology that keeps these windows and holds this history.
    pub fn after(&self, history: &[DeliveryEvent], windows: &[Window]) -> Topology {
        let (definitions, catalog) = (self.definitions.clone(), self.catalog.clone());
        let mut topology = Topology::with_windows(definitions, catalog, 1, windows);
        for batch in history.chunks(BATCH) {
            batch.iter().for_each(|event| topology.process_event(event.clone()));
            topology.settle(false);
            topology.commit();
        }
        topology.settle(true);
        topology.commit();
        topology
    }

    /// What the events of the days in `[from, to)` cost each topology: day by day in turn, each first as often as
    /// the others.
    pub fn measure<const N: usize>(&self, mut topologies: [Topology; N], from: u32, to: u32) -> [Cost; N] {
        let mut in_order = [const { Vec::new() }; N];
        let mut corrected = [const { Vec::new() }; N];
        for day in from..to {
            let events = self.days(day, day + 1);
            for turn in 0..N {
                let which = (day as usize + turn) % N;
                let (steady, whole) = run(&mut topologies[which], events);
                in_order[which].push(steady);
                corrected[which].push(whole);
            }
        }
        let mut corrected = corrected.into_iter().map(median);
        in_order
            .map(|times| Cost { in_order: median(times), corrected: corrected.next().expect("one for each") })
    }
}

/// Microseconds per event: in order, and with the corrections of late contributions that are written at the end.
fn run(topology: &mut Topology, events: &[DeliveryEvent]) -> (f64, f64) {
    let micros = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / events.len() as f64;
    let copies: Vec<Vec<DeliveryEvent>> = events.chunks(SMALL_BATCH).map(<[_]>::to_vec).collect();
    let start = Instant::now();
    for batch in copies {
        batch.into_iter().for_each(|event| topology.process_event(event));
        topology.settle(false);
        topology.commit();
    }
    let steady = micros(start);
    topology.settle(true);
    topology.commit();
    (steady, micros(start))
}
