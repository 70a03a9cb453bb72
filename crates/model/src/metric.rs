//! The metrics, the windows, and what one fact adds to a metric.

use crate::event::words;
use crate::ids::Scope;
use crate::time::{Day, Hour, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words!(
    /// A metric (semantics, section 7).
    Metric {
        /// Succeeded production deployments.
        DeploymentFrequency = "deployment_frequency",
        /// From a change's start to its deployment's finish.
        ChangeLeadTime = "change_lead_time",
        /// Failed ÷ (succeeded + blamed partial).
        ChangeFailRate = "change_fail_rate",
        /// From a failed deployment's finish to its recovery.
        RecoveryTime = "recovery_time",
        /// Unplanned deployments ÷ succeeded.
        ReworkRate = "rework_rate",
        /// From an incident's start to its end.
        TimeToRestore = "time_to_restore",
        /// From an incident's start to its detection.
        TimeToDetect = "time_to_detect",
        /// Automated ÷ succeeded where known.
        AutomatedRate = "automated_rate",
        /// Rollbacks ÷ succeeded.
        RollbackRate = "rollback_rate",
        /// Succeeded ÷ (succeeded + failed + partial).
        DeploymentSuccessRate = "deployment_success_rate",
        /// Promoted ÷ finished canaried rollouts.
        CanarySuccessRate = "canary_success_rate",
        /// Passed ÷ (passed + failed).
        PipelineSuccessRate = "pipeline_success_rate",
        /// SHAs that failed and later passed ÷ SHAs that passed or failed.
        FlakyRate = "flaky_rate",
        /// From a run's start to its finish.
        TimeInCi = "time_in_ci",
    }
);

/// How a metric's value is made from its panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// The numerator; a count of none is 0.
    Count,
    /// Numerator ÷ denominator; null without a denominator.
    Rate,
    /// The 50th percentile of the samples; null without samples.
    Median,
    /// The mean of the samples; null without samples.
    Mean,
}

impl Metric {
    /// How the value is made.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::DeploymentFrequency => MetricKind::Count,
            Self::ChangeLeadTime | Self::RecoveryTime | Self::TimeToRestore | Self::TimeInCi => {
                MetricKind::Median
            }
            Self::TimeToDetect => MetricKind::Mean,
            Self::ChangeFailRate
            | Self::ReworkRate
            | Self::AutomatedRate
            | Self::RollbackRate
            | Self::DeploymentSuccessRate
            | Self::CanarySuccessRate
            | Self::PipelineSuccessRate
            | Self::FlakyRate => MetricKind::Rate,
        }
    }
    /// Whether a service takes part only when its failures can be seen.
    pub const fn needs_failure_source(self) -> bool {
        matches!(self, Self::ChangeFailRate | Self::RecoveryTime | Self::ReworkRate)
    }
}

words!(
    /// A rolling window. `24h` ends with each hour of UTC, the others with each day of the reporting zone.
    Window {
        /// 24 hours.
        Hours24 = "24h",
        /// 7 days.
        Days7 = "7d",
        /// 30 days.
        Days30 = "30d",
        /// 90 days.
        Days90 = "90d",
    }
);

impl Window {
    /// The panes that it is made of.
    pub const fn grain(self) -> Grain {
        match self {
            Self::Hours24 => Grain::Hour,
            _ => Grain::Day,
        }
    }
    /// How many panes it holds.
    pub const fn panes(self) -> i64 {
        match self {
            Self::Hours24 => 24,
            Self::Days7 => 7,
            Self::Days30 => 30,
            Self::Days90 => 90,
        }
    }
}

words!(
    /// The length of a pane.
    Grain {
        /// An hour of UTC.
        Hour = "hour",
        /// A day of the reporting zone.
        Day = "day",
    }
);

/// Where a contribution goes: one scope's metric, at an hour and a day.
///
/// Both are carried because a zone whose offset is no whole hour puts one UTC hour into two days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContributionKey {
    /// What it is about.
    pub scope: Scope,
    /// Which metric.
    pub metric: Metric,
    /// The hour of UTC.
    pub hour: Hour,
    /// The day of the reporting zone.
    pub day: Day,
}

