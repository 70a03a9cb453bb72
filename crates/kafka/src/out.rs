//! What a stage writes in a transaction: which topic, partition, key and headers each kind of output has.

use crate::session::{EosError, EosSession, OutRecord};
use crate::stats::Written;
use crate::topics::Topics;
use crate::trace;
use crate::wire::Wire;
use correlate::{Address, Message, partition_of};
use model::fact::{Row, RowChange, RowChanges, RowKey};
use model::metric::{Contribution, Contributions, Metric};
use model::raw::DeadLetter;
use model::{HomeKey, Scope};

/// Headers of records.
pub mod header {
    /// Of an event: the offset of the catalog that routed it, eight bytes.
    pub const CATALOG: &str = "catalog";
    /// Of a row: its version, eight bytes.
    pub const REV: &str = "rev";
    /// Of a row: the hash of the definitions that made it.
    pub const DEFINITION: &str = "definition";
    /// Of a raw record: when it was received, where that is not the record's own time.
    pub const RECEIVED_AT: &str = "streamgauge-received-at";
    /// Of a raw record that was sent again: where it was first, as in `raw.github:0:17`.
    pub const REPLAY_OF: &str = "streamgauge-replay-of";
    /// Of a dead letter: the counted word.
    pub const REASON: &str = "reason";
    /// Of a dead letter: what exactly, where, and how to mend it.
    pub const DETAIL: &str = "detail";
    /// Of a dead letter: the source that refused it.
    pub const SOURCE: &str = "source";
    /// Of a dead letter: the topic that it came from.
    pub const TOPIC: &str = "topic";
    /// Of a dead letter: the partition.
    pub const PARTITION: &str = "partition";
    /// Of a dead letter: the offset.
    pub const OFFSET: &str = "offset";
    /// Of a dead letter: how long the body was, in bytes.
    pub const BODY_BYTES: &str = "body-bytes";
    /// What the record's own headers begin with in a dead letter.
    pub const OWN: &str = "record.";
}

/// The version of what is written to `messages`.
const MESSAGE_VERSION: u8 = 1;

/// Most rows or changes of panes in one record: about 256 KiB.
const GROUPED_ROWS: usize = 1_000;

/// What the rows of one record have in common.
fn series(change: &RowChange) -> Option<(&Scope, Metric)> {
    match change {
        RowChange::Upsert(Row::Step(step)) => Some((&step.scope, step.metric)),
        RowChange::Upsert(Row::Pane(pane)) => Some((&pane.scope, pane.metric)),
        RowChange::Delete(RowKey::Step(key)) => Some((&key.scope, key.metric)),
        RowChange::Delete(RowKey::Pane(key)) => Some((&key.scope, key.metric)),
        _ => None,
    }
}

/// Writes one transaction's outputs.
pub struct Out<'a, S> {
    /// Where they go.
    pub session: &'a mut S,
    /// The topics' names.
    pub topics: &'a Topics,
    /// How what others read is written.
    pub wire: &'a Wire,
    /// The task that writes.
    pub task: u32,
    /// How many tasks there are.
    pub tasks: u32,
    /// The version of its rows.
    pub rev: u64,
    /// The hash of its definitions.
    pub definition: &'a str,
    /// The offset of its catalog.
    pub catalog: i64,
    /// Now, in milliseconds.
    pub now_ms: i64,
    /// The header with the span that what is written comes from.
    pub trace: Option<String>,
    /// Records written.
    pub written: Written,
}

