//! Grafana: alerting's webhook, OnCall's and IRM's outgoing webhooks, and Grafana Incident's.
//!
//! Source: Grafana's documentation, "Configure webhook notifications" (version 1, in Alertmanager's form),
//! "Outgoing webhooks" of OnCall and IRM with `Forward all`, and the example of grafana/incident-go, which is a
//! real payload of Grafana Incident; of the others no live payload seen.
//!
//! Alerts have the labels that Alertmanager's have. An alert group has those of its first alert, and is linked to
//! the alerts that it groups; without labels its service is `grafana:` with the integration's id. Of an incident
//! it is `grafana:` with the label `service`.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, alertmanager, environment, record, severity};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Severity};
use model::raw::RawRecord;
use model::{EventBody, IncidentId, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Grafana's alerting, OnCall, IRM and Incident webhooks: incidents",
    emits: "incident",
    drops: "alert_group_detail_not_used alert_group_silence_not_used escalation_not_used \
        legacy_alert_without_time no_incident_alert",
    times: "RFC 3339 with offset.",
    set_up: &[
        "Alerting, Contact points: a webhook with the hook's URL; or IRM (OnCall), Outgoing webhooks: one \
          with `Forward all` for each change of an alert group; or Incident, Outgoing webhooks.",
    ],
    seen: Some("One payload of Grafana Incident; none of the others."),
    limits: &["Legacy alerting tells no time and is dropped.", "Labels as in `alertmanager`."],
};

/// The source's name on its events.
const SOURCE: &str = "grafana";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if body.has("alert_group") {
        return alert_group(&body, raw.received_at);
    }
    if body.has("incident") {
        return incident(&body, raw.received_at);
    }
    if body.has("alerts") {
        return alerts(&body, raw.received_at);
    }
    if body.has("ruleId") {
        // Dashboard alerts of Grafana 10 and before carry no time at all.
        return Err(Refusal::drop("legacy_alert_without_time"));
    }
    let detail = "the body is no webhook of Grafana: `alerts`, `alert_group` or `incident` is expected \
                  (of OnCall's and IRM's webhooks with `Forward all` switched on)";
    Err(Refusal::reject("unknown_event", detail))
}

/// A notification of Grafana's alerting: one incident per alert.
fn alerts(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let version = body.text("version")?;
    if version != "1" {
        return Err(body.unknown("version", version, "1 (Grafana's own contact point; Alertmanager's is 4)"));
    }
    let mut events = Vec::new();
    for item in body.items("alerts")? {
        let name = item.maybe_text("labels.alertname")?.unwrap_or_default();
        // Rules that found no data or failed, and the button that tests a contact point.
        if !matches!(name, "DatasourceNoData" | "DatasourceError" | "TestAlert") {
            events.extend(alertmanager::alert(&item, SOURCE, received_at)?);
        }
    }
    if events.is_empty() {
        return Err(Refusal::drop("no_incident_alert"));
    }
    Ok(events)
}

/// An alert group of OnCall or IRM.
fn alert_group(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let kind = body.text("event.type")?;
    let state = match kind {
        "alert group created" | "unresolve" | "unacknowledge" => IncidentState::Open,
        "acknowledge" => IncidentState::Acknowledged,
        "resolve" => IncidentState::Resolved,
        "silence" | "unsilence" => return Err(Refusal::drop("alert_group_silence_not_used")),
        "escalation" | "personal notification" => return Err(Refusal::drop("escalation_not_used")),
        // A status that changed, notes, labels: what it is now the events above say.
        _ => return Err(Refusal::drop("alert_group_detail_not_used")),
    };
    let group = body.object("alert_group")?;
    let created_at = group.time("created_at")?;
    let resolved_at = group.maybe_time("resolved_at")?;
    // A group that was resolved at once has two events of nearly one time; each has its own.
    let at = match body.maybe_time("event.time")? {
        Some(at) => at,
        None => match state {
            IncidentState::Resolved => resolved_at.unwrap_or(created_at),
            IncidentState::Acknowledged => group.time("acknowledged_at")?,
            _ => created_at,
        },
    };
    let labels =
        if body.has("alert_payload.labels") { "alert_payload.labels" } else { "alert_payload.commonLabels" };
    let place = match body.maybe_entry(labels, "environment")? {
        Some(place) => Some(place),
        None => body.maybe_entry(labels, "env")?,
    };
    let links = grouped(body)?;
    let id = format!("grafana:{}", group.text("id")?);
    let incident = IncidentEvent {
        severity: body.maybe_entry(labels, "severity")?.and_then(alertmanager::severity),
        tier: place.and_then(environment::tier),
        detected_at: Some(created_at),
        resolved_at: resolved_at.filter(|_| state == IncidentState::Resolved),
        links: (!links.is_empty()).then_some(links),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(incident));
    let mut event = record::event(SOURCE, format!("{id}:{kind}:{at}"), at, received_at, told);
    event.service = group_service(body, &group, labels)?;
    Ok(vec![event])
}

