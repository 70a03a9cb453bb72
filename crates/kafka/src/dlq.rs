//! Dead letters on the brokers: read, and given to the pipeline again.
//!
//! A record that is replayed goes into the topic that it came from, as it was delivered and with the time at which it
//! was received: by the one law it changes nothing to replay it twice.

use crate::client;
use crate::connection::{self, Refusal};
use crate::error::Error;
use crate::member::ANSWER_WITHIN;
use crate::out::header;
use crate::settings::KafkaSettings;
use model::raw::{DeadLetter, Origin};
use model::{Text, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long nothing may come before reading is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// A dead letter and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    pub letter: DeadLetter,
}

/// Which letters are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// With this reason.
    pub reason: Option<String>,
    /// Refused by this source.
    pub source: Option<String>,
    /// That came from this topic.
    pub topic: Option<String>,
    /// Written since.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Whether a letter is wanted, as far as its content says.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let is =
            |wanted: &Option<String>, is: &Text| wanted.as_deref().is_none_or(|wanted| wanted == is.as_str());
        is(&self.reason, &letter.reason)
            && is(&self.source, &letter.source)
            && is(&self.topic, &letter.origin.topic)
    }
}

/// What is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// To which topic.
    pub topic: String,
    /// To which partition.
    pub partition: i32,
    /// Whether it is the record as it lies in its topic; else the letter's copy.
    pub original: bool,
    key: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Reads dead letters, and sends their records again.
pub struct DeadLetters {
    settings: KafkaSettings,
    consumer: BaseConsumer<connection::Ear>,
    producer: Option<BaseProducer>,
}

