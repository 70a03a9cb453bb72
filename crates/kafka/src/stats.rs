//! What a stage counts about itself; written by its thread, read by whoever shows it.
//!
//! Everything is counted once for a batch, never for a record, so one lock that nobody contends for is enough.

use crate::lag::Heard;
use crate::local::GivenUp;
use crate::topics::Stage;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the buckets of transaction times, in seconds.
pub const TRANSACTION_BUCKETS_S: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of the buckets of how late events are, in seconds. History that is imported lies beyond them.
pub const DELAY_BUCKETS_S: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0];

/// How a stage stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    /// Its member waits for partitions, or restores.
    #[default]
    Starting,
    /// It works.
    Running,
    /// It cannot go on for this reason, which names what mends it; it tries again by itself.
    Failing(String),
    /// It was stopped.
    Stopped,
    /// Its thread ended though nobody stopped it.
    Dead,
}

/// How often something took how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// The buckets' upper bounds in seconds, ascending.
    pub bounds: &'static [f64],
    /// How many fell into each bucket; the last one has no bound.
    pub counts: Vec<u64>,
    /// All of it together, in seconds.
    pub sum: f64,
}

impl Histogram {
    /// Nothing yet.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }
    /// Counts one.
    pub fn observe(&mut self, seconds: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += seconds;
    }
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
    /// Adds what another one with the same bounds counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

/// How late events were when ClickHouse acknowledged them.
#[derive(Debug, Clone, PartialEq)]
pub struct Delays {
    /// Since they happened.
    pub occurred: Histogram,
    /// Since they reached us.
    pub observed: Histogram,
}

impl Default for Delays {
    fn default() -> Self {
        Self { occurred: Histogram::new(DELAY_BUCKETS_S), observed: Histogram::new(DELAY_BUCKETS_S) }
    }
}

/// Records written, by the kind of topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// To `events`.
    pub events: u64,
    /// To `messages`.
    pub messages: u64,
    /// To `facts`.
    pub facts: u64,
    /// To `contributions`.
    pub contributions: u64,
    /// To `metrics`.
    pub metrics: u64,
    /// To the stage's changelog.
    pub changelog: u64,
    /// To `dlq`.
    pub dead_letters: u64,
}

impl Written {
    /// Each kind by its name.
    pub fn by_kind(&self) -> [(&'static str, u64); 7] {
        [
            ("events", self.events),
            ("messages", self.messages),
            ("facts", self.facts),
            ("contributions", self.contributions),
            ("metrics", self.metrics),
            ("changelog", self.changelog),
            ("dlq", self.dead_letters),
        ]
    }
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.messages += other.messages;
        self.facts += other.facts;
        self.contributions += other.contributions;
        self.metrics += other.metrics;
        self.changelog += other.changelog;
        self.dead_letters += other.dead_letters;
    }
    fn total(&self) -> u64 {
        self.by_kind().iter().map(|(_, records)| records).sum()
    }
}

/// What one load did, once it was acknowledged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Inserts acknowledged.
    pub inserts: u64,
    /// Attempts that failed and were repeated.
    pub retries: u64,
    /// How late its events were.
    pub delays: Delays,
}

/// What a task's state holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskState {
    /// Entries.
    pub entries: u64,
    /// Bytes of their keys and values as the changelog has them.
    pub bytes: u64,
    /// Ranges of rows that are to be written anew.
    pub owed: u64,
}

/// The counters as they are at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Records read.
    pub records_in: u64,
    /// Records written; of `load`: rows.
    pub records_out: u64,
    /// Records written, by the kind of topic.
    pub written: Written,
    /// Records rejected.
    pub dead_letters: u64,
    /// What became of records, by outcome and reason, as in `dropped:ping`.
    pub outcomes: BTreeMap<String, u64>,
    /// Transactions (of `load`: batches) that were committed.
    pub transactions: u64,
    /// How long they took.
    pub transaction_seconds: Histogram,
    /// Transactions that failed.
    pub failures: u64,
    /// How often the stage was started again.
    pub restarts: u64,
    /// What `load` did.
    pub loaded: Loaded,
    /// Tasks (of `ingest` and `load`: partitions) that are to be held.
    pub tasks: u64,
    /// Those of them that are restored.
    pub tasks_restored: u64,
    /// Changelog records read by restores.
    pub restored_records: u64,
    /// Time in which tasks of this stage were restored, from their assignment until it had all of them.
    pub restore_time: Duration,
    /// How many of them were made from a local copy and the changelog's tail.
    pub restored_from_copy: u64,
    /// How many were made from the whole changelog.
    pub restored_from_changelog: u64,
    /// Local copies that were discarded, by why.
    pub discarded: BTreeMap<&'static str, u64>,
    /// Local copies that are written no further.
    pub given_up: u64,
    /// For how long the restore that is under way has taken; zero: none is.
    pub restoring_for: Duration,
    /// What the tasks' state holds.
    pub state: TaskState,
    /// The offset of the newest catalog; `None`: the stage follows none.
    pub catalog: Option<i64>,
    /// Records that wait in the member's partitions; −1: not known yet.
    pub lag: i64,
    /// The same by topic and partition; `None`: not known yet.
    pub partition_lag: BTreeMap<(String, i32), Option<i64>>,
    /// What keeps the member from reading, as last heard.
    pub trouble: Option<String>,
    /// The last failure, until something is committed again.
    pub unrecovered: Option<String>,
    /// For how long nothing was committed though something may wait.
    pub stands_for: Duration,
    /// How the stage stands.
    pub status: Status,
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
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    counted: Snapshot,
    states: BTreeMap<u32, TaskState>,
    heard: Option<Heard>,
    waiting: bool,
    /// Records that were read and are not done.
    gathered: u64,
    troubles: BTreeMap<Trouble, String>,
    /// When something was committed last, or nothing waited.
    progressed: Instant,
    restoring_since: Option<Instant>,
}

