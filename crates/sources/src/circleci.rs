//! CircleCI's outbound webhooks: a workflow is completed, a job is completed.
//!
//! Source: CircleCI's documentation, "Outbound webhooks reference". The body names its event (`type`). What runs
//! again, whole or from its failed jobs, is a workflow of its own, so a run has one attempt. Beginnings are told
//! with the end, and nothing is sent in between.
//!
//! The commit is told in one of two places: `vcs` for GitHub's OAuth app and Bitbucket Cloud, and
//! `trigger_parameters` for GitLab, GitHub's App and Bitbucket Data Center. No live payload was seen that names its
//! tag, nor one of GitHub's App that names its repository.
//!
//! What counts as a deployment, as the webhooks know none: a job whose name has the word `deploy`, `deployment`,
//! `release` or `rollout`, or which is called after production or staging. Its environment is the tier that its
//! name says, else the name. It belongs to the service that claims `circleci:<project's slug>/<workflow>`, else to
//! the repository's.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::{Refusal, SourceSettings, environment, message, record, repository};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, RunState, Trigger};
use model::raw::RawRecord;
use model::{EventBody, RepoName, RunId, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "CircleCI's webhooks: workflows as runs, jobs that deploy as deployments",
    emits: "pipeline_run deployment",
    drops: "job_deploys_nothing ping workflow_without_commit workflow_without_repository",
    times: "RFC 3339 in UTC.",
    set_up: &["Project settings, Webhooks: the hook's URL, a secret, and both events (workflow and job \
          completed)."],
    seen: Some(
        "The documentation's examples. No live payload that names its tag, nor one of GitHub's App that \
        names its repository.",
    ),
    limits: &["Beginnings are told with the end.", "A job deploys where its name says so."],
};