impl std::fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeadLetters").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl DeadLetters {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Refused`] when the brokers cannot be talked to.
    pub fn open(settings: &KafkaSettings) -> Result<Self, Error> {
        let (consumer, _) = connection::connect(settings, ANSWER_WITHIN).map_err(Error::Refused)?;
        Ok(Self { settings: settings.clone(), consumer, producer: None })
    }

    /// Hands on every letter that is wanted, partition by partition in their order, until it is told to stop.
    ///
    /// # Errors
    /// When the topic cannot be read, or what the taker says.
    pub fn each<E: From<Error>>(
        &self,
        filter: &Filter,
        mut take: impl FnMut(Letter) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let partitions = self.partitions()?;
        let mut list = TopicPartitionList::new();
        let topic = &self.settings.topics.dlq;
        for partition in 0..partitions {
            let from = match filter.since {
                Some(since) => Offset::Offset(since.micros().div_euclid(1_000)),
                None => Offset::Beginning,
            };
            list.add_partition_offset(topic, partition, from).map_err(|error| unread(topic, &error))?;
        }
        if filter.since.is_some() {
            // Nothing since: the end.
            list = self
                .consumer
                .offsets_for_times(list, ANSWER_WITHIN)
                .map_err(|error| unread(topic, &error))?;
        }
        client::assign(&self.consumer, &list).map_err(|error| unread(topic, &error))?;
        let mut left = partitions;
        let mut heard = Instant::now();
        while left > 0 {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let letter = letter(&message);
                    if filter.takes(&letter.letter) && take(letter)?.is_break() {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                Some(Err(error)) if is_final(&error) || heard.elapsed() > SILENCE => {
                    return Err(unread(topic, &error).into());
                }
                None if heard.elapsed() > SILENCE => return Err(silent(topic).into()),
                Some(Err(_)) | None => {}
            }
        }
        let _ = client::unassign(&self.consumer);
        Ok(())
    }

    /// The letter at a place; `None`: there is none (any more).
    ///
    /// # Errors
    /// When the topic cannot be read.
    pub fn at(&self, partition: i32, offset: i64) -> Result<Option<Letter>, Error> {
        self.record(&self.settings.topics.dlq, partition, offset, letter)
    }

    /// What would be sent for a letter.
    ///
    /// # Errors
    /// In `Ok(Err(…))` why the record cannot be sent again; else when its topic cannot be read.
    pub fn replay(&self, letter: &DeadLetter) -> Result<Result<Replay, Refusal>, Error> {
        let Origin { topic, partition, offset } = &letter.origin;
        let topics = &self.settings.topics;
        if self.settings.source_of(topic.as_str()).is_none() && topic.as_str() != topics.events {
            return Ok(Err(Refusal::new(
                format!(
                    "it came from {topic}, which one stage writes for another: sent twice it would count twice"
                ),
                "compute everything anew in another generation (`streamgauge replay`): the raw topics are read from their start",
            )));
        }
        let (partition, offset) =
            (i32::try_from(*partition).unwrap_or(i32::MAX), i64::try_from(*offset).unwrap_or(i64::MAX));
        let place = format!("{topic}:{partition}:{offset}");
        let original = self.record(topic.as_str(), partition, offset, |message| Replay {
            topic: topic.to_string(),
            partition,
            original: true,
            key: message.key().map(<[u8]>::to_vec),
            headers: own_headers(message),
            body: message.payload().unwrap_or_default().to_vec(),
        })?;
        let kept = original.or_else(|| {
            let complete = letter.body.len() as u64 == letter.body_bytes;
            complete.then(|| Replay {
                topic: topic.to_string(),
                partition,
                original: false,
                key: None,
                headers: letter
                    .headers
                    .iter()
                    .map(|(key, value)| (key.to_string(), value.clone().into_bytes()))
                    .collect(),
                body: letter.body.clone(),
            })
        });
        let Some(mut replay) = kept else {
            return Ok(Err(Refusal::new(
                format!(
                    "its record is no longer at {place}, and the letter keeps {} of its {} bytes",
                    letter.body.len(),
                    letter.body_bytes
                ),
                "let its vendor deliver it again",
            )));
        };
        // A record without this header was received when it was written, which would now be today.
        if topic.as_str() != topics.events && replay.headers.iter().all(|(key, _)| key != header::RECEIVED_AT)
        {
            replay
                .headers
                .push((header::RECEIVED_AT.to_owned(), letter.received_at.to_string().into_bytes()));
        }
        replay.headers.retain(|(key, _)| key != header::REPLAY_OF);
        replay.headers.push((header::REPLAY_OF.to_owned(), place.into_bytes()));
        Ok(Ok(replay))
    }

    /// Sends a record again. [`DeadLetters::finish`] waits for it.
    ///
    /// # Errors
    /// When it is refused at once.
    pub fn send(&mut self, replay: &Replay) -> Result<(), Error> {
        if self.producer.is_none() {
            let made =
                client::producer(&self.settings).create().map_err(Error::client("a producer of replays"))?;
            self.producer = Some(made);
        }
        let Some(producer) = &self.producer else { return Ok(()) };
        let mut headers = OwnedHeaders::new_with_capacity(replay.headers.len());
        for (key, value) in &replay.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut out = BaseRecord::<[u8], [u8]>::to(&replay.topic)
            .partition(replay.partition)
            .payload(&replay.body)
            .headers(headers);
        if let Some(key) = &replay.key {
            out = out.key(key);
        }
        loop {
            match producer.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(5));
                    out = back;
                }
                Err((error, _)) => {
                    return Err(Error::Topic { topic: replay.topic.clone(), reason: error.to_string() });
                }
            }
        }
    }

    /// Waits until everything is delivered.
    ///
    /// # Errors
    /// When something was not.
    pub fn finish(&self) -> Result<(), Error> {
        let Some(producer) = &self.producer else { return Ok(()) };
        producer
            .flush(Duration::from_secs(60))
            .map_err(|error| Error::Consume(format!("replayed records were not delivered: {error}")))
    }

    fn partitions(&self) -> Result<i32, Error> {
        let topic = &self.settings.topics.dlq;
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), ANSWER_WITHIN)
            .map_err(|error| unread(topic, &error))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        match found.and_then(|found| found.error()).map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Err(Error::Refused(crate::probe::denied(
                crate::acls::Operation::Read,
                crate::acls::Resource::Topic,
                topic,
            ))),
            Some(_) => Err(Error::Refused(crate::probe::missing(topic))),
            None => Ok(found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap_or(i32::MAX))),
        }
    }

    /// The record at a place; `None`: it is not there any more, or never was.
    fn record<T>(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        read: impl FnOnce(&BorrowedMessage<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let gone = |error: &KafkaError| {
            matches!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition)
            )
        };
        let (low, high) = match self.consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN) {
            Ok(watermarks) => watermarks,
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(unread(topic, &error)),
        };
        if offset < low || offset >= high {
            return Ok(None);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))
            .and_then(|()| client::assign(&self.consumer, &list))
            .map_err(|error| unread(topic, &error))?;
        let heard = Instant::now();
        let found = loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                // The first record from there on: another one when this one was deleted.
                Some(Ok(message)) => break (message.offset() == offset).then(|| read(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => break None,
                Some(Err(error)) if is_final(&error) => return Err(unread(topic, &error)),
                _ if heard.elapsed() > SILENCE => return Err(silent(topic)),
                Some(Err(_)) | None => {}
            }
        };
        let _ = client::unassign(&self.consumer);
        Ok(found)
    }
}

