//! Starts the stages of this process, each on a thread of its own, and keeps them running.
//!
//! A stage that fails is started again after a pause that doubles: nothing it had not committed counts, so it goes
//! on where it was. How it stands is in its [`StageStats`].

use crate::acls::{Operation, Resource};
use crate::catalog::{Follower, ReadCatalog};
use crate::error::Error;
use crate::local::{Keeper, LocalStore};
use crate::member::ANSWER_WITHIN;
use crate::probe::{Probe, Seen, denied, missing};
use crate::remedy::{reason, remedied};
use crate::settings::KafkaSettings;
use crate::stage::{Aggregate, Correlate};
use crate::stats::{StageStats, Status, Trouble};
use crate::task::Context;
use crate::topics::Stage;
use crate::trace::Tracing;
use crate::wire::Wire;
use crate::{ingest, load, standby, worker};
use model::Definitions;
use sources::SourceSettings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use warehouse::Client;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After so long without a failure the pause is short again.
const GOOD_FOR: Duration = Duration::from_secs(60);
/// How often the end is looked for while a stage pauses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a process runs.
#[derive(Clone)]
pub struct Plan {
    /// How Kafka is reached.
    pub settings: KafkaSettings,
    /// What decides a number.
    pub definitions: Definitions,
    /// How a source reads.
    pub sources: SourceSettings,
    /// How a catalog is read.
    pub read_catalog: ReadCatalog,
    /// Which stages.
    pub stages: Vec<Stage>,
    /// Where `load` loads; needed by that stage only.
    pub warehouse: Option<(Client, Handle)>,
    /// Where tasks' local checkpoints are kept; `None`: nowhere, and a restart reads whole changelogs.
    pub local: Option<Arc<dyn LocalStore>>,
}

/// The stages of this process. Dropping it stops them.
pub struct Running {
    stats: Vec<Arc<StageStats>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the stages.
    ///
    /// # Errors
    /// When a thread cannot be started. What is wrong with Kafka or ClickHouse shows in the stages' status.
    pub fn start(plan: &Plan) -> Result<Self, Error> {
        Self::start_traced(plan, None)
    }

    /// As [`Self::start`], with spans of traced records.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_traced(plan: &Plan, tracing: Tracing) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let keeper = plan.local.clone().and_then(|store| {
            let without = |error| tracing::error!(%error, "no thread for local checkpoints; the run goes on");
            Keeper::start(store).map_err(without).ok().map(Arc::new)
        });
        let mut running = Self { stats: Vec::new(), stop: stop.clone(), threads: Vec::new() };
        for stage in plan.stages.iter().copied() {
            let stats = Arc::new(StageStats::new(stage));
            running.stats.push(stats.clone());
            let (plan, stop, tracing) = (plan.clone(), stop.clone(), tracing.clone());
            let keeper = keeper.clone();
            let thread = std::thread::Builder::new()
                .name(stage.as_str().to_owned())
                .spawn(move || keep_running(stage, &plan, keeper.as_ref(), &tracing, &stats, &stop))
                .map_err(|error| Error::Thread { stage, reason: error.to_string() })?;
            running.threads.push(thread);
        }
        if let Some(keeper) = keeper.filter(|_| plan.settings.standby) {
            let topics = &plan.settings.topics;
            let changelogs = plan.stages.iter().filter_map(|stage| match stage {
                Stage::Correlate => Some(topics.correlate_changelog.clone()),
                Stage::Aggregate => Some(topics.aggregate_changelog.clone()),
                Stage::Ingest | Stage::Load => None,
            });
            let (settings, changelogs) = (plan.settings.clone(), changelogs.collect::<Vec<_>>());
            let thread = std::thread::Builder::new()
                .name("standby".to_owned())
                .spawn(move || standby::follow(&settings, &changelogs, &keeper, &stop));
            match thread {
                Ok(thread) => running.threads.push(thread),
                Err(error) => tracing::error!(%error, "no thread for the standby; the run goes on"),
            }
        }
        Ok(running)
    }

    /// What each stage counts.
    pub fn stats(&self) -> &[Arc<StageStats>] {
        &self.stats
    }

    /// Lets every stage commit what it has, and waits for it.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keep_running(
    stage: Stage,
    plan: &Plan,
    keeper: Option<&Arc<Keeper>>,
    tracing: &Tracing,
    stats: &Arc<StageStats>,
    stop: &AtomicBool,
) {
    let _guard = Guard(stats);
    let mut pause = FIRST_PAUSE;
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let Err(error) = run(stage, plan, keeper, tracing, stats, stop) else { break };
        if started.elapsed() >= GOOD_FOR {
            pause = FIRST_PAUSE;
        }
        stats.restarted();
        stats.set_status(Status::Failing(remedied(error.whole())));
        let reason = reason(&plan.settings, stage, &error);
        tracing::error!(%stage, pause_ms = pause.as_millis() as u64, "the stage failed and is started again: {reason}");
        stats.set_status(Status::Failing(reason));
        stats.trouble(Trouble::Brokers, None);
        stats.trouble(Trouble::Transactions, None);
        wait(pause, stop);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    stats.set_status(Status::Stopped);
}

