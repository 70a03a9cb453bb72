//! Who takes turns: the processes, each a stage of the production code, and what happens around them: input that
//! comes, catalogs that are published, processes that are started, stopped and killed, compaction.

use crate::disk;
use crate::log::Record;
use crate::outside::Sim;
use crate::store::SimStore;
use crate::world::{Process, State, World};
use kafka::catalog::{ReadCatalog, Revision};
use kafka::error::Error;
use kafka::ingest::Ingest;
use kafka::load::Load;
use kafka::stage::{Aggregate, Correlate, Logic};
use kafka::task::Context;
use kafka::wire::Wire;
use kafka::worker::Worker;
use kafka::{KafkaSettings, Stage, StageStats};
use model::Definitions;
use sources::SourceSettings;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Tombstones stay for a day, in milliseconds.
const TOMBSTONES_MS: i64 = 86_400_000;

/// A stage of one process, as production runs it.
trait Node: Send {
    fn step(&mut self) -> Result<(), Error>;
    fn stop(&mut self) -> Result<(), Error>;
}

impl<L: Logic> Node for Worker<L, Sim, Sim> {
    fn step(&mut self) -> Result<(), Error> {
        Self::step(self)
    }
    fn stop(&mut self) -> Result<(), Error> {
        Self::finish(self)
    }
}
impl Node for Ingest<Sim, Sim> {
    fn step(&mut self) -> Result<(), Error> {
        Self::step(self)
    }
    fn stop(&mut self) -> Result<(), Error> {
        Self::finish(self)
    }
}
impl Node for Load<Sim, SimStore> {
    fn step(&mut self) -> Result<(), Error> {
        Self::step(self)
    }
    fn stop(&mut self) -> Result<(), Error> {
        Self::stop(self)
    }
}

/// A place for a process: an instance of a stage that an operator wants to run.
struct Slot {
    stage: Stage,
    instance: String,
    /// The process that was started last.
    process: usize,
    node: Option<Box<dyn Node>>,
    /// It is within a call, and has no turn.
    busy: bool,
}

/// What every process is started with.
pub struct Settings {
    pub definitions: Definitions,
    pub read_catalog: ReadCatalog,
    pub tasks: u32,
    pub batch_records: usize,
}

/// Everybody, and what is still to come.
#[derive(Default)]
pub struct Cast {
    slots: BTreeMap<u32, Slot>,
    pub settings: Option<Arc<Settings>>,
    /// Raw records that were not told yet: the partition and the body.
    pub untold: VecDeque<(i32, Vec<u8>)>,
    /// Catalogs that were not published yet.
    pub unpublished: VecDeque<Revision>,
    added: u32,
}

impl Cast {
    /// Wants one more process of a stage; gives its place.
    pub fn add(&mut self, stage: Stage) -> u32 {
        self.added += 1;
        let instance = format!("i{}", self.added);
        self.slots.insert(self.added, Slot { stage, instance, process: usize::MAX, node: None, busy: false });
        self.added
    }
    fn count(&self, stage: Stage) -> usize {
        self.slots.values().filter(|slot| slot.stage == stage).count()
    }
    /// Everybody's place.
    pub fn places(&self) -> Vec<u32> {
        self.slots.keys().copied().collect()
    }
}

impl Settings {
    fn context(&self, stage: Stage, instance: &str) -> Result<Context, Error> {
        let mut settings = KafkaSettings::new("sim:9092", "sim.", instance);
        settings.batch_records = self.batch_records;
        let stats = Arc::new(StageStats::new(stage));
        Ok(Context {
            wire: Arc::new(Wire::of(&settings, stage).map_err(Error::Refused)?),
            settings,
            definition: self.definitions.hash(),
            definitions: self.definitions.clone(),
            read_catalog: self.read_catalog.clone(),
            tasks: self.tasks,
            tracing: None,
            stats,
        })
    }
}

impl World {
    /// Something happens: mostly somebody who is not within a call takes a step.
    pub fn turn(self: &Arc<Self>) {
        let what = {
            let mut state = self.lock();
            let micros = match state.below(100) {
                0 => 3_000_000 + state.below(9_000_000),
                1..6 => state.below(1_500_000),
                6..30 => state.below(80_000),
                _ => state.below(5_000),
            };
            state.pass(micros as i64);
            state.below(1_000)
        };
        match what {
            0..120 => self.tell(),
            120..126 => self.publish(),
            126..132 => self.somebody_dies(),
            132..137 => self.somebody_leaves(),
            137..143 => self.one_more(),
            143..160 => self.compact(),
            _ => {
                if let Some(slot) = self.somebody() {
                    self.step(slot);
                }
            }
        }
    }

