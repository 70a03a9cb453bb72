//! Local checkpoints: copies of tasks' changelogs on the disk of this process, so that a restart reads the tail only.
//!
//! A copy says one thing of itself, its mark: every record of the changelog before that offset is in it. What else it
//! holds is not believed. The mark lies at or before the newest checkpoint, so that whoever restores from a copy
//! always reads that checkpoint from the changelog, and holds against it what copy and tail make together. A copy that
//! is old, damaged, of another changelog or put back from a backup is found by this, is discarded, and costs a restore
//! of everything.
//!
//! Copies are written beside the tasks, by one thread for the whole process: a task neither waits for the disk nor fails
//! with it. What is not written is read from the changelog.

use model::Timestamp;
use model::table::ChangelogEntry;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The key of a copy's mark. State has keys that begin with a table's number, from 1.
pub const MARK_KEY: &[u8] = &[0, b'm'];
/// How old a copy may be that something was written after. The broker keeps deletions for 24 h
/// (`delete.retention.ms`); after that a copy does not learn of them.
pub const MOST_AGE_S: i64 = 23 * 3_600;
/// How far a copy may lie in the future: further, and the clock was moved, so that its age is not known.
const MOST_AHEAD_S: i64 = 3_600;
/// Most bytes that wait to be written, without those of whole states, which lie in memory in any case.
const MOST_WAITING: usize = 64 << 20;
/// Entries that are written at once.
const CHUNK: usize = 20_000;
/// How long the last of it may take when the process ends.
const END_WITHIN: Duration = Duration::from_secs(10);
/// How often the standby looks whether it is to end while it waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How far a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Every record of the changelog before this offset is in the copy.
    pub offset: i64,
    /// A time at which no record from there on was written yet.
    pub at: Timestamp,
}

impl Mark {
    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }
    /// Reads what was stored; `None`: something else was.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
    /// Whether deletions may be lost that a copy has not seen: it is too old, or the clock was moved.
    pub fn is_old(&self, now: Timestamp) -> bool {
        let age_s = now.since(self.at).seconds();
        !(-MOST_AHEAD_S..=MOST_AGE_S).contains(&age_s)
    }
}

/// What a copy is to hold from now on.
#[derive(Debug, Clone)]
pub struct Delta {
    /// The mark's offset that it goes on from; `None`: it replaces the whole copy.
    pub from: Option<i64>,
    /// The changes of records from there up to the mark, the last of each key.
    pub changes: Vec<ChangelogEntry>,
    /// How far the copy goes then.
    pub mark: Mark,
}

impl Delta {
    fn bytes(&self) -> usize {
        let bytes = |entry: &ChangelogEntry| entry.key.len() + entry.value.as_ref().map_or(0, Vec::len) + 64;
        self.changes.iter().map(bytes).sum()
    }
}

/// The name of a task's copy.
pub fn name_of(changelog: &str, partition: u32) -> String {
    format!("{changelog}-{partition}")
}

/// The first byte of the keys that name the tasks which ran here.
const RAN_HERE: u8 = 1;

/// Where the tasks are named that ran here: no copy has this name.
fn ran_here(changelog: &str) -> String {
    format!("{changelog}-ran-here")
}

/// Why a copy is written no further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenUp {
    /// The disk is slower than the task.
    #[error("the disk is slower than the changelog: {MOST_WAITING} bytes wait to be written")]
    Behind,
    /// Writing failed.
    #[error("{0}")]
    Failed(String),
}

/// What a task does with its copy.
pub trait LocalCheckpoints: Sync {
    /// Hands out a copy's entries as of one moment, in the order of their keys, until `take` says false.
    ///
    /// # Errors
    /// When it cannot be read.
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String>;
    /// Has it written, beside the task. One that does not go on from where the copy is is passed over.
    ///
    /// # Errors
    /// [`GivenUp`]: the copy stays as it is. Neither the task nor what was written earlier is touched by it.
    fn write(&self, copy: &str, delta: Delta) -> Result<(), GivenUp>;
    /// These tasks of a changelog run here, and no others: their copies are theirs, and the standby leaves them alone.
    fn run_here(&self, changelog: &str, partitions: &[u32]);
    /// The tasks of a changelog that ran here last, as far as that is known.
    fn ran_here(&self, changelog: &str) -> Vec<u32>;
}

