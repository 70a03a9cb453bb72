//! What a service wants to reach: `[targets.<criticality>]`.

use crate::duration;
use model::metric::{Metric, MetricKind};
use serde::Serialize;

/// A target for one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Whether more is better (frequency, success and automation rates) or less.
    pub at_least: bool,
    /// The limit, inclusive, in millionths of the metric's unit: seconds, a share from 0 to 1, or deployments per
    /// day.
    pub limit_millionths: i64,
}

impl Target {
    /// Whether a value in the metric's own unit reaches the target.
    pub fn met(self, value: f64) -> bool {
        let limit = self.limit();
        if self.at_least { value >= limit } else { value <= limit }
    }

    /// The limit in the metric's own unit.
    #[expect(clippy::cast_precision_loss, reason = "limits lie far below 2^52")]
    pub fn limit(self) -> f64 {
        self.limit_millionths as f64 / 1e6
    }

    /// Reads a target: a duration, a share (`0.15`, `"15%"`), or a frequency (`0.5` a day, `"3/week"`).
    pub(crate) fn parse(metric: Metric, text: &str) -> Result<Self, &'static str> {
        let limit_millionths = match metric.kind() {
            MetricKind::Median | MetricKind::Mean => {
                duration::parse(text).ok_or("write a duration, as in \"4h\", \"1d\" or \"30m\"")?.micros()
            }
            MetricKind::Rate => {
                share(text).ok_or("write a share from 0 to 1, or a percentage as in \"15%\"")?
            }
            MetricKind::Count => frequency(text).ok_or("write deployments per day, or as in \"3/week\"")?,
        };
        Ok(Self { at_least: more_is_better(metric), limit_millionths })
    }
}

const fn more_is_better(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::DeploymentFrequency
            | Metric::AutomatedRate
            | Metric::DeploymentSuccessRate
            | Metric::CanarySuccessRate
            | Metric::PipelineSuccessRate
    )
}

fn share(text: &str) -> Option<i64> {
    let millionths = match text.strip_suffix('%') {
        Some(percent) => millionths(percent.trim_end())?.checked_div(100)?,
        None => millionths(text)?,
    };
    (millionths <= 1_000_000).then_some(millionths)
}

fn frequency(text: &str) -> Option<i64> {
    match text.split_once('/') {
        None => millionths(text),
        Some((count, "d" | "day")) => millionths(count),
        Some((count, "w" | "week")) => millionths(count)?.checked_div(7),
        Some(_) => None,
    }
}

/// A decimal number that is not negative, in millionths; finer digits are cut.
fn millionths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    whole.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_in_the_unit_of_its_metric_and_its_limit_counts() {
        let parse =
            |metric, text| Target::parse(metric, text).map(|target| (target.at_least, target.limit()));
        assert_eq!(parse(Metric::ChangeLeadTime, "1d"), Ok((false, 86_400.0)));
        assert_eq!(parse(Metric::ChangeFailRate, "15%"), Ok((false, 0.15)));
        assert_eq!(parse(Metric::ChangeFailRate, "0.15"), Ok((false, 0.15)));
        assert_eq!(parse(Metric::DeploymentFrequency, "7/week"), Ok((true, 1.0)));
        assert!(parse(Metric::ChangeFailRate, "15").is_err());
        assert!(parse(Metric::ChangeLeadTime, "0.5").is_err());
        assert!(parse(Metric::DeploymentFrequency, "-1").is_err());
        let target = Target::parse(Metric::ChangeFailRate, "15%").unwrap();
        assert!(target.met(0.15) && !target.met(0.16));
    }
}
