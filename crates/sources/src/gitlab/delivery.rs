//! Pipelines, jobs, deployments and releases.

use super::{SOURCE, unused};
use crate::forge::Delivery;
use crate::node::{Node, is_full_sha};
use crate::{Refusal, message, person, record};
use model::event::{
    AuthorKind, DeliveryEvent, DeploymentEvent, DeploymentState, EnvironmentTier, PipelineRunEvent, RunState,
};
use model::{EventBody, RunId, Sha, Span, Text, Timestamp};

/// The source of deployments that a release tells.
const RELEASE: &str = "gitlab_release";

/// A pipeline as it stands. Jobs that are tried again change the same pipeline, which counts no attempts: the
/// last state of its only attempt is what counts.
pub(super) fn pipeline(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = delivery.body.object("object_attributes")?;
    let id = node.number("id")?;
    let status = node.text("status")?;
    let (state, step) = match status {
        "created"
        | "waiting_for_resource"
        | "waiting_for_callback"
        | "preparing"
        | "pending"
        | "scheduled"
        | "manual" => (RunState::Queued, 0),
        "running" | "canceling" => (RunState::Running, 1),
        "success" => (RunState::Passed, 2),
        "failed" => (RunState::Failed, 2),
        // A skipped pipeline ran nothing: it is in neither side of a rate.
        "canceled" | "skipped" => (RunState::Cancelled, 2),
        other => {
            let known = "created, waiting_for_resource, waiting_for_callback, preparing, pending, scheduled, \
                         manual, running, canceling, success, failed, canceled, skipped";
            return Err(node.unknown("status", other, known));
        }
    };
    let created_at = node.ruby_time("created_at")?;
    let ended = step == 2;
    let finished_at = if ended { node.maybe_ruby_time("finished_at")? } else { None };
    // Only the beginning and the end have times; what lies between them is told a little after the beginning.
    let at = match finished_at {
        Some(at) => at,
        None if ended => delivery.received_at,
        None => created_at,
    };
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("gitlab:{id}")),
        attempt: 1,
        // A pipeline's name is a template of the user's, with branches and people in it: what set it off says
        // which jobs it has.
        workflow: Text::new(node.maybe_text("source")?.unwrap_or("pipeline")),
        sha: node.sha("sha")?,
        reference: node.maybe_text("ref")?.map(Text::new),
        state,
        started_at: Some(created_at),
        finished_at,
    };
    let about = match finished_at {
        Some(at) => format!("pipeline:{id}:{status}:{at}"),
        None => format!("pipeline:{id}:{status}"),
    };
    Ok(vec![delivery.event(SOURCE, &about, record::later(at, step), EventBody::PipelineRun(run))])
}

/// A deployment by the id of the job that makes it, where one does: so the job's own events and those of older
/// versions, which do not tell the deployment's id, are records of the same.
fn deployment_id(job: u64) -> String {
    format!("gitlab:job:{job}")
}

