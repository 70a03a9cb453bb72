//! The simulated log: partitions of records with offsets, transactions that end in each of them, compaction.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// A transaction's number, never used twice.
pub type Txn = u64;

/// A record in a partition.
#[derive(Debug, Clone)]
pub struct Record {
    pub offset: i64,
    pub key: Arc<[u8]>,
    /// `None`: a tombstone.
    pub value: Option<Arc<[u8]>>,
    pub headers: Arc<[(String, Vec<u8>)]>,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The transaction that it is part of; `None`: none.
    pub txn: Option<Txn>,
}

impl Record {
    /// A record with a value only, of no transaction.
    pub fn new(value: impl Into<Arc<[u8]>>, timestamp_ms: i64) -> Self {
        let (key, headers) = (Arc::from([]), Arc::from([]));
        Self { offset: 0, key, value: Some(value.into()), headers, timestamp_ms, txn: None }
    }
}

/// A partition. Control records only take an offset.
#[derive(Debug, Clone, Default)]
pub struct Partition {
    /// In order of offsets; compaction makes holes.
    pub records: Vec<Record>,
    /// The offset of the next record.
    pub end: i64,
    /// Transactions that have not ended here, with their first offset.
    open: BTreeMap<Txn, i64>,
    aborted: BTreeSet<Txn>,
}

impl Partition {
    /// Adds a record; gives its offset.
    pub fn append(&mut self, mut record: Record) -> i64 {
        record.offset = self.end;
        if let Some(txn) = record.txn {
            self.open.entry(txn).or_insert(self.end);
        }
        self.records.push(record);
        self.end += 1;
        self.end - 1
    }

    /// Writes the record that ends a transaction here.
    pub fn end_txn(&mut self, txn: Txn, commit: bool) {
        self.open.remove(&txn);
        if !commit {
            self.aborted.insert(txn);
        }
        self.end += 1;
    }

    /// The last stable offset: what lies before it is decided.
    pub fn stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end)
    }

    /// The first record at or after an offset that a reader sees; `committed`: under `read_committed`.
    pub fn next(&self, from: i64, committed: bool) -> Option<&Record> {
        let first = self.records.partition_point(|record| record.offset < from);
        let mut rest = self.records.get(first..)?.iter();
        if !committed {
            return rest.next();
        }
        let stable = self.stable();
        rest.find(|record| !self.is_aborted(record)).filter(|record| record.offset < stable)
    }

    /// Whether a record is part of a transaction that was aborted.
    pub fn is_aborted(&self, record: &Record) -> bool {
        record.txn.is_some_and(|txn| self.aborted.contains(&txn))
    }

    /// Every committed record, in order.
    pub fn committed(&self) -> impl Iterator<Item = &Record> {
        let stable = self.stable();
        self.records.iter().filter(move |record| record.offset < stable && !self.is_aborted(record))
    }

    /// Keeps of what is decided and lies before `until` the last record of each key. Tombstones go once they are
    /// older than `oldest_ms`. Gives how many records went.
    pub fn compact(&mut self, until: i64, oldest_ms: i64) -> usize {
        let until = until.min(self.stable());
        let mut last: BTreeMap<Rc<[u8]>, i64> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.offset < until && !self.is_aborted(record)) {
            last.insert(Rc::from(&*record.key), record.offset);
        }
        let before = self.records.len();
        let aborted = &self.aborted;
        self.records.retain(|record| {
            if record.offset >= until {
                return true;
            }
            let is_aborted = record.txn.is_some_and(|txn| aborted.contains(&txn));
            let is_last = last.get(&*record.key) == Some(&record.offset);
            let has_gone = record.value.is_none() && record.timestamp_ms < oldest_ms;
            !is_aborted && is_last && !has_gone
        });
        before - self.records.len()
    }
}

/// Topics with their partitions.
#[derive(Debug, Default)]
pub struct Log {
    topics: BTreeMap<String, Vec<Partition>>,
}

impl Log {
    /// Makes a topic.
    pub fn create(&mut self, topic: &str, partitions: usize) {
        self.topics.insert(topic.to_owned(), vec![Partition::default(); partitions]);
    }
    /// Every topic's name.
    pub fn topics(&self) -> impl Iterator<Item = &String> {
        self.topics.keys()
    }
    /// A topic's partitions.
    pub fn topic(&self, topic: &str) -> &[Partition] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }
    /// A partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.topic(topic).get(usize::try_from(partition).ok()?)
    }
    /// A partition, to be written to.
    pub fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.get_mut(usize::try_from(partition).ok()?)
    }
    /// How many offsets were given out in all, but for changelogs: an idle task looks at its dimensions each hour, and
    /// commits that it found nothing.
    pub fn written(&self) -> i64 {
        let outputs = self.topics.iter().filter(|(topic, _)| !topic.ends_with(".changelog"));
        outputs.flat_map(|(_, partitions)| partitions).map(|partition| partition.end).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &[u8], value: Option<&[u8]>, txn: Option<Txn>) -> Record {
        let (key, value) = (Arc::from(key), value.map(Arc::from));
        Record { offset: 0, key, value, headers: Arc::from([]), timestamp_ms: 0, txn }
    }

    #[test]
    fn what_is_not_decided_and_what_was_aborted_is_not_seen_and_ends_take_an_offset() {
        let mut log = Partition::default();
        log.append(record(b"a", Some(b"1"), Some(1)));
        log.append(record(b"b", Some(b"1"), Some(2)));
        assert_eq!((log.stable(), log.next(0, true).map(|r| r.offset)), (0, None));
        assert_eq!(log.next(1, false).map(|r| r.offset), Some(1));
        log.end_txn(2, true);
        // Decided, but behind what is not.
        assert!(log.next(0, true).is_none());
        log.end_txn(1, false);
        assert_eq!((log.stable(), log.next(0, true).map(|r| r.offset)), (4, Some(1)));
        assert!(log.next(2, true).is_none());
    }

    #[test]
    fn compaction_keeps_the_last_of_each_key_and_tombstones_for_their_time() {
        let mut log = Partition::default();
        for (key, value) in [(b"a", Some(&b"1"[..])), (b"b", Some(b"1")), (b"a", None), (b"b", Some(b"2"))] {
            log.append(record(key, value, None));
        }
        log.append(record(b"b", Some(b"3"), Some(9)));
        let offsets = |log: &Partition| log.records.iter().map(|r| r.offset).collect::<Vec<_>>();
        assert_eq!(log.compact(9, 0), 2);
        assert_eq!(offsets(&log), [2, 3, 4]);
        assert_eq!(log.compact(9, 1), 1);
        assert_eq!(offsets(&log), [3, 4]);
        log.end_txn(9, false);
        log.compact(9, 1);
        assert_eq!(offsets(&log), [3]);
    }
}
