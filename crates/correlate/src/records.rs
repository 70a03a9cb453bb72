//! What was told, record by record: the largest table of a task, so its records lie encoded.

use crate::state::Thing;
use model::event::RecordOrder;
use model::lookup::Groups;
use model::packed::{as_encoded, first, open};
use model::table::bytes;
use model::{DeliveryEvent, Text, Timestamp};
use serde::{Serialize, Serializer};
use std::cmp::Ordering;

/// Records by the thing that they tell of, in their order.
#[derive(Debug, Default)]
pub struct Records(Groups<Thing, Filed, ()>);

impl Records {
    /// The records of a thing, in order.
    pub fn of(&self, thing: &Thing) -> impl DoubleEndedIterator<Item = DeliveryEvent> + use<'_> {
        self.0.of(thing).map(|(filed, ())| filed.event())
    }
    /// One record of a thing.
    pub fn get(&self, thing: &Thing, order: &RecordOrder) -> Option<DeliveryEvent> {
        self.0.order(&(thing.clone(), Filed::named(order))).map(Filed::event)
    }
    /// Files a record; says whether it was not there.
    pub fn put(&mut self, thing: Thing, order: &RecordOrder, event: &DeliveryEvent) -> bool {
        let key = (thing, Filed::new(&order.hash, event));
        let had = self.0.len();
        self.0.put(key, ());
        self.0.len() > had
    }
    /// Takes a record away.
    pub fn remove(&mut self, thing: &Thing, order: &RecordOrder) {
        let key = (thing.clone(), Filed::named(order));
        if let Some(filed) = self.0.order(&key).cloned() {
            self.0.remove(&(key.0, filed));
        }
    }
    /// Where each record lies, in order.
    pub fn keys(&self) -> impl Iterator<Item = (&Thing, RecordOrder)> {
        self.0.iter().map(|((thing, filed), ())| (thing, filed.order()))
    }
    /// Every thing with its records, in no order: for what does not depend on one.
    pub fn unordered(&self) -> impl Iterator<Item = (&Thing, impl Iterator<Item = DeliveryEvent>)> {
        self.0.unordered().map(|(thing, records)| (thing, records.map(|(filed, ())| filed.event())))
    }
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Puts a record that a changelog holds, and tells it to nobody.
    pub fn restore(&mut self, (thing, order): (Thing, RecordOrder), event: Option<DeliveryEvent>) {
        match event {
            Some(event) => self.0.restore((thing, Filed::new(&order.hash, &event)), Some(())),
            None => self.0.restore((thing, Filed::named(&order)), None),
        }
    }
    /// Ends the transaction, as [`Table::commit`](model::table::Table::commit).
    pub fn commit(&mut self, mut change: impl FnMut(&(&Thing, RecordOrder), Option<&Filed>, Option<&Filed>)) {
        self.0.commit(|(thing, filed), now, before| {
            change(&(thing, filed.order()), now.map(|()| filed), before.map(|()| filed));
        });
    }
}

/// A record: the hash of its text, and the encoded event, which begins with the rest of its order. It is compared by
/// that order.
#[derive(Debug, Clone)]
pub struct Filed(Box<[u8]>);

const HASH_BYTES: usize = 32;

/// How an encoded event begins: id, times, source.
type Head<'a> = (&'a str, Timestamp, Timestamp, &'a str);

impl Filed {
    fn new(hash: &[u8; HASH_BYTES], event: &DeliveryEvent) -> Self {
        Self(bytes(hash, event).into_boxed_slice())
    }
    /// A record with this order and no event: what is looked for.
    fn named(order: &RecordOrder) -> Self {
        let head: Head<'_> = (order.id.as_str(), order.occurred_at, order.observed_at, order.source.as_str());
        Self(bytes(&order.hash, &head).into_boxed_slice())
    }
    fn parts(&self) -> (&[u8], &[u8]) {
        self.0.split_at(HASH_BYTES.min(self.0.len()))
    }
    fn event(&self) -> DeliveryEvent {
        open(self.parts().1)
    }
    /// What it is compared by.
    fn rank(&self) -> (Timestamp, Timestamp, &str, &str, &[u8]) {
        let (hash, event) = self.parts();
        let (id, occurred_at, observed_at, source): Head<'_> = first(event);
        (occurred_at, observed_at, source, id, hash)
    }
    fn order(&self) -> RecordOrder {
        let (occurred_at, observed_at, source, id, hash) = self.rank();
        let (source, id) = (Text::new(source), Text::new(id));
        RecordOrder { occurred_at, observed_at, source, id, hash: hash.try_into().unwrap_or_default() }
    }
}

impl PartialEq for Filed {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Filed {}
impl Ord for Filed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}
impl PartialOrd for Filed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The encoded event, as a changelog holds it.
impl Serialize for Filed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_encoded(self.parts().1, serializer)
    }
}
