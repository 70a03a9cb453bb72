//! Deployments (by GitHub's own deployments, by releases and by tags) and workflow runs.

use super::SOURCE;
use crate::forge::{Delivery, word};
use crate::node::{Node, is_full_sha};
use crate::{Refusal, message, person, record};
use model::event::{
    AuthorKind, DeliveryEvent, DeploymentEvent, DeploymentState, EnvironmentTier, PipelineRunEvent, RunState,
    Trigger,
};
use model::{EventBody, RunId, Sha, Text, Timestamp};

/// The source of deployments that a release tells.
const RELEASE: &str = "github_release";
/// The source of deployments that a tag tells.
const TAG: &str = "github_tag";

/// A deployment was asked for.
pub(super) fn deployment(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    if action != "created" {
        return Err(Refusal::drop(format!("deployment_{}", word(action))));
    }
    let node = body.object("deployment")?;
    let event = asked(body, &node, node.text("environment")?, DeploymentState::Pending)?;
    let at = node.time("created_at")?;
    let about = format!("deployment:{}", node.number("id")?);
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::Deployment(Box::new(event)))])
}

/// A deployment has a new status. It may come before the deployment's own event, and says all of it again.
pub(super) fn deployment_status(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let status = body.object("deployment_status")?;
    let state = match status.text("state")? {
        "waiting" | "queued" | "pending" => DeploymentState::Pending,
        "in_progress" => DeploymentState::Running,
        "success" => DeploymentState::Succeeded,
        "failure" | "error" => DeploymentState::Failed,
        // Set on the environment's former deployment when a new one succeeds: no news of this one's outcome.
        "inactive" => return Err(Refusal::drop("superseded")),
        other => {
            let known = "waiting, queued, pending, in_progress, success, failure, error, inactive";
            return Err(status.unknown("state", other, known));
        }
    };
    let node = body.object("deployment")?;
    // A status can move its deployment to another environment.
    let environment = match status.maybe_text("environment")? {
        Some(environment) => environment,
        None => node.text("environment")?,
    };
    let mut event = asked(body, &node, environment, state)?;
    let at = status.time("created_at")?;
    let ended = matches!(state, DeploymentState::Succeeded | DeploymentState::Failed);
    event.finished_at = ended.then_some(at);
    // Times are whole seconds. A script asks for a deployment and reports its success within one; the later
    // word must then win in whatever order the two arrive: it is told a few microseconds later.
    let step = if ended { 2 } else { 1 };
    let occurred_at =
        if Some(at) == event.started_at { Timestamp::from_micros(at.micros() + step) } else { at };
    let about = format!("deployment_status:{}", status.number("id")?);
    Ok(vec![delivery.event(SOURCE, &about, occurred_at, EventBody::Deployment(Box::new(event)))])
}

/// What the object `deployment` says, in both of its events.
fn asked(
    body: &Node<'_>,
    node: &Node<'_>,
    environment: &str,
    state: DeploymentState,
) -> Result<DeploymentEvent, Refusal> {
    let trigger = trigger(body)?;
    // A deployment made by a workflow is its app's; of one that a person set off the person is the author.
    let author_kind = match trigger {
        Some(Trigger::Manual) => Some(AuthorKind::Human),
        _ => person::account(node, "creator")?,
    };
    Ok(DeploymentEvent {
        tier: (node.flag("production_environment")? == Some(true)).then_some(EnvironmentTier::Production),
        sha: Some(node.sha("sha")?),
        started_at: Some(node.time("created_at")?),
        trigger,
        author_kind,
        hotfix: node.maybe_text("ref")?.and_then(message::is_hotfix),
        ..record::deployment(&format!("github:{}", node.number("id")?), environment, state)
    })
}

/// What set off the workflow run that made a deployment, where it says so beyond doubt.
fn trigger(body: &Node<'_>) -> Result<Option<Trigger>, Refusal> {
    let Some(run) = body.maybe_object("workflow_run")? else { return Ok(None) };
    Ok(match run.maybe_text("event")? {
        Some("push") => Some(Trigger::Push),
        Some("schedule") => Some(Trigger::Schedule),
        Some("workflow_dispatch") => {
            let person = person::account(&run, "triggering_actor")? == Some(AuthorKind::Human);
            person.then_some(Trigger::Manual)
        }
        _ => None,
    })
}

/// One attempt of a workflow run.
pub(super) fn workflow_run(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    let run = body.object("workflow_run")?;
    let id = run.number("id")?;
    let attempt = if run.has("run_attempt") { run.number("run_attempt")? } else { 1 };
    let state = run_state(&run)?;
    let finished = matches!(state, RunState::Passed | RunState::Failed | RunState::Cancelled);
    let at = run.time("updated_at")?;
    let started_at = match run.maybe_time("run_started_at")? {
        Some(time) => Some(time),
        None => run.maybe_time("created_at")?,
    };
    let event = PipelineRunEvent {
        run_id: RunId::new(format!("github:{id}")),
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        workflow: Text::new(workflow(body, &run)?),
        sha: run.sha("head_sha")?,
        reference: run.maybe_text("head_branch")?.map(Text::new),
        state,
        started_at,
        finished_at: finished.then_some(at),
    };
    let about = format!("workflow_run:{id}:{attempt}:{}", word(action));
    Ok(vec![delivery.event(SOURCE, &about, at, EventBody::PipelineRun(event))])
}