impl<S: EosSession> Out<'_, S> {
    /// A row of a fact or a dimension.
    ///
    /// # Errors
    /// See [`EosError`]; so for every method.
    pub fn fact(&mut self, change: &RowChange) -> Result<(), EosError> {
        let topic = &self.topics.facts;
        self.written.facts += 1;
        self.row(topic, change)
    }

    /// Rows of steps and panes; those that follow each other and are of one scope and metric lie in one record.
    pub fn metrics(&mut self, rows: Vec<RowChange>) -> Result<(), EosError> {
        let mut group = RowChanges::default();
        for change in rows {
            let full = group.rows.len() >= GROUPED_ROWS;
            if full || group.rows.first().is_some_and(|first| series(first) != series(&change)) {
                self.group(&group)?;
                group.rows.clear();
            }
            group.rows.push(change);
        }
        if group.rows.is_empty() { Ok(()) } else { self.group(&group) }
    }

    fn group(&mut self, group: &RowChanges) -> Result<(), EosError> {
        let key = group.rows.first().and_then(series).map(|(scope, metric)| format!("{scope} {metric}"));
        let value = self.wire.encode(group);
        let rev = self.rev.to_be_bytes();
        self.written.metrics += 1;
        let trace = self.trace.as_deref().unwrap_or_default().as_bytes();
        let headers: [(&str, &[u8]); 3] =
            [(header::REV, &rev), (header::DEFINITION, self.definition.as_bytes()), (trace::HEADER, trace)];
        self.session.produce(OutRecord {
            topic: &self.topics.metrics,
            partition: Some(self.task),
            key: key.unwrap_or_default().as_bytes(),
            value: Some(&value),
            headers: carried(&headers),
            timestamp_ms: self.now_ms,
        })
    }

    fn row(&mut self, topic: &str, change: &RowChange) -> Result<(), EosError> {
        // A row's key is plain data, whose JSON form cannot fail.
        let key = serde_json::to_vec(&change.key()).unwrap_or_default();
        let value = self.wire.encode(change);
        let rev = self.rev.to_be_bytes();
        let trace = self.trace.as_deref().unwrap_or_default().as_bytes();
        let headers: [(&str, &[u8]); 3] =
            [(header::REV, &rev), (header::DEFINITION, self.definition.as_bytes()), (trace::HEADER, trace)];
        self.session.produce(OutRecord {
            topic,
            partition: Some(self.task),
            key: &key,
            value: Some(&value),
            headers: carried(&headers),
            timestamp_ms: self.now_ms,
        })
    }

    /// Changes of panes, for the tasks that hold their scopes; those of one scope that follow each other lie in one
    /// record.
    pub fn contributions(&mut self, all: Vec<Contribution>) -> Result<(), EosError> {
        let mut group = Contributions::default();
        for contribution in all {
            let full = group.contributions.len() >= GROUPED_ROWS;
            if full
                || group.contributions.first().is_some_and(|first| first.key.scope != contribution.key.scope)
            {
                self.contributions_of_scope(&group)?;
                group.contributions.clear();
            }
            group.contributions.push(contribution);
        }
        self.contributions_of_scope(&group)
    }

    fn contributions_of_scope(&mut self, group: &Contributions) -> Result<(), EosError> {
        let Some(first) = group.contributions.first() else { return Ok(()) };
        let scope = first.key.scope.as_str();
        let value = model::avro::encode(group);
        self.written.contributions += 1;
        let headers = [(trace::HEADER, self.trace.as_deref().unwrap_or_default().as_bytes())];
        self.session.produce(OutRecord {
            topic: &self.topics.contributions,
            partition: Some(partition_of(&HomeKey::new(scope), self.tasks)),
            key: scope.as_bytes(),
            value: Some(&value),
            headers: carried(&headers),
            timestamp_ms: self.now_ms,
        })
    }

    /// An event, for its home (`None`: for the archive only).
    pub fn event(&mut self, value: &[u8], home: Option<&HomeKey>, task: u32) -> Result<(), EosError> {
        let catalog = self.catalog.to_be_bytes();
        self.written.events += 1;
        self.session.produce(OutRecord {
            topic: &self.topics.events,
            partition: Some(task),
            key: home.map_or(&[][..], |home| home.as_str().as_bytes()),
            value: Some(value),
            headers: carried(&[
                (header::CATALOG, &catalog),
                (trace::HEADER, self.trace.as_deref().unwrap_or_default().as_bytes()),
            ]),
            timestamp_ms: self.now_ms,
        })
    }

    /// A message for another task of the correlate stage.
    pub fn message(&mut self, task: u32, message: &Message) -> Result<(), EosError> {
        let encoded = postcard::to_extend(message, vec![MESSAGE_VERSION])
            .map_err(|error| EosError::Fatal(format!("a message cannot be encoded: {error}")))?;
        let catalog = self.catalog.to_be_bytes();
        self.written.messages += 1;
        self.session.produce(OutRecord {
            topic: &self.topics.messages,
            partition: Some(task),
            key: &[],
            value: Some(&encoded),
            headers: carried(&[
                (header::CATALOG, &catalog),
                (trace::HEADER, self.trace.as_deref().unwrap_or_default().as_bytes()),
            ]),
            timestamp_ms: self.now_ms,
        })
    }

    /// An entry of this task's changelog.
    pub fn changelog(&mut self, topic: &str, key: &[u8], value: Option<&[u8]>) -> Result<(), EosError> {
        self.written.changelog += 1;
        self.session.produce(OutRecord {
            topic,
            partition: Some(self.task),
            key,
            value,
            headers: &[],
            timestamp_ms: self.now_ms,
        })
    }

    /// A rejected record.
    pub fn letter(&mut self, letter: &DeadLetter) -> Result<(), EosError> {
        self.written.dead_letters += 1;
        let (partition, offset) = (letter.origin.partition.to_string(), letter.origin.offset.to_string());
        let (bytes, received) = (letter.body_bytes.to_string(), letter.received_at.to_string());
        let own: Vec<(String, &str)> = letter
            .headers
            .iter()
            .map(|(key, value)| (format!("{}{key}", header::OWN), value.as_str()))
            .collect();
        let mut headers: Vec<(&str, &[u8])> = vec![
            (header::REASON, letter.reason.as_str().as_bytes()),
            (header::DETAIL, letter.detail.as_bytes()),
            (header::SOURCE, letter.source.as_str().as_bytes()),
            (header::TOPIC, letter.origin.topic.as_str().as_bytes()),
            (header::PARTITION, partition.as_bytes()),
            (header::OFFSET, offset.as_bytes()),
            (header::BODY_BYTES, bytes.as_bytes()),
            (header::RECEIVED_AT, received.as_bytes()),
        ];
        headers.extend(own.iter().map(|(key, value)| (key.as_str(), value.as_bytes())));
        self.session.produce(OutRecord {
            topic: &self.topics.dlq,
            partition: None,
            key: letter.source.as_str().as_bytes(),
            value: Some(&letter.body),
            headers: &headers,
            timestamp_ms: self.now_ms,
        })
    }

    /// The tasks that an address means.
    pub fn tasks_of(&self, address: &Address) -> std::ops::Range<u32> {
        match address {
            Address::Home(key) => {
                let task = partition_of(key, self.tasks);
                task..task + 1
            }
            Address::Task(task) => *task..task + 1,
            Address::All => 0..self.tasks,
        }
    }
}

/// Without the last header, that of the trace, where it says nothing.
fn carried<'a, 'b>(headers: &'a [(&'b str, &'b [u8])]) -> &'a [(&'b str, &'b [u8])] {
    match headers.split_last() {
        Some(((_, []), others)) => others,
        _ => headers,
    }
}

/// Reads a message of [`Out::message`].
///
/// # Errors
/// Why it cannot be read.
pub fn decode_message(bytes: &[u8]) -> Result<Message, String> {
    match bytes.split_first() {
        Some((&MESSAGE_VERSION, body)) => postcard::from_bytes(body).map_err(|error| error.to_string()),
        Some((version, _)) => {
            Err(format!("message of version {version}, this version reads {MESSAGE_VERSION}"))
        }
        None => Err("an empty message".to_owned()),
    }
}
