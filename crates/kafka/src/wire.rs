//! How a message lies in a topic: in Avro's single-object encoding, or in that of a schema registry's clients: a zero,
//! the schema's number in the registry (four bytes, big-endian), and the value.
//! Source: <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>.
//!
//! Both are read, whatever is written, so that the format can be changed while records lie in the topics. Only what
//! others read is written so: `events`, `facts` and `metrics`.

use crate::connection::Refusal;
use crate::registry::Registry;
use crate::settings::KafkaSettings;
use crate::stage::Unreadable;
use crate::topics::{Stage, Topics};
use model::DeliveryEvent;
use model::avro::resolve::Resolution;
use model::avro::{self, Message};
use model::fact::{RowChange, RowChanges};
use model::raw::RawRecord;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The byte that a registry's clients begin with.
const MAGIC: u8 = 0;
/// Most schemas of the registry that are remembered.
const KNOWN_SCHEMAS: usize = 1_000;
/// The source whose records are events already.
const CANONICAL: &str = "canonical";

/// How messages are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Avro's single-object encoding; needs no registry.
    #[default]
    SingleObject,
    /// With the schema's number in the registry.
    Confluent,
}

/// Writes and reads messages.
#[derive(Debug)]
pub struct Wire {
    registry: Option<Registry>,
    /// What each topic's messages begin with, by the fingerprint of their schema; empty: single-object encoding.
    written: BTreeMap<u64, [u8; 5]>,
    known: Mutex<Known>,
}

/// What the registry said.
#[derive(Debug, Default)]
struct Known {
    /// Schemas by number; `None`: there is none.
    schemas: BTreeMap<u32, Option<Arc<str>>>,
    /// How each is brought into one of ours, by number and our fingerprint.
    resolutions: BTreeMap<(u32, u64), Result<Arc<Resolution>, String>>,
}

/// The subject, the schema and its fingerprint of each topic that a stage writes and others read: the subject is named
/// after the topic.
pub fn subjects(topics: &Topics, stage: Stage) -> Vec<(String, avro::SchemaVersion)> {
    let of = |topic: &String, schema| (format!("{topic}-value"), schema);
    match stage {
        Stage::Ingest => vec![of(&topics.events, DeliveryEvent::lineage().current())],
        Stage::Correlate => vec![of(&topics.facts, RowChange::lineage().current())],
        Stage::Aggregate => vec![of(&topics.metrics, RowChanges::lineage().current())],
        Stage::Load => Vec::new(),
    }
}

impl Wire {
    /// Makes a stage's ready: what it writes is registered.
    ///
    /// # Errors
    /// The registry is away, or refuses a schema.
    pub fn of(settings: &KafkaSettings, stage: Stage) -> Result<Self, Refusal> {
        let registry = settings.registry.as_ref().map(Registry::new).transpose()?;
        let mut written = BTreeMap::new();
        if let (Some(registry), Format::Confluent) = (&registry, settings.format) {
            for (subject, schema) in subjects(&settings.topics, stage) {
                let id = registry.register(&subject, schema.text)?;
                let [a, b, c, d] = id.to_be_bytes();
                written.insert(schema.fingerprint, [MAGIC, a, b, c, d]);
            }
        }
        Ok(Self { registry, written, known: Mutex::default() })
    }

    /// A message as it lies in its topic.
    pub fn encode<T: Message>(&self, message: &T) -> Vec<u8> {
        match self.written.get(&T::lineage().current().fingerprint) {
            Some(head) => avro::encode_after(head, message),
            None => avro::encode(message),
        }
    }

    /// Asks the registry for what a record needs, unless it is known.
    ///
    /// # Errors
    /// The registry is away: the record must wait.
    pub fn prepare(&self, value: &[u8]) -> Result<(), Refusal> {
        let (Some(registry), Some((id, _))) = (&self.registry, framed(value)) else { return Ok(()) };
        if self.known().schemas.contains_key(&id) {
            return Ok(());
        }
        let schema = registry.schema(id)?;
        let mut known = self.known();
        if known.schemas.len() >= KNOWN_SCHEMAS {
            *known = Known::default();
        }
        known.schemas.insert(id, schema.map(Arc::from));
        Ok(())
    }

    /// Reads a message that was prepared, in whichever format it is.
    ///
    /// # Errors
    /// [`Unreadable`]: it goes to the dead letters.
    pub fn decode<T: Message>(&self, value: &[u8]) -> Result<T, Unreadable> {
        let Some((id, body)) = framed(value) else {
            return avro::decode(value).map_err(|error| unknown(error.to_string()));
        };
        let resolution = self.resolution(id, T::lineage().current())?;
        avro::decode_by(&resolution, body).map_err(|error| unknown(format!("schema {id}: {error}")))
    }

    /// The body that a source reads, where a registry's client wrote the record: of a canonical event its JSON, of a
    /// text the text; `None`: it stays as it is.
    ///
    /// # Errors
    /// [`Unreadable`]: it goes to the dead letters.
    pub fn body(&self, record: &RawRecord) -> Result<Option<Vec<u8>>, Unreadable> {
        let (Some(_), Some((id, body))) = (&self.registry, framed(&record.body)) else { return Ok(None) };
        let schema = self.schema(id)?;
        if matches!(&*schema, "\"string\"" | "\"bytes\"" | r#"{"type":"string"}"# | r#"{"type":"bytes"}"#) {
            return avro::text_of(body)
                .map(|text| Some(text.to_vec()))
                .map_err(|error| unknown(error.to_string()));
        }
        if record.source.as_str() != CANONICAL {
            return Err(unknown(format!("schema {id} is neither text nor that of a canonical event")));
        }
        let event: DeliveryEvent = self.decode(&record.body)?;
        Ok(Some(model::json::to_text(&event).into_bytes()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schema(&self, id: u32) -> Result<Arc<str>, Unreadable> {
        if self.registry.is_none() {
            return Err(unknown(format!("schema {id} of a registry, and kafka.registry.url names none")));
        }
        let schema = self.known().schemas.get(&id).cloned().flatten();
        schema.ok_or_else(|| unknown(format!("schema {id}: the registry has none of this number")))
    }

    fn resolution(&self, id: u32, ours: avro::SchemaVersion) -> Result<Arc<Resolution>, Unreadable> {
        let made = self.known().resolutions.get(&(id, ours.fingerprint)).cloned();
        let made = match made {
            Some(made) => made,
            None => {
                let schema = self.schema(id)?;
                let made =
                    Resolution::new(&schema, ours.text).map(Arc::new).map_err(|error| error.to_string());
                self.known().resolutions.insert((id, ours.fingerprint), made.clone());
                made
            }
        };
        made.map_err(|reason| unknown(format!("schema {id}: {reason}")))
    }
}

fn unknown(detail: String) -> Unreadable {
    Unreadable { reason: "unknown_schema", detail }
}

/// The number and the value of a message that a registry's client wrote.
fn framed(value: &[u8]) -> Option<(u32, &[u8])> {
    let (&MAGIC, rest) = value.split_first()? else { return None };
    let (id, body) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*id), body))
}
