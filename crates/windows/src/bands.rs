//! DORA's performance levels: data, one file per report year, because every year's are different.

use model::metric::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The files that are built in, by report year. The 2025 report has no levels.
pub const BUNDLED: &[(u16, &str)] = &[
    (2023, include_str!("../../../schemas/config/bands/2023.toml")),
    (2024, include_str!("../../../schemas/config/bands/2024.toml")),
];

/// A performance level. It applies to one service at a time, not to teams or organisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// The best.
    Elite,
    /// Good.
    High,
    /// Fair.
    Medium,
    /// The rest.
    Low,
}

impl Band {
    /// The word as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elite => "elite",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One report year's levels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// The report's year.
    pub report: u16,
    levels: BTreeMap<Metric, Vec<Level>>,
}

/// A level and at most one limit; without a limit it takes what is left.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    band: Band,
    below: Option<f64>,
    at_most: Option<f64>,
    above: Option<f64>,
    at_least: Option<f64>,
    /// Of a frequency: the limit is so many in this many days.
    days: Option<f64>,
}

/// Why a file of levels is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BandsError {
    /// Not TOML, or an unknown, missing or wrong field; the message says which and where.
    #[error("{0}")]
    Toml(String),
    /// More than one limit in one level.
    #[error("levels.{metric}: `{band}` has more than one of below, at_most, above, at_least")]
    ManyLimits {
        /// The metric.
        metric: Metric,
        /// The level.
        band: Band,
    },
    /// A level without a limit hides those that follow; without one at the end some values have no level.
    #[error("levels.{0}: the last level, and only the last, must have no limit")]
    OpenEnd(Metric),
}

impl Level {
    fn limits(&self) -> usize {
        [self.below, self.at_most, self.above, self.at_least].iter().flatten().count()
    }

    fn holds(&self, value: f64) -> bool {
        let value = value * self.days.unwrap_or(1.0);
        // Three deployments in ninety days are one in thirty, although a division lies between.
        let slack = 1e-9;
        self.below.is_none_or(|limit| value < limit)
            && self.at_most.is_none_or(|limit| value <= limit + limit.abs() * slack)
            && self.above.is_none_or(|limit| value > limit + limit.abs() * slack)
            && self.at_least.is_none_or(|limit| value >= limit - limit.abs() * slack)
    }
}

impl Bands {
    /// Reads a file of levels.
    ///
    /// # Errors
    /// See [`BandsError`].
    pub fn parse(text: &str) -> Result<Self, BandsError> {
        let bands: Self = toml::from_str(text).map_err(|error| BandsError::Toml(error.to_string()))?;
        for (metric, levels) in &bands.levels {
            if let Some(level) = levels.iter().find(|level| level.limits() > 1) {
                return Err(BandsError::ManyLimits { metric: *metric, band: level.band });
            }
            let open: Vec<bool> = levels.iter().map(|level| level.limits() == 0).collect();
            if !matches!(open.split_last(), Some((true, before)) if !before.contains(&true)) {
                return Err(BandsError::OpenEnd(*metric));
            }
        }
        Ok(bands)
    }

    /// The levels of a report year, where that report has any and they are built in.
    pub fn bundled(report: u16) -> Option<Self> {
        let (_, text) = BUNDLED.iter().find(|(year, _)| *year == report)?;
        Self::parse(text).ok()
    }

    /// The level of a value; `None` without data and for a metric that the report has no levels for.
    ///
    /// Durations in seconds, rates from 0 to 1; of `deployment_frequency` the deployments per day, best taken
    /// from a window of 30 or 90 days.
    pub fn classify(&self, metric: Metric, value: Option<f64>) -> Option<Band> {
        let value = value.filter(|value| value.is_finite())?;
        self.levels.get(&metric)?.iter().find(|level| level.holds(value)).map(|level| level.band)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(report: u16, metric: Metric, value: f64, expect: Band) {
        let bands = Bands::bundled(report).unwrap();
        assert_eq!(bands.classify(metric, Some(value)), Some(expect), "{report} {metric} {value}");
    }

    #[test]
    fn every_bundled_file_can_be_read_and_names_its_year() {
        for (year, text) in BUNDLED {
            assert_eq!(Bands::parse(text).unwrap().report, *year);
        }
        assert_eq!(Bands::bundled(2025), None);
    }

    #[test]
    fn medium_fails_less_often_than_high_in_2024() {
        check(2024, Metric::ChangeFailRate, 0.05, Band::Elite);
        check(2024, Metric::ChangeFailRate, 0.08, Band::Medium);
        check(2024, Metric::ChangeFailRate, 0.20, Band::High);
        check(2024, Metric::ChangeFailRate, 0.21, Band::Low);
        check(2023, Metric::ChangeFailRate, 0.08, Band::High);
    }

    #[test]
    fn three_deployments_in_ninety_days_are_one_a_month() {
        check(2024, Metric::DeploymentFrequency, 3.0 / 90.0, Band::Medium);
        check(2024, Metric::DeploymentFrequency, 2.0 / 90.0, Band::Low);
        check(2024, Metric::DeploymentFrequency, 1.0 / 7.0, Band::High);
        check(2024, Metric::DeploymentFrequency, 1.0, Band::High);
        check(2024, Metric::DeploymentFrequency, 31.0 / 30.0, Band::Elite);
        check(2024, Metric::DeploymentFrequency, 0.0, Band::Low);
    }

    #[test]
    fn a_day_is_no_longer_less_than_a_day() {
        check(2024, Metric::ChangeLeadTime, 86_399.0, Band::Elite);
        check(2024, Metric::ChangeLeadTime, 86_400.0, Band::High);
        check(2024, Metric::RecoveryTime, 86_400.0, Band::Low);
        check(2023, Metric::RecoveryTime, 86_400.0, Band::Medium);
    }

    #[test]
    fn no_data_and_no_levels_have_no_band() {
        let bands = Bands::bundled(2024).unwrap();
        assert_eq!(bands.classify(Metric::ChangeFailRate, None), None);
        assert_eq!(bands.classify(Metric::ReworkRate, Some(0.1)), None);
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_by_name() {
        let check = |text: &str, expect: &str| {
            let error = Bands::parse(text).unwrap_err().to_string();
            assert!(error.contains(expect), "{error:?} does not say {expect:?}");
        };
        check("report = 2024\n[levels]\nlead = []", "unknown variant `lead`");
        check("report = 2024\n[levels]\nrecovery_time = [{ band = \"elite\", below = 1 }]", "the last level");
        check(
            "report = 2024\n[levels]\nrecovery_time = [{ band = \"low\" }, { band = \"low\" }]",
            "only the last",
        );
        check(
            "report = 2024\n[levels]\nrecovery_time = [{ band = \"low\", below = 1, above = 2 }, { band = \"low\" }]",
            "more than one",
        );
    }
}
