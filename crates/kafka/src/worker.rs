//! The thread of a stage with state: it reads, gathers batches by task, and has those that are due committed side by
//! side.
//!
//! No transaction is ever open while the member polls, and callbacks run inside `poll`: so a partition that is
//! taken away has nothing half done, and what waited for its transaction is read by its next owner.

use crate::catalog::{Follower, Revision};
use crate::error::Error;
use crate::local::Keeper;
use crate::member::Moved;
use crate::out::header;
use crate::outside::{Brokers, Catalogs, GroupMember, Outside};
use crate::remedy::remedied;
use crate::restore::Ahead;
use crate::session::Position;
use crate::stage::{Logic, is_final, task_name};
use crate::stats::{StageStats, Status, Trouble};
use crate::task::{self, Context, Taken, Task};
use crate::trace::{self, TraceContext};
use rdkafka::message::{Headers, Message};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest wait for a record.
const POLL: Duration = Duration::from_millis(50);
/// Records between two looks at the clock.
const LOOK_EVERY: u32 = 64;

/// Works until it is told to stop.
///
/// # Errors
/// Why the stage cannot go on; it may be started again.
pub fn run<L: Logic>(
    context: &Context,
    local: Option<Arc<Keeper>>,
    catalog: &Follower,
    stats: &Arc<StageStats>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let outside = Brokers::new(&context.settings, stats).keeping(local);
    let mut worker = Worker::<L, _, _>::join(context.clone(), outside, catalog)?;
    while !stop.load(Ordering::Relaxed) {
        worker.step()?;
    }
    worker.finish()
}

/// Tasks whose transactions failed, and why.
type Failed = Vec<(u32, Error)>;

/// A member of a stage's group with its tasks.
pub struct Worker<L: Logic, O: Outside, C> {
    context: Context,
    outside: O,
    catalog: C,
    stats: Arc<StageStats>,
    member: O::Member,
    inputs: Vec<String>,
    /// The tasks of this member's partitions.
    tasks: BTreeMap<u32, Task<L, O>>,
    /// Tasks whose partitions went: they may come back.
    idle: BTreeMap<u32, Task<L, O>>,
    /// States of tasks that may become this member's.
    ahead: BTreeMap<u32, Ahead<L>>,
}

