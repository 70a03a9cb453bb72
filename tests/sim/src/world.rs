//! The world of one run: the log, the coordinators, the table, the clock, and who lives. One thread; everything that
//! is undecided is decided by one seeded generator, so a seed is a run.

use crate::cast::Cast;
use crate::disk::Disk;
use crate::groups::{Groups, SESSION, TopicPartition};
use crate::log::{Log, Record};
use crate::mutant::Mutant;
use crate::planted::Entry;
use crate::store::Stored;
use crate::transactions::{Places, Transactions};
use kafka::catalog::Revision;
use kafka::checkpoint::CHECKPOINT_KEY;
use kafka::member::Moved;
use oracle::organisation::Random;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use twox_hash::XxHash3_64;

/// When every run begins, in microseconds since 1970: after everything that the organisations tell.
const BEGIN: i64 = 1_900_000_000_000_000;
/// How deep pauses may lie in each other: a process pauses while another pauses.
const DEEPEST: u32 = 3;
/// Turns that others get at most during one pause.
const TURNS_OF_A_PAUSE: u32 = 80;

/// What a run does, as a hash; as lines, too, where they are asked for.
#[derive(Debug)]
pub struct Trace {
    pub hash: u64,
    pub lines: Option<Vec<String>>,
}

impl Trace {
    fn note(&mut self, text: &str) {
        self.hash = XxHash3_64::oneshot_with_seed(self.hash, text.as_bytes());
        if let Some(lines) = &mut self.lines {
            lines.push(text.to_owned());
        }
    }
}

/// A process: one stage of one member.
#[derive(Debug)]
pub struct Process {
    /// As in `correlate/a`.
    pub name: String,
    pub alive: bool,
    /// Stopped as by SIGSTOP: its clients send no heartbeats.
    pub frozen: bool,
    /// Whether it is told to end: nothing is done to it any more.
    pub leaves: bool,
    /// How many catalogs it has seen.
    pub catalogs: usize,
    pub client: Option<Client>,
    /// Where it believes that changelogs end: only the mutant that does not ask needs it.
    pub own_ends: BTreeMap<TopicPartition, i64>,
}

/// The consumer of a process.
#[derive(Debug)]
pub struct Client {
    pub group: String,
    pub topics: Vec<String>,
    pub id: Option<u64>,
    pub generation: i32,
    pub holds: bool,
    pub moved: VecDeque<Moved>,
    /// The next offset of each partition that is read.
    pub reading: BTreeMap<TopicPartition, i64>,
    /// Topics that are not read for now.
    pub held: Vec<String>,
}

/// What happens to a process at a point where it waits for the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    GoesOn,
    /// It is killed.
    Dies,
    /// The call takes long.
    Waits(i64),
    /// The process is stopped, and goes on later.
    Freezes(i64),
}

/// Everything that the outside knows.
pub struct State {
    pub random: Random,
    /// Microseconds since the run began.
    pub micros: i64,
    pub trace: Trace,
    pub log: Log,
    pub groups: Groups,
    pub transactions: Transactions,
    pub stored: Stored,
    pub processes: Vec<Process>,
    /// What instances keep on their disks, as in `correlate/i2`.
    pub disks: BTreeMap<String, Disk>,
    /// Whether they keep anything.
    pub keeps_copies: bool,
    /// What a mutant believes: the tails that a process has read, by where they begin.
    pub tails: BTreeMap<(usize, String, i64), Vec<Entry>>,
    /// Catalogs as published.
    pub catalogs: Vec<Revision>,
    pub mutant: Option<Mutant>,
    /// Whether nothing fails any more.
    pub healed: bool,
    /// Every checkpoint record that was written, with where: also those that compaction takes.
    pub checkpoints: BTreeMap<TopicPartition, Vec<Record>>,
    /// How often what happened where.
    pub coverage: BTreeMap<String, u64>,
    /// What is wrong already.
    pub wrong: Option<String>,
    depth: u32,
    deaths_left: u32,
}