/// Waits for so long, or until it is to end.
pub(crate) fn wait(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Says so when a stage's thread ends before it was stopped.
struct Guard<'a>(&'a StageStats);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if self.0.snapshot().status != Status::Stopped {
            self.0.set_status(Status::Dead);
        }
    }
}

fn run(
    stage: Stage,
    plan: &Plan,
    keeper: Option<&Arc<Keeper>>,
    tracing: &Tracing,
    stats: &Arc<StageStats>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let context = Context {
        settings: plan.settings.clone(),
        definitions: plan.definitions.clone(),
        definition: plan.definitions.hash(),
        read_catalog: plan.read_catalog.clone(),
        tasks: ready(&plan.settings, stage)?,
        tracing: tracing.clone(),
        stats: stats.clone(),
        wire: Arc::new(Wire::of(&plan.settings, stage).map_err(Error::Refused)?),
    };
    let catalog = || Follower::start(&plan.settings, plan.read_catalog.clone());
    match stage {
        Stage::Ingest => ingest::run(&context, &plan.sources, &catalog()?, stats, stop),
        Stage::Correlate => worker::run::<Correlate>(&context, keeper.cloned(), &catalog()?, stats, stop),
        Stage::Aggregate => worker::run::<Aggregate>(&context, keeper.cloned(), &catalog()?, stats, stop),
        Stage::Load => match &plan.warehouse {
            Some((client, handle)) => load::run(&context, client, handle, stats, stop),
            None => {
                Err(Error::Client { what: "the loader", reason: "no ClickHouse is configured".to_owned() })
            }
        },
    }
}

/// Looks whether a stage finds all that it needs. Says how many tasks there are.
fn ready(settings: &KafkaSettings, stage: Stage) -> Result<u32, Error> {
    let probe = Probe::connect(settings, ANSWER_WITHIN).map_err(Error::Refused)?;
    match probe.lacks(stage) {
        Some(refusal) => Err(Error::Refused(refusal)),
        None => tasks_of(&probe, settings),
    }
}

/// How many tasks `correlate` and `aggregate` have: the partitions of the topics between the stages.
///
/// # Errors
/// [`Error::Topic`] for one that is missing or has another number of partitions than the others.
pub fn tasks(settings: &KafkaSettings) -> Result<u32, Error> {
    tasks_of(&Probe::connect(settings, ANSWER_WITHIN).map_err(Error::Refused)?, settings)
}

fn tasks_of(probe: &Probe, settings: &KafkaSettings) -> Result<u32, Error> {
    let mut found: Option<(&str, u32)> = None;
    for topic in settings.topics.by_task() {
        let wrong = |reason: String| Error::Topic { topic: topic.to_owned(), reason };
        let partitions = match probe.topic(topic) {
            Seen::There { partitions, .. } => partitions,
            Seen::Missing => return Err(Error::Refused(missing(topic))),
            Seen::Denied => return Err(Error::Refused(denied(Operation::Describe, Resource::Topic, topic))),
            Seen::Other(reason) => return Err(wrong(reason)),
        };
        match found {
            None => found = Some((topic, partitions)),
            Some((first, count)) if count != partitions => {
                return Err(wrong(format!(
                    "it has {partitions} partitions, but {first} has {count}: the topics between the stages need \
                     the same number; set another `generation` and let `streamgauge replay` make its topics"
                )));
            }
            Some(_) => {}
        }
    }
    Ok(found.map_or(1, |(_, count)| count))
}