/// What is added to (or, negative, taken from) a pane. All integers, so that adding and taking away is exact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Deployments counted, or the numerator of a rate.
    pub numerator: i64,
    /// The denominator of a rate.
    pub denominator: i64,
    /// Of a change fail rate: failures with evidence 0 to 4.
    pub confirmed: i64,
    /// Of a change fail rate: failures with evidence 5.
    pub inferred: i64,
    /// Samples: whole seconds → how many more (or fewer).
    pub samples: BTreeMap<i64, i64>,
}

impl Delta {
    /// One more in a count.
    pub fn count() -> Self {
        Self { numerator: 1, ..Self::default() }
    }
    /// One case of a rate.
    pub fn rate(hit: bool) -> Self {
        Self { numerator: i64::from(hit), denominator: 1, ..Self::default() }
    }
    /// One sample in whole seconds.
    pub fn sample(seconds: i64) -> Self {
        Self { samples: BTreeMap::from([(seconds, 1)]), ..Self::default() }
    }
    /// Adds another `times` times (−1 takes it away); entries that become zero vanish.
    pub fn add(&mut self, other: &Self, times: i64) {
        self.numerator += times * other.numerator;
        self.denominator += times * other.denominator;
        self.confirmed += times * other.confirmed;
        self.inferred += times * other.inferred;
        for (seconds, count) in &other.samples {
            let entry = self.samples.entry(*seconds).or_insert(0);
            *entry += times * count;
            if *entry == 0 {
                self.samples.remove(seconds);
            }
        }
    }
    /// Whether nothing is left.
    pub fn is_zero(&self) -> bool {
        self.numerator == 0
            && self.denominator == 0
            && self.confirmed == 0
            && self.inferred == 0
            && self.samples.is_empty()
    }
}

/// A change of one pane, published by correlation and combined within a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Where it goes.
    pub key: ContributionKey,
    /// What it adds.
    pub delta: Delta,
}

/// Changes of panes that one transaction made, of one scope: they travel together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contributions {
    /// The changes, each pane once.
    pub contributions: Vec<Contribution>,
}

/// One step of a metric: its value at `as_of`, which holds until the next step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DoraStep {
    /// What it is about.
    pub scope: Scope,
    /// Which metric.
    pub metric: Metric,
    /// Which window.
    pub window: Window,
    /// The window's end (exclusive): the end of an hour or of a day.
    pub as_of: Timestamp,
    /// The metric's value; `None` without data, except for a count.
    pub value: Option<f64>,
    /// How many things it is made of.
    pub samples: u64,
    /// 50th percentile, nearest rank, whole seconds.
    pub p50: Option<i64>,
    /// 75th percentile.
    pub p75: Option<i64>,
    /// 90th percentile.
    pub p90: Option<i64>,
    /// 95th percentile.
    pub p95: Option<i64>,
    /// Sum of the samples ÷ their number.
    pub mean: Option<f64>,
    /// Of a count: how many a day (÷ the window's days, 24h being one).
    pub per_day: Option<f64>,
    /// Of a count: panes' days with at least one (`None` for 24h).
    pub days_with: Option<u64>,
    /// Of a change fail rate: failures with evidence 0 to 4.
    pub confirmed: Option<u64>,
    /// Of a change fail rate: failures with evidence 5.
    pub inferred: Option<u64>,
}

/// What names a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// What it is about.
    pub scope: Scope,
    /// Which metric.
    pub metric: Metric,
    /// Which window.
    pub window: Window,
    /// The window's end.
    pub as_of: Timestamp,
}

/// A stored pane: what one scope's metric holds of one hour or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    /// What it is about.
    pub scope: Scope,
    /// Which metric.
    pub metric: Metric,
    /// An hour or a day.
    pub grain: Grain,
    /// The pane's start (inclusive).
    pub start: Timestamp,
    /// The pane's end (exclusive).
    pub end: Timestamp,
    /// What it holds.
    pub delta: Delta,
}

/// What names a pane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaneKey {
    /// What it is about.
    pub scope: Scope,
    /// Which metric.
    pub metric: Metric,
    /// An hour or a day.
    pub grain: Grain,
    /// The pane's start.
    pub start: Timestamp,
}