impl StageStats {
    /// All zero.
    pub fn new(stage: Stage) -> Self {
        let counted = Snapshot {
            records_in: 0,
            records_out: 0,
            written: Written::default(),
            dead_letters: 0,
            outcomes: BTreeMap::new(),
            transactions: 0,
            transaction_seconds: Histogram::new(TRANSACTION_BUCKETS_S),
            failures: 0,
            restarts: 0,
            loaded: Loaded::default(),
            tasks: 0,
            tasks_restored: 0,
            restored_records: 0,
            restore_time: Duration::ZERO,
            restored_from_copy: 0,
            restored_from_changelog: 0,
            discarded: BTreeMap::new(),
            given_up: 0,
            restoring_for: Duration::ZERO,
            state: TaskState::default(),
            catalog: None,
            lag: -1,
            partition_lag: BTreeMap::new(),
            trouble: None,
            unrecovered: None,
            stands_for: Duration::ZERO,
            status: Status::Starting,
        };
        let inner = Inner {
            counted,
            states: BTreeMap::new(),
            heard: None,
            waiting: false,
            gathered: 0,
            troubles: BTreeMap::new(),
            progressed: Instant::now(),
            restoring_since: None,
        };
        Self { stage, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a committed transaction: how many records became what, what was written, how long it took.
    pub fn committed<'a>(
        &self,
        outcomes: impl IntoIterator<Item = (&'a str, &'a str, u64)>,
        written: &Written,
        took: Duration,
    ) {
        let mut inner = self.lock();
        let counted = &mut inner.counted;
        for (outcome, reason, records) in outcomes.into_iter().filter(|(_, _, records)| *records > 0) {
            let name = if reason.is_empty() { outcome.to_owned() } else { format!("{outcome}:{reason}") };
            *counted.outcomes.entry(name).or_default() += records;
            counted.records_in += records;
        }
        counted.written.add(written);
        counted.records_out += written.total();
        counted.dead_letters += written.dead_letters;
        counted.transactions += 1;
        counted.transaction_seconds.observe(took.as_secs_f64());
        inner.troubles.remove(&Trouble::Transactions);
        inner.progress();
    }
    /// Counts what an acknowledged load did.
    pub fn loaded(&self, loaded: &Loaded) {
        let mut inner = self.lock();
        let all = &mut inner.counted.loaded;
        for (table, rows) in &loaded.rows {
            *all.rows.entry(table).or_default() += rows;
        }
        all.inserts += loaded.inserts;
        all.retries += loaded.retries;
        all.delays.occurred.add(&loaded.delays.occurred);
        all.delays.observed.add(&loaded.delays.observed);
        inner.counted.records_out += loaded.rows.values().sum::<u64>();
    }
    /// Counts a failed transaction.
    pub fn failed(&self) {
        self.lock().counted.failures += 1;
    }
    /// Counts a stage that failed and is started again.
    pub fn restarted(&self) {
        self.lock().counted.restarts += 1;
    }
    /// Counts records of a changelog while they are read.
    pub fn restoring(&self, records: u64) {
        self.lock().counted.restored_records += records;
    }
    /// Counts a restore that came to its end: from a local copy, or from everything.
    pub fn restored(&self, from_copy: bool) {
        let counted = &mut self.lock().counted;
        let restores =
            if from_copy { &mut counted.restored_from_copy } else { &mut counted.restored_from_changelog };
        *restores += 1;
    }
    /// Counts a local copy that was discarded.
    pub fn discarded(&self, reason: &'static str) {
        *self.lock().counted.discarded.entry(reason).or_default() += 1;
    }
    /// Counts a local copy that is written no further, and says so.
    pub fn given_up(&self, task: &str, why: &GivenUp) {
        self.lock().counted.given_up += 1;
        let stage = self.stage;
        tracing::warn!(%stage, task, reason = %why, "the local checkpoint is written no further; the task goes on");
    }
    /// Notes what a task's state holds.
    pub fn holds_state(&self, task: u32, state: TaskState) {
        self.lock().states.insert(task, state);
    }
    /// Notes how many tasks are to be held; none of them is restored yet.
    pub fn assigned(&self, tasks: usize) {
        let mut inner = self.lock();
        inner.counted.tasks = tasks as u64;
        inner.counted.tasks_restored = 0;
        inner.states.clear();
        inner.restoring_since = Some(Instant::now());
    }
    /// Notes how many tasks are held and restored, and whether records were read that are not committed yet.
    pub fn holds(&self, tasks: usize, waiting: bool) {
        let mut inner = self.lock();
        inner.waiting = waiting;
        inner.counted.tasks_restored = tasks as u64;
        if inner.counted.tasks_restored >= inner.counted.tasks {
            // Tasks are restored side by side: their own times add up to more.
            let took = inner.restoring_since.take().filter(|_| tasks > 0);
            inner.counted.restore_time += took.map_or(Duration::ZERO, |since| since.elapsed());
        } else {
            inner.restoring_since.get_or_insert_with(Instant::now);
        }
    }
    /// Notes how many records were read and are not done.
    pub fn gathered(&self, records: u64) {
        self.lock().gathered = records;
    }
    /// Notes what the stage's catalog is.
    pub fn follows(&self, catalog: i64) {
        self.lock().counted.catalog = Some(catalog);
    }
    /// Notes what the member's client said of its partitions; `None`: nothing that still holds.
    pub fn heard(&self, heard: Option<Heard>) {
        let mut inner = self.lock();
        let nothing_waits = !inner.waiting && heard.as_ref().and_then(Heard::lag) == Some(0);
        inner.heard = heard;
        if nothing_waits && inner.counted.status == Status::Running {
            inner.progress();
        }
    }
    /// Notes what keeps the stage from going on, or that it no longer does.
    pub fn trouble(&self, kind: Trouble, reason: Option<String>) {
        let mut inner = self.lock();
        match reason {
            Some(reason) => _ = inner.troubles.insert(kind, reason),
            None => _ = inner.troubles.remove(&kind),
        }
    }
    /// Notes how the stage stands.
    pub fn set_status(&self, status: Status) {
        let mut inner = self.lock();
        match &status {
            Status::Running if inner.counted.status != Status::Running => inner.progressed = Instant::now(),
            Status::Failing(reason) => {
                inner.counted.unrecovered = Some(reason.clone());
            }
            _ => {}
        }
        if status != Status::Running && status != Status::Starting {
            inner.forget();
        }
        inner.counted.status = status;
    }

    /// All of it.
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.lock();
        let mut snapshot = inner.counted.clone();
        // What keeps it from going on comes first.
        if let (Status::Starting | Status::Running, Some(reason)) =
            (&snapshot.status, inner.troubles.values().next())
        {
            snapshot.status = Status::Failing(reason.clone());
        }
        for state in inner.states.values() {
            snapshot.state.entries += state.entries;
            snapshot.state.bytes += state.bytes;
            snapshot.state.owed += state.owed;
        }
        if let Some(heard) = &inner.heard {
            let gathered = i64::try_from(inner.gathered).unwrap_or(i64::MAX);
            snapshot.lag = heard.lag().map_or(-1, |lag| lag.saturating_add(gathered));
            snapshot.partition_lag = heard.partitions.clone();
            snapshot.trouble = heard.trouble.clone();
        }
        snapshot.restoring_for = inner.restoring_since.map_or(Duration::ZERO, |since| since.elapsed());
        snapshot.stands_for = inner.progressed.elapsed();
        snapshot
    }
}

