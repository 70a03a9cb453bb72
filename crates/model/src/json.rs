//! The JSON form of canonical events, strict: unknown fields, wrong types and zone-less times are named.

mod sorted;

use crate::event::{DeliveryEvent, EventBody};
use crate::ids::{RepoName, Text};
use crate::time::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// Most labels that a deployment may carry.
pub const MAX_LABELS: usize = 16;

/// Why a JSON text is no canonical event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, a wrong type, a missing or an unknown field; the message says which and where.
    #[error("{0}")]
    Json(String),
    /// The type is not one of the canonical ones.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// The object named after the type is missing.
    #[error("field `{0}` is missing: an event of this type carries an object of that name")]
    MissingBody(&'static str),
    /// An object of another type is there.
    #[error("field `{found}` does not belong in an event of type `{expected}`")]
    ForeignBody {
        /// The event's type.
        expected: &'static str,
        /// The object that is there.
        found: &'static str,
    },
    /// A limit or a rule that types cannot say.
    #[error("{0}")]
    Invalid(String),
}

macro_rules! wire {
    ($($field:ident: $variant:ident($type:ty) $(via $boxed:ident)?),+ $(,)?) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            id: Text,
            r#type: String,
            occurred_at: Timestamp,
            observed_at: Timestamp,
            source: Text,
            repo: Option<RepoName>,
            service: Option<Text>,
            drill: Option<bool>,
            imported: Option<bool>,
            $($field: Option<$type>,)+
        }

        fn body(wire: &mut Wire) -> Result<EventBody, EventError> {
            $(
                if wire.r#type != stringify!($field) && wire.$field.is_some() {
                    let expected = TYPES.iter().copied().find(|name| *name == wire.r#type);
                    return Err(match expected {
                        Some(expected) => EventError::ForeignBody { expected, found: stringify!($field) },
                        None => EventError::UnknownType(wire.r#type.clone()),
                    });
                }
            )+
            match wire.r#type.as_str() {
                $(
                    stringify!($field) => wire
                        .$field
                        .take()
                        .map(|body| EventBody::$variant(body.into()))
                        .ok_or(EventError::MissingBody(stringify!($field))),
                )+
                other => Err(EventError::UnknownType(other.to_owned())),
            }
        }

        /// Every canonical type, by its name in JSON.
        pub const TYPES: &[&str] = &[$(stringify!($field)),+];

        fn put_body<M: SerializeMap>(body: &EventBody, map: &mut M) -> Result<(), M::Error> {
            match body {
                $(EventBody::$variant(body) => map.serialize_entry(stringify!($field), body),)+
            }
        }
    };
}

wire!(
    commit: Commit(crate::event::Commit),
    push: Push(crate::event::Push),
    pull_request: PullRequest(crate::event::PullRequestEvent),
    review: Review(crate::event::Review),
    repository: Repository(crate::event::RepositoryEvent),
    pipeline_run: PipelineRun(crate::event::PipelineRunEvent),
    test_run: TestRun(crate::event::TestRun),
    canary_analysis: CanaryAnalysis(crate::event::CanaryAnalysis),
    artifact: Artifact(crate::event::Artifact),
    deployment: Deployment(crate::event::DeploymentEvent),
    incident: Incident(crate::event::IncidentEvent),
    sli_sample: SliSample(crate::event::SliSample),
    flag_change: FlagChange(crate::event::FlagChangeEvent),
    scan: Scan(crate::event::ScanEvent),
    maintenance: Maintenance(crate::event::Maintenance),
    correction: Correction(crate::event::Correction),
    ownership: Ownership(crate::event::Ownership),
    lost_delivery: LostDelivery(crate::event::LostDelivery),
);

/// Reads one canonical event.
///
/// # Errors
/// Malformed JSON with line and column; unknown, missing or foreign fields by name; times without a zone;
/// and what [`validate`] refuses.
pub fn from_slice(bytes: &[u8]) -> Result<DeliveryEvent, EventError> {
    let wire: Wire = serde_json::from_slice(bytes).map_err(|error| EventError::Json(error.to_string()))?;
    from_wire(wire)
}

/// Reads one canonical event from a parsed JSON value.
///
/// # Errors
/// As [`from_slice`], without line and column.
pub fn from_value(value: Value) -> Result<DeliveryEvent, EventError> {
    let wire: Wire = serde_json::from_value(value).map_err(|error| EventError::Json(error.to_string()))?;
    from_wire(wire)
}

fn from_wire(mut wire: Wire) -> Result<DeliveryEvent, EventError> {
    let body = body(&mut wire)?;
    let event = DeliveryEvent {
        id: wire.id,
        occurred_at: wire.occurred_at,
        observed_at: wire.observed_at,
        source: wire.source,
        repo: wire.repo,
        service: wire.service,
        drill: wire.drill,
        imported: wire.imported,
        body,
    };
    validate(&event)?;
    Ok(event)
}

