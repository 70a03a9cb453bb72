//! Buildkite's webhooks: a build or a job is scheduled, starts, has finished.
//!
//! Source: Buildkite's documentation, "Webhooks" (its events and headers) and of what it leaves out the REST API's
//! reference ("Builds": the same objects). No live payload was seen of a job. Times are RFC 3339 text or, as in
//! older payloads, `2026-01-31 09:30:00 UTC`.
//!
//! A rebuild is a build of its own, so a run has one attempt. A notification may show a later state than the one
//! that set it off, so the build's own state counts. One that waits at a block step has finished for Buildkite,
//! with the state that the step gives it; let through, it runs again, and its last state counts.
//!
//! What counts as a deployment, as Buildkite knows none: a command step whose name has the word `deploy`,
//! `deployment`, `release` or `rollout`, or which is called after production or staging. Its environment is the
//! tier that its name says, else the name. A retry is a job of its own, so it is another deployment. It belongs to
//! the service that claims `buildkite:<pipeline's slug>`, else to the repository's.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::{Refusal, SourceSettings, environment, message, record, repository};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, RunState, Trigger};
use model::raw::RawRecord;
use model::{EventBody, RepoName, RunId, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Buildkite's webhooks: builds as runs, command steps that deploy as deployments",
    emits: "pipeline_run deployment",
    drops: "agent_not_used block_step_not_used build_failing_not_used build_not_run build_skipped \
        build_without_commit build_without_repository job_activated_not_used job_deploys_nothing \
        job_not_run job_promise_not_used job_scheduled_not_used ping token_not_used trigger_step_not_used",
    times: "RFC 3339; in older payloads `2026-01-31 09:30:00 UTC`.",
    set_up: &["Notification services, Webhook: the hook's URL, the token (or signature), and the events of \
          builds and of jobs."],
    seen: Some("The documentation's examples of builds. No live payload of a job."),
    limits: &[
        "A step deploys where its name says so.",
        "A build of `HEAD` has its commit only once an agent found it.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "buildkite";

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let event = match body.maybe_text("event")? {
        Some(event) => event,
        None => header(raw, "x-buildkite-event").ok_or_else(|| {
            let detail = "field `event` is missing: this is no webhook of Buildkite";
            Refusal::reject("unknown_event", detail)
        })?,
    };
    match event {
        "build.scheduled" | "build.running" | "build.finished" => build(&body, raw.received_at),
        "job.started" | "job.finished" => job(&body, event == "job.finished", raw.received_at),
        "ping" => Err(Refusal::drop("ping")),
        // It runs on, and whether it fails is told at its end.
        "build.failing" => Err(Refusal::drop("build_failing_not_used")),
        "build.skipped" => Err(Refusal::drop("build_skipped")),
        "job.scheduled" => Err(Refusal::drop("job_scheduled_not_used")),
        "job.activated" => Err(Refusal::drop("job_activated_not_used")),
        other => match other.split_once('.') {
            Some(("agent", _)) => Err(Refusal::drop("agent_not_used")),
            Some(("agent_token" | "cluster_token", _)) => Err(Refusal::drop("token_not_used")),
            Some(("job", "promised_exit_status")) => Err(Refusal::drop("job_promise_not_used")),
            _ => {
                let detail = format!("field `event` names {other:?}, which is no documented event");
                Err(Refusal::reject("unknown_event", detail))
            }
        },
    }
}

/// The commit in full. A build of a branch's head is asked for as `HEAD`; what that was, the agent tells.
fn sha(build: &Node<'_>) -> Result<Option<Sha>, Refusal> {
    if let Some(commit) = build.maybe_text("commit")?.filter(|commit| is_full_sha(commit)) {
        return Ok(Some(Sha::new(commit)));
    }
    let shown = build.maybe_text("meta_data.buildkite:git:commit")?;
    let commit = shown.and_then(|shown| shown.strip_prefix("commit ")?.split_whitespace().next());
    Ok(commit.filter(|commit| is_full_sha(commit)).map(Sha::new))
}

fn repository(body: &Node<'_>) -> Result<Option<RepoName>, Refusal> {
    Ok(body.maybe_text("pipeline.repository")?.and_then(repository::of_url))
}

/// Where a build stands, and how late that is among its states.
fn standing(build: &Node<'_>) -> Result<(RunState, i64), Refusal> {
    let state = match build.text("state")? {
        "blocked" => build.maybe_text("blocked_state")?.unwrap_or("running"),
        state => state,
    };
    Ok(match state {
        "creating" | "scheduled" | "waiting" => (RunState::Queued, 0),
        "started" | "running" | "failing" | "canceling" => (RunState::Running, 1),
        "passed" => (RunState::Passed, 2),
        "failed" => (RunState::Failed, 2),
        "canceled" | "waiting_failed" => (RunState::Cancelled, 2),
        "skipped" => return Err(Refusal::drop("build_skipped")),
        "not_run" => return Err(Refusal::drop("build_not_run")),
        other => {
            let known = "creating, scheduled, waiting, started, running, failing, canceling, passed, failed, \
                         blocked, canceled, waiting_failed, skipped, not_run";
            return Err(build.unknown("state", other, known));
        }
    })
}

fn build(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let build = body.object("build")?;
    let (state, step) = standing(&build)?;
    let Some(sha) = sha(&build)? else { return Err(Refusal::drop("build_without_commit")) };
    let Some(repo) = repository(body)? else { return Err(Refusal::drop("build_without_repository")) };
    let id = build.id("id")?;
    let created_at = build.ruby_time("created_at")?;
    let started_at = build.maybe_ruby_time("started_at")?;
    let finished_at = if step == 2 { build.maybe_ruby_time("finished_at")? } else { None };
    let branch = build.maybe_text("branch")?;
    let reference = if branch.is_some() { branch } else { build.maybe_text("tag")? };
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("buildkite:{id}")),
        attempt: 1,
        workflow: Text::new(body.text("pipeline.slug")?),
        sha,
        reference: reference.map(Text::new),
        state,
        started_at,
        finished_at,
    };
    let at = finished_at.or(started_at.filter(|_| step > 0)).unwrap_or(created_at);
    let event_id = format!("build:{id}:{state}:{at}");
    let occurred_at = record::later(at, step);
    let mut event = record::event(SOURCE, event_id, occurred_at, received_at, EventBody::PipelineRun(run));
    event.repo = Some(repo);
    Ok(vec![event])
}

