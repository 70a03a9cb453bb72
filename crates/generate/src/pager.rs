//! Incidents as PagerDuty's webhooks (version 3) and Alertmanager's (version 4) tell them.

use crate::body::extended;
use crate::organisation::{ORGANISATION, Service};
use model::Timestamp;
use serde_json::{Value, json};

/// An incident, told by several records.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    /// Its id at PagerDuty; Alertmanager's fingerprint.
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) title: String,
    /// From 1, the worst, to 5.
    pub(crate) priority: u64,
    pub(crate) created_at: Timestamp,
    /// The commit that it names, where it names one.
    pub(crate) sha: Option<String>,
}

/// PagerDuty's `incident.<what>`; `status` is how the incident stands then.
pub(crate) fn pagerduty(
    incident: &Incident,
    service: &Service,
    event_id: &str,
    what: &str,
    status: &str,
    at: Timestamp,
) -> Value {
    let url = |kind: &str, id: &str| format!("https://{ORGANISATION}.pagerduty.com/{kind}/{id}");
    let reference = |kind: &str, id: &str, summary: &str| {
        json!({
            "id": id,
            "type": format!("{kind}_reference"),
            "summary": summary,
            "html_url": url(kind, id),
        })
    };
    let policy = format!("E{}", service.pager_id);
    json!({
        "event": {
            "id": event_id,
            "event_type": format!("incident.{what}"),
            "resource_type": "incident",
            "occurred_at": at.to_string(),
            "agent": if what == "triggered" { Value::Null } else { reference("user", "PUSER01", "On call") },
            "client": null,
            "data": {
                "id": incident.id,
                "type": "incident",
                "html_url": url("incidents", &incident.id),
                "number": incident.number,
                "status": status,
                "incident_key": format!("{}/{}", service.name, incident.number),
                "created_at": incident.created_at.to_string(),
                "title": incident.title,
                "service": reference("service", &service.pager_id, &service.name),
                "assignees": [reference("user", "PUSER01", "On call")],
                "escalation_policy": reference("escalation_policy", &policy, "Default"),
                "teams": [],
                "priority": {
                    "id": format!("PRIO{}", incident.priority),
                    "type": "priority_reference",
                    "summary": format!("P{}", incident.priority),
                },
                "urgency": if incident.priority <= 2 { "high" } else { "low" },
                "conference_bridge": null,
                "resolve_reason": null,
            },
        },
    })
}

/// Alertmanager's notification of one alert; `ends_at` is there when it has stopped.
pub(crate) fn alertmanager(incident: &Incident, service: &Service, ends_at: Option<Timestamp>) -> Value {
    let status = if ends_at.is_some() { "resolved" } else { "firing" };
    let severity = match incident.priority {
        1 => "page",
        2 => "critical",
        3 => "warning",
        4 => "minor",
        _ => "info",
    };
    let blamed = incident.sha.as_ref().map_or(json!({}), |sha| json!({"sha": sha}));
    let own = json!({
        "alertname": "HighErrorRate",
        "service": service.name,
        "severity": severity,
        "environment": "production",
        "layer": service.layer,
    });
    let labels = extended(own, blamed);
    let annotations = json!({
        "summary": incident.title,
        "description": format!("More than 2 % of the requests to {} have failed for 5 minutes.", service.name),
        "runbook_url": format!("https://runbooks.{ORGANISATION}.example/{}/errors", service.name),
    });
    let end = ends_at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
    json!({
        "version": "4",
        "groupKey": format!("{{}}/{{service=\"{}\"}}:{{alertname=\"HighErrorRate\"}}", service.name),
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "streamgauge",
        "groupLabels": {"alertname": "HighErrorRate"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": format!("https://alertmanager.{ORGANISATION}.example"),
        "alerts": [{
            "status": status,
            "labels": labels,
            "annotations": annotations,
            "startsAt": incident.created_at.to_string(),
            "endsAt": end,
            "generatorURL": format!("https://prometheus.{ORGANISATION}.example/graph?g0.expr=errors"),
            "fingerprint": incident.id,
        }],
    })
}