/// The rules that types cannot say.
///
/// # Errors
/// [`EventError::Invalid`] with the field and the rule.
pub fn validate(event: &DeliveryEvent) -> Result<(), EventError> {
    let fail = |text: String| Err(EventError::Invalid(text));
    for (name, empty) in [
        ("id", event.id.as_str().is_empty()),
        ("source", event.source.as_str().is_empty()),
        ("repo", event.repo.as_ref().is_some_and(|repo| repo.as_str().is_empty())),
        ("service", event.service.as_ref().is_some_and(|service| service.as_str().is_empty())),
    ] {
        if empty {
            return fail(format!("field `{name}` is empty"));
        }
    }
    match &event.body {
        EventBody::Deployment(body) if body.labels.as_ref().is_some_and(|l| l.len() > MAX_LABELS) => {
            fail(format!("field `deployment.labels` has more than {MAX_LABELS} labels"))
        }
        EventBody::Deployment(body) if body.deployment_id.as_str().is_empty() => {
            fail("field `deployment.deployment_id` is empty".to_owned())
        }
        EventBody::Incident(body) if body.incident_id.as_str().is_empty() => {
            fail("field `incident.incident_id` is empty".to_owned())
        }
        EventBody::Artifact(body) if body.digest.is_none() && body.image.is_none() => {
            fail("an artifact needs `digest` or `image`".to_owned())
        }
        EventBody::SliSample(body) if body.good > body.total => {
            fail(format!("field `sli_sample.good` ({}) exceeds `total` ({})", body.good, body.total))
        }
        EventBody::SliSample(body) if body.to <= body.from => {
            fail("field `sli_sample.to` must lie after `from`".to_owned())
        }
        EventBody::Maintenance(body) if body.to <= body.from => {
            fail("field `maintenance.to` must lie after `from`".to_owned())
        }
        EventBody::LostDelivery(body) if body.hook.as_str().is_empty() => {
            fail("field `lost_delivery.hook` is empty".to_owned())
        }
        EventBody::LostDelivery(body) if body.delivery_id.as_str().is_empty() => {
            fail("field `lost_delivery.delivery_id` is empty".to_owned())
        }
        _ => Ok(()),
    }
}

/// The event as a JSON value with sorted keys, absent fields left out.
pub fn to_value(event: &DeliveryEvent) -> Value {
    // Our own types have no map with other than text keys: this cannot fail.
    let mut value = serde_json::to_value(Whole(event)).unwrap_or(Value::Null);
    strip_nulls(&mut value);
    value
}

/// The event as JSON with sorted keys and no spaces, absent fields left out: what its hash is taken of.
pub fn to_text(event: &DeliveryEvent) -> String {
    let mut text = Vec::with_capacity(512);
    match sorted::write(&mut text, &Whole(event)) {
        Ok(()) => String::from_utf8(text).unwrap_or_default(),
        // As above: this cannot happen.
        Err(_) => String::new(),
    }
}

/// An event with its body under the name of its type.
struct Whole<'a>(&'a DeliveryEvent);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(event) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &event.id)?;
        map.serialize_entry("type", event.body.type_name())?;
        map.serialize_entry("occurred_at", &event.occurred_at)?;
        map.serialize_entry("observed_at", &event.observed_at)?;
        map.serialize_entry("source", &event.source)?;
        map.serialize_entry("repo", &event.repo)?;
        map.serialize_entry("service", &event.service)?;
        map.serialize_entry("drill", &event.drill)?;
        map.serialize_entry("imported", &event.imported)?;
        put_body(&event.body, &mut map)?;
        map.end()
    }
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = r#"{"id":"1","type":"deployment","occurred_at":"2026-01-01T00:00:00Z",
        "observed_at":"2026-01-01T00:00:01+01:00","source":"ci","service":"checkout",
        "deployment":{"deployment_id":"d1","environment":"production","state":"succeeded"}}"#;

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let event = from_slice(DEPLOYMENT.as_bytes()).unwrap();
        assert_eq!(from_slice(to_value(&event).to_string().as_bytes()).unwrap(), event);
    }

    #[test]
    fn the_text_is_what_the_value_shows() {
        let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/avro");
        let files = std::fs::read_dir(goldens).unwrap().map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let mut events: Vec<DeliveryEvent> =
            files.map(|path| from_slice(&std::fs::read(path).unwrap()).unwrap()).collect();
        assert_eq!(events.len(), TYPES.len(), "a golden for each type");
        let odd = DEPLOYMENT.replace("\"d1\"", r#""d \"\\ \u0001 ü \u2028 \ud83d\ude80""#);
        events.push(from_slice(odd.as_bytes()).unwrap());
        for event in &events {
            assert_eq!(to_text(event), to_value(event).to_string());
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let check = |from: &str, to: &str, expect: &str| {
            let error = from_slice(DEPLOYMENT.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expect), "{error:?} does not say {expect:?}");
        };
        check("\"state\"", "\"stat\"", "unknown field `stat`");
        check("\"succeeded\"", "\"done\"", "unknown variant `done`");
        check("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "without a zone");
        check("\"type\":\"deployment\"", "\"type\":\"deploy\"", "unknown event type \"deploy\"");
        check("\"type\":\"deployment\"", "\"type\":\"incident\"", "does not belong");
        check("\"id\":\"1\"", "\"id\":1", "line 1 column");
    }
}