/// The source's name on its events.
const SOURCE: &str = "circleci";

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let kind = match body.maybe_text("type")? {
        Some(kind) => kind,
        None => header(raw, "circleci-event-type").ok_or_else(|| {
            let detail = "field `type` is missing: this is no webhook of CircleCI";
            Refusal::reject("unknown_event", detail)
        })?,
    };
    // An example of the documentation gives a job's event the workflow's name: what carries a job is about it.
    match kind {
        "ping" => Err(Refusal::drop("ping")),
        "workflow-completed" | "job-completed" if body.has("job") => job(&body, raw.received_at),
        "workflow-completed" => workflow(&body, raw.received_at),
        "job-completed" => body.object("job").map(|_| Vec::new()),
        other => {
            let detail = format!("field `type` names {other:?}, which is no documented event");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// How a workflow or a job ended.
#[derive(Clone, Copy)]
enum Ending {
    Success,
    Failure,
    /// Cancelled, or never allowed to start.
    Cancelled,
}

fn ending(node: &Node<'_>) -> Result<Ending, Refusal> {
    Ok(match node.text("status")? {
        "success" => Ending::Success,
        "failed" | "error" => Ending::Failure,
        // Unauthorized is what needs a context that whoever set it off may not use: nothing ran.
        "canceled" | "unauthorized" => Ending::Cancelled,
        other => return Err(node.unknown("status", other, "success, failed, error, canceled, unauthorized")),
    })
}

/// What is built.
struct Checkout<'a> {
    sha: Option<Sha>,
    repo: Option<RepoName>,
    branch: Option<&'a str>,
    tag: Option<&'a str>,
}

impl<'a> Checkout<'a> {
    fn new(body: &Node<'a>) -> Result<Self, Refusal> {
        let parameters = "pipeline.trigger_parameters";
        let first = |paths: &[&str]| {
            let whole = paths.iter().map(|path| match path.strip_prefix('+') {
                Some(rest) => format!("{parameters}.{rest}"),
                None => format!("pipeline.{path}"),
            });
            for path in whole {
                if let Some(text) = body.maybe_text(&path)? {
                    return Ok(Some(text));
                }
            }
            Ok::<_, Refusal>(None)
        };
        let sha =
            first(&["vcs.revision", "+git.checkout_sha", "+gitlab.commit_sha", "+github_app.commit_sha"])?;
        // The target builds; the origin of a pull request may be a fork.
        let url = first(&[
            "vcs.target_repository_url",
            "vcs.origin_repository_url",
            "+git.repo_url",
            "+git.checkout_url",
            "+gitlab.web_url",
            "+github_app.repo_url",
        ])?;
        Ok(Self {
            sha: sha.filter(|sha| is_full_sha(sha)).map(Sha::new),
            repo: match url.and_then(repository::of_url) {
                Some(repo) => Some(repo),
                None => body.maybe_text("project.slug")?.and_then(repo_of_slug),
            },
            branch: first(&["vcs.branch", "+git.branch", "+github_app.branch"])?,
            tag: first(&["vcs.tag", "+git.tag"])?,
        })
    }
}

/// `gh/acme/shop` is a repository; `circleci/…` has ids in its place.
fn repo_of_slug(slug: &str) -> Option<RepoName> {
    let (forge, name) = slug.split_once('/')?;
    let host = match forge {
        "gh" | "github" => "github.com",
        "bb" | "bitbucket" => "bitbucket.org",
        _ => return None,
    };
    Some(RepoName::new(format!("{host}/{name}")))
}

/// What set a pipeline off, where it is told for sure.
fn trigger(body: &Node<'_>) -> Result<Option<Trigger>, Refusal> {
    let event = body.maybe_text("pipeline.trigger_parameters.circleci.event_type")?;
    Ok(match (body.maybe_text("pipeline.trigger.type")?, event) {
        (Some("schedule" | "scheduled_pipeline"), _) => Some(Trigger::Schedule),
        (Some("webhook"), None) | (Some(_), Some("push")) => Some(Trigger::Push),
        _ => None,
    })
}

fn workflow(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = body.object("workflow")?;
    let id = node.text("id")?;
    let state = match ending(&node)? {
        Ending::Success => RunState::Passed,
        Ending::Failure => RunState::Failed,
        Ending::Cancelled => RunState::Cancelled,
    };
    let checkout = Checkout::new(body)?;
    let Some(sha) = checkout.sha else { return Err(Refusal::drop("workflow_without_commit")) };
    let Some(repo) = checkout.repo else { return Err(Refusal::drop("workflow_without_repository")) };
    let finished_at = match node.maybe_time("stopped_at")? {
        Some(time) => time,
        None => body.time("happened_at")?,
    };
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("circleci:{id}")),
        attempt: 1,
        workflow: Text::new(node.text("name")?),
        sha,
        reference: checkout.branch.or(checkout.tag).map(Text::new),
        state,
        started_at: node.maybe_time("created_at")?,
        finished_at: Some(finished_at),
    };
    let body = EventBody::PipelineRun(run);
    let mut event = record::event(SOURCE, format!("workflow:{id}:{state}"), finished_at, received_at, body);
    event.repo = Some(repo);
    Ok(vec![event])
}

fn job(body: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = body.object("job")?;
    let Some(environment) = environment::of_job(node.text("name")?) else {
        return Err(Refusal::drop("job_deploys_nothing"));
    };
    let id = node.text("id")?;
    let state = match ending(&node)? {
        Ending::Success => DeploymentState::Succeeded,
        Ending::Failure => DeploymentState::Failed,
        Ending::Cancelled => DeploymentState::Cancelled,
    };
    let finished_at = match node.maybe_time("stopped_at")? {
        Some(time) => time,
        None => body.time("happened_at")?,
    };
    let checkout = Checkout::new(body)?;
    let deployment = DeploymentEvent {
        version: checkout.tag.map(Text::new),
        sha: checkout.sha,
        started_at: node.maybe_time("started_at")?,
        finished_at: Some(finished_at),
        trigger: trigger(body)?,
        hotfix: checkout.branch.and_then(message::is_hotfix),
        ..record::deployment(&format!("circleci:{id}"), environment, state)
    };
    let service = match (body.maybe_text("project.slug")?, body.maybe_text("workflow.name")?) {
        (Some(slug), Some(workflow)) => Some(Text::new(format!("circleci:{slug}/{workflow}"))),
        _ => None,
    };
    let body = EventBody::Deployment(Box::new(deployment));
    let mut event = record::event(SOURCE, format!("job:{id}:{state}"), finished_at, received_at, body);
    event.repo = checkout.repo;
    event.service = service;
    Ok(vec![event])
}
