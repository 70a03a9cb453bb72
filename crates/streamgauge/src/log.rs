//! The durable log and state of the embedded run, on an embedded store.
//!
//! One atomic batch where Kafka has a transaction: the raw records, the changes of state, the rows for
//! ClickHouse, the dead letters and the position become visible together or not at all. Rows stay in the outbox
//! until ClickHouse has acknowledged them; loading one twice changes nothing, because each carries its `rev`.

use crate::disk;
use crate::ownership::Ownership;
use anyhow::{Context, anyhow};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use model::fact::RowChange;
use model::raw::{DeadLetter, RawRecord};
use model::table::ChangelogEntry;
use model::{DeliveryEvent, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Rows of one outbox entry: what a loader holds in memory at once.
const OUTBOX_ROWS: usize = 50_000;
/// Keys that a sweep removes in one batch.
const SWEEP_KEYS: usize = 50_000;

/// Rows of one transaction (or a part of them), not yet acknowledged by ClickHouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outbox {
    /// The transaction's revision: of two rows with one key the greater wins.
    pub rev: u64,
    /// When they were computed.
    pub computed_at: Timestamp,
    /// The definitions that made them.
    pub definition: String,
    /// The rows, each with the partition of the task that wrote it.
    pub rows: Vec<(u32, RowChange)>,
    /// Events for the archive.
    pub events: Vec<DeliveryEvent>,
}

/// What the folder's numbers were made with. Another one of these means: compute them anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The layout of the stored state.
    pub layout: u32,
    /// The definitions' hash.
    pub definition: String,
    /// How many partitions.
    pub partitions: u32,
}

/// The layout of the state that this version writes. A change of any task's tables, or of ClickHouse's, raises it.
pub const LAYOUT: u32 = 8;

/// The store.
#[derive(Clone)]
pub struct EventLog {
    folder: Arc<Path>,
    database: Database,
    raw: Keyspace,
    known: Keyspace,
    state: Keyspace,
    outbox: Keyspace,
    letters: Keyspace,
    meta: Keyspace,
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLog").finish_non_exhaustive()
    }
}

/// The hash by which identical records are known.
pub type RecordHash = [u8; 16];

/// What one transaction holds.
#[derive(Debug, Default)]
pub struct Transaction {
    /// New raw records with their hashes.
    pub records: Vec<(RecordHash, RawRecord)>,
    /// Changes of the tasks' state.
    pub state: Vec<(Vec<u8>, ChangelogEntry)>,
    /// Rows for ClickHouse, each with the partition of the task that wrote it.
    pub rows: Vec<(u32, RowChange)>,
    /// Events for the archive.
    pub events: Vec<Arc<DeliveryEvent>>,
    /// What was rejected.
    pub letters: Vec<DeadLetter>,
    /// Records that were taken, by what they say: a dead letter of one of them is answered.
    pub taken: Vec<RecordHash>,
    /// Up to which sequence of the raw log everything is processed (exclusive).
    pub position: u64,
    /// The definitions' hash.
    pub definition: String,
    /// When it was computed.
    pub computed_at: Timestamp,
    /// The catalog that counts from now on, where it changed.
    pub ownership: Option<Ownership>,
}

impl EventLog {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// When the store is damaged or the disk refuses.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("log");
        let database = Database::builder(&path)
            .open()
            .map_err(store_error)
            .with_context(|| format!("the log in {} cannot be opened", path.display()))?;
        let keyspace =
            |name: &str| database.keyspace(name, KeyspaceCreateOptions::default).map_err(store_error);
        Ok(Self {
            folder: folder.into(),
            raw: keyspace("raw")?,
            known: keyspace("known")?,
            state: keyspace("state")?,
            outbox: keyspace("outbox")?,
            letters: keyspace("letters")?,
            meta: keyspace("meta")?,
            database,
        })
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The sequence that the next raw record gets.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_sequence(&self) -> anyhow::Result<u64> {
        let Some(last) = self.raw.last_key_value() else { return Ok(0) };
        Ok(number(&last.key().map_err(store_error)?) + 1)
    }

