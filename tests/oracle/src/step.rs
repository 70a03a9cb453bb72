//! Windows as steps, each computed from scratch (semantics, section 8).

use crate::Tables;
use crate::metric::{Part, Parts};
use crate::record::rfc3339;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const HOUR: i64 = 3_600_000_000;
const WINDOWS: [(&str, i64); 4] = [("24h", 24), ("7d", 7), ("30d", 30), ("90d", 90)];
const COUNTS: [&str; 1] = ["deployment_frequency"];
const MEDIANS: [&str; 4] = ["change_lead_time", "recovery_time", "time_to_restore", "time_in_ci"];
const MEANS: [&str; 1] = ["time_to_detect"];

/// Days of a zone, numbered from 1970-01-01.
struct Days {
    zone: TimeZone,
}

impl Days {
    fn of(&self, micros: i64) -> i64 {
        let date = jiff::Timestamp::from_microsecond(micros).unwrap().to_zoned(self.zone.clone()).date();
        i64::from(epoch().until(date).unwrap().get_days())
    }
    /// The first instant after a day.
    fn end(&self, day: i64) -> i64 {
        let next = epoch().checked_add(jiff::Span::new().days(day + 1)).unwrap();
        next.to_zoned(self.zone.clone()).unwrap().timestamp().as_microsecond()
    }
}

fn epoch() -> Date {
    Date::constant(1970, 1, 1)
}

/// Every step of every scope and metric.
pub fn steps(parts: &Parts, timezone: &str) -> BTreeMap<(String, String, String, String), Value> {
    let days = Days { zone: TimeZone::get(timezone).expect("a known time zone") };
    let mut tables = Tables::default();
    for ((scope, metric), all) in parts {
        for (window, panes) in WINDOWS {
            let hourly = window == "24h";
            let mut by_pane: BTreeMap<i64, Vec<&Part>> = BTreeMap::new();
            for part in all {
                let pane = if hourly { part.at.div_euclid(HOUR) } else { days.of(part.at) };
                by_pane.entry(pane).or_default().push(part);
            }
            let ends: BTreeSet<i64> = by_pane.keys().flat_map(|pane| [*pane, pane + panes]).collect();
            for end in ends {
                let held: Vec<(&i64, &Vec<&Part>)> = by_pane.range(end - panes + 1..=end).collect();
                let as_of = rfc3339(if hourly { (end + 1) * HOUR } else { days.end(end) });
                let per_day_of = if hourly { 1 } else { panes };
                let mut row = value(metric, &held, per_day_of, hourly);
                row["scope"] = json!(scope);
                row["metric"] = json!(metric);
                row["window"] = json!(window);
                row["as_of"] = json!(as_of);
                let key = (scope.clone(), (*metric).to_owned(), window.to_owned(), as_of);
                tables.steps.insert(key, row);
            }
        }
    }
    tables.steps
}

fn value(metric: &str, held: &[(&i64, &Vec<&Part>)], days: i64, hourly: bool) -> Value {
    let all: Vec<&Part> = held.iter().flat_map(|(_, parts)| parts.iter().copied()).collect();
    let sum = |field: fn(&Part) -> i64| all.iter().map(|part| field(part)).sum::<i64>();
    let mut row = json!({
        "value": null, "samples": 0, "p50": null, "p75": null, "p90": null, "p95": null, "mean": null,
        "per_day": null, "days_with": null, "confirmed": null, "inferred": null,
    });
    if COUNTS.contains(&metric) {
        let count = sum(|part| part.numerator);
        row["value"] = json!(count as f64);
        row["samples"] = json!(count);
        row["per_day"] = json!(count as f64 / days as f64);
        row["days_with"] = if hourly { Value::Null } else { json!(held.len()) };
    } else if MEDIANS.contains(&metric) || MEANS.contains(&metric) {
        let mut samples: Vec<i64> = all.iter().filter_map(|part| part.sample).collect();
        samples.sort_unstable();
        row["samples"] = json!(samples.len());
        if !samples.is_empty() {
            let total: i128 = samples.iter().map(|sample| i128::from(*sample)).sum();
            let mean = total as f64 / samples.len() as f64;
            for (name, percent) in [("p50", 50), ("p75", 75), ("p90", 90), ("p95", 95)] {
                row[name] = json!(samples[(percent * samples.len()).div_ceil(100) - 1]);
            }
            row["mean"] = json!(mean);
            row["value"] = if MEANS.contains(&metric) { json!(mean) } else { json!(row["p50"].as_f64()) };
        }
    } else {
        let (numerator, denominator) = (sum(|part| part.numerator), sum(|part| part.denominator));
        row["samples"] = json!(denominator);
        if denominator > 0 {
            row["value"] = json!(numerator as f64 / denominator as f64);
        }
        if metric == "change_fail_rate" {
            row["confirmed"] = json!(sum(|part| part.confirmed));
            row["inferred"] = json!(sum(|part| part.inferred));
        }
    }
    row
}
