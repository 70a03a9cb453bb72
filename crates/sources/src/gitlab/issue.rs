//! Incidents: issues of the type `Incident`.

use super::SOURCE;
use crate::forge::Delivery;
use crate::node::Node;
use crate::{Refusal, record};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Severity};
use model::{EventBody, IncidentId};

/// Only incidents are used. Other work items may lie in no project, so this is asked first.
pub(super) fn used(body: &Node<'_>) -> Result<(), Refusal> {
    if is_incident(&body.object("object_attributes")?)? {
        Ok(())
    } else {
        Err(Refusal::drop("issue_not_used"))
    }
}

/// An incident as it stands.
pub(super) fn issue(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("object_attributes")?;
    let id = node.number("id")?;
    let state = state(&node)?;
    let created_at = node.ruby_time("created_at")?;
    let at = node.maybe_ruby_time("updated_at")?.unwrap_or(created_at);
    let resolved = state == IncidentState::Resolved;
    let duplicate = node.maybe_number("duplicated_to_id")?;
    let incident = IncidentEvent {
        severity: severity(&node)?,
        detected_at: Some(created_at),
        resolved_at: if resolved { node.maybe_ruby_time("closed_at")? } else { None },
        links: duplicate.map(|other| vec![incident_id(delivery, other)]),
        ..record::incident(incident_id(delivery, id).as_str(), state)
    };
    let about = format!("incident:{id}:{state}:{at}");
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::Incident(Box::new(incident)))])
}

/// An issue's id is unique in its instance; an incident's must be unique everywhere.
fn incident_id(delivery: &Delivery<'_>, id: u64) -> IncidentId {
    let host = delivery.repo.as_str().split('/').next().unwrap_or_default();
    IncidentId::new(format!("gitlab:{host}:{id}"))
}

/// Versions before 17.2 tell no type, and only incidents have an escalation status.
fn is_incident(node: &Node<'_>) -> Result<bool, Refusal> {
    Ok(match node.maybe_text("type")? {
        Some(kind) => kind.eq_ignore_ascii_case("incident"),
        None => match node.maybe_text("issue_type")? {
            Some(kind) => kind.eq_ignore_ascii_case("incident"),
            None => node.has("escalation_status"),
        },
    })
}

/// A closed incident is over. One that is open follows its status: `resolved` says that users are no longer
/// hurt, `ignored` says nothing of them.
fn state(node: &Node<'_>) -> Result<IncidentState, Refusal> {
    match node.text("state")? {
        "closed" => return Ok(IncidentState::Resolved),
        "opened" => {}
        other => return Err(node.unknown("state", other, "opened, closed")),
    }
    Ok(match node.maybe_text("escalation_status")? {
        None | Some("triggered" | "ignored") => IncidentState::Open,
        Some("acknowledged") => IncidentState::Acknowledged,
        Some("resolved") => IncidentState::Mitigated,
        Some(other) => {
            let known = "triggered, acknowledged, resolved, ignored";
            return Err(node.unknown("escalation_status", other, known));
        }
    })
}

/// GitLab calls them S1 to S4.
fn severity(node: &Node<'_>) -> Result<Option<Severity>, Refusal> {
    Ok(match node.maybe_text("severity")? {
        Some("critical") => Some(Severity::Sev1),
        Some("high") => Some(Severity::Sev2),
        Some("medium") => Some(Severity::Sev3),
        Some("low") => Some(Severity::Sev4),
        None | Some("unknown") => None,
        Some(other) => {
            return Err(node.unknown("severity", other, "critical, high, medium, low, unknown"));
        }
    })
}
