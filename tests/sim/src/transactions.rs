//! The transaction coordinator: producers' epochs, transactions that are open, ends that reach one partition after
//! the other, ends that come late. As Kafka has it before transaction version 2: an end that was delayed ends
//! whatever transaction the same epoch has open when it comes.

use crate::groups::Groups;
use crate::log::{Log, Record, Txn};
use std::collections::{BTreeMap, BTreeSet};

/// After so long an open transaction is aborted, in microseconds.
pub const TIMEOUT: i64 = 30_000_000;

/// Why the coordinator or a partition refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// A producer of a later epoch holds the id.
    Epoch,
    /// No transaction is open.
    NotOpen,
}

/// Where an end is still to be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Partition(String, i32),
    Group(String),
}

#[derive(Debug)]
struct Open {
    txn: Txn,
    since: i64,
    places: BTreeSet<Place>,
}

#[derive(Debug)]
struct Ending {
    txn: Txn,
    commit: bool,
    left: Vec<Place>,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: i32,
    open: Option<Open>,
    ending: Option<Ending>,
}

/// An end that is still on the network.
#[derive(Debug)]
struct Late {
    at: i64,
    id: String,
    epoch: i32,
    commit: bool,
}

/// The coordinator.
#[derive(Debug, Default)]
pub struct Transactions {
    producers: BTreeMap<String, Producer>,
    late: Vec<Late>,
    begun: Txn,
    /// Whether a new producer leaves the epoch as it is: a planted fault.
    pub fences_nobody: bool,
}

/// What an end is written to.
pub struct Places<'a> {
    pub log: &'a mut Log,
    pub groups: &'a mut Groups,
}

impl Places<'_> {
    fn end(&mut self, txn: Txn, commit: bool, place: &Place) {
        match place {
            Place::Partition(topic, partition) => {
                if let Some(partition) = self.log.partition_mut(topic, *partition) {
                    partition.end_txn(txn, commit);
                }
            }
            Place::Group(group) => self.groups.end_txn(group, txn, commit),
        }
    }
}

impl Transactions {
    /// Initialises a producer of an id: what is open is aborted, what is ending is ended. Gives its epoch.
    pub fn init(&mut self, id: &str, places: &mut Places<'_>) -> i32 {
        let fences_nobody = self.fences_nobody;
        let producer = self.producers.entry(id.to_owned()).or_default();
        if fences_nobody {
            return producer.epoch;
        }
        producer.finish(places);
        producer.epoch += 1;
        producer.end(false);
        producer.finish(places);
        producer.epoch
    }

    fn of(&mut self, id: &str, epoch: i32) -> Result<&mut Producer, Refused> {
        match self.producers.get_mut(id) {
            Some(producer) if producer.epoch == epoch => Ok(producer),
            _ => Err(Refused::Epoch),
        }
    }

    fn open(
        &mut self,
        id: &str,
        epoch: i32,
        now: i64,
        places: &mut Places<'_>,
    ) -> Result<&mut Open, Refused> {
        // Numbers have holes: what asked may find its transaction open already.
        self.begun += 1;
        let next = self.begun;
        let producer = self.of(id, epoch)?;
        // The end before must have been written everywhere.
        producer.finish(places);
        Ok(producer.open.get_or_insert(Open { txn: next, since: now, places: BTreeSet::new() }))
    }

    /// Adds a record to the transaction that is open, or opens one. Gives its offset.
    pub fn produce(
        &mut self,
        (id, epoch): (&str, i32),
        now: i64,
        (topic, partition): (&str, i32),
        record: Record,
        places: &mut Places<'_>,
    ) -> Result<i64, Refused> {
        let open = self.open(id, epoch, now, places)?;
        open.places.insert(Place::Partition(topic.to_owned(), partition));
        let record = Record { txn: Some(open.txn), ..record };
        places.log.partition_mut(topic, partition).map(|log| log.append(record)).ok_or(Refused::NotOpen)
    }

    /// Takes a group into the transaction. Gives its number.
    pub fn add_group(
        &mut self,
        (id, epoch): (&str, i32),
        now: i64,
        group: &str,
        places: &mut Places<'_>,
    ) -> Result<Txn, Refused> {
        let open = self.open(id, epoch, now, places)?;
        open.places.insert(Place::Group(group.to_owned()));
        Ok(open.txn)
    }

    /// Ends the transaction: the outcome stands; where it is written follows.
    pub fn end(&mut self, id: &str, epoch: i32, commit: bool) -> Result<(), Refused> {
        let producer = self.of(id, epoch)?;
        if producer.end(commit) { Ok(()) } else { Err(Refused::NotOpen) }
    }

    /// Writes a producer's end everywhere.
    pub fn finish(&mut self, id: &str, places: &mut Places<'_>) {
        if let Some(producer) = self.producers.get_mut(id) {
            producer.finish(places);
        }
    }

    /// Lets an end come at a later time.
    pub fn delay(&mut self, at: i64, id: &str, epoch: i32, commit: bool) {
        self.late.push(Late { at, id: id.to_owned(), epoch, commit });
    }

    /// Ends that come now, transactions that time out, and ends that reach one more place. Gives what happened.
    pub fn tick(
        &mut self,
        now: i64,
        pick: &mut impl FnMut(u64) -> u64,
        places: &mut Places<'_>,
    ) -> Vec<String> {
        let mut happened = Vec::new();
        let (due, late): (Vec<Late>, Vec<Late>) =
            std::mem::take(&mut self.late).into_iter().partition(|late| late.at <= now);
        self.late = late;
        for Late { id, epoch, commit, .. } in due {
            let done = self.end(&id, epoch, commit);
            happened.push(format!("late end of {id} epoch {epoch}: {done:?}"));
        }
        for (id, producer) in &mut self.producers {
            if producer.open.as_ref().is_some_and(|open| now - open.since > TIMEOUT) {
                producer.epoch += 1;
                producer.end(false);
                producer.finish(places);
                happened.push(format!("{id} timed out"));
            }
            if let Some(ending) = &mut producer.ending
                && pick(2) == 0
            {
                let next = ending.left.swap_remove(pick(ending.left.len() as u64) as usize);
                places.end(ending.txn, ending.commit, &next);
                if ending.left.is_empty() {
                    producer.ending = None;
                }
            }
        }
        happened
    }

    /// Whether nothing is open, ending or late.
    pub fn is_quiet(&self) -> bool {
        self.late.is_empty()
            && self.producers.values().all(|producer| producer.open.is_none() && producer.ending.is_none())
    }
}

impl Producer {
    /// Decides the outcome of what is open.
    fn end(&mut self, commit: bool) -> bool {
        let Some(open) = self.open.take() else { return false };
        if !open.places.is_empty() {
            let left = open.places.into_iter().collect();
            self.ending = Some(Ending { txn: open.txn, commit, left });
        }
        true
    }

    /// Writes the outcome wherever it is missing.
    fn finish(&mut self, places: &mut Places<'_>) {
        if let Some(ending) = self.ending.take() {
            ending.left.iter().for_each(|place| places.end(ending.txn, ending.commit, place));
        }
    }
}
