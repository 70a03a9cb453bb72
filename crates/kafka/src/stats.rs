//! What a stage counts about itself; written by its thread, read by whoever shows it.

use crate::topics::Stage;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets of transaction times, in milliseconds.
pub const TRANSACTION_BUCKETS_MS: [u64; 10] = [5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];

/// How a stage stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Its member waits for partitions, or restores.
    Starting,
    /// It works.
    Running,
    /// It cannot go on for this reason, which names what mends it; it tries again by itself.
    Failing(String),
    /// It was stopped.
    Stopped,
}

/// What keeps a stage from going on although it has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// No broker can be talked to.
    Brokers,
    /// Transactions fail, and are tried again.
    Transactions,
}

/// The counters of one stage.
#[derive(Debug)]
pub struct StageStats {
    /// Whose they are.
    pub stage: Stage,
    records_in: AtomicU64,
    records_out: AtomicU64,
    dead_letters: AtomicU64,
    transactions: AtomicU64,
    failures: AtomicU64,
    transaction_us: AtomicU64,
    buckets: [AtomicU64; TRANSACTION_BUCKETS_MS.len() + 1],
    restored_records: AtomicU64,
    restore_us: AtomicU64,
    lag: AtomicI64,
    tasks: AtomicU64,
    outcomes: Mutex<BTreeMap<String, u64>>,
    entries: Mutex<BTreeMap<u32, u64>>,
    status: Mutex<Status>,
    troubles: Mutex<BTreeMap<Trouble, String>>,
}

/// The counters as they are at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Records rejected.
    pub dead_letters: u64,
    /// Transactions (of `load`: batches) that were committed.
    pub transactions: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Microseconds spent in transactions.
    pub transaction_us: u64,
    /// How many took at most each of [`TRANSACTION_BUCKETS_MS`], and longer.
    pub buckets: Vec<u64>,
    /// Changelog records read by restores.
    pub restored_records: u64,
    /// Microseconds spent in restores.
    pub restore_us: u64,
    /// Records that wait in the member's partitions; −1: not known yet.
    pub lag: i64,
    /// Tasks held.
    pub tasks: u64,
    /// What became of records, by outcome and reason, as in `dropped:ping`.
    pub outcomes: BTreeMap<String, u64>,
    /// Entries of the tasks' state.
    pub entries: u64,
    /// How the stage stands.
    pub status: Status,
}

impl StageStats {
    /// All zero.
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            records_in: AtomicU64::new(0),
            records_out: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            transaction_us: AtomicU64::new(0),
            buckets: Default::default(),
            restored_records: AtomicU64::new(0),
            restore_us: AtomicU64::new(0),
            lag: AtomicI64::new(-1),
            tasks: AtomicU64::new(0),
            outcomes: Mutex::default(),
            entries: Mutex::default(),
            status: Mutex::new(Status::Starting),
            troubles: Mutex::default(),
        }
    }

    /// Counts records read, written and rejected.
    pub fn worked(&self, read: u64, written: u64, dead_letters: u64) {
        self.records_in.fetch_add(read, Ordering::Relaxed);
        self.records_out.fetch_add(written, Ordering::Relaxed);
        self.dead_letters.fetch_add(dead_letters, Ordering::Relaxed);
    }
    /// Counts what became of a record.
    pub fn outcome(&self, outcome: &str, reason: &str, count: u64) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if reason.is_empty() { outcome.to_owned() } else { format!("{outcome}:{reason}") };
        *outcomes.entry(name).or_default() += count;
    }
    /// Counts a committed transaction.
    pub fn committed(&self, took: Duration) {
        self.trouble(Trouble::Transactions, None);
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.transaction_us.fetch_add(micros(took), Ordering::Relaxed);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let bucket = TRANSACTION_BUCKETS_MS.iter().position(|bound| ms <= *bound);
        if let Some(bucket) = self.buckets.get(bucket.unwrap_or(TRANSACTION_BUCKETS_MS.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// Counts a failed transaction.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
    /// Counts a restore.
    pub fn restored(&self, records: u64, took: Duration) {
        self.restored_records.fetch_add(records, Ordering::Relaxed);
        self.restore_us.fetch_add(micros(took), Ordering::Relaxed);
    }
    /// Notes how many entries a task's state has.
    pub fn entries(&self, task: u32, entries: u64) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(task, entries);
    }
    /// Notes how many tasks there are, and how many records wait for them.
    pub fn holds(&self, tasks: usize, lag: Option<i64>) {
        self.tasks.store(tasks as u64, Ordering::Relaxed);
        if tasks == 0 {
            self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.lag.store(lag.unwrap_or(-1), Ordering::Relaxed);
    }
    /// Notes what keeps the stage from going on, or that it no longer does.
    pub fn trouble(&self, kind: Trouble, reason: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => _ = troubles.insert(kind, reason),
            None => _ = troubles.remove(&kind),
        }
    }
    /// How the stage stands: what keeps it from going on comes first.
    fn status(&self) -> Status {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match (status, troubles.values().next()) {
            (Status::Starting | Status::Running, Some(reason)) => Status::Failing(reason.clone()),
            (status, _) => status,
        }
    }
    /// Notes how the stage stands.
    pub fn set_status(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// All of it.
    pub fn snapshot(&self) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            records_in: load(&self.records_in),
            records_out: load(&self.records_out),
            dead_letters: load(&self.dead_letters),
            transactions: load(&self.transactions),
            failures: load(&self.failures),
            transaction_us: load(&self.transaction_us),
            buckets: self.buckets.iter().map(load).collect(),
            restored_records: load(&self.restored_records),
            restore_us: load(&self.restore_us),
            lag: self.lag.load(Ordering::Relaxed),
            tasks: load(&self.tasks),
            outcomes: self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            entries: self.entries.lock().unwrap_or_else(PoisonError::into_inner).values().sum(),
            status: self.status(),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
