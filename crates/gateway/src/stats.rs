//! What the gateway counts about itself.

use crate::answer::Outcome;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of how long the log took, in seconds.
pub const LOG_BUCKETS_S: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The counters of one hook.
#[derive(Debug, Default)]
pub struct HookStats {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    bytes: AtomicU64,
}

impl HookStats {
    /// Counts a delivery.
    pub fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// Counts bytes of a body.
    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    /// How many deliveries ended how.
    pub fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.outcomes.iter().map(|counter| counter.load(Ordering::Relaxed)))
    }
    /// Bytes of bodies, as sent.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// All counters.
#[derive(Debug, Default)]
pub struct Stats {
    /// By hook; CloudEvents under `events`.
    pub hooks: BTreeMap<String, Arc<HookStats>>,
    /// Requests that no hook answered, by their status.
    pub others: AtomicU64,
    /// Connections that are open.
    pub connections: AtomicUsize,
    /// Connections that were closed at once: there were too many.
    pub refused: AtomicU64,
    log: [AtomicU64; LOG_BUCKETS_S.len() + 1],
    log_micros: AtomicU64,
}

impl Stats {
    /// Counters of these hooks.
    pub fn new(hooks: impl Iterator<Item = String>) -> Self {
        Self { hooks: hooks.map(|name| (name, Arc::default())).collect(), ..Self::default() }
    }

    /// Counts how long the log took to acknowledge.
    pub fn logged(&self, took: Duration) {
        let bucket = LOG_BUCKETS_S.partition_point(|bound| *bound < took.as_secs_f64());
        if let Some(counter) = self.log.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.log_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How long the log took: how many fell into each bucket, and all of it together in seconds.
    pub fn log(&self) -> (Vec<u64>, f64) {
        let counts = self.log.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
        (counts, self.log_micros.load(Ordering::Relaxed) as f64 / 1e6)
    }
}
