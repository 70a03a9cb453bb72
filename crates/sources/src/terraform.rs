//! HCP Terraform and Terraform Enterprise: runs that apply, as deployments.
//!
//! Source: HashiCorp's documentation, "Workspace notification payload" (version 1). No live payload seen.
//!
//! What counts as a deployment: a run, from when it begins to apply. Plans that need no change are none, and one
//! that waits is not told. The payload has no commit, so its deployments ship what artifacts and corrections
//! say, which for infrastructure is nothing. The environment is the workspace; the service is
//! `terraform:organisation/workspace`.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record};
use model::event::{DeliveryEvent, DeploymentState};
use model::raw::RawRecord;
use model::{EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "HCP Terraform's notifications: runs that apply, as deployments",
    emits: "deployment",
    drops: "assessment_not_used nothing_applied run_not_applying verification workspace_event_not_used",
    times: "`run_updated_at`: RFC 3339 in UTC.",
    set_up: &["Workspace settings, Notifications, Webhook: the hook's URL, a token, the run events."],
    seen: None,
    limits: &[
        "The payload has no commit: lead times are null.",
        "Plans that change nothing are no deployments.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "terraform";

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let version = body.id("payload_version")?;
    match version.as_str() {
        "1" => {}
        "2" => return Err(Refusal::drop("assessment_not_used")),
        other => return Err(body.unknown("payload_version", other, "1, 2")),
    }
    // Each run of the notification repeats them.
    for name in ["organization_name", "workspace_name", "run_id"] {
        bounded(name, body.maybe_text(name)?.unwrap_or_default(), MAX_NAME_BYTES)?;
    }
    let mut events = Vec::new();
    let mut dropped = None;
    for notification in body.items("notifications")? {
        match run(&body, &notification, raw.received_at) {
            Ok(event) => events.push(event),
            Err(Refusal::Drop(reason)) => dropped = dropped.or(Some(reason)),
            Err(reject) => return Err(reject),
        }
    }
    match dropped {
        Some(reason) if events.is_empty() => Err(Refusal::Drop(reason)),
        _ => Ok(events),
    }
}

fn run(body: &Node<'_>, told: &Node<'_>, received_at: Timestamp) -> Result<DeliveryEvent, Refusal> {
    let trigger = told.text("trigger")?;
    if trigger == "verification" {
        return Err(Refusal::drop("verification"));
    }
    if !trigger.starts_with("run:") {
        return Err(Refusal::drop("workspace_event_not_used"));
    }
    let state = match told.text("run_status")? {
        "applying" => DeploymentState::Running,
        "applied" => DeploymentState::Succeeded,
        "errored" => DeploymentState::Failed,
        "canceled" | "force_canceled" | "discarded" => DeploymentState::Cancelled,
        "planned_and_finished" | "planned_and_saved" => return Err(Refusal::drop("nothing_applied")),
        // Pending, planning, planned, cost and policy checks, confirmed, queued: nothing is applied yet.
        _ => return Err(Refusal::drop("run_not_applying")),
    };
    let at = told.time("run_updated_at")?;
    let workspace = body.text("workspace_name")?;
    let id = format!("terraform:{}", body.text("run_id")?);
    let running = state == DeploymentState::Running;
    let mut deployment = record::deployment(&id, workspace, state);
    deployment.started_at = running.then_some(at);
    deployment.finished_at = (!running).then_some(at);
    let about = format!("{id}:{state}");
    let occurred_at = if running { at } else { record::after(at, Some(at)) };
    let deployment = EventBody::Deployment(Box::new(deployment));
    let mut event = record::event(SOURCE, about, occurred_at, received_at, deployment);
    event.service = Some(Text::new(match body.maybe_text("organization_name")? {
        Some(organization) => format!("terraform:{organization}/{workspace}"),
        None => format!("terraform:{workspace}"),
    }));
    Ok(event)
}
