//! incident.io's webhooks: incidents.
//!
//! Source: incident.io's API documentation, "Webhooks" (`public_incident.…_v2`). The incident lies under a key
//! that is called like the event. No live payload seen.
//!
//! An incident is told from the moment that it is accepted: what is in triage or declined is none. Timestamps
//! have names of the organisation's own; read are the default ones (`Impact started`, `Reported`, `Fixed`,
//! `Resolved`, with or without `at`). The service is `incidentio:` with the first value of the custom field that
//! has the word service or services in its name. Incidents in test mode, or of a type called drill or game day,
//! are drills. Private incidents are sent with their id only.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, record, severity};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Severity};
use model::raw::RawRecord;
use model::{EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "incident.io's webhooks: incidents",
    emits: "incident",
    drops: "action_not_used alert_not_used escalation_not_used follow_up_not_used incident_declined \
        incident_detail_not_used incident_in_triage private_incident_not_readable private_not_readable \
        tutorial_incident",
    times: "RFC 3339 in UTC; read are the default timestamps.",
    set_up: &["Settings, Webhooks: the hook's URL and the `public_incident` events; the endpoint shows its \
          signing secret."],
    seen: None,
    limits: &["Private incidents are sent with their id only.", "An incident in triage or declined is none."],
};

/// The source's name on its events.
const SOURCE: &str = "incidentio";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let kind = body.text("event_type")?;
    let whole = match kind {
        "public_incident.incident_created_v2" | "public_incident.incident_updated_v2" => {
            body.entry_object(kind)?
        }
        "public_incident.incident_status_updated_v2" => body.entry_object(kind)?.object("incident")?,
        other => return Err(unused(&body, other)),
    };
    incident(&whole, kind, raw.received_at)
}

fn unused(body: &Node<'_>, kind: &str) -> Refusal {
    let known: &[(&str, &str)] = &[
        ("private_incident.", "private_incident_not_readable"),
        ("public_incident.follow_up_", "follow_up_not_used"),
        ("public_incident.action_", "action_not_used"),
        ("public_incident.", "incident_detail_not_used"),
        ("public_alert.", "alert_not_used"),
        ("public_escalation.", "escalation_not_used"),
        ("private_", "private_not_readable"),
    ];
    match known.iter().find(|(begin, _)| kind.starts_with(begin)) {
        Some((_, reason)) => Refusal::drop(reason),
        None => body.unknown("event_type", kind, "public_incident.incident_created_v2 and the like"),
    }
}

fn incident(node: &Node<'_>, kind: &str, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let mode = node.maybe_text("mode")?.unwrap_or_default();
    if mode == "tutorial" {
        return Err(Refusal::drop("tutorial_incident"));
    }
    let state = state(node)?;
    let at = node.time("updated_at")?;
    let times = Times::of(node)?;
    let resolved = state == IncidentState::Resolved;
    // The word that ends it; later changes of an ended incident say nothing of when that was.
    let ends_now = resolved && kind.ends_with("status_updated_v2");
    let id = format!("incidentio:{}", node.text("id")?);
    let event = IncidentEvent {
        severity: severity(node)?,
        started_at: times.started_at,
        detected_at: match times.reported_at {
            Some(at) => Some(at),
            None => node.maybe_time("created_at")?,
        },
        mitigated_at: times.fixed_at,
        resolved_at: times.resolved_at.or(ends_now.then_some(at)).filter(|_| resolved),
        ..record::incident(&id, state)
    };
    let body = EventBody::Incident(Box::new(event));
    let mut told = record::event(SOURCE, format!("{id}:{state}:{at}"), at, received_at, body);
    told.service = service(node)?;
    told.drill = is_drill(node, mode)?.then_some(true);
    Ok(vec![told])
}

/// By the category of the status, whose names are the organisation's own.
fn state(node: &Node<'_>) -> Result<IncidentState, Refusal> {
    let status = node.object("incident_status")?;
    let name = status.maybe_text("name")?.unwrap_or_default().to_lowercase();
    Ok(match status.text("category")? {
        "triage" => return Err(Refusal::drop("incident_in_triage")),
        "declined" => return Err(Refusal::drop("incident_declined")),
        "live" | "active" | "paused" if matches!(name.as_str(), "monitoring" | "mitigated" | "fixed") => {
            IncidentState::Mitigated
        }
        "live" | "active" | "paused" => IncidentState::Acknowledged,
        "learning" | "post-incident" | "closed" | "canceled" | "merged" => IncidentState::Resolved,
        other => {
            let known = "triage, declined, merged, canceled, live, learning, paused, closed";
            return Err(status.unknown("category", other, known));
        }
    })
}

/// Ranks and names are the organisation's own; the default names are minor, major and critical.
fn severity(node: &Node<'_>) -> Result<Option<Severity>, Refusal> {
    let Some(name) = node.maybe_text("severity.name")? else { return Ok(None) };
    let scale: [&[&str]; 5] = [&["critical"], &["major"], &["minor"], &["low"], &["trivial"]];
    Ok(severity::ranked(name).or_else(|| severity::on_scale(name, scale)))
}

/// The stated times, by the names of their timestamps.
#[derive(Default)]
struct Times {
    started_at: Option<Timestamp>,
    reported_at: Option<Timestamp>,
    fixed_at: Option<Timestamp>,
    resolved_at: Option<Timestamp>,
}

impl Times {
    fn of(node: &Node<'_>) -> Result<Self, Refusal> {
        let mut times = Self::default();
        for entry in node.items("incident_timestamp_values")? {
            let name = entry.maybe_text("incident_timestamp.name")?.unwrap_or_default().to_lowercase();
            let value = entry.maybe_time("value.value")?;
            match name.strip_suffix(" at").unwrap_or(&name) {
                "impact started" | "impact start" | "started" => times.started_at = value,
                "reported" | "detected" => times.reported_at = value,
                "fixed" | "mitigated" | "impact ended" => times.fixed_at = value,
                "resolved" => times.resolved_at = value,
                _ => {}
            }
        }
        Ok(times)
    }
}

fn is_drill(node: &Node<'_>, mode: &str) -> Result<bool, Refusal> {
    let kind = node.maybe_text("incident_type.name")?.unwrap_or_default().to_lowercase();
    let mut words = kind.split(|letter: char| !letter.is_alphabetic());
    Ok(mode == "test" || kind.contains("game day") || words.any(|word| matches!(word, "drill" | "gameday")))
}

fn service(node: &Node<'_>) -> Result<Option<Text>, Refusal> {
    for entry in node.items("custom_field_entries")? {
        let name = entry.maybe_text("custom_field.name")?.unwrap_or_default().to_lowercase();
        if !name.split(' ').any(|word| matches!(word, "service" | "services")) {
            continue;
        }
        let values = entry.items("values")?;
        let Some(first) = values.first() else { continue };
        let paths = ["value_catalog_entry.name", "value_option.value", "value_text"];
        if let Some(name) = first.first_text(&paths)? {
            return Ok(Some(Text::new(format!("incidentio:{name}"))));
        }
    }
    Ok(None)
}
