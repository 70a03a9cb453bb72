//! Rows of the timeseries: steps and panes.

use super::{stored, word};
use model::metric::{DoraStep, Pane};
use model::{Scope, Text, Timestamp};
use std::collections::BTreeMap;

stored!(
    /// One step of a metric. `definition` is the loader's to set.
    StepRow in "dora_steps_rows" {
        scope: Scope,
        metric: Text,
        window: Text,
        as_of: Timestamp,
        value: Option<f64>,
        samples: u64,
        p50: Option<i64>,
        p75: Option<i64>,
        p90: Option<i64>,
        p95: Option<i64>,
        mean: Option<f64>,
        confirmed: Option<u64>,
        inferred: Option<u64>,
        per_day: Option<f64>,
        days_with: Option<u64>,
        definition: Text,
    }
);

impl From<&DoraStep> for StepRow {
    fn from(step: &DoraStep) -> Self {
        Self {
            scope: step.scope.clone(),
            metric: word(step.metric.as_str()),
            window: word(step.window.as_str()),
            as_of: step.as_of,
            value: step.value,
            samples: step.samples,
            p50: step.p50,
            p75: step.p75,
            p90: step.p90,
            p95: step.p95,
            mean: step.mean,
            confirmed: step.confirmed,
            inferred: step.inferred,
            per_day: step.per_day,
            days_with: step.days_with,
            ..Self::default()
        }
    }
}

stored!(
    /// What one scope's metric holds of an hour or a day.
    PaneRow in "panes_rows" {
        scope: Scope,
        metric: Text,
        grain: Text,
        start: Timestamp,
        end: Timestamp,
        numerator: i64,
        denominator: i64,
        confirmed: i64,
        inferred: i64,
        samples: BTreeMap<i64, i64>,
    }
);

impl From<&Pane> for PaneRow {
    fn from(pane: &Pane) -> Self {
        Self {
            scope: pane.scope.clone(),
            metric: word(pane.metric.as_str()),
            grain: word(pane.grain.as_str()),
            start: pane.start,
            end: pane.end,
            numerator: pane.delta.numerator,
            denominator: pane.delta.denominator,
            confirmed: pane.delta.confirmed,
            inferred: pane.delta.inferred,
            samples: pane.delta.samples.clone(),
            ..Self::default()
        }
    }
}
