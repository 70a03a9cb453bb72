//! Prometheus Alertmanager's webhook, version 4: one incident per alert of the notification.
//!
//! Source: Prometheus' documentation, "webhook_config". No live payload seen.
//! A notification is repeated while its alerts fire; an
//! alert's id is made of its fingerprint and its start, so that repeating it tells nothing new.
//!
//! Labels that are read: `severity`; `service`, else `app`, `app_kubernetes_io_name` or `job`; `environment`
//! or `env`; `deployment_id`, `version`, `sha` (what the alert blames).

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, record};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState, Names, Severity};
use model::raw::RawRecord;
use model::{DeploymentId, EventBody, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Prometheus Alertmanager's webhook, version 4: one incident per alert",
    emits: "incident",
    drops: "no_incident_alert",
    times: "`startsAt`, `endsAt`: RFC 3339 with offset.",
    set_up: &[
        "In `receivers`, a `webhook_configs` entry with the hook's `url` and `send_resolved: true`; \
          `http_config.authorization` carries the token.",
        "Route to it the alerts that mean harm to users, with the labels `severity`, `service` and \
          `environment`.",
    ],
    seen: None,
    limits: &[
        "An alert knows no acknowledgement: it is open, then resolved.",
        "An alert with `severity=none` (Watchdog and the like) is no incident.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "alertmanager";

/// Go's zero time: an end that is not known.
const ZERO: &str = "0001-01-01T00:00:00Z";

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let version = body.text("version")?;
    if version != "4" {
        return Err(body.unknown("version", version, "4 (Alertmanager 0.5 and later)"));
    }
    let Some(alerts) = body.maybe_items("alerts")? else {
        return Err(Refusal::reject(
            "missing_field",
            "field `alerts` is missing: the list of alerts is expected",
        ));
    };
    let mut events = Vec::with_capacity(alerts.len());
    for item in &alerts {
        events.extend(alert(item, SOURCE, raw.received_at)?);
    }
    if events.is_empty() {
        return Err(Refusal::drop("no_incident_alert"));
    }
    Ok(events)
}

/// One alert, told by Alertmanager or by Grafana. None for those that by convention are no incident: `severity="none"` (`Watchdog` and the like).
pub(crate) fn alert(
    node: &Node<'_>,
    source: &str,
    received_at: Timestamp,
) -> Result<Option<DeliveryEvent>, Refusal> {
    let severity_word = node.maybe_text("labels.severity")?;
    if severity_word == Some("none") {
        return Ok(None);
    }
    let starts_at = node.time("startsAt")?;
    let (state, resolved_at) = match node.text("status")? {
        "firing" => (IncidentState::Open, None),
        "resolved" => (IncidentState::Resolved, ends_at(node)?),
        other => return Err(node.unknown("status", other, "firing, resolved")),
    };
    let id = format!("{source}:{}:{starts_at}", node.text("fingerprint")?);
    let tier = match node.maybe_text("labels.environment")? {
        Some(name) => Some(name),
        None => node.maybe_text("labels.env")?,
    };
    let incident = IncidentEvent {
        severity: severity_word.and_then(severity),
        tier: tier.and_then(environment::tier),
        // An alert starts to fire when it is noticed; since when users were hurt it does not know.
        detected_at: Some(starts_at),
        resolved_at,
        names: names(node)?,
        ..record::incident(&id, state)
    };
    let occurred_at = resolved_at.unwrap_or(starts_at);
    let mut event = record::event(
        source,
        format!("{id}:{state}"),
        occurred_at,
        received_at,
        EventBody::Incident(Box::new(incident)),
    );
    event.service = service(node, source)?;
    Ok(Some(event))
}

fn ends_at(node: &Node<'_>) -> Result<Option<Timestamp>, Refusal> {
    if node.maybe_text("endsAt")? == Some(ZERO) { Ok(None) } else { node.maybe_time("endsAt") }
}

/// The words that alerting rules use. There is no standard: `critical` and `page` wake somebody up.
pub(crate) fn severity(word: &str) -> Option<Severity> {
    Some(match word.to_ascii_lowercase().as_str() {
        "page" | "emergency" | "sev1" | "p1" => Severity::Sev1,
        "critical" | "sev2" | "p2" => Severity::Sev2,
        "warning" | "error" | "high" | "sev3" | "p3" => Severity::Sev3,
        "minor" | "low" | "sev4" | "p4" => Severity::Sev4,
        "info" | "informational" | "sev5" | "p5" => Severity::Sev5,
        _ => return None,
    })
}

/// The label `service` is a service's name; other labels are aliases that the catalog may claim.
fn service(node: &Node<'_>, source: &str) -> Result<Option<Text>, Refusal> {
    if let Some(service) = node.maybe_text("labels.service")? {
        return Ok(Some(Text::new(service)));
    }
    for label in ["labels.app", "labels.app_kubernetes_io_name", "labels.job"] {
        if let Some(value) = node.maybe_text(label)? {
            return Ok(Some(Text::new(format!("{source}:{value}"))));
        }
    }
    Ok(None)
}

fn names(node: &Node<'_>) -> Result<Option<Names>, Refusal> {
    let names = Names {
        deployment_id: node.maybe_text("labels.deployment_id")?.map(DeploymentId::new),
        version: node.maybe_text("labels.version")?.map(Text::new),
        sha: node.maybe_text("labels.sha")?.map(Sha::new),
    };
    Ok((names != Names::default()).then_some(names))
}
