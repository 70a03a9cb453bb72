//! What the stages have on a broker, as lines of text: each committed record at its offset, and how far each group had
//! read. Put on another broker, every record has its offset again, because checkpoints name offsets.
//!
//! The end of a transaction occupies an offset in every partition that it wrote to. So a run of records goes in as a
//! transaction again; as two where two ended behind it, for two tasks may write to one partition. A record's time is not
//! kept: `retention.ms` would delete an old one.

use crate::topic::read_all;
use kafka::admin::Admin;
use kafka::{KafkaSettings, Stage, client};
use model::hex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The stages whose groups are kept. `load` begins anew: what it loads into is not on the broker.
const GROUPS: [Stage; 3] = [Stage::Ingest, Stage::Correlate, Stage::Aggregate];

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its topic, without the prefix.
    pub topic: String,
    pub partition: i32,
    /// The next offset to read of each stage that has read it.
    pub read: BTreeMap<String, i64>,
    /// The next offset to be written.
    pub end: i64,
    pub records: Vec<Record>,
}

/// A record; bytes are hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub offset: i64,
    pub key: Option<String>,
    pub value: Option<String>,
    pub headers: Vec<(String, String)>,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let header =
            |held: Header<'_, &[u8]>| (held.key.to_owned(), hex::lower(held.value.unwrap_or_default()));
        Self {
            offset: message.offset(),
            key: message.key().map(hex::lower),
            value: message.payload().map(hex::lower),
            headers: message.headers().into_iter().flat_map(Headers::iter).map(header).collect(),
        }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| bytes(value))
    }
}

/// Bytes of their digits.
pub fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits).unwrap()
}

impl Partition {
    /// Its records in runs, each with how many transactions ended behind it.
    fn runs(&self) -> impl Iterator<Item = (&[Record], usize)> {
        let runs = self.records.chunk_by(|one, next| one.offset + 1 == next.offset);
        let next = runs.clone().skip(1).map(|run| run[0].offset).chain([self.end]);
        runs.zip(next).map(|(run, next)| {
            let ended = usize::try_from(next - run[0].offset).unwrap() - run.len();
            assert!(ended <= run.len(), "{}: {ended} holes behind {} records", self.topic, run.len());
            (run, ended)
        })
    }
    fn is_transactional(&self) -> bool {
        self.end > self.records.len() as i64
    }
}

/// Everything that lies under a prefix; partitions that hold nothing are left out.
pub fn copy(settings: &KafkaSettings) -> Vec<Partition> {
    let prefix = settings.topics.prefix();
    let mut copied: Vec<Partition> = Vec::new();
    let topics = Admin::new(settings).unwrap().partitions().unwrap();
    let consumer: BaseConsumer = client::reader(settings).create().unwrap();
    for (name, partitions) in &topics {
        let Some(topic) = name.strip_prefix(prefix) else { continue };
        let mut records: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
        read_all(client::reader(settings), name, |message| {
            records.entry(message.partition()).or_default().push(Record::of(message));
        });
        for partition in 0..i32::try_from(*partitions).unwrap() {
            let (_, end) = consumer.fetch_watermarks(name, partition, ANSWER_WITHIN).unwrap();
            if end > 0 {
                copied.push(Partition {
                    topic: topic.to_owned(),
                    partition,
                    read: BTreeMap::new(),
                    end,
                    records: records.remove(&partition).unwrap_or_default(),
                });
            }
        }
    }
    for stage in GROUPS {
        let mut list = TopicPartitionList::new();
        for partition in &copied {
            list.add_partition(&format!("{prefix}{}", partition.topic), partition.partition);
        }
        let committed = group(settings, stage).committed_offsets(list, ANSWER_WITHIN).unwrap();
        for (partition, element) in copied.iter_mut().zip(committed.elements()) {
            assert_eq!(element.topic(), format!("{prefix}{}", partition.topic));
            if let Offset::Offset(offset) = element.offset() {
                partition.read.insert(stage.to_string(), offset);
            }
        }
    }
    copied
}

