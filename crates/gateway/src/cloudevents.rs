//! CloudEvents 1.0 over HTTP: structured, binary and batches; which source reads one says its type.
//!
//! Source: the specification's "HTTP Protocol Binding" and "JSON Event Format". A batch is taken apart: each of its
//! events is a record.

use crate::answer::{Answer, Outcome};
use crate::limits::BATCH_EVENTS;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The sources of CloudEvents, by how their types begin.
const TYPES: &[(&str, &str)] = &[
    ("dev.cdevents.", "cdevents"),
    ("dev.cdeventsx.", "cdevents"),
    ("dev.tekton.event.", "tekton"),
    ("cd.", "cdevents"),
];

/// The sources that read CloudEvents.
pub fn sources() -> impl Iterator<Item = &'static str> {
    TYPES.iter().map(|(_, source)| *source)
}

#[derive(Deserialize)]
struct Structured<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    specversion: Option<Cow<'a, str>>,
}

/// The events of a request, each with the source that reads it.
///
/// # Errors
/// What is no CloudEvent, or one that no source reads.
pub fn events<'a>(headers: &HeaderMap, body: &'a [u8]) -> Result<Vec<(&'static str, &'a [u8])>, Answer> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = header(CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if let Some(kind) = header("ce-type") {
        return Ok(vec![(source(kind)?, body)]);
    }
    match media_type {
        "application/cloudevents+json" => Ok(vec![(structured(body)?, body)]),
        "application/cloudevents-batch+json" => batch(body),
        _ => Err(malformed(
            "neither Content-Type application/cloudevents+json or application/cloudevents-batch+json, \
             nor headers ce-…",
        )),
    }
}

fn batch(body: &[u8]) -> Result<Vec<(&'static str, &[u8])>, Answer> {
    let items: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| malformed(&format!("the batch is no JSON list: {error}")))?;
    if items.len() > BATCH_EVENTS {
        let detail = format!("the batch has {} events: send at most {BATCH_EVENTS} at once", items.len());
        return Err(Answer::new(Outcome::TooLarge, detail));
    }
    items.into_iter().map(|item| item.get().as_bytes()).map(|item| Ok((structured(item)?, item))).collect()
}

fn structured(event: &[u8]) -> Result<&'static str, Answer> {
    let read: Structured<'_> = serde_json::from_slice(event)
        .map_err(|error| malformed(&format!("the event is no JSON of a CloudEvent: {error}")))?;
    match (read.specversion, read.kind) {
        (Some(_), Some(kind)) => source(&kind),
        _ => Err(malformed("field `specversion` or `type` is missing: this is no CloudEvent")),
    }
}

fn source(kind: &str) -> Result<&'static str, Answer> {
    let known = TYPES.iter().find(|(begin, _)| kind.starts_with(begin));
    known.map(|(_, source)| *source).ok_or_else(|| {
        malformed("no source reads events of this type: dev.cdevents.… and dev.tekton.event.… are read")
    })
}

fn malformed(detail: &str) -> Answer {
    Answer::new(Outcome::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn every_mode_is_taken_apart_into_events() {
        let one = br#"{"specversion":"1.0","type":"dev.tekton.event.pipelinerun.started.v1","id":"1"}"#;
        let structured = headers("content-type", "application/cloudevents+json; charset=utf-8");
        assert_eq!(events(&structured, one).unwrap(), [("tekton", one.as_slice())]);
        let binary = headers("ce-type", "dev.cdevents.service.deployed.0.1.0");
        assert_eq!(events(&binary, b"{}").unwrap(), [("cdevents", b"{}".as_slice())]);
        let batch = [b"[".as_slice(), one, b" , ", one, b"]"].concat();
        let in_batch = headers("content-type", "application/cloudevents-batch+json");
        assert_eq!(
            events(&in_batch, &batch).unwrap(),
            [("tekton", one.as_slice()), ("tekton", one.as_slice())]
        );
        assert_eq!(events(&in_batch, b"[]").unwrap(), []);
        for (headers, body) in [
            (&structured, b"{}".as_slice()),
            (&structured, br#"{"specversion":"1.0","type":"com.example.x"}"#),
            (&structured, b"x"),
            (&in_batch, one),
            (&headers_none(), one),
        ] {
            assert_eq!(events(headers, body).unwrap_err().outcome, Outcome::Malformed);
        }
    }

    fn headers_none() -> HeaderMap {
        headers("content-type", "application/json")
    }
}