impl<L: Logic, O: Outside, C: Catalogs> Worker<L, O, C> {
    /// Joins the group, and meanwhile makes the states of the tasks that ran here last, of their local copies.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn join(context: Context, outside: O, catalog: C) -> Result<Self, Error> {
        let inputs = L::inputs(&context.settings.topics);
        let first = inputs.first().map(String::as_str).unwrap_or_default();
        let member = outside.member(&[first])?;
        let (stats, tasks, idle) = (context.stats.clone(), BTreeMap::new(), BTreeMap::new());
        let ahead = BTreeMap::new();
        let mut worker = Self { context, outside, catalog, stats, member, inputs, tasks, idle, ahead };
        worker.restore_ahead();
        Ok(worker)
    }

    fn restore_ahead(&mut self) {
        let Some(local) = self.outside.local() else { return };
        let last = local.ran_here(L::changelog(&self.context.settings.topics));
        let (context, outside, newest) = (&self.context, &self.outside, self.catalog.newest());
        let make = |partition, ()| task::ahead::<L, _>(context, outside, partition, &newest);
        for some in last.chunks(outside.side_by_side().max(1)) {
            let some = some.iter().map(|partition| (*partition, ())).collect();
            let made = side_by_side::<L, _, _>(some, "it died while a task was restored ahead", make);
            let made = made.into_iter().filter_map(|(partition, made)| Some((partition, made.ok()??)));
            self.ahead.extend(made);
        }
    }

    /// Takes what comes, follows the group, and commits what is due.
    ///
    /// # Errors
    /// Why the stage cannot go on; it may be started again.
    pub fn step(&mut self) -> Result<(), Error> {
        self.gather()?;
        // The group moves partitions while it is polled: what has gone is not worked on.
        self.follow()?;
        self.work()?;
        self.stats.trouble(Trouble::Brokers, self.member.trouble());
        Ok(())
    }

    /// Does what the group asks for.
    fn follow(&mut self) -> Result<(), Error> {
        while let Some(moved) = self.member.moved() {
            match moved {
                Moved::Assigned(partitions) => {
                    tracing::info!(stage = %L::STAGE, partitions = partitions.len(), "assigned");
                    self.stats.assigned(partitions.len());
                    self.open_all(&partitions)?;
                    // What did not come back is somebody else's now.
                    self.idle.clear();
                    self.read_on()?;
                }
                Moved::Revoked | Moved::Lost => {
                    self.give_up();
                }
            }
        }
        Ok(())
    }

    /// Lets every task go; those that come back may go on.
    fn give_up(&mut self) {
        self.idle.append(&mut self.tasks);
        self.stats.assigned(0);
        self.stats.set_status(Status::Starting);
    }

    /// Opens the tasks of all partitions that the member has now.
    fn open_all(&mut self, partitions: &[(String, i32)]) -> Result<(), Error> {
        let wanted = partitions.iter().filter_map(|(_, partition)| u32::try_from(*partition).ok());
        let wanted: Vec<u32> = wanted.collect();
        if let Some(local) = self.outside.local() {
            local.run_here(L::changelog(&self.context.settings.topics), &wanted);
        }
        self.ahead.retain(|partition, _| wanted.contains(partition));
        self.open(wanted)
    }

    /// Opens tasks side by side: most of it is waiting for the brokers.
    fn open(&mut self, partitions: impl IntoIterator<Item = u32>) -> Result<(), Error> {
        let mut wanted = partitions.into_iter().peekable();
        let newest = self.catalog.newest();
        while wanted.peek().is_some() {
            let some: Vec<u32> = wanted.by_ref().take(self.outside.side_by_side().max(1)).collect();
            let (context, outside, member) = (&self.context, &self.outside, &self.member);
            let (idle, ahead) = (&mut self.idle, &mut self.ahead);
            let had = |partition| {
                (partition, Had { idle: idle.remove(&partition), ahead: ahead.remove(&partition) })
            };
            let had = some.into_iter().map(had).collect();
            let open = |partition, had| open::<L, O>(context, outside, member, &newest, partition, had);
            for (partition, task) in side_by_side::<L, _, _>(had, "it died while a task was opened", open) {
                self.tasks.insert(partition, task??);
            }
            self.stats.holds(self.tasks.len(), false);
        }
        Ok(())
    }

    /// Reads every task's inputs from where each stands.
    fn read_on(&mut self) -> Result<(), Error> {
        let positions: Vec<Position> =
            self.tasks.values().flat_map(|task| task.positions(&self.inputs)).collect();
        self.member.assign(&positions)?;
        self.stats.holds(self.tasks.len(), false);
        self.stats.set_status(Status::Running);
        Ok(())
    }

    /// Takes records until a task's batch is due.
    fn gather(&mut self) -> Result<(), Error> {
        let now = self.outside.instant();
        let mut wait = self.next_due().map_or(POLL, |due| due.saturating_duration_since(now).min(POLL));
        if self.tasks.values().any(|task| task.goes_on(now)) {
            wait = Duration::ZERO;
        }
        for _ in 0..LOOK_EVERY {
            let Some(message) = self.member.poll(wait)? else { break };
            wait = Duration::ZERO;
            let Some(input) = self.inputs.iter().position(|topic| topic == message.topic()) else { continue };
            let task = u32::try_from(message.partition()).ok().and_then(|at| self.tasks.get_mut(&at));
            let Some(task) = task else { continue };
            let (catalog, trace) = headers(&message, self.context.tracing.is_some());
            let value = message.payload().unwrap_or_default();
            let (topic, offset) = (message.topic(), message.offset());
            self.context.wire.prepare(value).map_err(Error::Refused)?;
            task.take(
                &self.context.wire,
                &self.outside,
                input,
                Taken { topic, offset, value, catalog, trace },
            );
        }
        Ok(())
    }

    fn next_due(&self) -> Option<Instant> {
        self.tasks.values().filter_map(|task| task.due(&self.context.settings)).min()
    }

    /// Commits the batches that are due, and corrections that are owed.
    fn work(&mut self) -> Result<(), Error> {
        let now = self.outside.instant();
        let due = |task: &Task<L, O>| task.due(&self.context.settings).is_some_and(|due| due <= now);
        if self.tasks.values().any(due) {
            // All that wait, not only those that are due: they wait for brokers at the same time, and stay in step.
            self.transact_waiting()?;
        }
        let (at, newest) = (self.outside.now(), self.catalog.offset());
        let owing: Vec<u32> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.owes(now, at) || task.is_behind(newest))
            .map(|(partition, _)| *partition)
            .collect();
        self.transact(&owing, false)?;
        self.stats.holds(self.tasks.len(), self.next_due().is_some());
        self.stats.follows(self.catalog.offset());
        Ok(())
    }

    /// A transaction of each task with records that wait.
    fn transact_waiting(&mut self) -> Result<(), Error> {
        let waits = |task: &Task<L, O>| task.due(&self.context.settings).is_some();
        let waiting: Vec<u32> =
            self.tasks.iter().filter(|(_, task)| waits(task)).map(|(partition, _)| *partition).collect();
        self.transact(&waiting, true)
    }

    /// A transaction of each of these tasks, of its records or of corrections. A task whose transaction failed is
    /// restored from its changelog.
    fn transact(&mut self, partitions: &[u32], records: bool) -> Result<(), Error> {
        for some in partitions.chunks(self.outside.side_by_side().max(1)) {
            let failed = self.attempt(some, records)?;
            if let Some(at) = failed.iter().position(|(_, error)| is_final(error)) {
                return failed.into_iter().nth(at).map_or(Ok(()), |(_, error)| Err(error));
            }
            if !failed.is_empty() {
                self.restore(&failed)?;
            }
        }
        Ok(())
    }

    /// A transaction of each of these tasks, side by side; says which failed. All have ended when this returns.
    fn attempt(&mut self, partitions: &[u32], records: bool) -> Result<Failed, Error> {
        let mut tasks = Vec::with_capacity(partitions.len());
        for (partition, task) in self.tasks.iter_mut().filter(|(partition, _)| partitions.contains(partition))
        {
            tasks.push((*partition, (self.catalog.at_least(task.needs_catalog())?, task)));
        }
        let (context, outside, member) = (&self.context, &self.outside, &self.member);
        let work = |_, (newest, task): (Revision, &mut Task<L, O>)| {
            let group = || member.group();
            if records {
                task.work(context, outside, &newest, group)
            } else {
                task.punctuate(context, outside, &newest, group)
            }
        };
        let mut failed = Vec::new();
        for (partition, done) in side_by_side::<L, _, _>(tasks, "it died in a transaction", work) {
            failed.extend(done?.err().map(|error| (partition, error)));
        }
        Ok(failed)
    }

    /// Drops the tasks whose transactions failed, and opens them again unless the group moved partitions meanwhile.
    fn restore(&mut self, failed: &[(u32, Error)]) -> Result<(), Error> {
        for (partition, error) in failed {
            tracing::warn!(stage = %L::STAGE, partition, %error, "the task is restored from its changelog");
            self.stats.trouble(Trouble::Transactions, Some(remedied(error.whole())));
            // None of them may come back as one that only lost its partition: what it holds was not committed.
            self.tasks.remove(partition);
        }
        self.stats.holds(self.tasks.len(), false);
        // What the group did meanwhile comes first: the partitions may be somebody else's.
        self.outside.sleep(Duration::from_millis(200));
        if self.member.poll(Duration::ZERO)?.is_some() {
            tracing::debug!(stage = %L::STAGE, "a record is read again");
        }
        if let Some(moved) = self.member.moved() {
            return self.moved_meanwhile(moved);
        }
        self.open(failed.iter().map(|(partition, _)| *partition))?;
        self.read_on()
    }

    /// A move that came while a task was being dropped: it holds for all tasks.
    fn moved_meanwhile(&mut self, moved: Moved) -> Result<(), Error> {
        if let Moved::Assigned(partitions) = moved {
            self.tasks.clear();
            self.stats.assigned(partitions.len());
            self.open_all(&partitions)?;
            return self.read_on();
        }
        self.give_up();
        Ok(())
    }

    /// Commits what waits, before the member leaves.
    ///
    /// # Errors
    /// What was not committed is read again.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.transact_waiting()
    }
}

