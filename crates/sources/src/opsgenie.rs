//! Opsgenie's webhooks: alerts as incidents. Jira Service Management sends its alerts in the same format.
//!
//! Source: Opsgenie's documentation, "Webhook integration" and "Alert action data". No live payload seen.
//!
//! Of an alert `createdAt` is in milliseconds and `updatedAt` in nanoseconds. Actions that tell no state (notes,
//! tags, teams, owners, escalations) are dropped by name. The service is the tag `service:…`; else `opsgenie:`
//! with the alert's entity, its first team or the integration's name, which a catalog may claim.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, record, severity, tags};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState};
use model::raw::RawRecord;
use model::{EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Opsgenie's webhooks: alerts as incidents",
    emits: "incident",
    drops: "alert_action_not_used alert_deleted alert_details_not_used alert_escalation_not_used \
        alert_note_not_used alert_owner_not_used alert_priority_not_used alert_responder_not_used \
        alert_snooze_not_used alert_tags_not_used alert_text_not_used",
    times: "`createdAt` in Unix milliseconds, `updatedAt` in nanoseconds.",
    set_up: &[
        "Teams or Settings, Integrations, Webhook: the hook's URL, alert payload on, the actions create, \
          acknowledge, unacknowledge and close.",
    ],
    seen: None,
    limits: &[
        "Ends in April 2027: Jira Service Management sends the same format to `jira`.",
        "Only a tag `service:…` names the service for sure.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "opsgenie";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    alert(&Node::root(&value, settings), SOURCE, raw.received_at)
}

/// Reads one action on an alert, told by Opsgenie or by Jira Service Management.
pub(crate) fn alert(
    body: &Node<'_>,
    source: &str,
    received_at: Timestamp,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let action = body.text("action")?;
    let state = match action {
        "Create" | "UnAcknowledge" => IncidentState::Open,
        "Acknowledge" => IncidentState::Acknowledged,
        "Close" => IncidentState::Resolved,
        other => return Err(Refusal::drop(unused(other))),
    };
    let alert = body.object("alert")?;
    let id = format!("{source}:{}", alert.text("alertId")?);
    let created_at = alert.maybe_unix_millis("createdAt")?;
    let at = match updated_at(&alert)? {
        Some(at) => at,
        None => alert.unix_millis("createdAt")?,
    };
    let labels = alert.maybe_texts("tags")?.unwrap_or_default();
    let incident = IncidentEvent {
        severity: alert.maybe_text("priority")?.and_then(severity::ranked),
        tier: tags::value(&labels, &["environment", "env"]).and_then(environment::tier),
        detected_at: created_at,
        resolved_at: (state == IncidentState::Resolved).then_some(at),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(incident));
    let mut event = record::event(source, format!("{id}:{action}:{at}"), at, received_at, told);
    event.service = service(body, &alert, source, &labels)?;
    Ok(vec![event])
}

/// The counted word for an action that tells no state. Custom actions have names of their users' own.
fn unused(action: &str) -> &'static str {
    match action {
        // It says nothing of when it was over.
        "Delete" => "alert_deleted",
        "UpdatePriority" => "alert_priority_not_used",
        "AddNote" => "alert_note_not_used",
        "AddTags" | "RemoveTags" => "alert_tags_not_used",
        "AddDetails" | "RemoveDetails" => "alert_details_not_used",
        "AddTeam" | "AddRecipient" | "AddResponder" => "alert_responder_not_used",
        "TakeOwnership" | "AssignOwnership" | "Assign" => "alert_owner_not_used",
        "Escalate" | "EscalateNext" => "alert_escalation_not_used",
        "Snooze" | "SnoozeEnded" => "alert_snooze_not_used",
        "UpdateMessage" | "UpdateDescription" => "alert_text_not_used",
        _ => "alert_action_not_used",
    }
}

/// Nanoseconds, in 19 digits. Milliseconds are read as well: copies of alerts have them.
fn updated_at(alert: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    let Some(number) = alert.maybe_number("updatedAt")? else { return Ok(None) };
    if number < 100_000_000_000_000 {
        return alert.maybe_unix_millis("updatedAt");
    }
    let time = Timestamp::from_micros(i64::try_from(number / 1_000).unwrap_or(i64::MAX));
    if time > Timestamp::MAX {
        let detail = format!("field `alert.updatedAt`: {number} is no time in Unix nanoseconds");
        return Err(Refusal::reject("bad_time", detail));
    }
    Ok(Some(time))
}

fn service(
    body: &Node<'_>,
    alert: &Node<'_>,
    source: &str,
    labels: &[&str],
) -> Result<Option<Text>, Refusal> {
    if let Some(name) = tags::value(labels, &["service"]) {
        return Ok(Some(Text::new(name)));
    }
    let team = alert.maybe_texts("teams")?.and_then(|teams| teams.first().copied());
    let named = match alert.maybe_text("entity")?.or(team) {
        Some(name) => Some(name),
        None => body.maybe_text("integrationName")?,
    };
    Ok(named.map(|name| Text::new(format!("{source}:{name}"))))
}