impl State {
    /// One of a number, at random.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random.below(limit.max(1))
    }
    /// Whether something happens that happens one in so many times; never once all is healed.
    pub fn fails(&mut self, one_in: u64) -> bool {
        !self.healed && self.below(one_in) == 0
    }
    pub fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
    /// Notes what happens.
    pub fn note(&mut self, text: impl AsRef<str>) {
        let line = format!("{:>10.3} {}", self.micros as f64 / 1e3, text.as_ref());
        self.trace.note(&line);
    }
    pub fn count(&mut self, what: &str) {
        match self.coverage.get_mut(what) {
            Some(count) => *count += 1,
            None => _ = self.coverage.insert(what.to_owned(), 1),
        }
    }
    /// Notes that something must not be: the first counts.
    pub fn wrong(&mut self, what: String) {
        self.note(format!("WRONG: {what}"));
        self.wrong.get_or_insert(what);
    }
    /// The name of the disk of a process; `None`: it keeps nothing.
    pub fn disk_of(&self, me: usize) -> Option<String> {
        let name = self.processes.get(me).filter(|_| self.keeps_copies)?.name.split('#').next();
        name.map(str::to_owned)
    }
    /// Microseconds since 1970.
    pub fn now_micros(&self) -> i64 {
        BEGIN + self.micros
    }
    pub fn places(&mut self) -> (&mut Transactions, Places<'_>) {
        (&mut self.transactions, Places { log: &mut self.log, groups: &mut self.groups })
    }

    /// Adds a record to the transaction of a producer.
    pub fn produce(
        &mut self,
        producer: (&str, i32),
        topic: &str,
        partition: i32,
        record: Record,
    ) -> Option<i64> {
        let now = self.micros;
        let (transactions, mut places) = self.places();
        let done = transactions.produce(producer, now, (topic, partition), record, &mut places);
        let offset = done.ok()?;
        self.written(topic, partition, offset);
        Some(offset)
    }

    /// Adds a record without a transaction.
    pub fn append(&mut self, topic: &str, partition: i32, record: Record) {
        let Some(log) = self.log.partition_mut(topic, partition) else { return };
        let offset = log.append(record);
        self.written(topic, partition, offset);
    }

    fn written(&mut self, topic: &str, partition: i32, offset: i64) {
        let Some(record) = self.log.partition(topic, partition).and_then(|log| log.records.last()) else {
            return;
        };
        let hash = XxHash3_64::oneshot_with_seed(
            XxHash3_64::oneshot(&record.key),
            record.value.as_deref().unwrap_or_default(),
        );
        let txn = record.txn;
        if &*record.key == CHECKPOINT_KEY {
            let record = record.clone();
            self.checkpoints.entry((topic.to_owned(), partition)).or_default().push(record);
        }
        self.note(format!("{topic}/{partition}@{offset} {hash:016x} {txn:?}"));
    }

    /// Lets time pass, and happen what is due.
    pub fn pass(&mut self, micros: i64) {
        self.micros += micros;
        let now = self.micros;
        let processes = &self.processes;
        let put_out = self.groups.tick(now, |process| {
            processes.get(process).is_some_and(|process| process.alive && !process.frozen)
        });
        let State { transactions, log, groups, random, .. } = self;
        let mut pick = |limit: u64| random.below(limit.max(1));
        let ended = transactions.tick(now, &mut pick, &mut Places { log, groups });
        put_out.into_iter().chain(ended).for_each(|line| {
            self.count(if line.contains("late end") { "late end" } else { "time-out" });
            self.note(line);
        });
        let stored = self.stored.tick(now);
        stored.into_iter().for_each(|line| self.note(line));
    }

    /// Where the loader that lives reads a partition.
    pub fn reads(&self, at: &TopicPartition) -> i64 {
        let clients = self.processes.iter().filter(|process| process.alive).filter_map(|p| p.client.as_ref());
        let loaders = clients.filter(|client| client.group == "sim.load");
        loaders.filter_map(|client| client.reading.get(at)).copied().max().unwrap_or(0)
    }

    fn fate(&mut self, me: usize, point: &str) -> Fate {
        let leaves = self.processes.get(me).is_some_and(|process| process.leaves);
        if self.healed || leaves {
            return Fate::GoesOn;
        }
        // Most waits are polls; what happens there is the least interesting.
        let often = if point == "polling" { 900 } else { 200 };
        let fate = match self.below(often) {
            0 if self.deaths_left > 0 => {
                self.deaths_left -= 1;
                Fate::Dies
            }
            1 if self.depth < DEEPEST => {
                let pause = [2_000_000, 14_000_000, 28_000_000, 45_000_000];
                Fate::Freezes(self.random.pick(&pause))
            }
            2 | 3 if self.depth < DEEPEST => Fate::Waits(self.random.pick(&[50_000, 500_000, 4_000_000])),
            _ => Fate::GoesOn,
        };
        let what = match fate {
            Fate::GoesOn => return fate,
            Fate::Dies => "dies",
            Fate::Waits(_) => "waits",
            Fate::Freezes(_) => "freezes",
        };
        self.count(&format!("{what} {point}"));
        let name = self.processes.get(me).map(|process| process.name.clone()).unwrap_or_default();
        self.note(format!("{name} {fate:?} {point}"));
        fate
    }
}

