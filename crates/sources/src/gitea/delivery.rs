//! Tags, releases and runs of workflows.

use super::{SOURCE, account, maybe_time};
use crate::forge::{Delivery, word};
use crate::node::{Node, is_full_sha};
use crate::{Refusal, message, record};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, RunState};
use model::{EventBody, RunId, Sha, Text};

/// The source of deployments that a release tells.
const RELEASE: &str = "gitea_release";
/// The source of deployments that a tag tells.
const TAG: &str = "gitea_tag";

/// A branch or a tag was made. What it points to may be the tag's own object: the push says which commit it is.
pub(super) fn create(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    match body.text("ref_type")? {
        "tag" => {
            let reference = body.text("ref")?;
            let name = reference.strip_prefix("refs/tags/").unwrap_or(reference);
            Ok(vec![tag(delivery, name, None, "create")?])
        }
        "branch" => Err(Refusal::drop("branch_created")),
        other => Err(body.unknown("ref_type", other, "tag, branch")),
    }
}

/// A tag as a deployment: `create` and `push` are records of the same. Its time is that of its first record, so
/// none is stated.
pub(super) fn tag(
    delivery: &Delivery<'_>,
    name: &str,
    sha: Option<Sha>,
    told_by: &str,
) -> Result<DeliveryEvent, Refusal> {
    let deployment = DeploymentEvent {
        version: Some(Text::new(name)),
        sha,
        author_kind: account(&delivery.body, "sender")?,
        ..record::deployment(
            &format!("gitea-tag:{}:{name}", delivery.repo),
            "production",
            DeploymentState::Succeeded,
        )
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(delivery.event(TAG, &format!("tag:{name}:{told_by}"), delivery.received_at, body))
}

/// A full release was published, or changed: both carry it whole.
pub(super) fn release(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    if !matches!(action, "published" | "updated") {
        return Err(Refusal::drop(format!("release_{}", word(action))));
    }
    let node = body.object("release")?;
    if node.flag("draft")? == Some(true) {
        return Err(Refusal::drop("draft_release"));
    }
    if node.flag("prerelease")? == Some(true) {
        return Err(Refusal::drop("prerelease"));
    }
    let id = node.number("id")?;
    let at = match maybe_time(&node, "published_at")? {
        Some(at) => at,
        None => node.time("created_at")?,
    };
    let target = node.maybe_text("target_commitish")?.filter(|target| is_full_sha(target));
    let deployment = DeploymentEvent {
        version: Some(Text::new(node.text("tag_name")?)),
        sha: target.map(Sha::new),
        started_at: Some(at),
        finished_at: Some(at),
        author_kind: account(&node, "author")?,
        hotfix: message::is_hotfix(node.maybe_text("name")?.unwrap_or_default()),
        ..record::deployment(&format!("gitea-release:{id}"), "production", DeploymentState::Succeeded)
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(vec![delivery.event(RELEASE, &format!("release:{id}:{action}:{at}"), at, body)])
}

/// Gitea: one attempt of a workflow run, in the form of GitHub's.
pub(super) fn workflow_run(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("workflow_run")?;
    let id = node.number("id")?;
    let attempt = node.maybe_number("run_attempt")?.unwrap_or(1).max(1);
    let (state, step) = match (node.text("status")?, node.maybe_text("conclusion")?) {
        ("queued" | "requested" | "waiting" | "pending" | "blocked", _) => (RunState::Queued, 0),
        ("in_progress" | "running", _) => (RunState::Running, 1),
        ("completed", Some(conclusion)) => (ended(&node, "conclusion", conclusion)?, 2),
        ("completed", None) => return node.text("conclusion").map(|_| Vec::new()),
        (other, _) => {
            let known = "queued, requested, waiting, pending, blocked, in_progress, running, completed";
            return Err(node.unknown("status", other, known));
        }
    };
    let started_at = maybe_time(&node, "started_at")?;
    let finished_at = if step == 2 { maybe_time(&node, "completed_at")? } else { None };
    let workflow = match delivery.body.maybe_text("workflow.name")? {
        Some(name) => name,
        // `ci.yml@refs/heads/main`
        None => node.text("path")?.split('@').next().unwrap_or_default(),
    };
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("gitea:{id}")),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        workflow: Text::new(workflow),
        sha: node.sha("head_sha")?,
        reference: node.maybe_text("head_branch")?.map(Text::new),
        state,
        started_at,
        finished_at,
    };
    // What has not begun has no time, and would seem to come after what has.
    let at = match (finished_at.or(started_at), step) {
        (Some(at), _) => at,
        (None, 2) => delivery.received_at,
        (None, _) => return Err(Refusal::drop("run_not_started")),
    };
    let about = format!("workflow_run:{id}:{attempt}:{state}");
    Ok(vec![delivery.event(SOURCE, &about, record::later(at, step), EventBody::PipelineRun(run))])
}

fn ended(node: &Node<'_>, path: &str, word: &str) -> Result<RunState, Refusal> {
    Ok(match word {
        "success" | "neutral" => RunState::Passed,
        "failure" | "timed_out" => RunState::Failed,
        "cancelled" | "skipped" => RunState::Cancelled,
        other => {
            return Err(node.unknown(
                path,
                other,
                "success, neutral, failure, timed_out, cancelled, skipped",
            ));
        }
    })
}

/// Forgejo: a run of a workflow is over. A run that is run again keeps its id and counts no attempts: its last
/// state is what counts.
pub(super) fn action_run(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("run")?;
    let id = node.number("id")?;
    let state = ended(&node, "status", node.text("status")?)?;
    let finished_at = maybe_time(&node, "stopped")?;
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("gitea:{id}")),
        attempt: 1,
        workflow: Text::new(node.text("workflow_id")?),
        sha: node.sha("commit_sha")?,
        reference: node.maybe_text("prettyref")?.map(Text::new),
        state,
        started_at: maybe_time(&node, "started")?,
        finished_at,
    };
    let at = finished_at.unwrap_or(delivery.received_at);
    let about = match finished_at {
        Some(at) => format!("action_run:{id}:{state}:{at}"),
        None => format!("action_run:{id}:{state}"),
    };
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::PipelineRun(run))])
}
