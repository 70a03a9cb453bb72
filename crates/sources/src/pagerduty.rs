//! PagerDuty's webhooks, version 3: one event about one incident.
//!
//! Source: PagerDuty's developer documentation, "Webhooks overview". No live payload seen.
//! Every event about an incident carries it
//! as it stands; the person who acted (`agent`) is not read.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, record, severity};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Severity};
use model::raw::RawRecord;
use model::{EventBody, IncidentId, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "PagerDuty's webhooks, version 3: incidents",
    emits: "incident",
    drops: "event_not_used incident_annotated_not_used incident_detail_not_used \
        incident_responder_not_used incident_status_update_not_used ping service_not_used",
    times: "`occurred_at` and the incident's own times: RFC 3339 in UTC.",
    set_up: &[
        "Integrations, Generic Webhooks (v3): the hook's URL, the scope, all `incident` events; it shows \
          its secret once.",
    ],
    seen: None,
    limits: &[
        "The urgency is no severity: without a priority it is unknown.",
        "Merged incidents are linked, and count once.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "pagerduty";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if !body.has("event") && body.has("messages") {
        let detail =
            "this is a webhook of version 1 or 2: make a webhook subscription (version 3) in PagerDuty";
        return Err(Refusal::reject("unknown_event", detail));
    }
    let event = body.object("event")?;
    let kind = event.text("event_type")?;
    let about_incident = event.maybe_text("data.type")? == Some("incident");
    if !kind.starts_with("incident.") || !about_incident {
        return Err(Refusal::drop(unused(kind)));
    }
    let data = event.object("data")?;
    let id = data.text("id")?;
    let state = match data.text("status")? {
        "triggered" => IncidentState::Open,
        "acknowledged" => IncidentState::Acknowledged,
        "resolved" => IncidentState::Resolved,
        other => return Err(data.unknown("status", other, "triggered, acknowledged, resolved")),
    };
    let occurred_at = event.time("occurred_at")?;
    let incident = IncidentEvent {
        severity: priority(&data)?,
        detected_at: Some(data.time("created_at")?),
        // Later changes of a resolved incident carry no word of when it was resolved.
        resolved_at: (kind == "incident.resolved").then_some(occurred_at),
        links: merged_into(&data)?.map(|other| vec![other]),
        ..record::incident(&format!("pagerduty:{id}"), state)
    };
    let mut told = record::event(
        SOURCE,
        event.text("id")?,
        occurred_at,
        raw.received_at,
        EventBody::Incident(Box::new(incident)),
    );
    told.service = data.maybe_text("service.id")?.map(|service| Text::new(format!("pagerduty:{service}")));
    Ok(vec![told])
}

/// The counted word for an event that tells nothing of an incident's state.
fn unused(kind: &str) -> &'static str {
    match kind {
        "pagey.ping" => "ping",
        "incident.annotated" => "incident_annotated_not_used",
        "incident.status_update_published" => "incident_status_update_not_used",
        _ if kind.starts_with("incident.responder.") => "incident_responder_not_used",
        _ if kind.starts_with("incident.") => "incident_detail_not_used",
        _ if kind.starts_with("service.") => "service_not_used",
        _ => "event_not_used",
    }
}

/// By the priority's name: `P1` to `P5`, or `SEV-1` to `SEV-5`. The urgency (high, low) says who is woken up,
/// not how bad it is: without a priority the severity is unknown.
fn priority(data: &Node<'_>) -> Result<Option<Severity>, Refusal> {
    let Some(name) = data.maybe_text("priority.summary")? else { return Ok(None) };
    Ok(severity::ranked(name))
}

/// The incident that this one was merged into: another record of the same.
fn merged_into(data: &Node<'_>) -> Result<Option<IncidentId>, Refusal> {
    let Some(reason) = data.maybe_object("resolve_reason")? else { return Ok(None) };
    if reason.maybe_text("type")? != Some("merge_resolve_reason") {
        return Ok(None);
    }
    Ok(reason.maybe_text("incident.id")?.map(|id| IncidentId::new(format!("pagerduty:{id}"))))
}
