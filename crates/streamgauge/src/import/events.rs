//! `import events`: NDJSON, each line a canonical event, or a raw record that wraps a vendor's payload.

use super::lines::{self, Line};
use super::{Sink, WRAPPED, now};
use model::raw::{DEAD_LETTER_BODY_BYTES, DeadLetter, Origin, RawRecord};
use model::{Text, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads a file (or stdin, `-`) into a sink.
///
/// # Errors
/// A file that cannot be opened or read on, and what the sink says. Never because of a line.
pub fn import(path: &Path, sink: &mut impl Sink) -> anyhow::Result<()> {
    let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
    let mut reader = lines::open(path)?;
    lines::each(&mut *reader, &name, |number, line| {
        let origin = Origin { topic: Text::new(&name), partition: 0, offset: number };
        match read_line(line, origin, now()) {
            Ok((record, receipt_stated)) => sink.record(record, receipt_stated),
            Err(letter) => sink.reject(*letter),
        }
    })
}

/// What a line may wrap a payload in. Canonical events have `type` and never `body`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapper<'a> {
    source: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: &'a RawValue,
    received_at: Option<Timestamp>,
}

/// Makes a record of one line, and says whether its time of receipt was stated.
///
/// # Errors
/// A dead letter: the line is too long, or wraps its payload in something that is no raw record.
pub fn read_line(
    line: Line<'_>,
    origin: Origin,
    at: Timestamp,
) -> Result<(RawRecord, bool), Box<DeadLetter>> {
    let bytes = match line {
        Line::Whole(bytes) => bytes,
        Line::TooLong { start, bytes } => {
            let limit = lines::MAX_LINE_BYTES;
            let detail =
                format!("the line has {bytes} bytes, more than {limit}: send such a payload in parts");
            return Err(letter("too_large", detail, start, bytes, origin, at));
        }
    };
    if !is_wrapped(bytes) {
        let body = bytes.to_vec();
        let source = Text::new("canonical");
        return Ok((RawRecord { source, headers: Vec::new(), body, received_at: at, origin }, false));
    }
    let wrapper: Wrapper<'_> = serde_json::from_slice(bytes).map_err(|error| {
        let detail = format!("not a raw record (source, headers, body, received_at): {error}");
        letter("malformed", detail, bytes, bytes.len() as u64, origin.clone(), at)
    })?;
    // A body that is a text is the payload itself; anything else is kept as it is written.
    let body = match serde_json::from_str::<String>(wrapper.body.get()) {
        Ok(text) => text.into_bytes(),
        Err(_) => wrapper.body.get().as_bytes().to_vec(),
    };
    let record = RawRecord {
        source: Text::new(wrapper.source),
        headers: wrapper.headers.into_iter().map(|(k, v)| (Text::new(k.to_lowercase()), v)).collect(),
        body,
        received_at: wrapper.received_at.unwrap_or(at),
        origin,
    };
    Ok((record, wrapper.received_at.is_some()))
}

/// Whether a line wraps a payload: it has `source` and `body`, and no `type`. Anything that is no JSON object
/// is left to the canonical reader, which says exactly what is wrong with it.
fn is_wrapped(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        source: Option<&'a RawValue>,
        #[serde(borrow)]
        body: Option<&'a RawValue>,
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    serde_json::from_slice(bytes)
        .is_ok_and(|probe: Probe<'_>| probe.kind.is_none() && probe.source.is_some() && probe.body.is_some())
}

fn letter(
    reason: &str,
    detail: String,
    body: &[u8],
    bytes: u64,
    origin: Origin,
    at: Timestamp,
) -> Box<DeadLetter> {
    Box::new(DeadLetter {
        source: Text::new(WRAPPED),
        reason: Text::new(reason),
        detail,
        origin,
        received_at: at,
        headers: Vec::new(),
        body: body.get(..DEAD_LETTER_BODY_BYTES).unwrap_or(body).to_vec(),
        body_bytes: bytes,
    })
}

/// A record as one line of NDJSON, in the form that [`read_line`] reads.
pub fn write_line(record: &RawRecord) -> String {
    let headers: BTreeMap<&str, &str> =
        record.headers.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let body = match serde_json::from_slice::<serde_json::Value>(&record.body) {
        // A text would read back as the payload itself: only objects and lists are written as they are.
        Ok(value) if value.is_object() || value.is_array() => value,
        _ => serde_json::Value::String(String::from_utf8_lossy(&record.body).into_owned()),
    };
    serde_json::json!({
        "source": record.source,
        "headers": headers,
        "body": body,
        "received_at": record.received_at,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<RawRecord, Box<DeadLetter>> {
        let origin = Origin { topic: "f".into(), partition: 0, offset: 7 };
        read_line(Line::Whole(line.as_bytes()), origin, Timestamp::from_micros(1)).map(|(record, _)| record)
    }

    #[test]
    fn a_line_is_a_canonical_event_unless_it_wraps_a_payload() {
        let canonical = read(r#"{"id":"1","type":"commit","source":"x"}"#).unwrap();
        assert_eq!(canonical.source.as_str(), "canonical");
        let text =
            read(r#"{"source":"github","headers":{"X-GitHub-Event":"push"},"body":"{\"a\": 1}"}"#).unwrap();
        assert_eq!((text.source.as_str(), text.header("x-github-event")), ("github", Some("push")));
        assert_eq!(text.body, br#"{"a": 1}"#);
        let object =
            read(r#"{"source":"github","body":{"a":  1},"received_at":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(object.body, br#"{"a":  1}"#);
        assert_eq!(object.received_at.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(read("no JSON").unwrap().source.as_str(), "canonical");
    }

    #[test]
    fn a_wrapper_with_a_mistake_is_a_dead_letter_that_names_it() {
        let letter = read(r#"{"source":"github","body":{},"recieved_at":"x"}"#).unwrap_err();
        assert_eq!(letter.reason.as_str(), "malformed");
        assert!(letter.detail.contains("unknown field `recieved_at`"), "{}", letter.detail);
        assert_eq!(letter.origin.offset, 7);
        let zoneless =
            read(r#"{"source":"github","body":{},"received_at":"2026-01-01T00:00:00"}"#).unwrap_err();
        assert!(zoneless.detail.contains("without a zone"), "{}", zoneless.detail);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut record = read(r#"{"source":"github","headers":{"a":"b"},"body":{"k":[1]},"received_at":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(read(&write_line(&record)).unwrap(), record);
        record.body = b"\"quoted\"".to_vec();
        assert_eq!(read(&write_line(&record)).unwrap(), record);
    }
}
