//! Jira and Jira Service Management: issues as incidents, and JSM's alerts.
//!
//! Source: Atlassian's documentation, "Webhooks" and "Issues" (REST API v2), and JSM's "Integrate with outgoing
//! webhooks", whose alerts have Opsgenie's format. Issues are read in a webhook (`webhookEvent`), and bare, as
//! automation's "Send web request" and the REST API give them. No live payload seen.
//!
//! An issue is an incident when its type's name has the word incident (JSM's is `[System] Incident`), or a label
//! of its is `incident`; post-incident reviews are none. The state is the status' category: to do is open, in
//! progress acknowledged, done resolved; a status called mitigated or monitoring is mitigated.
//! Times: a webhook's `timestamp` is in epoch milliseconds; fields have the offset of the user's zone.
//! The service is `jira:` with the first component, else the project's key.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, message, opsgenie, record, severity};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Severity};
use model::raw::RawRecord;
use model::{EventBody, IncidentId, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Jira and Jira Service Management: issues and alerts as incidents",
    emits: "incident",
    drops: "alert_action_not_used alert_deleted alert_details_not_used alert_escalation_not_used \
        alert_note_not_used alert_owner_not_used alert_priority_not_used alert_responder_not_used \
        alert_snooze_not_used alert_tags_not_used alert_text_not_used app_access_not_used \
        attachment_not_used board_not_used comment_not_used filter_not_used issue_deleted \
        issue_link_not_used issue_not_incident issue_property_not_used issue_type_not_used \
        jira_expression_not_used option_not_used project_not_used sprint_not_used user_not_used \
        version_not_used worklog_not_used",
    times: "`timestamp` in Unix milliseconds; fields with the offset of the user's zone, or in the \
        source's zone where an old server writes none.",
    set_up: &[
        "System, Webhooks: the hook's URL, a secret, the events issue created and updated, and a JQL that \
          picks incidents.",
        "Jira Service Management's alerts: Operations, Integrations, Webhook, the same URL.",
    ],
    seen: None,
    limits: &[
        "An issue is an incident by its type or by the label `incident`.",
        "Names of statuses are the organisation's own: the category decides.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "jira";

/// Reads a webhook, or an issue.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if body.has("alert") && body.has("action") {
        return opsgenie::alert(&body, SOURCE, raw.received_at);
    }
    let Some(kind) = body.maybe_text("webhookEvent")? else {
        if !body.has("fields") {
            let detail = "the body is neither a webhook (`webhookEvent`) nor an issue (`fields`) nor an alert (`alert`)";
            return Err(Refusal::reject("unknown_event", detail));
        }
        let at = body.time("fields.updated")?;
        return issue(&body, at, raw.received_at);
    };
    match kind {
        "jira:issue_created" | "jira:issue_updated" => {
            issue(&body.object("issue")?, body.unix_millis("timestamp")?, raw.received_at)
        }
        "jira:issue_deleted" => Err(Refusal::drop("issue_deleted")),
        other => Err(unused(other)),
    }
}

/// The other things that Jira tells of, by the beginning of the event's name.
const UNUSED: &[(&str, &str)] = &[
    ("app_access_", "app_access_not_used"),
    ("attachment_", "attachment_not_used"),
    ("board_", "board_not_used"),
    ("comment_", "comment_not_used"),
    ("filter_", "filter_not_used"),
    ("issue_property_", "issue_property_not_used"),
    ("issuelink_", "issue_link_not_used"),
    ("issuetype_", "issue_type_not_used"),
    ("jira:version_", "version_not_used"),
    ("jira:worklog_", "worklog_not_used"),
    ("jira_expression_", "jira_expression_not_used"),
    ("option_", "option_not_used"),
    ("project_", "project_not_used"),
    ("sprint_", "sprint_not_used"),
    ("user_", "user_not_used"),
    ("worklog_", "worklog_not_used"),
];

fn unused(kind: &str) -> Refusal {
    match UNUSED.iter().find(|(begin, _)| kind.starts_with(begin)) {
        Some((_, reason)) => Refusal::drop(reason),
        None => Refusal::reject(
            "unknown_event",
            format!("field `webhookEvent` names {kind:?}, which is no documented event"),
        ),
    }
}