/// Where copies lie.
pub trait LocalStore: Send + Sync {
    /// As [`LocalCheckpoints::scan`].
    ///
    /// # Errors
    /// When it cannot be read.
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String>;
    /// Writes changes whole or not at all.
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&self, copy: &str, changes: Vec<ChangelogEntry>) -> Result<(), String>;
    /// Empties a copy.
    ///
    /// # Errors
    /// When it cannot be emptied.
    fn clear(&self, copy: &str) -> Result<(), String>;
}

/// Brings a copy further. `marks` are those of the copies that were written before. Says whether it went on from where the
/// copy was: else records between would be missing, and nothing is written.
///
/// # Errors
/// When the store refuses.
pub fn apply(
    store: &dyn LocalStore,
    marks: &mut BTreeMap<String, i64>,
    copy: &str,
    delta: Delta,
) -> Result<bool, String> {
    let mark = ChangelogEntry { key: MARK_KEY.to_vec(), value: Some(delta.mark.encode()) };
    let mut changes = delta.changes;
    match delta.from {
        Some(from) => {
            let at = match marks.get(copy) {
                Some(at) => Some(*at),
                None => mark_of(|take| store.scan(copy, take))?.map(|mark| mark.offset),
            };
            if at.is_none_or(|at| at < from) {
                return Ok(false);
            }
        }
        None => {
            marks.remove(copy);
            store.clear(copy)?;
            // Without a mark it is none yet.
            while changes.len() > CHUNK {
                let rest = changes.split_off(CHUNK);
                store.write(copy, std::mem::replace(&mut changes, rest))?;
            }
        }
    }
    changes.push(mark);
    store.write(copy, changes)?;
    marks.insert(copy.to_owned(), delta.mark.offset);
    Ok(true)
}

/// The mark of a copy; `None`: there is no copy. `scan` hands its entries out in the order of their keys.
///
/// # Errors
/// When it cannot be read.
pub fn mark_of(
    scan: impl FnOnce(&mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String>,
) -> Result<Option<Mark>, String> {
    let mut mark = None;
    scan(&mut |key, value| {
        if key == MARK_KEY {
            mark = Mark::decode(value);
        }
        key < MARK_KEY
    })?;
    Ok(mark)
}

/// Writes the copies of a process, on a thread of its own. Dropping it writes what still waits.
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    store: Arc<dyn LocalStore>,
    queue: Mutex<Queue>,
    /// Something came, or everything is done.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// By changelog, the copies of tasks that run here.
    own: BTreeMap<String, BTreeSet<String>>,
    /// Of the deltas that wait, without whole states.
    bytes: usize,
    /// Something is being written.
    busy: bool,
    /// Something of the standby waits or is being written.
    following: bool,
    failed: Option<String>,
    closed: bool,
}

struct Waiting {
    copy: String,
    delta: Delta,
    /// Of the standby.
    followed: bool,
}

