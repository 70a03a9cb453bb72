//! The transactions of one producer, with everything that may become of their ends.

use crate::log::Record;
use crate::mutant::Mutant;
use crate::outside::{Sim, init, lost, offsets};
use crate::planted;
use crate::transactions::Refused;
use crate::world::State;
use kafka::checkpoint::CHECKPOINT_KEY;
use kafka::session::{EosError, EosSession, OutRecord, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// Transactions of one id, of one producer.
pub struct SimSession {
    sim: Sim,
    id: String,
    /// `None`: not initialised yet, which only a mutant leaves so.
    epoch: Option<i32>,
    /// Records that the client holds.
    buffer: VecDeque<(String, i32, Record)>,
    refused: Option<EosError>,
    suspect: bool,
    produced_bytes: u64,
    checkpoint: Option<i64>,
    planted: planted::OfSession,
}

impl SimSession {
    /// A producer of an id; `epoch`: where it was initialised.
    pub fn new(sim: Sim, id: &str, epoch: Option<i32>) -> Self {
        Self {
            sim,
            id: id.to_owned(),
            epoch,
            buffer: VecDeque::new(),
            refused: None,
            suspect: false,
            produced_bytes: 0,
            checkpoint: None,
            planted: planted::OfSession::default(),
        }
    }

    /// Sends some of what the client holds.
    fn send(&mut self, count: usize) {
        let mut state = self.sim.world.lock();
        for _ in 0..count {
            let Some((topic, partition, record)) = self.buffer.pop_front() else { break };
            let is_checkpoint = &*record.key == CHECKPOINT_KEY;
            let producer = (self.id.as_str(), self.epoch.unwrap_or_default());
            match state.produce(producer, &topic, partition, record) {
                Some(offset) if is_checkpoint => self.checkpoint = Some(offset),
                Some(_) => {}
                None => {
                    self.buffer.clear();
                    self.refused = Some(EosError::Fenced("a later epoch holds the id".to_owned()));
                }
            }
        }
    }

    fn refused(&self) -> Result<(), EosError> {
        self.refused.clone().map_or(Ok(()), Err)
    }

    /// What ends the transaction goes over the network, and may be lost there, come late or come twice.
    fn end(&mut self) -> Result<(), EosError> {
        let mut state = self.sim.world.lock();
        let (id, epoch, now) = (self.id.clone(), self.epoch.unwrap_or_default(), state.micros);
        let unknown = |what: &str| Err(EosError::Unknown(what.to_owned()));
        let end = |state: &mut State| {
            let ended = state.places().0.end(&id, epoch, true);
            state.note(format!("{id} epoch {epoch} commits: {ended:?}"));
            match ended {
                // An end that came late has ended it; the coordinator says yes to the same once more.
                Ok(()) | Err(Refused::NotOpen) => Ok(()),
                Err(Refused::Epoch) => Err(EosError::Fenced("a later epoch holds the id".to_owned())),
            }
        };
        // Now or within a minute; most of what is late comes soon.
        let late = now + [300_000, 3_000_000, 60_000_000][state.below(3) as usize];
        let late = now + state.below((late - now).unsigned_abs()) as i64;
        match if state.healed { 99 } else { state.below(40) } {
            0 => {
                state.count("end lost, outcome unknown");
                unknown("the request was lost")
            }
            1 => {
                state.count("end done, outcome unknown");
                end(&mut state)?;
                unknown("the answer was lost")
            }
            2 => {
                state.count("end late, outcome unknown");
                state.places().0.delay(late, &id, epoch, true);
                unknown("the request is late")
            }
            3..6 => {
                state.count("end done, and comes again");
                state.places().0.delay(late, &id, epoch, true);
                self.suspect = true;
                end(&mut state)
            }
            6 => {
                state.count("end refused");
                Err(EosError::Abort("the coordinator refuses".to_owned()))
            }
            _ => end(&mut state),
        }
    }

    fn send_offsets(&mut self, positions: &[Position], group: (String, u64, i32)) -> Result<(), EosError> {
        let mut state = self.sim.world.lock();
        let offsets = offsets(positions);
        let (name, id, generation) = group;
        if state.is(Mutant::OffsetsOutside) {
            state.groups.put(&name, &offsets);
            return Ok(());
        }
        let (epoch, now) = (self.epoch.unwrap_or_default(), state.micros);
        let producer = (self.id.as_str(), epoch);
        let (transactions, mut places) = state.places();
        let txn = transactions
            .add_group(producer, now, &name, &mut places)
            .map_err(|_| EosError::Fenced("a later epoch holds the id".to_owned()))?;
        let taken = state.groups.commit_in(&name, (id, generation), txn, &offsets);
        state.note(format!("{} takes {offsets:?} of generation {generation} into {txn}: {taken}", self.id));
        if taken {
            return Ok(());
        }
        state.count("offsets of another generation refused");
        Err(EosError::Abort("the member is not of this generation".to_owned()))
    }

    fn commit_honestly(
        &mut self,
        positions: &[Position],
        group: Option<(String, u64, i32)>,
    ) -> Result<(), EosError> {
        self.sim.wait("after produce, before flush").map_err(lost)?;
        let half = self.buffer.len() / 2;
        self.send(half);
        self.sim.wait("in flush").map_err(lost)?;
        self.send(usize::MAX);
        self.refused()?;
        let undelivered = self.sim.world.lock().fails(60);
        if undelivered {
            self.sim.world.lock().count("records not delivered");
            return Err(EosError::Abort("records were not delivered".to_owned()));
        }
        if self.sim.world.lock().fails(120) {
            self.sim.world.lock().count("no broker answers in flush");
            return Err(EosError::Away("no broker answers".to_owned()));
        }
        self.sim.wait("after flush").map_err(lost)?;
        if let Some(group) = group.filter(|_| !positions.is_empty()) {
            self.send_offsets(positions, group)?;
        }
        self.sim.wait("after send_offsets").map_err(lost)?;
        let ended = self.end();
        if matches!(ended, Err(EosError::Unknown(_))) {
            self.suspect = true;
        }
        self.sim.wait("after commit, before apply").map_err(lost)?;
        ended
    }
}

impl EosSession for SimSession {
    type Group = (String, u64, i32);

    fn begin(&mut self) -> Result<(), EosError> {
        self.sim.wait("beginning a transaction").map_err(lost)?;
        let mut state = self.sim.world.lock();
        if self.epoch.is_none() {
            self.epoch = Some(init(&mut state, &self.id));
        }
        self.planted.begin();
        Ok(())
    }

    fn produce(&mut self, record: OutRecord<'_>) -> Result<(), EosError> {
        self.produced_bytes += (record.key.len() + record.value.map_or(0, <[u8]>::len)) as u64;
        let (mutant, sends) = {
            let mut state = self.sim.world.lock();
            (state.mutant, state.below(24) == 0)
        };
        let Some((value, headers)) = self.planted.of_record(mutant, &record) else { return Ok(()) };
        let made = Record {
            offset: 0,
            key: Arc::from(record.key),
            value: value.map(Arc::from),
            headers: Arc::from(headers),
            timestamp_ms: record.timestamp_ms,
            txn: None,
        };
        let partition = record.partition.map_or(0, |partition| partition as i32);
        self.buffer.push_back((record.topic.to_owned(), partition, made));
        if sends {
            self.sim.wait("mid-produce").map_err(lost)?;
            let count = self.buffer.len();
            self.send(count);
            self.refused()?;
        }
        Ok(())
    }

    fn commit(&mut self, positions: &[Position], group: Option<(String, u64, i32)>) -> Result<(), EosError> {
        let done = self.commit_honestly(positions, group);
        let mut state = self.sim.world.lock();
        if done.is_ok()
            && let (Some(checkpoint), Some((task, topic))) = (self.checkpoint, changelog_of(&self.id))
            && let Some(process) = state.processes.get_mut(self.sim.me)
        {
            process.own_ends.insert((topic, task), checkpoint + 2);
        }
        match &done {
            Err(EosError::Abort(_)) if state.is(Mutant::StateBeforeCommit) => {
                self.refused = None;
                let (id, epoch) = (self.id.clone(), self.epoch.unwrap_or_default());
                let (transactions, mut places) = state.places();
                let _ = transactions.end(&id, epoch, false);
                transactions.finish(&id, &mut places);
                Ok(())
            }
            Err(EosError::Unknown(_)) if state.is(Mutant::UnknownIsCommitted) => Ok(()),
            _ => done,
        }
    }

    fn abort(&mut self) -> Result<(), EosError> {
        self.suspect = true;
        self.buffer.clear();
        self.sim.wait("aborting").map_err(lost)?;
        let mut state = self.sim.world.lock();
        if state.fails(4) {
            state.count("abort lost");
            return Err(EosError::Unknown("the request was lost".to_owned()));
        }
        let (id, epoch) = (self.id.clone(), self.epoch.unwrap_or_default());
        let ended = state.places().0.end(&id, epoch, false);
        state.note(format!("{id} epoch {epoch} aborts: {ended:?}"));
        Ok(())
    }

    fn is_suspect(&self) -> bool {
        self.suspect && !self.sim.world.lock().is(Mutant::SuspectKept)
    }
    fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }
    fn checkpoint_offset(&self) -> Option<i64> {
        self.checkpoint
    }
}

/// The partition and the changelog of a task's transactional id, as in `sim.correlate.3`.
fn changelog_of(id: &str) -> Option<(i32, String)> {
    let (stage, task) = id.rsplit_once('.')?;
    Some((task.parse().ok()?, format!("{stage}.changelog")))
}
