//! What the stages see of the simulated world: a group's member, changelogs, catalogs, clocks. Transactions: `session.rs`.

use crate::disk;
use crate::groups::{Standing, TopicPartition};
use crate::log::Record;
use crate::mutant::Mutant;
use crate::planted;
use crate::session::SimSession;
use crate::world::{Client, Gone, State, World};
use kafka::catalog::Revision;
use kafka::checkpoint::CHECKPOINT_KEY;
use kafka::error::Error;
use kafka::local::{LocalCheckpoints, name_of};
use kafka::member::Moved;
use kafka::outside::{Catalogs, GroupMember, Outside};
use kafka::session::{EosError, Position};
use model::Timestamp;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The outside of one process.
#[derive(Clone)]
pub struct Sim {
    pub world: Arc<World>,
    pub me: usize,
}

/// How often a call waits for a transaction of somebody else before it gives up.
const PATIENCE: u32 = 8;
/// Records of a changelog between two points at which a restore may be interrupted.
const READ_AT_ONCE: usize = 40;

fn gone(_: Gone) -> Error {
    Error::Consume("gone".to_owned())
}
pub fn lost(_: Gone) -> EosError {
    EosError::Fatal("gone".to_owned())
}

impl Sim {
    pub fn wait(&self, point: &str) -> Result<(), Gone> {
        self.world.wait(self.me, point)
    }
    /// Whether a question about a changelog is answered.
    fn answers(&self, one_in: u64, what: &str, task: &str) -> Result<(), Error> {
        let mut state = self.world.lock();
        if !state.fails(one_in) {
            return Ok(());
        }
        state.count(what);
        Err(Error::RestoreStuck { task: task.to_owned(), seconds: 60, reason: what.to_owned() })
    }
}

impl Outside for Sim {
    type Session = SimSession;
    type Member = SimMember;

    fn session(&self, id: &str) -> Result<SimSession, EosError> {
        self.wait("before init_transactions").map_err(lost)?;
        let epoch = {
            let mut state = self.world.lock();
            if state.fails(150) {
                state.count("no broker answers init_transactions");
                return Err(EosError::Away("no broker answers".to_owned()));
            }
            if state.is(Mutant::InitAfterRestore) { None } else { Some(init(&mut state, id)) }
        };
        self.wait("after init_transactions").map_err(lost)?;
        Ok(SimSession::new(self.clone(), id, epoch))
    }

    fn member(&self, topics: &[&str]) -> Result<SimMember, Error> {
        self.wait("joining").map_err(gone)?;
        let mut state = self.world.lock();
        let all: Vec<String> = state.log.topics().cloned().collect();
        let named = |topic: &&str| match topic.strip_prefix('^') {
            Some(_) => all.iter().filter(|name| name.contains("raw.")).cloned().collect(),
            None => vec![(*topic).to_owned()],
        };
        let topics: Vec<String> = topics.iter().flat_map(named).collect();
        let me = self.me;
        let Some(process) = state.processes.get_mut(me) else { return Err(gone(Gone)) };
        let stage = process.name.split('/').next().unwrap_or_default();
        let group = format!("sim.{stage}");
        process.client = Some(Client {
            group,
            topics,
            id: None,
            generation: -1,
            holds: false,
            moved: VecDeque::new(),
            reading: BTreeMap::new(),
            held: Vec::new(),
        });
        Ok(SimMember { sim: self.clone() })
    }

    fn read(
        &self,
        changelog: &str,
        partition: u32,
        task: &str,
        from: i64,
        mut take: impl FnMut(i64, &[u8], Option<&[u8]>),
    ) -> Result<bool, Error> {
        let copy = name_of(changelog, partition);
        let partition = partition as i32;
        self.wait("before a restore").map_err(gone)?;
        let committed = !self.world.lock().is(Mutant::RestoreUncommitted);
        let mut read: Vec<planted::Entry> = Vec::new();
        let mut position = from;
        if let Some(checkpoint) = disk::stale(&self.world.lock(), changelog, partition, from) {
            take(from, CHECKPOINT_KEY, Some(&checkpoint));
            return Ok(true);
        }
        loop {
            {
                let state = self.world.lock();
                let log = state.log.partition(changelog, partition);
                if log.is_none_or(|log| log.end < from) {
                    return Ok(from == 0);
                }
                let next = || log.and_then(|log| log.next(position, committed));
                let Some(record) = next() else { break };
                position = record.offset + 1;
                read.push((record.key.clone(), record.value.clone(), record.offset));
            }
            if read.len().is_multiple_of(READ_AT_ONCE) {
                self.wait("during a restore").map_err(gone)?;
                self.answers(300, "no broker answers a restore", task)?;
            }
        }
        self.world.lock().note(format!("{task} read {} records", read.len()));
        let held = match from {
            0 => None,
            _ => self.disk(|state, disk| {
                state.count("restores from a copy are tried");
                disk.state(&copy)
            }),
        };
        let mut state = self.world.lock();
        let mutant = state.mutant;
        if from > 0 && state.is(Mutant::AheadBelieved) {
            read.clone_from(state.tails.entry((self.me, copy, from)).or_insert_with(|| read.clone()));
        }
        drop(state);
        planted::of_restore(mutant, changelog, &mut read, &held.unwrap_or_default());
        read.iter().for_each(|(key, value, offset)| take(*offset, key, value.as_deref()));
        Ok(true)
    }

