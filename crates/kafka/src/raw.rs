//! Raw records into their topics.

use crate::client;
use crate::error::Error;
use crate::out::header;
use crate::settings::KafkaSettings;
use model::raw::RawRecord;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A raw record's headers as they lie in its topic.
pub(crate) fn headers(record: &RawRecord) -> OwnedHeaders {
    let received = record.received_at.to_string();
    let headers = OwnedHeaders::new_with_capacity(record.headers.len() + 1)
        .insert(Header { key: header::RECEIVED_AT, value: Some(received.as_str()) });
    record.headers.iter().fold(headers, |headers, (key, value)| {
        headers.insert(Header { key: key.as_str(), value: Some(value.as_str()) })
    })
}

#[derive(Debug, Default)]
struct Delivered {
    failed: AtomicU64,
}

impl ClientContext for Delivered {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
}
impl ProducerContext for Delivered {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result
            && self.failed.fetch_add(1, Ordering::Relaxed) == 0
        {
            tracing::error!(%error, "a raw record was not delivered");
        }
    }
}

/// Sends raw records to the topics of their sources.
pub struct RawSender {
    producer: BaseProducer<Delivered>,
    settings: KafkaSettings,
}

impl std::fmt::Debug for RawSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawSender").finish_non_exhaustive()
    }
}

impl RawSender {
    /// Makes a producer.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn new(settings: &KafkaSettings) -> Result<Self, Error> {
        let producer = client::producer(settings)
            .create_with_context(Delivered::default())
            .map_err(Error::client("a producer of raw records"))?;
        Ok(Self { producer, settings: settings.clone() })
    }

    /// Sends a record; waits while the producer's queue is full.
    ///
    /// # Errors
    /// [`Error::Topic`] for a record that is refused at once.
    pub fn send(&self, record: &RawRecord) -> Result<(), Error> {
        let topic = self.settings.topics.raw(record.source.as_str());
        let mut out = BaseRecord::<[u8], [u8]>::to(&topic).payload(&record.body).headers(headers(record));
        loop {
            match self.producer.send(out) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.serve(Duration::from_millis(5));
                    out = back;
                }
                Err((error, _)) => return Err(Error::Topic { topic, reason: error.to_string() }),
            }
        }
        self.serve(Duration::ZERO);
        Ok(())
    }

    /// Lets the producer tell what was delivered.
    pub fn serve(&self, wait: Duration) {
        self.producer.poll(wait);
    }

    /// Waits until everything is delivered.
    ///
    /// # Errors
    /// [`Error::Consume`] with how many records were not.
    pub fn finish(&self) -> Result<(), Error> {
        let flushed = self.producer.flush(Duration::from_secs(60));
        match (flushed, self.producer.context().failed.load(Ordering::Relaxed)) {
            (Ok(()), 0) => Ok(()),
            (Err(error), _) => {
                Err(Error::Consume(format!("raw records were not delivered in 60 s: {error}")))
            }
            (Ok(()), count) => Err(Error::Consume(format!("{count} raw records were not delivered"))),
        }
    }
}
