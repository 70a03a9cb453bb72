//! ServiceNow: incidents, sent by our business rule (`deploy/templates/servicenow`).
//!
//! Source: ServiceNow's documentation, "Business rules", "GlideRecord" and "Incident states". No live payload
//! seen.
//!
//! ServiceNow sends nothing by itself, and what a rule sends is its author's choice: another body than ours is
//! refused by its name. Times have no zone (`getValue` gives the database's): the source's `default_time_zone`
//! states it. A change that caused the incident (`caused_by`) makes its cause a change. A child incident is a
//! record of its parent. The service is `servicenow:` with the business service, else the configuration item.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, record, severity, template};
use model::event::{Cause, DeliveryEvent, IncidentEvent, IncidentState, Names};
use model::raw::RawRecord;
use model::{DeploymentId, EventBody, IncidentId, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "ServiceNow's incidents, by our business rule",
    emits: "incident",
    drops: "incident_deleted",
    times: "`2026-01-31 09:30:00` without a zone: the source's `default_time_zone` states it (`getValue` \
        gives UTC).",
    set_up: &[
        "System Definition, Business Rules: ours (`deploy/templates/servicenow/business_rule.js`) on the \
          table `incident`, after insert and update, with the hook's URL.",
        "Set `default_time_zone` of the source.",
    ],
    seen: None,
    limits: &["Another body than our rule's is refused by its name; without a zone every time is."],
};

/// The source's name on its events.
const SOURCE: &str = "servicenow";

/// Reads what the business rule sent.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    template::check(&body, SOURCE, 1)?;
    if body.maybe_text("operation")? == Some("delete") {
        return Err(Refusal::drop("incident_deleted"));
    }
    let node = body.object("incident")?;
    let state = state(&node)?;
    let updated_at = node.time("sys_updated_on")?;
    // Whole seconds: the count of changes puts those of one second in order.
    let count = node.id("sys_mod_count")?.parse::<i64>().unwrap_or_default().clamp(0, 999_999);
    let at = Timestamp::from_micros(updated_at.micros() + count);
    let sys_id = node.text("sys_id")?;
    let id = format!("servicenow:{sys_id}");
    let resolved_at = match node.maybe_time("resolved_at")? {
        Some(at) => Some(at),
        None => node.maybe_time("closed_at")?,
    };
    let parent = node.maybe_text("parent_incident")?.filter(|parent| *parent != sys_id);
    let caused = node.maybe_text("caused_by")?.is_some();
    let incident = IncidentEvent {
        severity: node.maybe_id("priority")?.as_deref().and_then(severity::ranked),
        tier: node.maybe_text("environment")?.and_then(environment::tier),
        started_at: node.maybe_time("started_at")?,
        detected_at: Some(node.time("opened_at")?),
        resolved_at: resolved_at.filter(|_| state == IncidentState::Resolved),
        cause: caused.then_some(Cause::Change),
        names: names(&node)?,
        links: parent.map(|parent| vec![IncidentId::new(format!("servicenow:{parent}"))]),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(incident));
    let mut event = record::event(SOURCE, format!("{id}:{count}:{updated_at}"), at, raw.received_at, told);
    let service = node.first_text(&["business_service", "configuration_item"])?;
    event.service = service.map(|name| Text::new(format!("servicenow:{name}")));
    Ok(vec![event])
}

/// The states of ServiceNow's incident table, by number.
fn state(node: &Node<'_>) -> Result<IncidentState, Refusal> {
    let number = node.id("state")?;
    Ok(match number.as_str() {
        "1" => IncidentState::Open,
        // In progress, on hold.
        "2" | "3" => IncidentState::Acknowledged,
        // Resolved, closed, cancelled.
        "6" | "7" | "8" => IncidentState::Resolved,
        other => return Err(node.unknown("state", other, "1, 2, 3, 6, 7, 8 (ServiceNow's own)")),
    })
}

/// What the incident says it came from, where the organisation has fields for it.
fn names(node: &Node<'_>) -> Result<Option<Names>, Refusal> {
    let names = Names {
        deployment_id: node.maybe_text("deployment_id")?.map(DeploymentId::new),
        version: node.maybe_text("version")?.map(Text::new),
        sha: node.maybe_text("sha")?.map(Sha::new),
    };
    Ok((names != Names::default()).then_some(names))
}