/// Does the same for each of these tasks, each on a thread where there are several; says what came of each, in their
/// order. All have ended when it returns.
fn side_by_side<L: Logic, T: Send, R: Send>(
    tasks: Vec<(u32, T)>,
    died: &str,
    run: impl Fn(u32, T) -> R + Sync,
) -> Vec<(u32, Result<R, Error>)> {
    if tasks.len() == 1 {
        return tasks.into_iter().map(|(partition, task)| (partition, Ok(run(partition, task)))).collect();
    }
    let run = &run;
    std::thread::scope(|scope| {
        let begin = |(partition, task)| {
            let thread = std::thread::Builder::new().name(task_name(L::STAGE, partition));
            let begun = thread.spawn_scoped(scope, move || run(partition, task));
            (partition, begun.map_err(|error| no_thread::<L>(&error.to_string())))
        };
        let begun: Vec<_> = tasks.into_iter().map(begin).collect();
        let end = |(partition, begun): (u32, Result<std::thread::ScopedJoinHandle<'_, R>, Error>)| {
            (partition, begun.and_then(|thread| thread.join().map_err(|_| no_thread::<L>(died))))
        };
        begun.into_iter().map(end).collect()
    })
}

/// What there is of a task that is to be opened.
struct Had<L: Logic, O: Outside> {
    idle: Option<Task<L, O>>,
    ahead: Option<Ahead<L>>,
}

