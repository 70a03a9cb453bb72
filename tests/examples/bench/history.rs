//! What the history's size costs: the same in-order events after a history, and after one ten times as long that
//! ends with it. Each runs in a process of its own, in turn: a pipeline shares its cores' caches with no other one,
//! and two of them side by side would measure how they take each other's.

use crate::alone;
use crate::whole::{Cost, Organisation};
use model::metric::Window;
use serde_json::{Value, json};

const SHORT_DAYS: u32 = 100;
const LONG_DAYS: u32 = 10 * SHORT_DAYS;
const MEASURED_DAYS: u32 = 40;
/// How often each is measured. What else runs on the machine makes one run slower by a tenth and more, and none faster:
/// the fastest is the one that was disturbed least.
const ROUNDS: usize = 9;

/// One history and the events after it.
#[derive(serde::Serialize, serde::Deserialize)]
struct After {
    events: usize,
    in_order: f64,
    corrected: f64,
}

/// Measures the events after so many days.
pub fn after(days: &str) -> Value {
    let days: u32 = days.parse().expect("a number of days");
    let organisation = Organisation::of_days(LONG_DAYS + MEASURED_DAYS, 3);
    let history = organisation.days(LONG_DAYS - days, LONG_DAYS);
    let events = history.len();
    let topology = organisation.after(history, Window::ALL);
    let [Cost { in_order, corrected }] =
        organisation.measure([topology], LONG_DAYS, LONG_DAYS + MEASURED_DAYS);
    json!(After { events, in_order, corrected })
}

fn least(micros: impl Iterator<Item = f64>) -> f64 {
    micros.fold(f64::INFINITY, f64::min)
}

pub fn measure() -> Value {
    let days = [SHORT_DAYS, LONG_DAYS];
    let mut rounds = [const { Vec::new() }; 2];
    for round in 0..2 * ROUNDS {
        // Each comes first as often as the other.
        let which = (round + round / 2) % 2;
        let measured = alone(&["history", &days[which].to_string()]);
        rounds[which].push(serde_json::from_value::<After>(measured).expect("what one run measured"));
    }
    let [short, long] = rounds.map(|runs| After {
        events: runs[0].events,
        in_order: least(runs.iter().map(|run| run.in_order)),
        corrected: least(runs.iter().map(|run| run.corrected)),
    });
    let row = |name: &str, run: &After| json!([name, run.events, run.in_order, run.corrected]);
    json!({
        "tables": [{
            "title": format!("In-order events by the history that they follow (medians over {MEASURED_DAYS} days, \
                              the fastest of {ROUNDS} runs, each in a process of its own)"),
            "columns": ["history", "its events", "µs per event", "µs per event, a day's corrections included"],
            "rows": [row("100 days", &short), row("1,000 days", &long)],
        }],
        "limits": [
            {"name": "an in-order event: 10 times the history to once",
             "value": long.in_order / short.in_order, "limit": 1.2},
            {"name": "the same, a day's corrections included",
             "value": long.corrected / short.corrected, "limit": 1.2},
        ],
    })
}
