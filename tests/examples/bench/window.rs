//! What a window's length costs: the same in-order contributions to a task that keeps the 24h windows only, to
//! one that keeps the 90d windows only, and to one that keeps all four; and the same in-order events through all
//! stages.
//!
//! The limit is on the length: one kind of window against another. All four together are more rows, each of which
//! is written, and stand in the tables without a limit.

use crate::input;
use crate::median;
use crate::tasks::Tasks;
use crate::whole::Organisation;
use generate::Options;
use model::Calendar;
use model::metric::{Contribution, ContributionKey, Delta, Window};
use model::table::Stateful;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use windows::Aggregator;

const ROUNDS: usize = 6;
/// The first days fill the longest window; they are not timed.
const FILL_DAYS: u32 = 100;
const DAYS: u32 = 200;
const KINDS: [(&str, &[Window]); 3] =
    [("24h only", &[Window::Hours24]), ("90d only", &[Window::Days90]), ("all four", Window::ALL)];

pub fn measure() -> Value {
    let (stage, stage_limit) = contributions();
    let (whole, whole_limit) = events();
    json!({"tables": [stage, whole], "limits": [stage_limit, whole_limit]})
}

/// Events through all stages.
fn events() -> (Value, Value) {
    let organisation = Organisation::of_days(DAYS, 2);
    let history = organisation.days(0, FILL_DAYS);
    let topologies = KINDS.map(|(_, windows)| organisation.after(history, windows));
    let costs = organisation.measure(topologies, FILL_DAYS, DAYS);
    let rows: Vec<Value> = KINDS
        .iter()
        .zip(&costs)
        .map(|((name, _), cost)| json!([name, cost.in_order, cost.corrected]))
        .collect();
    let table = json!({
        "title": "In-order events through all stages by the windows that are kept (medians over 100 days; four \
                  windows write four times the rows, so the limit compares one with one)",
        "columns": ["windows", "µs per event", "µs per event, a day's corrections included"],
        "rows": rows,
    });
    let [short, long, _] = costs;
    let name = "an in-order event through all stages: 90d windows to 24h windows";
    (table, json!({"name": name, "value": long.in_order / short.in_order, "limit": 1.2}))
}

/// Contributions to the aggregate stage alone.
fn contributions() -> (Value, Value) {
    let options = Options { services: 5, teams: 2, days: DAYS, seed: 2, start: input::START };
    let mut input = input::generated(&options);
    let mut tasks = Tasks::new(&input);
    let mut panes: BTreeMap<ContributionKey, Delta> = BTreeMap::new();
    loop {
        let batch: Vec<_> = input.records.by_ref().take(500).collect();
        if batch.is_empty() {
            break;
        }
        let told = tasks.ingest(&batch);
        let out = tasks.correlate(told);
        tasks.encode();
        for Contribution { key, delta } in out.contributions {
            panes.entry(key).or_default().add(&delta, 1);
        }
    }
    // What stands in the end, in the order of time: nothing late and nothing taken back.
    let mut hours: BTreeMap<i64, Vec<Contribution>> = BTreeMap::new();
    for (key, delta) in panes.into_iter().filter(|(_, delta)| !delta.is_zero()) {
        hours.entry(key.hour.0).or_default().push(Contribution { key, delta });
    }
    let first = hours.keys().next().copied().unwrap_or(0) + i64::from(FILL_DAYS) * 24;

    let mut seconds = [const { Vec::new() }; 3];
    let mut counts = [(0, 0); 3];
    for round in 0..ROUNDS {
        for turn in 0..KINDS.len() {
            // Each comes first as often as the others.
            let at = (round + turn) % KINDS.len();
            let (took, contributions, rows) = run(&hours, first, KINDS[at].1);
            seconds[at].push(took);
            counts[at] = (contributions, rows);
        }
    }
    let medians = seconds.map(median);
    let micros = |seconds: f64, items: usize| seconds / items as f64 * 1e6;
    let rows: Vec<Value> = (0..KINDS.len())
        .map(|at| {
            let (contributions, rows) = counts[at];
            json!([KINDS[at].0, contributions, rows, micros(medians[at], contributions)])
        })
        .collect();
    let table = json!({
        "title": "In-order contributions to the aggregate stage by the windows that are kept",
        "columns": ["windows", "contributions", "rows", "µs per contribution"],
        "rows": rows,
    });
    let name = "an in-order contribution: 90d windows to 24h windows";
    (table, json!({"name": name, "value": medians[1] / medians[0], "limit": 1.2}))
}

/// Seconds, contributions and rows after the windows are filled.
fn run(hours: &BTreeMap<i64, Vec<Contribution>>, first: i64, windows: &[Window]) -> (f64, usize, usize) {
    let mut aggregator = Aggregator::with_windows(Calendar::utc(), windows);
    let (mut rows, mut changelog) = (Vec::new(), Vec::new());
    let (mut count, mut told) = (0, 0);
    let mut start = Instant::now();
    for (hour, contributions) in hours {
        if *hour < first {
            start = Instant::now();
        }
        contributions.iter().for_each(|contribution| aggregator.apply(contribution));
        aggregator.flush(false, &mut rows);
        aggregator.commit_state(&mut changelog);
        if *hour >= first {
            count += contributions.len();
            told += rows.len();
        }
        rows.clear();
        changelog.clear();
    }
    (start.elapsed().as_secs_f64(), count, told)
}
