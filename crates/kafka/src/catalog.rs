//! The catalog as a compacted topic of one partition and one key, followed by every process.
//!
//! A record's offset is the catalog's revision: events carry the one that routed them, and a task with an older
//! catalog waits for it ([`Catalogs::at_least`]). A catalog that cannot be read is logged and passed over.

use crate::client;
use crate::error::Error;
use crate::log::Reader;
use crate::member::ANSWER_WITHIN;
use crate::outside::Catalogs;
use crate::probe::is_topic_denied;
use crate::settings::KafkaSettings;
use ::catalog::Catalog;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The one key of the topic.
const KEY: &[u8] = b"catalog";
/// The header with the name of the file that it was read from.
const FILE: &str = "file";
/// How long the first reading of the topic may take.
const FIRST_READING: Duration = Duration::from_secs(30);
/// How long a task waits for a revision that another process has seen already.
const REVISION_WITHIN: Duration = Duration::from_secs(60);

/// Reads a catalog: its file's name and its text.
pub type ReadCatalog = Arc<dyn Fn(&str, &str) -> Result<Catalog, String> + Send + Sync>;

/// A catalog with its place in the topic.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The record's offset; −1: none was ever published.
    pub offset: i64,
    /// The file that it was read from.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// What it means.
    pub catalog: Arc<Catalog>,
}

impl Revision {
    /// Reads a text.
    ///
    /// # Errors
    /// Its mistakes.
    pub fn read(read: &ReadCatalog, offset: i64, file: &str, text: &str) -> Result<Self, Error> {
        let catalog = Arc::new(read(file, text).map_err(Error::Catalog)?);
        Ok(Self { offset, file: file.to_owned(), text: text.into(), catalog })
    }
}

/// The newest catalog, kept so by a thread.
pub struct Follower {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    newest: Mutex<Revision>,
    came: Condvar,
    stop: AtomicBool,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").finish_non_exhaustive()
    }
}

impl Follower {
    /// Reads the topic to its end, and goes on following it.
    ///
    /// # Errors
    /// When the topic cannot be read, or the catalog of an unpublished topic is none.
    pub fn start(settings: &KafkaSettings, read: ReadCatalog) -> Result<Self, Error> {
        let mut config = client::reader(settings);
        config.set("enable.partition.eof", "true");
        let consumer: BaseConsumer<Reader> = config
            .create_with_context(Reader { of: "catalog".to_owned() })
            .map_err(Error::client("the catalog's consumer"))?;
        let mut list = TopicPartitionList::new();
        let refused = |error: KafkaError| Error::Catalog(error.to_string());
        list.add_partition_offset(&settings.topics.catalog, 0, client::FROM_THE_FIRST).map_err(refused)?;
        client::assign(&consumer, &list).map_err(refused)?;
        let mut newest = Revision::read(&read, -1, "", "")?;
        let deadline = Instant::now() + FIRST_READING;
        // That nothing comes behind the last record is said half a second after it.
        let end = consumer.fetch_watermarks(&settings.topics.catalog, 0, ANSWER_WITHIN).map(|(_, end)| end);
        let mut next = 0;
        while !end.as_ref().is_ok_and(|end| next >= *end) {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => {
                    next = message.offset() + 1;
                    newest = revision(&read, &message).unwrap_or(newest);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) if is_topic_denied(&error) => {
                    return Err(Error::Consume(format!("topic {}: {error}", settings.topics.catalog)));
                }
                Some(Err(error)) if Instant::now() > deadline => {
                    return Err(Error::Catalog(error.to_string()));
                }
                None if Instant::now() > deadline => {
                    let seconds = FIRST_READING.as_secs();
                    return Err(Error::Catalog(format!("no broker answered in {seconds} s")));
                }
                Some(Err(_)) | None => {}
            }
        }
        let shared = Arc::new(Shared {
            newest: Mutex::new(newest),
            came: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let following = shared.clone();
        let thread = std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || follow(&consumer, &following, &read))
            .map_err(|error| Error::Catalog(format!("no thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Catalogs for Follower {
    fn newest(&self) -> Revision {
        self.shared.lock().clone()
    }

    fn offset(&self) -> i64 {
        self.shared.lock().offset
    }

    fn at_least(&self, offset: i64) -> Result<Revision, Error> {
        let newest = self.shared.lock();
        let waited =
            self.shared.came.wait_timeout_while(newest, REVISION_WITHIN, |newest| newest.offset < offset);
        let (newest, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if newest.offset < offset {
            let seconds = REVISION_WITHIN.as_secs();
            return Err(Error::Catalog(format!(
                "revision {offset} routed an event, but did not come in {seconds} s: is its text in order \
                 (see the log), and is the topic whole?"
            )));
        }
        Ok(newest.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Revision> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn follow(consumer: &BaseConsumer<Reader>, shared: &Shared, read: &ReadCatalog) {
    while !shared.stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                if let Some(revision) = revision(read, &message) {
                    tracing::info!(offset = revision.offset, file = revision.file, "a new catalog counts");
                    *shared.lock() = revision;
                    shared.came.notify_all();
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(error)) => {
                // While brokers are away the same is heard again and again; the stages' members say it aloud.
                tracing::debug!(%error, "following the catalog");
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

fn revision(read: &ReadCatalog, message: &impl Message) -> Option<Revision> {
    use rdkafka::message::Headers;
    let offset = message.offset();
    let text = message.payload().and_then(|payload| std::str::from_utf8(payload).ok())?;
    let header = message.headers().and_then(|headers| headers.iter().find(|header| header.key == FILE));
    let file = header.and_then(|header| std::str::from_utf8(header.value?).ok()).unwrap_or("catalog");
    match Revision::read(read, offset, file, text) {
        Ok(revision) => Some(revision),
        Err(error) => {
            tracing::error!(offset, "a catalog that cannot be read is passed over: {error}");
            None
        }
    }
}

/// Makes a catalog the one that counts. Returns when the brokers have it.
///
/// # Errors
/// [`Error::Catalog`] when they do not take it in time.
pub fn publish(settings: &KafkaSettings, file: &str, text: &str) -> Result<(), Error> {
    let producer: BaseProducer<DefaultProducerContext> =
        client::producer(settings).create().map_err(Error::client("the catalog's producer"))?;
    let headers = OwnedHeaders::new().insert(Header { key: FILE, value: Some(file) });
    let record =
        BaseRecord::to(&settings.topics.catalog).partition(0).key(KEY).payload(text).headers(headers);
    producer.send(record).map_err(|(error, _)| Error::Catalog(error.to_string()))?;
    producer
        .flush(Duration::from_secs(30))
        .map_err(|error| Error::Catalog(format!("the brokers did not take it: {error}")))
}
