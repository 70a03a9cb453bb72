//! Raw records into their topics, each acknowledged on its own: for whoever waits for the answer to one of them.
//!
//! A record is acknowledged once every replica in sync has it (`acks=all`, idempotent). One that is not delivered in
//! time is reported as such; the brokers may have it all the same, and then it comes twice, which changes nothing.

use crate::client;
use crate::error::Error;
use crate::raw::headers;
use crate::settings::KafkaSettings;
use model::raw::RawRecord;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a record may take to be delivered: shorter than a vendor waits for an answer.
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(8);
/// How long the thread that hears of deliveries waits for one.
const POLL: Duration = Duration::from_millis(100);
/// How long records under way may take when the sender ends.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Told once a record is delivered, or why it is not.
pub type Acknowledge = oneshot::Sender<Result<(), String>>;

#[derive(Debug, Default)]
struct Deliveries {
    /// Why the last record was not delivered; `None` while they are.
    trouble: Mutex<Option<String>>,
    troubled: AtomicBool,
}

impl Deliveries {
    fn failed(&self, error: &KafkaError) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            tracing::error!(%error, "raw records are not delivered; whoever sends them is told to send them again");
        }
        *trouble = Some(error.to_string());
        self.troubled.store(true, Ordering::Relaxed);
    }

    fn succeeded(&self) {
        // Nearly every delivery succeeds after another one: then no lock is taken.
        if self.troubled.swap(false, Ordering::Relaxed) {
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!("raw records are delivered again");
        }
    }
}

impl ClientContext for Deliveries {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
}
impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Acknowledge>;
    fn delivery(&self, result: &DeliveryResult<'_>, acknowledge: Box<Acknowledge>) {
        let told = match result {
            Ok(_) => {
                self.succeeded();
                Ok(())
            }
            Err((error, _)) => {
                self.failed(error);
                Err(error.to_string())
            }
        };
        // Whoever asked may have gone away.
        let _ = acknowledge.send(told);
    }
}

/// Sends raw records to the topics of their sources, and tells of each what became of it. Dropping it waits a while for
/// those under way.
pub struct AcknowledgedSender {
    producer: Arc<BaseProducer<Deliveries>>,
    settings: KafkaSettings,
    stop: Arc<AtomicBool>,
    hearing: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for AcknowledgedSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcknowledgedSender").finish_non_exhaustive()
    }
}

impl AcknowledgedSender {
    /// Makes a producer, and a thread that hears of deliveries.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn new(settings: &KafkaSettings) -> Result<Self, Error> {
        let mut config = client::producer(settings);
        config.set("message.timeout.ms", DELIVERED_WITHIN.as_millis().to_string());
        let producer: Arc<BaseProducer<Deliveries>> = Arc::new(
            config
                .create_with_context(Deliveries::default())
                .map_err(Error::client("a producer of raw records"))?,
        );
        let stop = Arc::new(AtomicBool::new(false));
        let (heard, stopped) = (producer.clone(), stop.clone());
        let hearing = std::thread::Builder::new()
            .name("deliveries".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    heard.poll(POLL);
                }
            })
            .map_err(|error| Error::Consume(format!("no thread can be started: {error}")))?;
        Ok(Self { producer, settings: settings.clone(), stop, hearing: Some(hearing) })
    }

    /// Takes a record; when there is no room for it, it says so at once.
    pub fn send(&self, record: &RawRecord, acknowledge: Acknowledge) {
        let topic = self.settings.topics.raw(record.source.as_str());
        let out = BaseRecord::<[u8], [u8], Box<Acknowledge>>::with_opaque_to(&topic, Box::new(acknowledge))
            .payload(&record.body)
            .headers(headers(record));
        if let Err((error, out)) = self.producer.send(out) {
            self.producer.context().failed(&error);
            let _ = out.delivery_opaque.send(Err(error.to_string()));
        }
    }

    /// Why records are not delivered now, where that is known.
    pub fn trouble(&self) -> Option<String> {
        self.producer.context().trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for AcknowledgedSender {
    fn drop(&mut self) {
        if let Err(error) = self.producer.flush(END_WITHIN) {
            tracing::warn!(%error, "raw records under way were not delivered; whoever sent them was not told that they were");
        }
        self.stop.store(true, Ordering::Relaxed);
        if let Some(hearing) = self.hearing.take() {
            let _ = hearing.join();
        }
    }
}