    fn local(&self) -> Option<&dyn LocalCheckpoints> {
        self.disk(|_, _| ()).map(|()| self as _)
    }

    fn end(&self, changelog: &str, partition: u32, task: &str) -> Result<i64, Error> {
        self.wait("asking for an end").map_err(gone)?;
        self.answers(20, "no broker tells an end", task)?;
        let state = self.world.lock();
        let partition = partition as i32;
        if state.is(Mutant::KeptStateBelieved)
            && let Some(process) = state.processes.get(self.me)
            && let Some(end) = process.own_ends.get(&(changelog.to_owned(), partition))
        {
            return Ok(*end);
        }
        Ok(state.log.partition(changelog, partition).map_or(0, |log| log.stable()))
    }

    fn instant(&self) -> Instant {
        self.world.instant()
    }
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.world.lock().now_micros())
    }
    fn sleep(&self, time: Duration) {
        self.world.meanwhile(i64::try_from(time.as_micros()).unwrap_or(0));
    }
    fn side_by_side(&self) -> usize {
        1
    }
}

impl Catalogs for Sim {
    fn newest(&self) -> Revision {
        let mut state = self.world.lock();
        let (me, published) = (self.me, state.catalogs.len());
        // The follower is a thread of its own: what was published may not have come yet.
        let late = !state.healed && state.below(3) == 0;
        let Some(process) = state.processes.get_mut(me) else { return state.catalogs[0].clone() };
        if !late {
            process.catalogs = published;
        }
        let seen = process.catalogs.max(1);
        state.catalogs[seen - 1].clone()
    }
    fn offset(&self) -> i64 {
        self.newest().offset
    }
    fn at_least(&self, offset: i64) -> Result<Revision, Error> {
        self.wait("waiting for a catalog").map_err(gone)?;
        let newest = self.newest();
        if newest.offset >= offset {
            return Ok(newest);
        }
        let mut state = self.world.lock();
        if state.fails(10) {
            state.count("a catalog does not come in time");
            return Err(Error::Catalog(format!("revision {offset} did not come")));
        }
        let published = state.catalogs.len();
        if let Some(process) = state.processes.get_mut(self.me) {
            process.catalogs = published;
        }
        Ok(state.catalogs[published - 1].clone())
    }
}

pub fn init(state: &mut State, id: &str) -> i32 {
    let (transactions, mut places) = state.places();
    let epoch = transactions.init(id, &mut places);
    state.note(format!("init {id}: epoch {epoch}"));
    epoch
}

/// A member of a group; what it knows lies in its process.
pub struct SimMember {
    sim: Sim,
}

impl Drop for SimMember {
    /// A consumer that is closed leaves; a dead one says nothing.
    fn drop(&mut self) {
        let mut state = self.sim.world.lock();
        let Some(process) = state.processes.get_mut(self.sim.me) else { return };
        let client = process.client.take();
        if process.alive
            && let Some(Client { group, id: Some(id), .. }) = client
        {
            state.groups.leave(&group, id);
        }
    }
}

impl SimMember {
    /// Lets the group move partitions, as librdkafka does within a poll.
    fn rebalance(state: &mut State, me: usize) {
        let State { processes, groups, log, micros, .. } = state;
        let Some(process) = processes.get_mut(me) else { return };
        let (name, Some(client)) = (&process.name, &mut process.client) else { return };
        let partitions_of = |topic: &str| log.topic(topic).len();
        let mut told = Vec::new();
        let mut lets_go = |client: &mut Client, how: Moved| {
            client.reading.clear();
            if std::mem::replace(&mut client.holds, false) {
                told.push(format!("{name} {how:?}"));
                client.moved.push_back(how);
            }
        };
        let standing = match client.id {
            Some(id) => groups.ask(&client.group, id, partitions_of),
            None => Standing::Unknown,
        };
        match standing {
            Standing::Unknown => {
                lets_go(client, Moved::Lost);
                client.id = Some(groups.join(&client.group, me, client.topics.clone(), *micros));
                client.generation = -1;
            }
            Standing::Rebalancing => {
                lets_go(client, Moved::Revoked);
                client.generation = -1;
            }
            Standing::Stable(generation, partitions) if generation != client.generation => {
                lets_go(client, Moved::Revoked);
                client.generation = generation;
                client.holds = true;
                told.push(format!("{name} generation {generation}: {partitions:?}"));
                client.moved.push_back(Moved::Assigned(partitions));
            }
            Standing::Stable(..) => {}
        }
        told.into_iter().for_each(|line| state.note(line));
    }
}

impl GroupMember for SimMember {
    /// The group, the member's id, its generation.
    type Group = (String, u64, i32);
    type Record<'a> = OwnedMessage;