/// Puts a copy under a prefix whose topics are new, and looks whether everything has its place.
pub fn put(settings: &KafkaSettings, copied: &[Partition]) {
    let (ended, plain): (Vec<&Partition>, Vec<&Partition>) =
        copied.iter().partition(|partition| partition.is_transactional());
    let producer: BaseProducer = client::producer(settings).create().unwrap();
    for partition in plain {
        send(&producer, settings, partition, &partition.records);
    }
    producer.flush(ANSWER_WITHIN).unwrap();

    let mut runs: Vec<_> = ended.iter().map(|partition| (*partition, partition.runs())).collect();
    let mut producers: Vec<BaseProducer> = Vec::new();
    loop {
        let round: Vec<(&Partition, (&[Record], usize))> =
            runs.iter_mut().filter_map(|(partition, runs)| Some((*partition, runs.next()?))).collect();
        let Some(most) = round.iter().map(|(_, (_, ended))| *ended).max() else { break };
        while producers.len() < most {
            producers.push(transactional(settings, producers.len()));
        }
        // Of transactions that ended one after the other each has at least a record.
        for (at, producer) in producers[..most].iter().enumerate() {
            producer.begin_transaction().unwrap();
            for (partition, (run, ended)) in round.iter().filter(|(_, (_, ended))| at < *ended) {
                let to = if at + 1 == *ended { run.len() } else { at + 1 };
                send(producer, settings, partition, &run[at..to]);
            }
            producer.flush(ANSWER_WITHIN).unwrap();
        }
        producers[..most].iter().for_each(|producer| producer.commit_transaction(ANSWER_WITHIN).unwrap());
        for (partition, (run, ended)) in &round {
            wait_for_end(settings, partition, run[0].offset + (run.len() + ended) as i64);
        }
    }

    for stage in GROUPS {
        let mut list = TopicPartitionList::new();
        for partition in copied {
            if let Some(offset) = partition.read.get(stage.as_str()) {
                let topic = format!("{}{}", settings.topics.prefix(), partition.topic);
                list.add_partition_offset(&topic, partition.partition, Offset::Offset(*offset)).unwrap();
            }
        }
        group(settings, stage).commit(&list, CommitMode::Sync).unwrap();
    }
    let put = copy(settings);
    assert_eq!(put.len(), copied.len());
    for (put, wanted) in put.iter().zip(copied) {
        assert!(put == wanted, "{}-{} has another content or other offsets", wanted.topic, wanted.partition);
    }
}

fn transactional(settings: &KafkaSettings, number: usize) -> BaseProducer {
    let mut config = client::producer(settings);
    config.set("transactional.id", format!("{}copy.{number}", settings.topics.prefix()));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(ANSWER_WITHIN).unwrap();
    producer
}

/// The end of a transaction that is committed may come to a partition a little later.
fn wait_for_end(settings: &KafkaSettings, partition: &Partition, wanted: i64) {
    let topic = format!("{}{}", settings.topics.prefix(), partition.topic);
    let consumer: BaseConsumer = client::reader(settings).create().unwrap();
    let deadline = Instant::now() + ANSWER_WITHIN;
    loop {
        let (_, end) = consumer.fetch_watermarks(&topic, partition.partition, ANSWER_WITHIN).unwrap();
        if end == wanted {
            break;
        }
        assert!(Instant::now() < deadline, "{topic}-{} ends at {end}, not {wanted}", partition.partition);
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(
    producer: &BaseProducer<DefaultProducerContext>,
    settings: &KafkaSettings,
    partition: &Partition,
    records: &[Record],
) {
    let topic = format!("{}{}", settings.topics.prefix(), partition.topic);
    for record in records {
        let (key, value) = (record.key.as_deref().map(bytes), record.value.as_deref().map(bytes));
        let mut out = BaseRecord::<[u8], [u8]>::to(&topic).partition(partition.partition);
        if let Some(key) = &key {
            out = out.key(key);
        }
        if let Some(value) = &value {
            out = out.payload(value);
        }
        if !record.headers.is_empty() {
            let add = |headers: OwnedHeaders, (key, value): &(String, String)| {
                headers.insert(Header { key, value: Some(&bytes(value)) })
            };
            out = out.headers(record.headers.iter().fold(OwnedHeaders::new(), add));
        }
        producer.send(out).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
}

/// A client that names a stage's group and does not join it.
fn group(settings: &KafkaSettings, stage: Stage) -> BaseConsumer {
    let mut config = client::reader(settings);
    config.set("group.id", settings.topics.group(stage));
    config.create().unwrap()
}