    fn somebody(&self) -> Option<u32> {
        let places = self.cast().places();
        let index = self.lock().below(places.len() as u64) as usize;
        places.get(index).copied()
    }

    /// Tells the next raw records.
    pub fn tell(self: &Arc<Self>) {
        let count = 1 + self.lock().below(4);
        for _ in 0..count {
            let Some((partition, body)) = self.cast().untold.pop_front() else { return };
            let mut state = self.lock();
            let timestamp_ms = state.now_micros() / 1_000;
            let record = Record::new(body, timestamp_ms);
            state.append("sim.raw.canonical", partition, record);
        }
    }

    /// Publishes the next catalog.
    pub fn publish(self: &Arc<Self>) {
        let Some(revision) = self.cast().unpublished.pop_front() else { return };
        let mut state = self.lock();
        state.note(format!("catalog {}", revision.offset));
        state.catalogs.push(revision);
    }

    fn compact(self: &Arc<Self>) {
        let mut state = self.lock();
        let topic = if state.below(2) == 0 { "sim.correlate.changelog" } else { "sim.aggregate.changelog" };
        let partitions = state.log.topic(topic).len() as u64;
        let partition = state.below(partitions) as i32;
        let oldest_ms = state.now_micros() / 1_000 - TOMBSTONES_MS;
        let end = state.log.partition(topic, partition).map_or(0, |log| log.end);
        let until = end - state.below(8) as i64;
        let gone = state.log.partition_mut(topic, partition).map_or(0, |log| log.compact(until, oldest_ms));
        state.note(format!("{topic}/{partition} compacted: {gone} records gone"));
    }

    fn somebody_dies(self: &Arc<Self>) {
        let Some(slot) = self.somebody() else { return };
        if !self.lock().healed {
            self.lock().count("dies between steps");
            self.kill_slot(slot);
        }
    }

    fn kill_slot(self: &Arc<Self>, slot: u32) {
        let Some(process) = self.cast().slots.get(&slot).map(|slot| slot.process) else { return };
        self.kill(process);
        // Dropped without the cast in hand: it looks at the world.
        let node = self.cast().slots.get_mut(&slot).and_then(|slot| slot.node.take());
        drop(node);
    }

    /// Somebody is told to end, and does so in order; while others of its stage are left it is not started again.
    fn somebody_leaves(self: &Arc<Self>) {
        let Some(slot) = self.somebody() else { return };
        if self.lock().healed {
            return;
        }
        let Some(mut node) = self.take(slot) else { return };
        self.lock().count("leaves");
        let process = self.process_of(slot, |process| process.leaves = true);
        if let Err(error) = node.stop() {
            self.failed(&error);
        }
        drop(node);
        self.kill(process);
        let mut cast = self.cast();
        let stage = cast.slots.get(&slot).map(|slot| slot.stage);
        if stage.is_some_and(|stage| cast.count(stage) > 1) {
            cast.slots.remove(&slot);
        } else if let Some(slot) = cast.slots.get_mut(&slot) {
            slot.busy = false;
        }
    }

    /// One more process: a new member, or a second one of an instance that is still there.
    fn one_more(self: &Arc<Self>) {
        let (healed, which, twice) = {
            let mut state = self.lock();
            (state.healed, state.below(4) as usize, state.below(4) == 0)
        };
        let stage = Stage::ALL[which];
        let mut cast = self.cast();
        if healed || cast.count(stage) >= 3 {
            return;
        }
        let twin = cast.slots.values().find(|slot| slot.stage == stage).map(|slot| slot.instance.clone());
        let added = cast.add(stage);
        if let (true, Some(instance), Some(slot)) = (twice, twin, cast.slots.get_mut(&added)) {
            slot.instance = instance;
            drop(cast);
            self.lock().count("two of one instance");
        }
    }

    /// Nothing fails any more, and each stage has somebody; of two of one instance one goes.
    pub fn heal(self: &Arc<Self>) {
        self.lock().healed = true;
        let mut seen = BTreeSet::new();
        let places = self.cast().places();
        for slot in places {
            let name = self.cast().slots.get(&slot).map(|slot| (slot.stage, slot.instance.clone()));
            if name.is_some_and(|name| !seen.insert(name)) {
                self.kill_slot(slot);
                self.cast().slots.remove(&slot);
            }
        }
        for stage in Stage::ALL {
            if self.cast().count(stage) == 0 {
                self.cast().add(stage);
            }
        }
        self.lock().note("healed");
    }