fn run_state(run: &Node<'_>) -> Result<RunState, Refusal> {
    Ok(match run.text("status")? {
        "requested" | "queued" | "waiting" | "pending" => RunState::Queued,
        "in_progress" => RunState::Running,
        "completed" => match run.text("conclusion")? {
            // Neutral counts as a success wherever GitHub itself decides by it.
            "success" | "neutral" => RunState::Passed,
            "failure" | "timed_out" | "startup_failure" => RunState::Failed,
            // None of these ran: they are in neither side of a rate.
            "cancelled" | "skipped" | "stale" => RunState::Cancelled,
            // It waits for somebody to approve it.
            "action_required" => RunState::Queued,
            other => {
                let known = "success, neutral, failure, timed_out, startup_failure, cancelled, skipped, stale, \
                             action_required";
                return Err(run.unknown("conclusion", other, known));
            }
        },
        other => {
            let known = "requested, queued, waiting, pending, in_progress, completed";
            return Err(run.unknown("status", other, known));
        }
    })
}

/// The workflow's name; a workflow without one goes by its file.
fn workflow<'a>(body: &Node<'a>, run: &Node<'a>) -> Result<&'a str, Refusal> {
    for (node, field) in [(body, "workflow.name"), (run, "name"), (run, "path")] {
        if let Some(name) = node.maybe_text(field)? {
            return Ok(name);
        }
    }
    run.text("name")
}

/// A full release was published, or a prerelease became one.
pub(super) fn release(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    let node = body.object("release")?;
    if !matches!(action, "published" | "released") {
        let reason = if action == "prereleased" {
            "prerelease".to_owned()
        } else {
            format!("release_{}", word(action))
        };
        return Err(Refusal::drop(reason));
    }
    if node.flag("draft")? == Some(true) {
        return Err(Refusal::drop("draft_release"));
    }
    if node.flag("prerelease")? == Some(true) {
        return Err(Refusal::drop("prerelease"));
    }
    let id = node.number("id")?;
    let published_at = node.time("published_at")?;
    // A prerelease keeps its first time when it becomes a release: its last change says when that was.
    let at = match node.maybe_time("updated_at")? {
        Some(updated_at) if action == "released" => updated_at.max(published_at),
        _ => published_at,
    };
    let tag = node.text("tag_name")?;
    let target = node.maybe_text("target_commitish")?.filter(|target| is_full_sha(target));
    let event = DeploymentEvent {
        version: Some(Text::new(tag)),
        sha: target.map(Sha::new),
        started_at: Some(at),
        finished_at: Some(at),
        author_kind: person::account(&node, "author")?,
        hotfix: message::is_hotfix(node.maybe_text("name")?.unwrap_or_default()),
        ..record::deployment(&format!("github-release:{id}"), "production", DeploymentState::Succeeded)
    };
    let about = format!("release:{id}:{action}:{at}");
    Ok(vec![delivery.event(RELEASE, &about, at, EventBody::Deployment(Box::new(event)))])
}

/// A branch or a tag was made.
pub(super) fn create(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    match body.text("ref_type")? {
        "tag" => {
            let at = body.maybe_any_time("repository.pushed_at")?.unwrap_or(delivery.received_at);
            Ok(vec![tag(delivery, body.text("ref")?, None, at, "create")?])
        }
        "branch" => Err(Refusal::drop("branch_created")),
        "repository" => Err(Refusal::drop("repository_created")),
        other => Err(body.unknown("ref_type", other, "tag, branch, repository")),
    }
}

/// A tag as a deployment. `create` and `push` both tell it, and only the push knows the commit: the two are
/// records of one deployment.
pub(super) fn tag(
    delivery: &Delivery<'_>,
    name: &str,
    sha: Option<Sha>,
    at: Timestamp,
    told_by: &str,
) -> Result<DeliveryEvent, Refusal> {
    let id = format!("github-tag:{}:{name}", delivery.repo);
    let event = DeploymentEvent {
        version: Some(Text::new(name)),
        sha,
        started_at: Some(at),
        finished_at: Some(at),
        author_kind: person::account(&delivery.body, "sender")?,
        ..record::deployment(&id, "production", DeploymentState::Succeeded)
    };
    let about = format!("tag:{name}:{told_by}:{at}");
    Ok(delivery.event(TAG, &about, at, EventBody::Deployment(Box::new(event))))
}
