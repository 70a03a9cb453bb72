//! A task's state, read back from its changelog.
//!
//! Committed records only, up to the last stable offset: control records occupy offsets, so the end is where the
//! broker says that it is, and not one after the last record. The checkpoint says what the state must be; the
//! state that is found is held against it.

use crate::catalog::Revision;
use crate::checkpoint::{CATALOG_KEY, CHECKPOINT_KEY, Checkpoint, Disagreement, LAYOUT, entry_hash};
use crate::client;
use crate::error::Error;
use crate::log::Reader;
use crate::member::ANSWER_WITHIN;
use crate::outside::Outside;
use crate::probe::is_topic_denied;
use crate::settings::KafkaSettings;
use crate::stage::Logic;
use crate::stats::StageStats;
use crate::task::Context;
use model::table::{ChangelogEntry, RestoreError};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long nothing may come before a restore is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// The same while all brokers are away: the stage says so sooner.
const AWAY: Duration = Duration::from_secs(5);
/// Records between two counts of them.
const TELL_EVERY: u64 = 10_000;
/// The table number under which keys are no state.
const RESERVED: u8 = 0;

/// A task's state as it was.
pub struct Restored<L> {
    /// The task.
    pub logic: L,
    /// The catalog by which it was concluded.
    pub catalog: Revision,
    /// The checkpoint; `None`: the task is new.
    pub checkpoint: Option<Checkpoint>,
    /// Records read.
    pub entries_read: u64,
    /// Bytes of the state's keys and values.
    pub bytes: u64,
}

/// Restores a task. `make` makes an empty one: with the catalog that its state was concluded by (file, text,
/// offset), where one is kept.
///
/// # Errors
/// A changelog that cannot be read, or that does not hold what its checkpoint says.
pub fn restore<L: Logic>(
    context: &Context,
    outside: &impl Outside,
    topic: &str,
    partition: u32,
    name: &str,
    make: impl FnOnce(Option<(&str, &str, i64)>) -> Result<(L, Revision), Error>,
    stats: &StageStats,
) -> Result<Restored<L>, Error> {
    let mut live = Live::default();
    let mut told = 0;
    outside.read(topic, partition, name, |key, value| {
        live.take(key, value);
        if live.read - told >= TELL_EVERY {
            stats.restoring(live.read - told);
            told = live.read;
        }
    })?;
    stats.restoring(live.read - told);
    let state = |source| Error::State { task: name.to_owned(), source };
    let broken = |source| Error::Restore { task: name.to_owned(), source };
    let kept = live.catalog.as_deref().map(decode_catalog).transpose().map_err(broken)?;
    let (mut logic, catalog) = make(kept.as_ref().map(|kept| (kept.0.as_str(), kept.1.as_str(), kept.2)))?;
    let entries_read = live.read;
    let checkpoint = live.checkpoint.as_deref().map(decode_checkpoint).transpose().map_err(broken)?;
    if let Some(checkpoint) = &checkpoint {
        usable(checkpoint, context).map_err(state)?;
    }
    let (mut entries, mut hash, mut bytes) = (0_u64, 0_u64, 0_u64);
    for (key, value) in live.entries {
        let Some(value) = value else { continue };
        entries += 1;
        bytes += (key.len() + value.len()) as u64;
        hash = hash.wrapping_add(entry_hash(&key, &value));
        logic.state().restore_entry(&ChangelogEntry { key, value: Some(value) }).map_err(broken)?;
    }
    let (sequence, wanted, wanted_hash) =
        checkpoint.as_ref().map_or((0, 0, 0), |kept| (kept.sequence, kept.entries, kept.state_hash));
    if (entries, hash) != (wanted, wanted_hash) {
        return Err(state(Disagreement::State { sequence, found: entries, wanted }));
    }
    logic.state().restored();
    Ok(Restored { logic, catalog, checkpoint, entries_read, bytes })
}

/// The checkpoint that a changelog ends with now.
///
/// # Errors
/// A changelog that cannot be read.
pub fn checkpoint(
    outside: &impl Outside,
    topic: &str,
    partition: u32,
    name: &str,
) -> Result<Option<Checkpoint>, Error> {
    let mut last = None;
    outside.read(topic, partition, name, |key, value| {
        if key == CHECKPOINT_KEY {
            last = value.map(<[u8]>::to_vec);
        }
    })?;
    let broken = |source| Error::Restore { task: name.to_owned(), source };
    last.as_deref().map(decode_checkpoint).transpose().map_err(broken)
}

