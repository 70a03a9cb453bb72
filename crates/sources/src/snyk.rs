//! Snyk's webhooks: issues that a test of a project found or no longer found, as findings of a scan.
//!
//! Source: Snyk's documentation, "Webhook events and payloads" (headers `X-Snyk-Event`, `X-Snyk-Timestamp`). Snyk
//! calls the format a beta. No live payload seen.
//!
//! The time is the header's, for the body has none. The repository is the project's name where GitHub is its
//! origin (`acme/shop:package.json`); else the project is the alias `snyk:…` of its id.

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record};
use model::event::{DeliveryEvent, ScanEvent};
use model::raw::RawRecord;
use model::{EventBody, RepoName, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Snyk's webhooks: findings",
    emits: "scan",
    drops: "nothing_changed ping",
    times: "Header `X-Snyk-Timestamp`: RFC 3339; the body has none.",
    set_up: &["Create the webhook by the API (`POST /org/{id}/webhooks`) with the hook's URL and a secret."],
    seen: None,
    limits: &["The format is a beta.", "The repository is known only where GitHub is the project's origin."],
};

/// The source's name on its events.
const SOURCE: &str = "snyk";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let kind = header(raw, "x-snyk-event").unwrap_or_default();
    if kind.starts_with("ping") || (kind.is_empty() && body.has("webhookId")) {
        return Err(Refusal::drop("ping"));
    }
    if !kind.is_empty() && !kind.starts_with("project_snapshot") {
        let detail = format!("header `X-Snyk-Event` names {kind:?}, which is no documented event");
        return Err(Refusal::reject("unknown_event", detail));
    }
    let project = body.object("project")?;
    let at = match header(raw, "x-snyk-timestamp") {
        Some(text) => Timestamp::parse(text)
            .map_err(|error| Refusal::reject("bad_time", format!("header `X-Snyk-Timestamp`: {error}")))?,
        None => raw.received_at,
    };
    // Each finding repeats them.
    bounded("service", project.text("id")?, MAX_NAME_BYTES)?;
    bounded("repo", repo(&project)?.as_ref().map_or("", |repo| repo.as_str()), MAX_NAME_BYTES)?;
    let mut events = Vec::new();
    for (list, state) in [("newIssues", "open"), ("removedIssues", "fixed")] {
        for issue in body.items(list)? {
            events.push(finding(&project, &issue, state, at, raw.received_at)?);
        }
    }
    if events.is_empty() {
        return Err(Refusal::drop("nothing_changed"));
    }
    Ok(events)
}

fn finding(
    project: &Node<'_>,
    issue: &Node<'_>,
    state: &str,
    at: Timestamp,
    received_at: Timestamp,
) -> Result<DeliveryEvent, Refusal> {
    let finding = issue.text("id")?;
    let ignored = issue.flag("isIgnored")? == Some(true) && state == "open";
    let scan = ScanEvent {
        scanner: Text::new(SOURCE),
        finding: Text::new(finding),
        severity: Text::new(issue.maybe_text("issueData.severity")?.unwrap_or("unknown")),
        state: Text::new(if ignored { "dismissed" } else { state }),
        sha: None,
        digest: None,
    };
    let id = project.text("id")?;
    let package = issue.maybe_text("pkgName")?.unwrap_or_default();
    let about = format!("{id}:{finding}:{package}");
    let mut event = record::event(SOURCE, about, at, received_at, EventBody::Scan(scan));
    event.repo = repo(project)?;
    if event.repo.is_none() {
        event.service = Some(Text::new(format!("snyk:{id}")));
    }
    Ok(event)
}

/// `acme/shop:package.json` or `acme/shop(main):package.json`.
fn repo(project: &Node<'_>) -> Result<Option<RepoName>, Refusal> {
    if project.maybe_text("origin")? != Some("github") {
        return Ok(None);
    }
    let name = project.text("name")?.split([':', '(']).next().unwrap_or_default();
    let whole =
        name.split('/').filter(|part| !part.is_empty()).count() == 2 && name.matches('/').count() == 1;
    Ok(whole.then(|| RepoName::new(format!("github.com/{name}"))))
}