    fn poll(&self, _: Duration) -> Result<Option<OwnedMessage>, Error> {
        self.sim.wait("polling").map_err(gone)?;
        let mut state = self.sim.world.lock();
        let me = self.sim.me;
        if state.fails(3_000) {
            state.count("reading fails");
            return Err(Error::Consume("reading fails".to_owned()));
        }
        Self::rebalance(&mut state, me);
        // What was fetched comes in no certain order of partitions, and not always at once.
        let (first, slow) = (state.below(64) as usize, state.fails(6));
        if slow {
            return Ok(None);
        }
        let committed = !state.is(Mutant::StagesUncommitted);
        let State { processes, log, .. } = &mut *state;
        let Some(client) = processes.get_mut(me).and_then(|process| process.client.as_mut()) else {
            return Ok(None);
        };
        let count = client.reading.len();
        let partitions = client.reading.iter_mut().cycle_from(first % count.max(1));
        for ((topic, partition), position) in partitions {
            if client.held.contains(topic) {
                continue;
            }
            let next = log.partition(topic, *partition).and_then(|log| log.next(*position, committed));
            if let Some(record) = next {
                *position = record.offset + 1;
                return Ok(Some(message(topic, *partition, record)));
            }
        }
        Ok(None)
    }

    fn moved(&self) -> Option<Moved> {
        let mut state = self.sim.world.lock();
        state.processes.get_mut(self.sim.me)?.client.as_mut()?.moved.pop_front()
    }

    fn trouble(&self) -> Option<String> {
        None
    }

    fn assign(&self, positions: &[Position]) -> Result<(), Error> {
        self.sim.wait("assigning").map_err(gone)?;
        let mut state = self.sim.world.lock();
        let Some(client) = state.processes.get_mut(self.sim.me).and_then(|p| p.client.as_mut()) else {
            return Ok(());
        };
        client.held.clear();
        client.reading =
            positions.iter().map(|at| ((at.topic.clone(), at.partition), at.offset.max(0))).collect();
        Ok(())
    }

    fn hold(&self, topics: &[&str]) -> Result<(), Error> {
        let mut state = self.sim.world.lock();
        if let Some(client) = state.processes.get_mut(self.sim.me).and_then(|p| p.client.as_mut()) {
            client.held = topics.iter().map(|topic| (*topic).to_owned()).collect();
        }
        Ok(())
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, Error> {
        for _ in 0..PATIENCE {
            self.sim.wait("asking for offsets").map_err(gone)?;
            let state = self.sim.world.lock();
            let group = group_of(&state, self.sim.me);
            let unstable = partitions.iter().any(|at| state.groups.is_pending(&group, at));
            if !unstable || state.is(Mutant::UnstableOffsets) {
                return Ok(partitions.iter().map(|at| state.groups.committed(&group, at)).collect());
            }
            drop(state);
            self.sim.world.meanwhile(2_000_000);
        }
        Err(Error::Consume("committed offsets: a transaction holds them".to_owned()))
    }

    fn commit(&self, positions: &[Position]) -> Result<(), Error> {
        self.sim.wait("committing offsets").map_err(gone)?;
        let mut state = self.sim.world.lock();
        if state.fails(10) {
            state.count("offsets not committed");
            return Ok(());
        }
        let offsets = offsets(positions);
        if let Some((group, id, generation)) = names(&state, self.sim.me) {
            let taken = state.groups.commit(&group, (id, generation), &offsets);
            state.note(format!("{group} {generation} commits {offsets:?}: {taken}"));
        }
        Ok(())
    }

    fn group(&self) -> Option<(String, u64, i32)> {
        names(&self.sim.world.lock(), self.sim.me)
    }
}

fn group_of(state: &State, me: usize) -> String {
    let client = state.processes.get(me).and_then(|process| process.client.as_ref());
    client.map(|client| client.group.clone()).unwrap_or_default()
}

fn names(state: &State, me: usize) -> Option<(String, u64, i32)> {
    let client = state.processes.get(me)?.client.as_ref()?;
    Some((client.group.clone(), client.id?, client.generation))
}

pub fn offsets(positions: &[Position]) -> Vec<(TopicPartition, i64)> {
    positions.iter().map(|at| ((at.topic.clone(), at.partition), at.offset)).collect()
}

fn message(topic: &str, partition: i32, record: &Record) -> OwnedMessage {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
    OwnedMessage::new(
        record.value.as_deref().map(<[u8]>::to_vec),
        Some(record.key.to_vec()),
        topic.to_owned(),
        rdkafka::Timestamp::CreateTime(record.timestamp_ms),
        partition,
        record.offset,
        (!record.headers.is_empty()).then_some(headers),
    )
}

/// Goes round a sequence once, beginning anywhere.
trait CycleFrom: Iterator + Sized {
    fn cycle_from(self, first: usize) -> impl Iterator<Item = Self::Item> {
        let mut all: VecDeque<Self::Item> = self.collect();
        let count = all.len().max(1);
        all.rotate_left(first % count);
        all.into_iter()
    }
}
impl<I: Iterator> CycleFrom for I {}
