//! Datadog: monitors' alerts, by our webhook template (`deploy/templates/datadog`).
//!
//! Source: Datadog's documentation, "Webhooks" (the variables of a payload) and "Monitor notifications". No live
//! payload seen.
//!
//! A webhook sends what its user wrote: another body than ours is refused by its name. One alert is one incident
//! from when it triggers until it recovers or becomes a warning, which lies in one cycle. Warnings and missing data
//! are none, and the monitor's message must not send them (the template says how). The service is the tag `service:…`, else `datadog:` with the
//! monitor's id; the tags `env:…` and `version:…` say where and what.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, record, severity, tags, template};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Names};
use model::raw::RawRecord;
use model::{EventBody, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Datadog's monitor alerts, by our webhook template: incidents",
    emits: "incident",
    drops: "no_data_not_used warning_not_used",
    times: "`date` of the template: Unix milliseconds.",
    set_up: &[
        "Integrations, Webhooks: a webhook with the hook's URL and the body of \
          `deploy/templates/datadog/webhook.txt`.",
        "Name it in the message of each monitor that means harm to users, as the template says.",
    ],
    seen: None,
    limits: &[
        "Another body than our template is refused by its name.",
        "Warnings and missing data are no incidents.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "datadog";

/// Reads one alert.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    template::check(&body, SOURCE, 1)?;
    let alert = body.object("alert")?;
    let state = match alert.text("transition")? {
        "Triggered" | "Re-Triggered" | "Renotify" => IncidentState::Open,
        // Sent, as the template says, when an alert recovers or becomes a warning.
        "Recovered" | "Warn" => IncidentState::Resolved,
        "Re-Warn" => return Err(Refusal::drop("warning_not_used")),
        "No Data" | "Re-No Data" => return Err(Refusal::drop("no_data_not_used")),
        other => {
            let known = "Triggered, Re-Triggered, Renotify, Recovered, Warn, Re-Warn, No Data, Re-No Data";
            return Err(alert.unknown("transition", other, known));
        }
    };
    // Variables are written into texts: numbers arrive as such.
    let at = alert.millis_text("date")?;
    let id = format!("datadog:{}", alert.text("cycle_key")?);
    let resolved = state == IncidentState::Resolved;
    let list: Vec<&str> = alert.maybe_text("tags")?.unwrap_or_default().split(',').collect();
    let version = tags::value(&list, &["version"]).filter(|_| !resolved);
    let incident = IncidentEvent {
        severity: alert.maybe_text("priority")?.and_then(severity::ranked),
        tier: tags::value(&list, &["env", "environment"]).and_then(environment::tier),
        // Reminders of an alert that goes on carry their own time.
        detected_at: (alert.text("transition")? == "Triggered").then_some(at),
        resolved_at: resolved.then_some(at),
        names: version.map(|version| Names { version: Some(Text::new(version)), ..Names::default() }),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(incident));
    let mut event = record::event(SOURCE, format!("{id}:{}", alert.text("id")?), at, raw.received_at, told);
    event.service = match tags::value(&list, &["service"]) {
        Some(service) => Some(Text::new(service)),
        None => alert.maybe_text("monitor_id")?.map(|id| Text::new(format!("datadog:{id}"))),
    };
    Ok(vec![event])
}
