//! Code scanning and Dependabot alerts, as findings of a scan. A finding keeps its id while its state changes.
//!
//! Source: GitHub's documentation, "Webhook events and payloads", `code_scanning_alert` and `dependabot_alert`. No
//! live payload seen.

use super::Delivery;
use crate::Refusal;
use crate::node::Node;
use model::event::{DeliveryEvent, ScanEvent};
use model::{EventBody, Text, Timestamp};

/// An alert of code scanning.
pub(super) fn code_scanning(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let alert = delivery.body.object("alert")?;
    let severity = alert.first_text(&["rule.security_severity_level", "rule.severity"])?;
    let commit = match delivery.body.maybe_text("commit_oid")? {
        Some(commit) => Some(commit),
        None => alert.maybe_text("most_recent_instance.commit_sha")?,
    };
    let sha = commit.map(|commit| delivery.body.sha_of("commit_oid", commit)).transpose()?;
    let scan = ScanEvent {
        scanner: Text::new(alert.maybe_text("tool.name")?.unwrap_or("code scanning")),
        finding: Text::new(alert.text("rule.id")?),
        severity: Text::new(severity.unwrap_or("unknown").to_ascii_lowercase()),
        state: Text::new(state(&alert)?),
        sha: sha.filter(|sha| !sha.is_zero()),
        digest: None,
    };
    told(delivery, &alert, "code_scanning", scan)
}

/// An alert of Dependabot.
pub(super) fn dependabot(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let alert = delivery.body.object("alert")?;
    let severity = alert.first_text(&["security_vulnerability.severity", "security_advisory.severity"])?;
    let scan = ScanEvent {
        scanner: Text::new("dependabot"),
        finding: Text::new(alert.text("security_advisory.ghsa_id")?),
        severity: Text::new(severity.unwrap_or("unknown").to_ascii_lowercase()),
        state: Text::new(state(&alert)?),
        sha: None,
        digest: None,
    };
    told(delivery, &alert, "dependabot", scan)
}

/// One word for both: open, fixed, dismissed.
fn state(alert: &Node<'_>) -> Result<&'static str, Refusal> {
    Ok(match alert.maybe_text("state")? {
        Some("open") => "open",
        Some("fixed") => "fixed",
        Some("dismissed" | "auto_dismissed") => "dismissed",
        Some(other) => return Err(alert.unknown("state", other, "open, fixed, dismissed, auto_dismissed")),
        // An alert that is new in a branch is sent before it has a state.
        None => "open",
    })
}

fn told(
    delivery: &Delivery<'_>,
    alert: &Node<'_>,
    kind: &str,
    scan: ScanEvent,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let at = changed_at(alert, scan.state.as_str())?;
    let about = format!("{kind}:{}", alert.number("number")?);
    Ok(vec![delivery.event(super::SOURCE, &about, at, EventBody::Scan(scan))])
}

/// When the alert came into its state.
fn changed_at(alert: &Node<'_>, state: &str) -> Result<Timestamp, Refusal> {
    let fields: &[&str] = match state {
        "fixed" => &["fixed_at", "updated_at"],
        "dismissed" => &["dismissed_at", "auto_dismissed_at", "updated_at"],
        _ => &["updated_at"],
    };
    for field in fields {
        if let Some(at) = alert.maybe_time(field)? {
            return Ok(at);
        }
    }
    alert.time("created_at")
}
