//! What was asked for and got, by whom it was asked: mirrors, and what lost deliveries are healed with.

use super::exposition::{Exposition, Kind};
use crate::import::now;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts since the start, by the puller's name, as in `mirror:github.com/acme/checkout`. There are as many as the
/// configuration names.
#[derive(Debug, Default)]
pub struct Pulls(Mutex<BTreeMap<String, Pull>>);

#[derive(Debug, Default, Clone)]
struct Pull {
    records: u64,
    failures: u64,
    healed: u64,
    /// Unix seconds of the last success.
    last_success_s: Option<i64>,
}

impl Pulls {
    /// Counts a round: how many records it got, or that it failed.
    pub fn count(&self, puller: &str, got: Option<u64>) {
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pull = pulls.entry(puller.to_owned()).or_default();
        match got {
            Some(records) => {
                pull.records += records;
                pull.last_success_s = Some(now().seconds());
            }
            None => pull.failures += 1,
        }
    }

    /// Counts deliveries that had failed, and are told now.
    pub fn heal(&self, puller: &str, deliveries: u64) {
        let mut pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.entry(puller.to_owned()).or_default().healed += deliveries;
    }

    /// Adds its metrics.
    pub fn expose(&self, out: &mut Exposition) {
        let pulls = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let help =
            "Records that were asked for and got: commits of mirrors, what vendors tell of lost deliveries.";
        let mut metric = out.metric("streamgauge_pull_records_total", Kind::Counter, help);
        for (puller, pull) in &pulls {
            metric.sample(&[("puller", puller.as_str())], pull.records);
        }
        let help = "Rounds in which whoever was asked did not answer, or the records were not taken.";
        let mut metric = out.metric("streamgauge_pull_failures_total", Kind::Counter, help);
        for (puller, pull) in &pulls {
            metric.sample(&[("puller", puller.as_str())], pull.failures);
        }
        let help = "Deliveries that the vendor says had failed, and that are told now.";
        let mut metric = out.metric("streamgauge_pull_healed_deliveries_total", Kind::Counter, help);
        for (puller, pull) in &pulls {
            metric.sample(&[("puller", puller.as_str())], pull.healed);
        }
        let help = "When a round last succeeded, in Unix seconds.";
        let mut metric = out.metric("streamgauge_pull_last_success_seconds", Kind::Gauge, help);
        for (puller, pull) in &pulls {
            let Some(at) = pull.last_success_s.and_then(|at| u64::try_from(at).ok()) else { continue };
            metric.sample(&[("puller", puller.as_str())], at);
        }
    }
}