impl Inner {
    fn progress(&mut self) {
        self.progressed = Instant::now();
        self.counted.unrecovered = None;
    }
    /// What a stage that does not run holds: nothing.
    fn forget(&mut self) {
        (self.counted.tasks, self.counted.tasks_restored) = (0, 0);
        self.states.clear();
        self.heard = None;
        self.restoring_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let mut histogram = Histogram::new(&[0.1, 1.0]);
        [0.1, 0.2, 7.0].into_iter().for_each(|seconds| histogram.observe(seconds));
        assert_eq!(histogram.counts, [1, 1, 1]);
        assert_eq!((histogram.count(), histogram.sum), (3, 7.3));
    }

    #[test]
    fn a_failure_is_over_when_something_is_committed_and_not_when_the_stage_merely_runs_again() {
        let stats = StageStats::new(Stage::Load);
        stats.set_status(Status::Failing("no answer".to_owned()));
        stats.restarted();
        stats.set_status(Status::Running);
        assert_eq!(stats.snapshot().unrecovered.as_deref(), Some("no answer"));
        stats.committed([("emitted", "", 2), ("dropped", "ping", 1)], &Written::default(), Duration::ZERO);
        let counted = stats.snapshot();
        assert_eq!((counted.unrecovered, counted.restarts, counted.records_in), (None, 1, 3));
        assert_eq!(counted.outcomes.get("dropped:ping"), Some(&1));
    }
}