/// Takes a task up again that this member had, or opens it.
fn open<L: Logic, O: Outside>(
    context: &Context,
    outside: &O,
    member: &O::Member,
    newest: &Revision,
    partition: u32,
    had: Had<L, O>,
) -> Result<Task<L, O>, Error> {
    if let Some(mut task) = had.idle
        && task.resume(context, outside)?
    {
        return Ok(task);
    }
    let at = i32::try_from(partition).unwrap_or(i32::MAX);
    let committed = |inputs: &[String]| {
        let partitions: Vec<_> = inputs.iter().map(|topic| (topic.clone(), at)).collect();
        member.committed(&partitions)
    };
    Task::open(context, outside, partition, newest, had.ahead, committed)
}

fn no_thread<L: Logic>(reason: &str) -> Error {
    Error::Thread { stage: L::STAGE, reason: reason.to_owned() }
}

/// What a record's headers say: the catalog that routed it (−1: nothing), and the trace that it is part of.
fn headers(message: &impl Message, traces: bool) -> (i64, Option<TraceContext>) {
    let (mut catalog, mut trace) = (-1, None);
    for held in message.headers().into_iter().flat_map(Headers::iter) {
        match (held.key, held.value) {
            (header::CATALOG, Some(value)) => catalog = value.try_into().map_or(-1, i64::from_be_bytes),
            (trace::HEADER, Some(value)) if traces => trace = TraceContext::read(value),
            _ => {}
        }
    }
    (catalog, trace)
}
