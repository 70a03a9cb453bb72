//! What the history's size costs: the same in-order events after a history, and after one ten times as long that
//! ends with it.

use crate::import::BATCH;
use crate::input::{self, START};
use crate::median;
use generate::Options;
use model::{DeliveryEvent, Span};
use serde_json::{Value, json};
use sources::{Outcome, SourceSettings};
use std::time::Instant;
use topology::Topology;

const SHORT_DAYS: u32 = 100;
const LONG_DAYS: u32 = 10 * SHORT_DAYS;
const MEASURED_DAYS: u32 = 40;
/// Events of one transaction.
const SMALL_BATCH: usize = 100;

pub fn measure() -> Value {
    let days = LONG_DAYS + MEASURED_DAYS;
    let input = input::generated(&Options { services: 5, teams: 2, days, seed: 3, start: START });
    let mut events: Vec<DeliveryEvent> = Vec::new();
    for record in input.records {
        if let Outcome::Emit(told) = sources::read(&record, &SourceSettings::default()) {
            events.extend(told);
        }
    }
    events.sort_by(|a, b| (a.occurred_at, &a.source, &a.id).cmp(&(b.occurred_at, &b.source, &b.id)));
    let day = |day: u32| START.plus(Span::from_days(i64::from(day)));
    let at = |day| events.partition_point(|event| event.occurred_at < day);
    let (late_start, end) = (at(day(LONG_DAYS - SHORT_DAYS)), at(day(LONG_DAYS)));
    let histories = [&events[late_start..end], &events[..end]];
    let mut topologies = histories.map(|history| {
        let mut topology = Topology::new(input.definitions.clone(), input.catalog.clone(), 1);
        for batch in history.chunks(BATCH) {
            batch.iter().for_each(|event| topology.process_event(event.clone()));
            topology.settle(false);
            topology.commit();
        }
        topology.settle(true);
        topology.commit();
        topology
    });
    let mut in_order = [const { Vec::new() }; 2];
    let mut corrected = [const { Vec::new() }; 2];
    for slice in 0..MEASURED_DAYS {
        let events = &events[at(day(LONG_DAYS + slice))..at(day(LONG_DAYS + slice + 1))];
        for turn in 0..2 {
            let which = (slice as usize + turn) % 2;
            let (steady, whole) = run(&mut topologies[which], events);
            in_order[which].push(steady);
            corrected[which].push(whole);
        }
    }
    let [in_order, corrected] = [in_order, corrected].map(|times| times.map(median));
    let row = |at: usize, name: &str| json!([name, histories[at].len(), in_order[at], corrected[at]]);
    json!({
        "table": {
            "title": "In-order events by the history that they follow (medians over 40 days)",
            "columns": ["history", "its events", "µs per event", "µs per event, a day's corrections included"],
            "rows": [row(0, "100 days"), row(1, "1,000 days")],
        },
        "limits": [
            {"name": "an in-order event: 10 times the history to once", "value": in_order[1] / in_order[0], "limit": 1.2},
            {"name": "the same, a day's corrections included", "value": corrected[1] / corrected[0], "limit": 1.2},
        ],
    })
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
