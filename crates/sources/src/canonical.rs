//! Canonical events as JSON, one to a record. Strict: unknown fields are errors that name them.

use crate::facts::Facts;
use crate::{Refusal, SourceSettings, node};
use model::event::DeliveryEvent;
use model::json::{EventError, from_slice};
use model::raw::RawRecord;
use serde_json::Value;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Canonical events as JSON",
    emits: "commit push pull_request review repository pipeline_run test_run canary_analysis artifact \
        deployment incident sli_sample flag_change scan maintenance correction ownership lost_delivery",
    drops: "",
    times: "RFC 3339 with offset in every field; a number is refused.",
    set_up: &["Nothing to set up: post one event as JSON, its fields as `schemas/avro` names them."],
    seen: Some("The format is our own."),
    limits: &["Strict: an unknown field is refused by its name."],
};

/// Reads one canonical event.
pub(crate) fn read(record: &RawRecord, _: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    event(&record.body).map(|event| vec![event])
}

/// The event of a JSON text.
pub(crate) fn event(text: &[u8]) -> Result<DeliveryEvent, Refusal> {
    from_slice(node::unmarked(text)).map_err(|error| refusal(text, &error))
}

fn refusal(body: &[u8], error: &EventError) -> Refusal {
    let reason = match error {
        EventError::Json(message) => {
            // Not JSON at all comes first: what lies behind the mistake is not known.
            let value = match node::parse(body) {
                Ok(value) => value,
                Err(refusal) => return refusal,
            };
            if let Some(path) = numeric_time(&value, "") {
                let detail = format!(
                    "field `{path}` is a number: times are RFC 3339 text with an offset, as in \
                     2026-01-31T09:30:00Z, not epoch seconds or milliseconds ({message})"
                );
                return Refusal::reject("bad_time", detail);
            }
            reason(message)
        }
        EventError::UnknownType(_) => "unknown_event",
        EventError::MissingBody(_) => "missing_field",
        EventError::ForeignBody { .. } => "unknown_field",
        EventError::Invalid(message) if message.contains("is missing") => "missing_field",
        EventError::Invalid(_) => "invalid",
    };
    Refusal::reject(reason, error.to_string())
}

/// The counted word for a message of the strict reader. Its forms are pinned by tests.
fn reason(message: &str) -> &'static str {
    let has = |form: &str| message.contains(form);
    if has("time without a zone") || has("not a time") || has("time out of range") {
        "bad_time"
    } else if has("missing field") {
        "missing_field"
    } else if has("unknown field") || has("duplicate field") {
        "unknown_field"
    } else if has("unknown variant") {
        "unknown_value"
    } else {
        "wrong_type"
    }
}

/// The path of the first time that is a number: the commonest mistake, and the strict reader's own message
/// would not say what to do.
fn numeric_time(value: &Value, at: &str) -> Option<String> {
    let path = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    value.as_object()?.iter().find_map(|(key, field)| match field {
        Value::Number(_) if key.ends_with("_at") => Some(path(key)),
        Value::Object(_) => numeric_time(field, &path(key)),
        _ => None,
    })
}
