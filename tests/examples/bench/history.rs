//! What the history's size costs: the same in-order events after a history, and after one ten times as long that
//! ends with it.

use crate::whole::{Cost, Organisation};
use model::metric::Window;
use serde_json::{Value, json};

const SHORT_DAYS: u32 = 100;
const LONG_DAYS: u32 = 10 * SHORT_DAYS;
const MEASURED_DAYS: u32 = 40;

pub fn measure() -> Value {
    let organisation = Organisation::of_days(LONG_DAYS + MEASURED_DAYS, 3);
    let histories = [organisation.days(LONG_DAYS - SHORT_DAYS, LONG_DAYS), organisation.days(0, LONG_DAYS)];
    let topologies = histories.map(|history| organisation.after(history, Window::ALL));
    let [short, long] = organisation.measure(topologies, LONG_DAYS, LONG_DAYS + MEASURED_DAYS);
    let row =
        |name: &str, at: usize, cost: Cost| json!([name, histories[at].len(), cost.in_order, cost.corrected]);
    json!({
        "tables": [{
            "title": "In-order events by the history that they follow (medians over 40 days)",
            "columns": ["history", "its events", "µs per event", "µs per event, a day's corrections included"],
            "rows": [row("100 days", 0, short), row("1,000 days", 1, long)],
        }],
        "limits": [
            {"name": "an in-order event: 10 times the history to once",
             "value": long.in_order / short.in_order, "limit": 1.2},
            {"name": "the same, a day's corrections included",
             "value": long.corrected / short.corrected, "limit": 1.2},
        ],
    })
}