fn is_final(error: &KafkaError) -> bool {
    crate::probe::is_topic_denied(error)
}

fn unread(topic: &str, error: &KafkaError) -> Error {
    if is_final(error) {
        return Error::Refused(crate::probe::denied(
            crate::acls::Operation::Read,
            crate::acls::Resource::Topic,
            topic,
        ));
    }
    Error::Topic { topic: topic.to_owned(), reason: format!("it cannot be read: {error}") }
}

fn silent(topic: &str) -> Error {
    let reason = format!("nothing came in {} s: see the brokers' logs", SILENCE.as_secs());
    Error::Topic { topic: topic.to_owned(), reason }
}

fn own_headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers.filter_map(|held| Some((held.key.to_owned(), held.value?.to_vec()))).collect()
}

/// A letter as [`crate::out::Out::letter`] writes it. What is not there is empty.
fn letter(message: &BorrowedMessage<'_>) -> Letter {
    let mut letter = DeadLetter {
        source: Text::default(),
        reason: Text::default(),
        detail: String::new(),
        origin: Origin::default(),
        received_at: Timestamp::from_micros(0),
        headers: Vec::new(),
        body: message.payload().unwrap_or_default().to_vec(),
        body_bytes: 0,
    };
    let mut body_bytes = None;
    for held in message.headers().into_iter().flat_map(Headers::iter) {
        let value = String::from_utf8_lossy(held.value.unwrap_or_default()).into_owned();
        match held.key {
            header::REASON => letter.reason = Text::new(&value),
            header::DETAIL => letter.detail = value,
            header::SOURCE => letter.source = Text::new(&value),
            header::TOPIC => letter.origin.topic = Text::new(&value),
            header::PARTITION => letter.origin.partition = value.parse().unwrap_or(0),
            header::OFFSET => letter.origin.offset = value.parse().unwrap_or(0),
            header::BODY_BYTES => body_bytes = value.parse().ok(),
            header::RECEIVED_AT => {
                letter.received_at = Timestamp::parse(&value).unwrap_or(Timestamp::from_micros(0));
            }
            key => {
                if let Some(own) = key.strip_prefix(header::OWN) {
                    letter.headers.push((Text::new(own), value));
                }
            }
        }
    }
    letter.body_bytes = body_bytes.unwrap_or(letter.body.len() as u64);
    let ms = message.timestamp().to_millis().unwrap_or(0);
    Letter {
        partition: message.partition(),
        offset: message.offset(),
        at: Timestamp::from_micros(ms.saturating_mul(1_000)),
        letter,
    }
}