fn decode_checkpoint(bytes: &[u8]) -> Result<Checkpoint, RestoreError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RestoreError::Corrupt { table: RESERVED, reason: error.to_string() })
}

fn usable(checkpoint: &Checkpoint, context: &Context) -> Result<(), Disagreement> {
    if checkpoint.layout != LAYOUT {
        return Err(Disagreement::Layout(checkpoint.layout));
    }
    if checkpoint.definition != context.definition {
        let (found, wanted) = (checkpoint.definition.clone(), context.definition.clone());
        return Err(Disagreement::Definitions { found, wanted });
    }
    if checkpoint.tasks != context.tasks {
        return Err(Disagreement::Tasks { found: checkpoint.tasks, wanted: context.tasks });
    }
    Ok(())
}

/// The last record of each key.
#[derive(Default)]
struct Live {
    entries: HashMap<Vec<u8>, Option<Vec<u8>>>,
    checkpoint: Option<Vec<u8>>,
    catalog: Option<Vec<u8>>,
    read: u64,
}

impl Live {
    fn take(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.read += 1;
        let value = value.map(<[u8]>::to_vec);
        match key {
            CHECKPOINT_KEY => self.checkpoint = value,
            CATALOG_KEY => self.catalog = value,
            key => match self.entries.get_mut(key) {
                Some(kept) => *kept = value,
                None => _ = self.entries.insert(key.to_vec(), value),
            },
        }
    }
}

/// Reads the committed records of a changelog through librdkafka.
///
/// # Errors
/// When it may not be read, or nothing comes for [`SILENCE`].
pub fn read(
    settings: &KafkaSettings,
    topic: &str,
    partition: u32,
    name: &str,
    mut take: impl FnMut(&[u8], Option<&[u8]>),
) -> Result<(), Error> {
    let mut config = client::reader(settings);
    // Nothing is written to it meanwhile: its end is told at once.
    config
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "5")
        .set("fetch.message.max.bytes", "8388608");
    let consumer: BaseConsumer<Reader> = config
        .create_with_context(Reader { of: name.to_owned() })
        .map_err(Error::client("the consumer of a changelog"))?;
    let stuck_for = |limit: Duration, reason: String| Error::RestoreStuck {
        task: name.to_owned(),
        seconds: limit.as_secs(),
        reason,
    };
    let stuck = |reason| stuck_for(SILENCE, reason);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, i32::try_from(partition).unwrap_or(i32::MAX), client::FROM_THE_FIRST)
        .map_err(|error| stuck(error.to_string()))?;
    consumer.assign(&list).map_err(|error| stuck(error.to_string()))?;
    let mut heard = Instant::now();
    let mut last = "nothing".to_owned();
    let mut all_down = false;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                all_down = false;
                take(message.key().unwrap_or_default(), message.payload());
            }
            // Under read_committed this is the last stable offset: the task's producer was initialised before,
            // so that nothing is open any more.
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
            Some(Err(error)) if is_topic_denied(&error) => {
                return Err(Error::Consume(format!("topic {topic}: {error}")));
            }
            Some(Err(error)) => {
                all_down |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
                last = error.to_string();
            }
            None => {}
        }
        let limit = if all_down { AWAY } else { SILENCE };
        if heard.elapsed() > limit {
            return Err(stuck_for(limit, last));
        }
    }
}

/// The end of a changelog: its last stable offset.
///
/// # Errors
/// When the broker does not answer in time.
pub fn end(settings: &KafkaSettings, topic: &str, partition: u32, name: &str) -> Result<i64, Error> {
    let consumer: BaseConsumer =
        client::reader(settings).create().map_err(Error::client("the consumer of a changelog"))?;
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    let watermarks = consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN);
    watermarks.map(|(_, end)| end).map_err(|error| Error::RestoreStuck {
        task: name.to_owned(),
        seconds: ANSWER_WITHIN.as_secs(),
        reason: error.to_string(),
    })
}

/// A catalog as a changelog keeps it.
pub fn encode_catalog(revision: &Revision) -> Vec<u8> {
    postcard::to_allocvec(&(&revision.file, &*revision.text, revision.offset)).unwrap_or_default()
}

fn decode_catalog(bytes: &[u8]) -> Result<(String, String, i64), RestoreError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RestoreError::Corrupt { table: RESERVED, reason: error.to_string() })
}
