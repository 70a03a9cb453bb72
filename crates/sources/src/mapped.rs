//! Sources by configuration: a mapping makes canonical events of any JSON.
//!
//! What it gives is read as strictly as a canonical event: fields that no event has are errors, so there is no place for
//! a person. Where an event does not say `source`, it is the source's name; `observed_at`, when the record was received;
//! `null` is as if the field were not there.

use crate::{Refusal, SOURCES, SourceSettings, canonical, node, source};
use mapping::{Delivery, Failure, Program, Told};
use model::event::DeliveryEvent;
use model::raw::RawRecord;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A source that the configuration adds.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What makes its events.
    pub program: Program,
    /// The IANA zone of times that come without one.
    pub time_zone: Option<String>,
}

/// The sources that the configuration adds, by name. Copies share the programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mappings(Arc<BTreeMap<String, Mapped>>);

impl Mappings {
    /// Sources by name; those that are built in are found before them.
    pub fn new(mapped: BTreeMap<String, Mapped>) -> Self {
        Self(Arc::new(mapped))
    }

    /// The source of a name.
    pub fn get(&self, name: &str) -> Option<&Mapped> {
        self.0.get(name)
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether records of that source can be read: it is built in, or one of these.
    pub fn knows(&self, name: &str) -> bool {
        source(name).is_some() || self.get(name).is_some()
    }

    /// The names of all sources: those that are built in, then these.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        SOURCES.iter().map(|source| source.name).chain(self.names())
    }
}

impl Mapped {
    /// Reads one record.
    pub(crate) fn read(
        &self,
        record: &RawRecord,
        settings: &SourceSettings,
    ) -> Result<Vec<DeliveryEvent>, Refusal> {
        let headers: Vec<(&str, &str)> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let received_at = record.received_at.to_string();
        let delivery = Delivery {
            source: record.source.as_str(),
            headers: &headers,
            body: node::unmarked(&record.body),
            received_at: &received_at,
            time_zone: self.time_zone.as_deref().or(settings.default_time_zone.as_deref()),
        };
        match self.program.run(&delivery) {
            Ok(Told::Events(events)) => {
                let event =
                    |(index, event)| read(event, &delivery).map_err(|refusal| numbered(index, refusal));
                events.into_iter().enumerate().map(event).collect()
            }
            Ok(Told::Nothing(word)) => Err(Refusal::drop(word)),
            Err(failure) => {
                let reason = match failure {
                    Failure::Body(_) => "malformed",
                    Failure::Limit(_) => "mapping_limit",
                    Failure::Error(_) | Failure::Result(_) => "mapping_error",
                };
                Err(Refusal::reject(reason, failure.to_string()))
            }
        }
    }
}

fn read(mut event: Value, delivery: &Delivery<'_>) -> Result<DeliveryEvent, Refusal> {
    if let Value::Object(fields) = &mut event {
        let mut default = |key: &str, value: &str| {
            if fields.get(key).is_none_or(Value::is_null) {
                fields.insert(key.to_owned(), Value::from(value));
            }
        };
        default("source", delivery.source);
        default("observed_at", delivery.received_at);
        without_nulls(fields);
    }
    canonical::event(event.to_string().as_bytes())
}

/// jq gives `null` for what is not there.
fn without_nulls(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| !value.is_null());
    for value in fields.values_mut() {
        if let Value::Object(inner) = value {
            without_nulls(inner);
        }
    }
}

fn numbered(index: usize, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Reject(mut rejection) => {
            rejection.detail = format!("event {} that the mapping gives: {}", index + 1, rejection.detail);
            Refusal::Reject(rejection)
        }
        drop @ Refusal::Drop(_) => drop,
    }
}