impl Queue {
    fn owns(&self, copy: &str) -> bool {
        self.own.values().any(|copies| copies.contains(copy))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut marks = BTreeMap::new();
        let mut queue = self.lock();
        loop {
            let Some(Waiting { copy, delta, followed }) = queue.waiting.pop_front() else {
                queue.busy = false;
                self.changed.notify_all();
                if queue.closed {
                    return;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.busy = true;
            let bytes = if delta.from.is_some() { delta.bytes() } else { 0 };
            if followed && queue.owns(&copy) {
                queue.bytes = queue.bytes.saturating_sub(bytes);
                queue.following = false;
                self.changed.notify_all();
                continue;
            }
            drop(queue);
            let done = guarded(|| apply(&*self.store, &mut marks, &copy, delta));
            queue = self.lock();
            queue.bytes = queue.bytes.saturating_sub(bytes);
            if followed {
                queue.following = false;
                self.changed.notify_all();
            }
            match done {
                Ok(true) => {}
                Ok(false) => tracing::debug!(copy, "a local checkpoint has a hole, and stays as it is"),
                Err(reason) => {
                    tracing::error!(
                        copy,
                        reason,
                        "local checkpoints are written no further until the process is started again; the run goes \
                         on, and a restart reads more of the changelogs: is the disk full?"
                    );
                    (queue.failed, queue.bytes, queue.following) = (Some(reason), 0, false);
                    queue.waiting.clear();
                }
            }
        }
    }
}

/// A damaged store may panic where it should refuse.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the store panicked".to_owned()))
}

impl Keeper {
    /// Begins to write to a store.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn start(store: Arc<dyn LocalStore>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { store, queue: Mutex::default(), changed: Condvar::new() });
        let worker = shared.clone();
        let thread =
            std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || worker.work())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until everything is written, or failed. Says whether it came to that in time.
    pub fn settle(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut queue = self.shared.lock();
        while queue.busy || !queue.waiting.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Keeper {
    /// Whether a copy is that of a task that runs here.
    pub fn owns(&self, copy: &str) -> bool {
        self.shared.lock().owns(copy)
    }

    /// As [`LocalCheckpoints::write`], for the standby: it waits until what it gave before is written, or until `stop`;
    /// what belongs to a task that runs here is passed over.
    ///
    /// # Errors
    /// [`GivenUp::Failed`].
    pub fn follow(&self, copy: &str, delta: Delta, stop: &AtomicBool) -> Result<(), GivenUp> {
        let mut queue = self.shared.lock();
        while queue.following && !stop.load(Ordering::Relaxed) {
            let waited = self.shared.changed.wait_timeout(queue, LOOK_EVERY);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queue);
        self.put(copy, delta, true)
    }

    fn put(&self, copy: &str, delta: Delta, followed: bool) -> Result<(), GivenUp> {
        let bytes = if delta.from.is_some() { delta.bytes() } else { 0 };
        let mut queue = self.shared.lock();
        if let Some(reason) = &queue.failed {
            return Err(GivenUp::Failed(reason.clone()));
        }
        if !followed && bytes > 0 && queue.bytes + bytes > MOST_WAITING {
            return Err(GivenUp::Behind);
        }
        queue.bytes += bytes;
        queue.following |= followed;
        queue.waiting.push_back(Waiting { copy: copy.to_owned(), delta, followed });
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl LocalCheckpoints for Keeper {
    fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
        guarded(|| self.shared.store.scan(copy, take))
    }

    fn write(&self, copy: &str, delta: Delta) -> Result<(), GivenUp> {
        self.put(copy, delta, false)
    }

    fn run_here(&self, changelog: &str, partitions: &[u32]) {
        let copies: BTreeSet<_> = partitions.iter().map(|partition| name_of(changelog, *partition)).collect();
        let before = self.shared.lock().own.insert(changelog.to_owned(), copies.clone());
        if before.is_some_and(|before| before == copies) {
            return;
        }
        let key = |partition: &u32| [&[RAN_HERE], &partition.to_be_bytes()[..]].concat();
        let entry = |partition| ChangelogEntry { key: key(partition), value: Some(Vec::new()) };
        let mark = Mark { offset: 0, at: Timestamp::MIN };
        let delta = Delta { from: None, changes: partitions.iter().map(entry).collect(), mark };
        // Without it a restart is slower.
        let _ = self.put(&ran_here(changelog), delta, false);
    }

    fn ran_here(&self, changelog: &str) -> Vec<u32> {
        let mut partitions = Vec::new();
        let scanned = self.scan(&ran_here(changelog), &mut |key, _| {
            if let Some((&RAN_HERE, partition)) = key.split_first() {
                partitions.extend(<[u8; 4]>::try_from(partition).ok().map(u32::from_be_bytes));
            }
            true
        });
        if let Err(reason) = scanned {
            tracing::warn!(changelog, reason, "reading which tasks ran here");
        }
        partitions
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        // A disk that hangs does not hold the process up: its thread ends with it.
        if self.settle(END_WITHIN)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Copy = BTreeMap<Vec<u8>, Vec<u8>>;

    #[derive(Default)]
    struct InMemory {
        copies: Mutex<BTreeMap<String, Copy>>,
        refuses: Mutex<bool>,
        /// Writing waits for this.
        gate: Mutex<()>,
    }

    impl LocalStore for InMemory {
        fn scan(&self, copy: &str, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), String> {
            let entries = self.copies.lock().unwrap().get(copy).cloned().unwrap_or_default();
            let _ = entries.iter().all(|(key, value)| take(key, value));
            Ok(())
        }
        fn write(&self, copy: &str, changes: Vec<ChangelogEntry>) -> Result<(), String> {
            let _open = self.gate.lock().unwrap();
            if *self.refuses.lock().unwrap() {
                return Err("no space left on device".to_owned());
            }
            let mut copies = self.copies.lock().unwrap();
            let entries = copies.entry(copy.to_owned()).or_default();
            for ChangelogEntry { key, value } in changes {
                match value {
                    Some(value) => _ = entries.insert(key, value),
                    None => _ = entries.remove(&key),
                }
            }
            Ok(())
        }
        fn clear(&self, copy: &str) -> Result<(), String> {
            self.copies.lock().unwrap().remove(copy);
            Ok(())
        }
    }

    fn delta(from: Option<i64>, offset: i64, changes: &[(u8, Option<&str>)]) -> Delta {
        let entry = |(key, value): &(u8, Option<&str>)| ChangelogEntry {
            key: vec![1, *key],
            value: value.map(|value| value.as_bytes().to_vec()),
        };
        let at = Timestamp::from_micros(0);
        Delta { from, changes: changes.iter().map(entry).collect(), mark: Mark { offset, at } }
    }

    fn offset(keeper: &Keeper) -> Option<i64> {
        assert!(keeper.settle(Duration::from_secs(30)));
        mark_of(|take| keeper.scan("a", take)).unwrap().map(|mark| mark.offset)
    }

    #[test]
    fn a_copy_goes_on_from_where_it_is_and_a_hole_leaves_it_as_it_was() {
        let store = Arc::new(InMemory::default());
        let keeper = Keeper::start(store.clone()).unwrap();
        keeper.write("a", delta(Some(0), 5, &[(1, Some("x"))])).unwrap();
        assert_eq!(offset(&keeper), None, "there is nothing to go on from");
        keeper.write("a", delta(None, 5, &[(1, Some("x")), (2, Some("y"))])).unwrap();
        keeper.write("a", delta(Some(5), 9, &[(1, None), (3, Some("z"))])).unwrap();
        assert_eq!(offset(&keeper), Some(9));
        keeper.write("a", delta(Some(12), 15, &[(4, Some("after a hole"))])).unwrap();
        assert_eq!(offset(&keeper), Some(9));
        drop(keeper);
        // A new process reads the mark that is there.
        let keeper = Keeper::start(store).unwrap();
        keeper.write("a", delta(Some(9), 15, &[(4, Some("w"))])).unwrap();
        assert_eq!(offset(&keeper), Some(15));
        let mut keys = Vec::new();
        keeper
            .scan("a", &mut |key, _| {
                keys.push(key.to_vec());
                true
            })
            .unwrap();
        assert_eq!(keys, [MARK_KEY.to_vec(), vec![1, 2], vec![1, 3], vec![1, 4]]);
    }

    #[test]
    fn the_standby_never_writes_the_copy_of_a_task_that_runs_here() {
        let keeper = Keeper::start(Arc::new(InMemory::default())).unwrap();
        let copy = name_of("a", 1);
        let at = |keeper: &Keeper| {
            assert!(keeper.settle(Duration::from_secs(30)));
            mark_of(|take| keeper.scan(&copy, take)).unwrap().map(|mark| mark.offset)
        };
        keeper.follow(&copy, delta(None, 5, &[(1, Some("x"))]), &AtomicBool::new(false)).unwrap();
        assert_eq!(at(&keeper), Some(5));
        keeper.run_here("a", &[0, 1]);
        keeper.follow(&copy, delta(Some(5), 7, &[(1, Some("y"))]), &AtomicBool::new(false)).unwrap();
        assert_eq!(at(&keeper), Some(5));
        keeper.write(&copy, delta(Some(5), 9, &[(1, Some("z"))])).unwrap();
        assert_eq!(at(&keeper), Some(9));
        keeper.run_here("a", &[0]);
        keeper.follow(&copy, delta(Some(9), 12, &[(1, None)]), &AtomicBool::new(false)).unwrap();
        assert_eq!(at(&keeper), Some(12));
    }

    #[test]
    fn which_tasks_ran_here_is_known_to_the_next_process() {
        let store = Arc::new(InMemory::default());
        let keeper = Keeper::start(store.clone()).unwrap();
        assert_eq!(keeper.ran_here("a"), Vec::<u32>::new());
        for ran in [&[2, 0, 300][..], &[1], &[1]] {
            keeper.run_here("a", ran);
            assert!(keeper.settle(Duration::from_secs(30)));
        }
        keeper.run_here("a-1", &[7]);
        drop(keeper);
        let next = Keeper::start(store).unwrap();
        assert_eq!(
            (next.ran_here("a"), next.ran_here("a-1"), next.ran_here("b")),
            (vec![1], vec![7], vec![])
        );
    }

    #[test]
    fn a_store_that_refuses_is_written_no_further_and_what_it_held_stays() {
        let store = Arc::new(InMemory::default());
        let keeper = Keeper::start(store.clone()).unwrap();
        keeper.write("a", delta(None, 5, &[(1, Some("x"))])).unwrap();
        assert_eq!(offset(&keeper), Some(5));
        *store.refuses.lock().unwrap() = true;
        keeper.write("a", delta(Some(5), 9, &[(2, Some("y"))])).unwrap();
        assert_eq!(offset(&keeper), Some(5));
        *store.refuses.lock().unwrap() = false;
        let refused = keeper.write("a", delta(Some(9), 12, &[(3, Some("z"))]));
        assert_eq!(refused, Err(GivenUp::Failed("no space left on device".to_owned())));
        assert_eq!(offset(&keeper), Some(5));
    }

    #[test]
    fn a_disk_that_is_slower_than_a_task_holds_nothing_up() {
        let store = Arc::new(InMemory::default());
        let keeper = Keeper::start(store.clone()).unwrap();
        let shut = store.gate.lock().unwrap();
        let large = "x".repeat(MOST_WAITING / 3);
        keeper.write("a", delta(None, 5, &[(1, Some(&large))])).unwrap();
        keeper.write("a", delta(Some(5), 6, &[(1, Some(&large))])).unwrap();
        keeper.write("a", delta(Some(6), 7, &[(1, Some(&large))])).unwrap();
        assert_eq!(keeper.write("a", delta(Some(7), 8, &[(1, Some(&large))])), Err(GivenUp::Behind));
        drop(shut);
        assert_eq!(offset(&keeper), Some(7));
    }

    #[test]
    fn a_copy_is_old_an_hour_before_deletions_may_be_gone_or_when_the_clock_was_moved() {
        let mark = Mark { offset: 0, at: Timestamp::from_micros(0) };
        let old_after = |hours: i64| mark.is_old(Timestamp::from_micros(hours * 3_600_000_000));
        assert_eq!([0, 23, 24, -1, -2].map(old_after), [false, false, true, false, true]);
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        assert_eq!(Mark::decode(b""), None);
    }
}
