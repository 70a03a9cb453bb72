//! Sentry's webhooks of an integration: metric alerts as incidents.
//!
//! Source: Sentry's documentation, "Integration Platform, Webhooks" (header `Sentry-Hook-Resource`). No live payload
//! seen.
//!
//! Issues and issue alerts tell no incident: an error that is new hurts users or not, and nothing tells its end.
//! The service is `sentry:` with the alert's first project.

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings, alertmanager, environment, record};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState};
use model::raw::RawRecord;
use model::{EventBody, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Sentry's metric alerts: incidents",
    emits: "incident",
    drops: "alert_without_end comment_not_used error_not_used installation_not_used issue_alert_not_used \
        issue_not_used resource_not_used",
    times: "`date_started`, `date_detected`, `date_closed`, `date_created`: RFC 3339 in UTC.",
    set_up: &[
        "Settings, Custom integrations: an internal integration with the hook's URL, Alert Rule Action on, \
          and metric alerts that use it.",
    ],
    seen: None,
    limits: &["Issues and issue alerts tell no end and are no incidents."],
};

/// The source's name on its events.
const SOURCE: &str = "sentry";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let resource = match header(raw, "sentry-hook-resource") {
        Some(resource) => resource,
        None => shape(&body).ok_or_else(|| {
            let detail = "the body has the shape of no webhook that is known: \
                          give the header `Sentry-Hook-Resource` with the record";
            Refusal::reject("unknown_event", detail)
        })?,
    };
    match resource {
        "metric_alert" => metric_alert(&body, raw),
        "issue" => Err(Refusal::drop("issue_not_used")),
        "event_alert" => Err(Refusal::drop("issue_alert_not_used")),
        "error" => Err(Refusal::drop("error_not_used")),
        "comment" => Err(Refusal::drop("comment_not_used")),
        "installation" => Err(Refusal::drop("installation_not_used")),
        "seer" | "preprod_artifact" => Err(Refusal::drop("resource_not_used")),
        other => {
            let detail = format!("header `Sentry-Hook-Resource` names {other:?}, which is no documented one");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

fn shape(body: &Node<'_>) -> Option<&'static str> {
    let keys = ["metric_alert", "issue", "error", "comment", "installation"];
    let found = keys.into_iter().find(|key| body.has(&format!("data.{key}")));
    found.or_else(|| body.has("data.triggered_rule").then_some("event_alert"))
}

fn metric_alert(body: &Node<'_>, raw: &RawRecord) -> Result<Vec<DeliveryEvent>, Refusal> {
    let action = body.text("action")?;
    let alert = body.object("data.metric_alert")?;
    let state = match action {
        "critical" | "warning" => IncidentState::Open,
        "resolved" => IncidentState::Resolved,
        other => return Err(body.unknown("action", other, "critical, warning, resolved")),
    };
    let id = format!("sentry:{}", alert.id("id")?);
    let closed_at = alert.maybe_time("date_closed")?;
    let detected_at = match alert.maybe_time("date_detected")? {
        Some(at) => at,
        None => alert.time("date_created")?,
    };
    let at = match (state, closed_at) {
        (IncidentState::Resolved, Some(at)) => at,
        // The alert says when it was detected and when closed, and nothing of when it became worse or better.
        (IncidentState::Resolved, None) => return Err(Refusal::drop("alert_without_end")),
        // Both have one time: whatever arrives first, the worse word is the later.
        _ if action == "critical" => record::after(detected_at, Some(detected_at)),
        _ => detected_at,
    };
    let tier = alert.maybe_text("alert_rule.environment")?.and_then(environment::tier);
    let word = if state == IncidentState::Resolved { None } else { Some(action) };
    let incident = IncidentEvent {
        severity: word.and_then(alertmanager::severity),
        tier,
        started_at: alert.maybe_time("date_started")?,
        detected_at: Some(detected_at),
        resolved_at: closed_at.filter(|_| state == IncidentState::Resolved),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(incident));
    let mut event = record::event(SOURCE, format!("{id}:{action}:{at}"), at, raw.received_at, told);
    let project = alert.maybe_texts("projects")?.and_then(|projects| projects.first().copied());
    event.service = project.map(|project| Text::new(format!("sentry:{project}")));
    Ok(vec![event])
}