    /// Whether an identical record is in the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn knows(&self, hash: &RecordHash) -> anyhow::Result<bool> {
        self.known.contains_key(hash).map_err(store_error)
    }

    /// Makes a transaction durable, whole. Returns its revision.
    ///
    /// # Errors
    /// A full disk, a damaged store; then nothing of it is visible.
    pub fn commit(&self, transaction: Transaction) -> anyhow::Result<u64> {
        let rev = self.meta::<u64>("rev")?.unwrap_or(0) + 1;
        let mut batch = self.batch();
        for (sequence, (hash, record)) in (self.next_sequence()?..).zip(&transaction.records) {
            batch.insert(&self.raw, sequence.to_be_bytes(), encode(record)?);
            batch.insert(&self.known, hash, sequence.to_be_bytes());
        }
        for (task, entry) in transaction.state {
            let key = state_key(&task, &entry.key);
            match entry.value {
                Some(value) => batch.insert(&self.state, key, value),
                None => batch.remove(&self.state, key),
            }
        }
        let mut rows = transaction.rows.into_iter().peekable();
        let mut events = transaction.events.into_iter().peekable();
        let mut part = 0_u32;
        while rows.peek().is_some() || events.peek().is_some() {
            let entry = Outbox {
                rev,
                computed_at: transaction.computed_at,
                definition: transaction.definition.clone(),
                rows: rows.by_ref().take(OUTBOX_ROWS).collect(),
                events: events.by_ref().take(OUTBOX_ROWS).map(Arc::unwrap_or_clone).collect(),
            };
            batch.insert(
                &self.outbox,
                [&rev.to_be_bytes()[..], &part.to_be_bytes()].concat(),
                encode(&entry)?,
            );
            part += 1;
        }
        for hash in &transaction.taken {
            batch.remove(&self.letters, hash);
        }
        for letter in &transaction.letters {
            // The same rejected input again is the same dead letter.
            batch.insert(&self.letters, letter_key(letter), encode(letter)?);
        }
        batch.insert(&self.meta, "rev", encode(&rev)?);
        batch.insert(&self.meta, "position", encode(&transaction.position)?);
        batch.insert(&self.meta, "settled", encode(&false)?);
        if let Some(ownership) = &transaction.ownership {
            batch.insert(&self.meta, "ownership", encode(ownership)?);
        }
        self.write(batch).context("the transaction cannot be written")?;
        Ok(rev)
    }

    /// Up to which sequence of the raw log everything is processed (exclusive).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn position(&self) -> anyhow::Result<u64> {
        Ok(self.meta("position")?.unwrap_or(0))
    }

    /// Whether every table is up to date with the last transaction: the key `settled` says so afterwards.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn is_settled(&self) -> anyhow::Result<bool> {
        Ok(self.meta("settled")?.unwrap_or(true))
    }

    /// The raw records from a sequence on, in order.
    pub fn raw_from(&self, sequence: u64) -> impl Iterator<Item = anyhow::Result<RawRecord>> + use<> {
        self.raw.range(sequence.to_be_bytes()..).map(|entry| decode(&entry.value().map_err(store_error)?))
    }

    /// Every entry of every task's state, in order.
    pub fn state(&self) -> impl Iterator<Item = anyhow::Result<(Vec<u8>, ChangelogEntry)>> + use<> {
        self.state.iter().map(|entry| {
            let (key, value) = entry.into_inner().map_err(store_error)?;
            let (task, key) = split_state_key(&key).ok_or_else(|| anyhow!("a key of the state is cut"))?;
            Ok((task.to_vec(), ChangelogEntry { key: key.to_vec(), value: Some(value.to_vec()) }))
        })
    }

    /// The first outbox entry after a key, with its key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_outbox(&self, after: Option<&[u8]>) -> anyhow::Result<Option<(Vec<u8>, Outbox)>> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let Some(entry) = self.outbox.range::<&[u8], _>((from, Bound::Unbounded)).next() else {
            return Ok(None);
        };
        let (key, value) = entry.into_inner().map_err(store_error)?;
        Ok(Some((key.to_vec(), decode(&value)?)))
    }

    /// Takes outbox entries away that ClickHouse has acknowledged.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn acknowledge(&self, keys: &[Vec<u8>]) -> anyhow::Result<()> {
        let mut batch = self.database.batch();
        for key in keys {
            batch.remove(&self.outbox, key.as_slice());
        }
        self.write(batch)
    }

    /// Every dead letter with its key, in no meaningful order.
    pub fn letters(&self) -> impl Iterator<Item = anyhow::Result<(RecordHash, DeadLetter)>> + use<> {
        self.letters.iter().map(|entry| {
            let (key, value) = entry.into_inner().map_err(store_error)?;
            let key = RecordHash::try_from(&*key).map_err(|_| anyhow!("the key of a dead letter is cut"))?;
            Ok((key, decode(&value)?))
        })
    }

    /// Whether there is any dead letter.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_letters(&self) -> anyhow::Result<bool> {
        Ok(!self.letters.is_empty().map_err(store_error)?)
    }

    /// Takes a dead letter away: its record was taken.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_letter(&self, key: &RecordHash) -> anyhow::Result<()> {
        let mut batch = self.batch();
        batch.remove(&self.letters, key.as_slice());
        batch.commit().map_err(store_error)
    }

    /// A value kept by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn meta<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        self.meta.get(name).map_err(store_error)?.map(|value| decode(&value)).transpose()
    }

    /// Keeps a value by name.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn set_meta<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let mut batch = self.batch();
        batch.insert(&self.meta, name, encode(value)?);
        self.write(batch)
    }

    /// Forgets what was computed, never what came in: the raw log is processed again from its start. Dead letters
    /// stay, for what they hold is not in the log; those of records that are taken now go with them.
    /// The generation is set last, so that a crash in between starts over.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn begin_generation(&self, generation: &Generation) -> anyhow::Result<()> {
        self.set_meta("generation", &Generation::default())?;
        for keyspace in [&self.state, &self.outbox] {
            self.sweep(keyspace)?;
        }
        let mut batch = self.batch();
        batch.insert(&self.meta, "position", encode(&0_u64)?);
        batch.insert(&self.meta, "generation", encode(generation)?);
        self.write(batch)
    }

    fn sweep(&self, keyspace: &Keyspace) -> anyhow::Result<()> {
        loop {
            let keys: Vec<_> = keyspace
                .iter()
                .take(SWEEP_KEYS)
                .map(|entry| entry.key())
                .collect::<Result<_, _>>()
                .map_err(store_error)?;
            if keys.is_empty() {
                return Ok(());
            }
            let mut batch = self.database.batch();
            for key in keys {
                batch.remove(keyspace, key);
            }
            self.write(batch)?;
        }
    }

    fn write(&self, batch: OwnedWriteBatch) -> anyhow::Result<()> {
        // A full disk may have stopped a thread of the store: then this error only says that something failed.
        batch.commit().map_err(|error| match error {
            fjall::Error::Poisoned if disk::has_no_room(&self.folder) => disk::full(),
            error => store_error(error),
        })
    }

    fn batch(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncData))
    }
}