    /// Ends everybody at once: nodes hold the world that holds them.
    pub fn clear(self: &Arc<Self>) {
        let slots = std::mem::take(&mut self.cast().slots);
        drop(slots);
    }

    fn process_of(&self, slot: u32, change: impl FnOnce(&mut Process)) -> usize {
        let process = self.cast().slots.get(&slot).map_or(usize::MAX, |slot| slot.process);
        if let Some(process) = self.lock().processes.get_mut(process) {
            change(process);
        }
        process
    }

    /// Takes somebody out who has a turn.
    fn take(&self, slot: u32) -> Option<Box<dyn Node>> {
        let mut cast = self.cast();
        let slot = cast.slots.get_mut(&slot)?;
        let node = slot.node.take()?;
        slot.busy = true;
        Some(node)
    }

    /// One step of somebody who is not within a call. Who is not there is started.
    pub fn step(self: &Arc<Self>, slot: u32) {
        let Some((busy, is_there)) =
            self.cast().slots.get(&slot).map(|slot| (slot.busy, slot.node.is_some()))
        else {
            return;
        };
        if busy {
            return;
        }
        let done = if is_there {
            let Some(mut node) = self.take(slot) else { return };
            node.step().map(|()| node)
        } else {
            self.start(slot)
        };
        let process = self.process_of(slot, |_| {});
        let lives = self.lock().processes.get(process).is_some_and(|process| process.alive);
        let node = match done {
            Ok(node) if lives => Some(node),
            Ok(node) => {
                drop(node);
                None
            }
            Err(error) => {
                if lives {
                    self.failed(&error);
                    self.kill(process);
                }
                None
            }
        };
        if let Some(slot) = self.cast().slots.get_mut(&slot) {
            slot.busy = false;
            slot.node = node;
        }
    }

    fn failed(&self, error: &Error) {
        let mut state = self.lock();
        let text = error.whole();
        match error {
            Error::State { .. } | Error::Restore { .. } => state.wrong(format!("a stage stops: {text}")),
            _ => {
                state.count("a stage fails and is started again");
                state.note(format!("a stage fails: {text}"));
            }
        }
    }

    fn start(self: &Arc<Self>, slot: u32) -> Result<Box<dyn Node>, Error> {
        let (stage, instance, settings) = {
            let mut cast = self.cast();
            let settings = cast.settings.clone();
            let (Some(slot), Some(settings)) = (cast.slots.get_mut(&slot), settings) else {
                return Err(Error::Consume("nobody is wanted here".to_owned()));
            };
            slot.busy = true;
            (slot.stage, slot.instance.clone(), settings)
        };
        let me = {
            let mut state = self.lock();
            let number = state.processes.len();
            let name = format!("{stage}/{instance}#{number}");
            state.note(format!("{name} starts"));
            let me = new_process(&mut state, name);
            if let Some(disk) = state.disk_of(me) {
                disk::open(&mut state, &disk, me);
            }
            me
        };
        if let Some(slot) = self.cast().slots.get_mut(&slot) {
            slot.process = me;
        }
        let sim = Sim { world: self.clone(), me };
        let context = settings.context(stage, &instance)?;
        Ok(match stage {
            Stage::Ingest => {
                let max_future = settings.definitions.max_future;
                let sources = SourceSettings { max_future, ..SourceSettings::default() };
                Box::new(Ingest::join(context, sim.clone(), sources, sim)?)
            }
            Stage::Correlate => Box::new(Worker::<Correlate, _, _>::join(context, sim.clone(), sim)?),
            Stage::Aggregate => Box::new(Worker::<Aggregate, _, _>::join(context, sim.clone(), sim)?),
            Stage::Load => {
                let store = SimStore { world: self.clone(), me };
                Box::new(Load::join(context, sim, store)?)
            }
        })
    }
}

fn new_process(state: &mut State, name: String) -> usize {
    // What was published is read before anything begins.
    let catalogs = state.catalogs.len();
    state.processes.push(Process {
        name,
        alive: true,
        frozen: false,
        leaves: false,
        catalogs,
        client: None,
        own_ends: BTreeMap::new(),
    });
    state.processes.len() - 1
}