/// A deployment starts, waits, ends. Its commit is told in short; in full it stands in the commit's address.
pub(super) fn deployment(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let status = body.text("status")?;
    let (state, step) = match status {
        "created" | "blocked" => (DeploymentState::Pending, 0),
        "running" => (DeploymentState::Running, 1),
        "success" => (DeploymentState::Succeeded, 2),
        "failed" => (DeploymentState::Failed, 2),
        "canceled" => (DeploymentState::Cancelled, 2),
        "skipped" => return Err(Refusal::drop("deployment_skipped")),
        other => {
            let known = "created, blocked, running, success, failed, canceled, skipped";
            return Err(body.unknown("status", other, known));
        }
    };
    let job = body.maybe_number("deployable_id")?;
    let own = body.maybe_number("deployment_id")?;
    let id = match (job, own) {
        (Some(job), _) => deployment_id(job),
        (None, Some(own)) => format!("gitlab:{own}"),
        (None, None) => return Err(Refusal::drop("deployment_without_id")),
    };
    // Versions before 13.12 tell no time.
    let stated = body.maybe_ruby_time("status_changed_at")?;
    let deployment = DeploymentEvent {
        tier: body.maybe_text("environment_tier")?.map(|word| tier(body, word)).transpose()?,
        sha: body.maybe_text("commit_url")?.and_then(sha_of_url),
        started_at: stated.filter(|_| state == DeploymentState::Running),
        finished_at: stated.filter(|_| step == 2),
        author_kind: bot(body)?,
        hotfix: body.maybe_text("ref")?.and_then(message::is_hotfix),
        ..record::deployment(&id, body.text("environment")?, state)
    };
    let at = stated.unwrap_or(delivery.received_at);
    let about = match stated {
        Some(at) => format!("deployment:{id}:{status}:{at}"),
        None => format!("deployment:{id}:{status}"),
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(vec![delivery.event(SOURCE, &about, record::later(at, step), body)])
}

fn tier(body: &Node<'_>, word: &str) -> Result<EnvironmentTier, Refusal> {
    EnvironmentTier::from_word(word).ok_or_else(|| {
        body.unknown("environment_tier", word, "production, staging, testing, development, other")
    })
}

/// The last part of the commit's address, where it is a commit id in full.
fn sha_of_url(url: &str) -> Option<Sha> {
    let path = url.split(['?', '#']).next()?;
    path.trim_end_matches('/').rsplit('/').next().filter(|last| is_full_sha(last)).map(Sha::new)
}

/// Who set it off, where that is a program. Of a person it is not known whether they deployed by hand or pushed.
fn bot(body: &Node<'_>) -> Result<Option<AuthorKind>, Refusal> {
    let kind = body.maybe_text("user.username")?.map(person::by_name);
    Ok(kind.filter(|kind| *kind == AuthorKind::Bot))
}

/// A job that starts an environment is a deployment; any other is a part of its pipeline.
pub(super) fn job(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let Some(environment) = body.maybe_object("environment")? else {
        return Err(Refusal::drop("job_without_environment"));
    };
    if let Some(action) = environment.maybe_text("action")?.filter(|action| *action != "start") {
        return Err(unused("environment", action));
    }
    let status = body.text("build_status")?;
    let (state, step) = match status {
        "created"
        | "waiting_for_resource"
        | "waiting_for_callback"
        | "preparing"
        | "pending"
        | "scheduled"
        | "manual"
        | "skipped" => return Err(Refusal::drop("job_not_started")),
        "running" | "canceling" => (DeploymentState::Running, 1),
        "success" => (DeploymentState::Succeeded, 2),
        "failed" => (DeploymentState::Failed, 2),
        "canceled" => (DeploymentState::Cancelled, 2),
        other => {
            let known = "created, waiting_for_resource, waiting_for_callback, preparing, pending, scheduled, \
                         manual, skipped, running, canceling, success, failed, canceled";
            return Err(body.unknown("build_status", other, known));
        }
    };
    let job = body.number("build_id")?;
    let started_at = body.maybe_ruby_time("build_started_at")?;
    let finished_at = if step == 2 { body.maybe_ruby_time("build_finished_at")? } else { None };
    let reference = body.maybe_text("ref")?;
    let deployment = DeploymentEvent {
        tier: match environment.maybe_text("deployment_tier")? {
            Some(word) => Some(tier(body, word)?),
            None => None,
        },
        version: if body.flag("tag")? == Some(true) { reference.map(Text::new) } else { None },
        sha: Some(body.sha("sha")?),
        started_at,
        finished_at,
        author_kind: bot(body)?,
        hotfix: reference.and_then(message::is_hotfix),
        ..record::deployment(&deployment_id(job), environment.text("name")?, state)
    };
    let stated = if step == 2 { finished_at } else { started_at };
    let at = stated.unwrap_or(delivery.received_at);
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(vec![delivery.event(SOURCE, &format!("job:{job}:{status}"), record::later(at, step), body)])
}

/// A release may be announced for a day to come; nothing is told when that day comes.
pub(super) fn upcoming(body: &Node<'_>, now: Timestamp, max_future: Span) -> Result<(), Refusal> {
    match body.maybe_ruby_time("released_at")? {
        Some(at) if at.since(now) > max_future => Err(Refusal::drop("upcoming_release")),
        _ => Ok(()),
    }
}

/// A release was made, or changed: both carry it whole.
pub(super) fn release(delivery: &Delivery<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let body = &delivery.body;
    let action = body.text("action")?;
    if !matches!(action, "create" | "update") {
        return Err(unused("release", action));
    }
    let tag = body.text("tag")?;
    let id = body.number("id")?;
    let at = match body.maybe_ruby_time("released_at")? {
        Some(at) => at,
        None => body.ruby_time("created_at")?,
    };
    let sha = body.maybe_text("commit.id")?;
    let deployment = DeploymentEvent {
        version: Some(Text::new(tag)),
        sha: sha.map(|text| body.sha_of("commit.id", text)).transpose()?,
        started_at: Some(at),
        finished_at: Some(at),
        hotfix: message::is_hotfix(body.maybe_text("name")?.unwrap_or_default()),
        ..record::deployment(&format!("gitlab-release:{id}"), "production", DeploymentState::Succeeded)
    };
    let body = EventBody::Deployment(Box::new(deployment));
    Ok(vec![delivery.event(RELEASE, &format!("release:{id}:{action}:{at}"), at, body)])
}