/// The hash of what a record says, not of when or where it was read: the same input again is the same record.
pub fn record_hash(record: &RawRecord, received_at_counts: bool) -> RecordHash {
    let mut hasher = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    part(record.source.as_str().as_bytes());
    for (key, value) in &record.headers {
        part(key.as_str().as_bytes());
        part(value.as_bytes());
    }
    part(&record.body);
    if received_at_counts {
        part(&record.received_at.micros().to_be_bytes());
    }
    let mut hash = RecordHash::default();
    hash.iter_mut().zip(hasher.finalize()).for_each(|(to, from)| *to = from);
    hash
}

/// The key of a letter; of one that keeps its record whole the hash of the record.
fn letter_key(letter: &DeadLetter) -> RecordHash {
    let record = RawRecord {
        source: letter.source.clone(),
        headers: letter.headers.clone(),
        body: letter.body.clone(),
        received_at: letter.received_at,
        origin: letter.origin.clone(),
    };
    record_hash(&record, false)
}

fn state_key(task: &[u8], key: &[u8]) -> Vec<u8> {
    let length = u16::try_from(task.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], task, key].concat()
}

fn split_state_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn number(key: &[u8]) -> u64 {
    key.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn encode<T: Serialize>(value: &T) -> anyhow::Result<Vec<u8>> {
    postcard::to_allocvec(value).context("encoding for the log")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> anyhow::Result<T> {
    postcard::from_bytes(bytes).context("the log holds a value that this version cannot read")
}

/// The store's own messages are in the form of its types; the commonest causes get a sentence.
fn store_error(error: fjall::Error) -> anyhow::Error {
    match error {
        fjall::Error::Io(error) if disk::says_full(error.kind()) => disk::full(),
        fjall::Error::Io(error) => anyhow::Error::new(error),
        fjall::Error::Poisoned => anyhow!(
            "a write to the disk failed earlier (look for a failing disk, then give the same command again)"
        ),
        fjall::Error::Locked => anyhow!("the log is in use by another process"),
        other => anyhow!("the log's store: {other}"),
    }
}

#[cfg(test)]
mod tests;
