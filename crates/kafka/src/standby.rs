//! The standby of a process: it follows the changelogs of tasks that run elsewhere into its own local checkpoints, so
//! that a task which comes to it reads the tail only.
//!
//! It asks nobody who else does so. A task that runs here is never followed: its own transactions write its copy.

use crate::client;
use crate::error::Error;
use crate::local::{Delta, Keeper, LocalCheckpoints, Mark, mark_of, name_of};
use crate::log::Reader;
use crate::run::{tasks, wait};
use crate::settings::KafkaSettings;
use model::Timestamp;
use model::table::ChangelogEntry;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it is looked which tasks run here.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pause after brokers could not be asked.
const PAUSE: Duration = Duration::from_secs(5);
/// Records that are written at once.
const AT_ONCE: usize = 20_000;
/// The longest that a record waits to be written.
const WRITE_EVERY: Duration = Duration::from_millis(200);

/// Follows changelogs until it is told to stop, or copies cannot be written.
pub fn follow(settings: &KafkaSettings, changelogs: &[String], keeper: &Keeper, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match Standby::start(settings, changelogs, keeper).and_then(|mut standby| standby.run(stop)) {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, "the standby waits");
                wait(PAUSE, stop);
            }
        }
    }
}

struct Standby<'a> {
    keeper: &'a Keeper,
    consumer: BaseConsumer<Reader>,
    /// Every partition of every changelog.
    all: Vec<(String, u32)>,
    followed: BTreeMap<(String, u32), Followed>,
}

/// A changelog that is followed.
struct Followed {
    copy: String,
    /// The mark that what waits goes on from; `None`: the copy is begun anew.
    mark: Option<i64>,
    /// The next offset to read.
    next: i64,
    waiting: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// The last record that waits.
    last: Mark,
    since: Instant,
}

impl<'a> Standby<'a> {
    fn start(settings: &KafkaSettings, changelogs: &[String], keeper: &'a Keeper) -> Result<Self, Error> {
        let partitions = tasks(settings)?;
        let consumer = client::reader(settings)
            .create_with_context(Reader { of: "standby".to_owned() })
            .map_err(Error::client("the consumer of the standby"))?;
        let all = changelogs.iter().flat_map(|topic| (0..partitions).map(|at| (topic.clone(), at)));
        Ok(Self { keeper, consumer, all: all.collect(), followed: BTreeMap::new() })
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        let mut looked: Option<Instant> = None;
        while !stop.load(Ordering::Relaxed) {
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
                self.choose()?;
                looked = Some(Instant::now());
            }
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => Self::take(&mut self.followed, &message),
                Some(Err(error)) => tracing::debug!(%error, "the standby"),
                None => {}
            }
            for followed in self.followed.values_mut() {
                if followed.is_due() && !followed.write(self.keeper, stop) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Follows the changelogs of all tasks but those that run here.
    fn choose(&mut self) -> Result<(), Error> {
        let is_followed = |at: &(String, u32)| self.followed.contains_key(at);
        let is_wanted = |(topic, partition): &(String, u32)| !self.keeper.owns(&name_of(topic, *partition));
        if self.all.iter().all(|at| is_followed(at) == is_wanted(at)) {
            return Ok(());
        }
        let (all, keeper) = (&self.all, self.keeper);
        let wanted = all.iter().filter(|at| is_wanted(at)).cloned().collect::<Vec<_>>();
        self.followed.retain(|at, _| wanted.contains(at));
        for (topic, partition) in wanted {
            let copy = name_of(&topic, partition);
            self.followed.entry((topic, partition)).or_insert_with(|| Followed::of(copy, keeper));
        }
        tracing::info!(tasks = self.followed.len(), "the standby follows changelogs");
        let mut list = TopicPartitionList::new();
        let failed = |error: rdkafka::error::KafkaError| Error::Consume(format!("the standby: {error}"));
        for ((topic, partition), followed) in &self.followed {
            let partition = i32::try_from(*partition).unwrap_or(i32::MAX);
            let offset = Offset::Offset(followed.next);
            list.add_partition_offset(topic, partition, offset).map_err(failed)?;
        }
        client::assign(&self.consumer, &list).map_err(failed)
    }

    fn take(followed: &mut BTreeMap<(String, u32), Followed>, message: &BorrowedMessage<'_>) {
        let Ok(partition) = u32::try_from(message.partition()) else { return };
        if let Some(followed) = followed.get_mut(&(message.topic().to_owned(), partition)) {
            followed.take(message);
        }
    }
}

impl Followed {
    /// From where the copy is; from the beginning, where there is none that can be gone on from.
    fn of(copy: String, keeper: &Keeper) -> Self {
        let mark = mark_of(|take| keeper.scan(&copy, take)).ok().flatten();
        let mark = mark.filter(|mark| !mark.is_old(crate::now())).map(|mark| mark.offset);
        Self {
            copy,
            mark,
            next: mark.unwrap_or(0),
            waiting: HashMap::new(),
            last: Mark { offset: 0, at: Timestamp::from_micros(0) },
            since: Instant::now(),
        }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        if message.offset() < self.next {
            // It is another changelog than it was: the copy begins anew.
            (self.mark, self.waiting) = (None, HashMap::new());
        }
        self.next = message.offset() + 1;
        if self.waiting.is_empty() {
            self.since = Instant::now();
        }
        // What comes after this record was written after it.
        let at = Timestamp::from_micros(message.timestamp().to_millis().unwrap_or(0) * 1_000);
        self.last = Mark { offset: message.offset(), at };
        let key = message.key().unwrap_or_default().to_vec();
        self.waiting.insert(key, message.payload().map(<[u8]>::to_vec));
    }

    fn is_due(&self) -> bool {
        self.waiting.len() >= AT_ONCE || !self.waiting.is_empty() && self.since.elapsed() >= WRITE_EVERY
    }

    /// Has what waits written. Says whether copies can be written at all.
    fn write(&mut self, keeper: &Keeper, stop: &AtomicBool) -> bool {
        let changes = std::mem::take(&mut self.waiting).into_iter();
        let changes = changes.map(|(key, value)| ChangelogEntry { key, value }).collect();
        let delta = Delta { from: self.mark, changes, mark: self.last };
        match keeper.follow(&self.copy, delta, stop) {
            Ok(()) => {
                self.mark = Some(self.last.offset);
                true
            }
            Err(reason) => {
                tracing::warn!(%reason, "the standby follows no further");
                false
            }
        }
    }
}