fn issue(node: &Node<'_>, at: Timestamp, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let fields = node.object("fields")?;
    if !is_incident(&fields)? {
        return Err(Refusal::drop("issue_not_incident"));
    }
    let id = incident_id(node)?;
    let state = state(&fields)?;
    let resolved_at = if state == IncidentState::Resolved { resolved_at(&fields)? } else { None };
    // In the REST API's version 3 this text is a document: it is read where it is a text.
    let place = fields.value().get("environment").and_then(serde_json::Value::as_str);
    let mut links = duplicates(&fields)?;
    // In version 3 of the REST API a document, too. PagerDuty's integration writes the page's address there.
    let description =
        fields.value().get("description").and_then(serde_json::Value::as_str).unwrap_or_default();
    links.extend(message::pages(description).map(|page| IncidentId::new(format!("pagerduty:{page}"))));
    let incident = IncidentEvent {
        severity: priority(&fields)?,
        tier: place.and_then(environment::tier),
        detected_at: fields.maybe_time("created")?,
        resolved_at,
        links: (!links.is_empty()).then_some(links),
        ..record::incident(&id, state)
    };
    let body = EventBody::Incident(Box::new(incident));
    let mut event = record::event(SOURCE, format!("{id}:{at}"), at, received_at, body);
    event.service = service(node, &fields)?;
    Ok(vec![event])
}

fn is_incident(fields: &Node<'_>) -> Result<bool, Refusal> {
    let name = fields.maybe_text("issuetype.name")?.unwrap_or_default().to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    let review = words.clone().any(|word| matches!(word, "post" | "review" | "postmortem"));
    if words.any(|word| word == "incident") && !review {
        return Ok(true);
    }
    let labels = fields.maybe_texts("labels")?.unwrap_or_default();
    Ok(labels.iter().any(|label| label.eq_ignore_ascii_case("incident")))
}

/// Issue ids are unique within their site only, and keys change when an issue moves.
fn incident_id(node: &Node<'_>) -> Result<String, Refusal> {
    let id = node.id("id")?;
    let host = node.maybe_text("self")?.and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    Ok(match host.and_then(|rest| rest.split('/').next()).filter(|host| !host.is_empty()) {
        Some(host) => format!("jira:{host}/{id}"),
        None => format!("jira:{id}"),
    })
}

fn state(fields: &Node<'_>) -> Result<IncidentState, Refusal> {
    let status = fields.object("status")?;
    let name = status.maybe_text("name")?.unwrap_or_default().to_lowercase();
    let category = match status.maybe_text("statusCategory.key")? {
        Some(key) => key,
        // Jira before 6.2 has no categories: a resolution is then what ends an issue.
        None if fields.has("resolution") => "done",
        None => "new",
    };
    Ok(match category {
        "done" => IncidentState::Resolved,
        "new" | "undefined" | "indeterminate" if matches!(name.as_str(), "mitigated" | "monitoring") => {
            IncidentState::Mitigated
        }
        "indeterminate" => IncidentState::Acknowledged,
        "new" | "undefined" => IncidentState::Open,
        other => {
            return Err(status.unknown("statusCategory.key", other, "undefined, new, indeterminate, done"));
        }
    })
}

/// When it was resolved; of workflows that set no resolution, when the status' category changed last.
fn resolved_at(fields: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    match fields.maybe_time("resolutiondate")? {
        Some(at) => Ok(Some(at)),
        None => fields.maybe_time("statuscategorychangedate"),
    }
}

/// The names of Jira's own scales, of the server and of the cloud; teams write `P1` or `SEV-1` as well.
fn priority(fields: &Node<'_>) -> Result<Option<Severity>, Refusal> {
    let Some(name) = fields.maybe_text("priority.name")? else { return Ok(None) };
    let scale: [&[&str]; 5] = [
        &["highest", "blocker"],
        &["high", "critical"],
        &["medium", "major"],
        &["low", "minor"],
        &["lowest", "trivial"],
    ];
    Ok(severity::ranked(name).or_else(|| severity::on_scale(name, scale)))
}

/// The issues that this one duplicates or is duplicated by: records of the same incident.
fn duplicates(fields: &Node<'_>) -> Result<Vec<IncidentId>, Refusal> {
    let mut links = Vec::new();
    for link in fields.items("issuelinks")? {
        if !link.maybe_text("type.name")?.is_some_and(|name| name.eq_ignore_ascii_case("duplicate")) {
            continue;
        }
        for side in ["outwardIssue", "inwardIssue"] {
            if let Some(other) = link.maybe_object(side)? {
                links.push(IncidentId::new(incident_id(&other)?));
            }
        }
    }
    Ok(links)
}

fn service(node: &Node<'_>, fields: &Node<'_>) -> Result<Option<Text>, Refusal> {
    let components = fields.items("components")?;
    let component = components.first().map(|component| component.text("name")).transpose()?;
    let key =
        || node.maybe_text("key").map(|key| key.and_then(|key| key.rsplit_once('-')).map(|(key, _)| key));
    let project = match fields.maybe_text("project.key")? {
        Some(key) => Some(key),
        None => key()?,
    };
    Ok(component.or(project).map(|name| Text::new(format!("jira:{name}"))))
}
