//! Harbor's webhooks: pushed images as artifacts.
//!
//! Source: Harbor's documentation, "Configure Webhook Notifications", payloads in the default format and as
//! CloudEvents. No live payload seen.
//!
//! The payload carries no labels of the image, so that a push tells its commit only where the tag is one, in full
//! (`4f1c…`, `sha-4f1c…`, `main-4f1c…`); any other push is dropped.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, image, record};
use model::event::{Artifact, DeliveryEvent};
use model::raw::RawRecord;
use model::{EventBody, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Harbor's webhooks: pushed images as artifacts",
    emits: "artifact",
    drops: "artifact_without_commit delete_not_used event_not_used pull_not_used quota_not_used \
        replication_not_used scan_summary_not_used tag_retention_not_used",
    times: "`occur_at`: Unix seconds; as CloudEvents `time`: RFC 3339.",
    set_up: &[
        "Project, Webhooks: the hook's URL, an auth header, the event Artifact pushed, either payload \
          format.",
    ],
    seen: None,
    limits: &["Labels of the image are not sent: only a tag that is a full commit id tells the commit."],
};

/// The source's name on its events.
const SOURCE: &str = "harbor";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let kind = body.text("type")?;
    if !matches!(kind, "PUSH_ARTIFACT" | "pushImage" | "harbor.artifact.pushed") {
        return Err(Refusal::drop(unused(kind)));
    }
    let (data, at) = if body.has("specversion") {
        (body.object("data")?, body.time("time")?)
    } else {
        (body.object("event_data")?, body.unix_time("occur_at")?)
    };
    let mut events = Vec::new();
    for resource in data.items("resources")? {
        let Some(tag) = resource.maybe_text("tag")? else { continue };
        let Some(sha) = image::commit(tag) else { continue };
        let digest = resource.maybe_text("digest")?.and_then(image::digest);
        let named = resource.maybe_text("resource_url")?.and_then(|url| image::read(url).tagged());
        let Some(about) = digest.clone().or(named.clone()) else { continue };
        let artifact =
            Artifact { digest: digest.map(Text::new), image: named.map(Text::new), sha, built_at: None };
        let id = format!("harbor:{about}:{tag}");
        events.push(record::event(SOURCE, id, at, raw.received_at, EventBody::Artifact(artifact)));
    }
    if events.is_empty() {
        return Err(Refusal::drop("artifact_without_commit"));
    }
    Ok(events)
}

/// The counted word for what is no push.
fn unused(kind: &str) -> &'static str {
    match kind {
        "PULL_ARTIFACT" | "harbor.artifact.pulled" => "pull_not_used",
        "DELETE_ARTIFACT" | "harbor.artifact.deleted" => "delete_not_used",
        _ if kind.starts_with("SCANNING_") || kind.starts_with("harbor.scan") => "scan_summary_not_used",
        _ if kind.starts_with("QUOTA_") || kind.starts_with("harbor.quota") => "quota_not_used",
        "REPLICATION" | "harbor.replication.status.changed" => "replication_not_used",
        "TAG_RETENTION" | "harbor.tag_retention.finished" => "tag_retention_not_used",
        _ => "event_not_used",
    }
}