/// The alerts that it groups, where they are Grafana's or Alertmanager's: records of the same incident.
fn grouped(body: &Node<'_>) -> Result<Vec<IncidentId>, Refusal> {
    let source = match body.maybe_text("integration.type")? {
        Some("grafana_alerting" | "grafana") => SOURCE,
        Some("alertmanager") => "alertmanager",
        _ => return Ok(Vec::new()),
    };
    let mut alerts = body.items("alert_payload.alerts")?;
    alerts.extend(body.maybe_object("alert_payload")?.filter(|payload| payload.has("fingerprint")));
    let mut links = Vec::new();
    for alert in alerts {
        let (fingerprint, starts_at) = (alert.maybe_text("fingerprint")?, alert.maybe_time("startsAt")?);
        if let (Some(fingerprint), Some(starts_at)) = (fingerprint, starts_at) {
            links.push(IncidentId::new(format!("{source}:{fingerprint}:{starts_at}")));
        }
    }
    Ok(links)
}

/// The label `service` is a service's name; other labels, and the integration, are aliases.
fn group_service(body: &Node<'_>, group: &Node<'_>, labels: &str) -> Result<Option<Text>, Refusal> {
    if let Some(service) = body.maybe_entry(labels, "service")? {
        return Ok(Some(Text::new(service)));
    }
    let mut alias = None;
    for label in ["app", "app_kubernetes_io_name", "job"] {
        alias = alias.or(body.maybe_entry(labels, label)?);
    }
    for (node, path) in [(body, "integration.id"), (group, "integration_id")] {
        alias = alias.or(node.maybe_text(path)?);
    }
    Ok(alias.map(|name| Text::new(format!("grafana:{name}"))))
}

/// An incident of Grafana Incident.
fn incident(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let kind = body.text("event")?;
    if !kind.starts_with("grafana.incident.") {
        return Err(body.unknown("event", kind, "grafana.incident.created, grafana.incident.updated.… "));
    }
    let node = body.object("incident")?;
    let state = match node.text("status")? {
        "active" => IncidentState::Open,
        "resolved" => IncidentState::Resolved,
        other => return Err(node.unknown("status", other, "active, resolved")),
    };
    // The envelope's time has whole seconds, the incident's has more.
    let at = match node.maybe_time("modifiedTime")? {
        Some(at) => at,
        None => body.time("time")?,
    };
    let ended_at = match node.maybe_time("incidentEnd")? {
        Some(at) => Some(at),
        None => node.maybe_time("closedTime")?,
    };
    let mut service = None;
    for label in node.items("labels")? {
        // `{label: "checkout", key: "service"}`, and before keys came `service:checkout` as one text.
        let name = label.maybe_text("label")?.unwrap_or_default();
        match label.maybe_text("key")? {
            Some("service" | "service_name") => service = Some(name),
            _ => service = service.or(name.strip_prefix("service:").map(str::trim)),
        }
    }
    let id = format!("grafana:incident:{}", node.id("incidentID")?);
    let event = IncidentEvent {
        severity: node.maybe_text("severity")?.and_then(incident_severity),
        started_at: node.maybe_time("incidentStart")?,
        detected_at: node.maybe_time("createdTime")?,
        resolved_at: ended_at.filter(|_| state == IncidentState::Resolved),
        ..record::incident(&id, state)
    };
    let told = EventBody::Incident(Box::new(event));
    let mut event = record::event(SOURCE, format!("{id}:{}", body.text("id")?), at, received_at, told);
    event.service = service.filter(|name| !name.is_empty()).map(|name| Text::new(format!("grafana:{name}")));
    event.drill = (node.flag("isDrill")? == Some(true)).then_some(true);
    Ok(vec![event])
}

/// Grafana Incident's own words; one that nobody set yet is `pending`.
fn incident_severity(word: &str) -> Option<Severity> {
    let scale: [&[&str]; 5] = [&["critical"], &["major"], &["minor"], &["low"], &["trivial"]];
    severity::ranked(word).or_else(|| severity::on_scale(word, scale))
}