/// A process does not live any more: what it calls does nothing.
#[derive(Debug, Clone, Copy)]
pub struct Gone;

/// A run's world: what is shared, and who takes turns in it.
pub struct World {
    base: Instant,
    state: Mutex<State>,
    cast: Mutex<Cast>,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(seed: u64, mutant: Option<Mutant>, lines: bool) -> Arc<Self> {
        let mut random = Random(seed);
        let deaths_left = random.below(9) as u32;
        let mut transactions = Transactions::default();
        transactions.fences_nobody = mutant == Some(Mutant::NoFenceOfProducers);
        let mut groups = Groups::default();
        groups.fences_nobody = mutant == Some(Mutant::NoFenceOfGenerations);
        let state = State {
            random,
            micros: 0,
            trace: Trace { hash: seed, lines: lines.then(Vec::new) },
            log: Log::default(),
            groups,
            transactions,
            stored: Stored::default(),
            processes: Vec::new(),
            disks: BTreeMap::new(),
            // The others restore everything, as a process without a disk does.
            keeps_copies: seed % 4 < 2,
            tails: BTreeMap::new(),
            catalogs: Vec::new(),
            mutant,
            healed: false,
            checkpoints: BTreeMap::new(),
            coverage: BTreeMap::new(),
            wrong: None,
            depth: 0,
            deaths_left,
        };
        Arc::new(Self { base: Instant::now(), state: Mutex::new(state), cast: Mutex::default() })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn cast(&self) -> MutexGuard<'_, Cast> {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that intervals are measured by.
    pub fn instant(&self) -> Instant {
        self.base + Duration::from_micros(self.lock().micros.unsigned_abs())
    }

    /// A point at which a process waits for the outside: others may come first, and it may not come back.
    pub fn wait(self: &Arc<Self>, me: usize, point: &str) -> Result<(), Gone> {
        let fate = {
            let mut state = self.lock();
            if !state.processes.get(me).is_some_and(|process| process.alive) {
                return Err(Gone);
            }
            let micros = state.below(400) as i64;
            state.pass(micros);
            state.fate(me, point)
        };
        match fate {
            Fate::GoesOn => return Ok(()),
            Fate::Dies => {
                self.kill(me);
                return Err(Gone);
            }
            Fate::Waits(micros) => self.meanwhile(micros),
            Fate::Freezes(micros) => {
                self.freeze(me, true);
                self.meanwhile(micros);
                self.freeze(me, false);
            }
        }
        if self.lock().processes.get(me).is_some_and(|process| process.alive) { Ok(()) } else { Err(Gone) }
    }

    fn freeze(&self, me: usize, frozen: bool) {
        if let Some(process) = self.lock().processes.get_mut(me) {
            process.frozen = frozen;
        }
    }

    /// SIGKILL.
    pub fn kill(&self, me: usize) {
        let mut state = self.lock();
        if let Some(process) = state.processes.get_mut(me)
            && std::mem::replace(&mut process.alive, false)
        {
            let line = format!("{} is dead", process.name);
            state.note(line);
        }
    }

    /// Lets others have turns for a while.
    pub fn meanwhile(self: &Arc<Self>, micros: i64) {
        let until = {
            let mut state = self.lock();
            state.depth += 1;
            let until = state.micros + micros;
            // Who is silent for longer than a session has been put out before most of the others' turns, or after them.
            if micros > SESSION && state.below(3) > 0 {
                state.pass(SESSION + 1);
            }
            until
        };
        for _ in 0..TURNS_OF_A_PAUSE {
            if self.lock().micros >= until {
                break;
            }
            self.turn();
        }
        let mut state = self.lock();
        let left = (until - state.micros).max(0);
        state.pass(left);
        state.depth -= 1;
    }
}