fn job(body: &Node<'_>, finished: bool, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let job = body.object("job")?;
    match job.text("type")? {
        "script" => {}
        // What another pipeline does, its own jobs tell.
        "trigger" => return Err(Refusal::drop("trigger_step_not_used")),
        "manual" | "waiter" => return Err(Refusal::drop("block_step_not_used")),
        other => return Err(job.unknown("type", other, "script, trigger, manual, waiter")),
    }
    let Some(environment) = job.maybe_text("name")?.and_then(environment::of_job) else {
        return Err(Refusal::drop("job_deploys_nothing"));
    };
    let state = if finished { ended(&job)? } else { DeploymentState::Running };
    let started_at = job.maybe_ruby_time("started_at")?;
    let at = match (finished, started_at) {
        (false, Some(started_at)) => started_at,
        (false, None) => received_at,
        (true, _) => job.ruby_time("finished_at")?,
    };
    let build = body.object("build")?;
    let id = format!("buildkite:{}", job.id("id")?);
    let deployment = DeploymentEvent {
        version: build.maybe_text("tag")?.map(Text::new),
        sha: sha(&build)?,
        started_at,
        finished_at: finished.then_some(at),
        trigger: match build.maybe_text("source")? {
            Some("webhook") => Some(Trigger::Push),
            Some("schedule") => Some(Trigger::Schedule),
            Some("ui") => Some(Trigger::Manual),
            _ => None,
        },
        hotfix: build.maybe_text("branch")?.and_then(message::is_hotfix),
        ..record::deployment(&id, environment, state)
    };
    let occurred_at = record::later(at, if finished { 2 } else { 1 });
    let event_id = format!("job:{id}:{state}");
    let mut event = record::event(
        SOURCE,
        event_id,
        occurred_at,
        received_at,
        EventBody::Deployment(Box::new(deployment)),
    );
    event.repo = repository(body)?;
    event.service = Some(Text::new(format!("buildkite:{}", body.text("pipeline.slug")?)));
    Ok(vec![event])
}

fn ended(job: &Node<'_>) -> Result<DeploymentState, Refusal> {
    Ok(match job.text("state")? {
        "passed" => DeploymentState::Succeeded,
        // Failed softly is failed: the build goes on, but the step did not do its work.
        "failed" | "timed_out" | "timing_out" => DeploymentState::Failed,
        "canceled" | "canceling" => DeploymentState::Cancelled,
        "expired" | "broken" | "skipped" => return Err(Refusal::drop("job_not_run")),
        other => {
            let known = "passed, failed, timed_out, canceled, expired, broken, skipped";
            return Err(job.unknown("state", other, known));
        }
    })
}
