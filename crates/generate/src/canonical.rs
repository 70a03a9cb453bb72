//! Canonical events: feature flags and human corrections.

use crate::organisation::{ORGANISATION, Service};
use model::Timestamp;
use serde_json::{Value, json};

/// A flag was switched.
pub(crate) fn flag_change(
    id: &str,
    service: &Service,
    number: u64,
    on: bool,
    at: Timestamp,
    seen: Timestamp,
) -> Value {
    json!({
        "id": id,
        "type": "flag_change",
        "occurred_at": at.to_string(),
        "observed_at": seen.to_string(),
        "source": "flags",
        "service": service.name,
        "flag_change": {
            "flag": format!("{}.experiment-{number}", service.name),
            "action": "updated",
            "environment": "production",
            "from": if on { "off" } else { "on" },
            "to": if on { "on" } else { "off" },
        },
    })
}

/// Somebody corrects what a tool said of a deployment or an incident.
pub(crate) struct Correction<'a> {
    /// `deployment` or `incident`.
    pub(crate) target: &'static str,
    pub(crate) target_id: &'a str,
    pub(crate) set: Value,
    pub(crate) reason: &'static str,
}

/// A correction of a service's or its repository's thing.
pub(crate) fn correction(
    id: &str,
    service: &Service,
    correction: &Correction<'_>,
    at: Timestamp,
    seen: Timestamp,
) -> Value {
    json!({
        "id": id,
        "type": "correction",
        "occurred_at": at.to_string(),
        "observed_at": seen.to_string(),
        "source": format!("{ORGANISATION}-review"),
        "service": service.name,
        "correction": {
            "target": correction.target,
            "target_id": correction.target_id,
            "set": correction.set,
            "reason": correction.reason,
        },
    })
}
