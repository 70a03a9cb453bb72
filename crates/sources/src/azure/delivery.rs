//! Builds, runs, stages, and deployments of classic releases.

use super::{Hook, SOURCE};
use crate::node::{Node, is_full_sha};
use crate::{Refusal, environment, message, record, repository};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, RunState, Trigger};
use model::{EventBody, RepoName, RunId, Sha, Text};

/// The source of deployments that a stage of a pipeline is.
const STAGE: &str = "azure_stage";

/// A build has ended. A run of a pipeline is a build too, with the same id.
pub(super) fn build(hook: &Hook<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = &hook.resource;
    let id = node.number("id")?;
    // In version 1 of the resource the status is the result, and the commit stands behind the branch.
    let result = match node.maybe_text("result")? {
        Some(result) => result,
        None => node.text("status")?,
    };
    let source = node.maybe_text("sourceGetVersion")?.and_then(|text| text.rsplit_once(':'));
    let sha = node.maybe_text("sourceVersion")?.or(source.map(|(_, sha)| sha));
    let branch = node.maybe_text("sourceBranch")?;
    let branch = branch.or(source.map(|(branch, _)| branch.rsplit(':').next().unwrap_or(branch)));
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("azure:{id}")),
        attempt: 1,
        workflow: Text::new(node.text("definition.name")?),
        sha: commit(sha)?,
        reference: branch.map(|name| Text::new(name.strip_prefix("refs/heads/").unwrap_or(name))),
        state: ended(node, "result", result)?,
        started_at: node.maybe_time("startTime")?,
        finished_at: node.maybe_time("finishTime")?,
    };
    let at = run.finished_at.unwrap_or(hook.at);
    let repo = node.maybe_object("repository")?;
    let repo = repo.map(|repo| web_repository(&repo, node)).transpose()?.flatten();
    let event_id = format!("azure:build:{id}:{}:{at}", run.state);
    let alias = pipeline_alias(node.text("definition.name")?);
    let mut event = hook.event(SOURCE, event_id, record::later(at, 2), EventBody::PipelineRun(run));
    event.repo = repo;
    event.service = event.repo.is_none().then_some(alias);
    Ok(vec![event])
}

/// A commit that must be there for a run to say anything.
fn commit(text: Option<&str>) -> Result<Sha, Refusal> {
    match text.filter(|text| is_full_sha(text)) {
        Some(text) => Ok(Sha::new(text)),
        None => Err(Refusal::drop("run_without_commit")),
    }
}

/// The repository that a build or a run is of, where it can be named.
fn web_repository(repo: &Node<'_>, build: &Node<'_>) -> Result<Option<RepoName>, Refusal> {
    for field in ["url", "remoteUrl", "webUrl"] {
        if let Some(found) = repo.maybe_text(field)?.and_then(named) {
            return Ok(Some(found));
        }
    }
    // GitHub's repositories have their full name as id.
    let github = repo.maybe_text("type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("github"));
    let id = repo.first_text(&["id", "fullName", "name"])?.filter(|id| id.contains('/'));
    if let (true, Some(id)) = (github, id) {
        return Ok(Some(RepoName::new(format!("github.com/{id}"))));
    }
    // Azure's own are told by an id: only with project and name can they be named.
    let (Some(name), Some(project)) = (repo.maybe_text("name")?, build.maybe_text("project.name")?) else {
        return Ok(None);
    };
    let api = build.maybe_text("url")?.unwrap_or_default();
    let organisation = api.strip_prefix("https://dev.azure.com/").and_then(|rest| rest.split('/').next());
    Ok(organisation
        .map(|organisation| RepoName::new(format!("dev.azure.com/{organisation}/{project}/{name}"))))
}

/// A repository by an address of its pages, or of GitHub's API.
fn named(url: &str) -> Option<RepoName> {
    match url.strip_prefix("https://api.github.com/repos/") {
        Some(name) => Some(RepoName::new(format!("github.com/{}", name.trim_end_matches('/')))),
        None if url.contains("/_apis/") => None,
        None => repository::of_url(url),
    }
}

fn pipeline_alias(name: &str) -> Text {
    Text::new(format!("azure:{name}"))
}

fn ended(node: &Node<'_>, path: &str, word: &str) -> Result<RunState, Refusal> {
    Ok(match word {
        // Partially: something failed that was allowed to.
        "succeeded" | "partiallySucceeded" | "succeededWithIssues" => RunState::Passed,
        "failed" => RunState::Failed,
        "canceled" | "stopped" | "abandoned" | "skipped" => RunState::Cancelled,
        other => {
            let known = "succeeded, partiallySucceeded, succeededWithIssues, failed, canceled, stopped, \
                         abandoned, skipped";
            return Err(node.unknown(path, other, known));
        }
    })
}

/// A run of a pipeline has another state. It shares its id with its build.
pub(super) fn run(hook: &Hook<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = hook.resource.object("run")?;
    let id = node.number("id")?;
    let (state, step) = match node.text("state")? {
        "unknown" | "notStarted" => (RunState::Queued, 0),
        "inProgress" | "canceling" => (RunState::Running, 1),
        "completed" => (ended(&node, "result", node.text("result")?)?, 2),
        other => {
            return Err(node.unknown(
                "state",
                other,
                "unknown, notStarted, inProgress, canceling, completed",
            ));
        }
    };
    let repository = node.maybe_object("resources.repositories.self")?;
    let sha = repository.as_ref().map(|self_| self_.maybe_text("version")).transpose()?.flatten();
    let reference = repository.as_ref().map(|self_| self_.maybe_text("refName")).transpose()?.flatten();
    let pipeline = pipeline_name(hook)?;
    let created_at = node.maybe_time("createdDate")?;
    let finished_at = if step == 2 { node.maybe_time("finishedDate")? } else { None };
    let run = PipelineRunEvent {
        run_id: RunId::new(format!("azure:{id}")),
        attempt: 1,
        workflow: Text::new(pipeline),
        sha: commit(sha)?,
        reference: reference.map(|name| Text::new(name.strip_prefix("refs/heads/").unwrap_or(name))),
        state,
        started_at: created_at,
        finished_at,
    };
    // What lies between beginning and end is told a little after the beginning, whenever it was sent.
    let at = finished_at.or(created_at).unwrap_or(hook.at);
    let event_id = format!("azure:run:{id}:{state}:{at}");
    let mut event = hook.event(SOURCE, event_id, record::later(at, step), EventBody::PipelineRun(run));
    event.repo = told_repository(hook)?;
    event.service = event.repo.is_none().then(|| pipeline_alias(pipeline));
    Ok(vec![event])
}

fn pipeline_name<'a>(hook: &Hook<'a>) -> Result<&'a str, Refusal> {
    match hook.resource.maybe_text("pipeline.name")? {
        Some(name) => Ok(name),
        None => hook.resource.text("run.pipeline.name"),
    }
}

/// The repository of a run or a stage, where exactly one is told.
fn told_repository(hook: &Hook<'_>) -> Result<Option<RepoName>, Refusal> {
    let listed = hook.resource.items("repositories")?;
    let [only] = listed.as_slice() else { return Ok(None) };
    Ok(only.maybe_text("url")?.and_then(named))
}

/// A stage that deploys.
pub(super) fn stage(hook: &Hook<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = hook.resource.object("stage")?;
    let name = match node.maybe_text("displayName")? {
        Some(name) => name,
        None => node.text("name")?,
    };
    let Some(environment) = environment::of_job(name) else {
        return Err(Refusal::drop("stage_deploys_nothing"));
    };
    let result = node.maybe_text("result")?;
    let (state, step) = match (node.text("state")?, result) {
        ("notStarted", _) => return Err(Refusal::drop("stage_not_started")),
        ("waiting", _) => (DeploymentState::Pending, 0),
        ("running" | "canceling", _) => (DeploymentState::Running, 1),
        ("completed", Some("skipped")) => return Err(Refusal::drop("stage_skipped")),
        // Rejected is a stage that was not approved: it never ran.
        ("completed", Some("rejected")) => (DeploymentState::Cancelled, 2),
        ("completed", Some(word)) => (deployed(ended(&node, "result", word)?), 2),
        ("completed", None) => return node.text("result").map(|_| Vec::new()),
        (other, _) => {
            return Err(node.unknown("state", other, "notStarted, waiting, running, canceling, completed"));
        }
    };
    let run = hook.resource.object("run")?;
    let attempt = match node.maybe_number("attempt")? {
        Some(attempt) => attempt,
        None => hook.resource.maybe_number("attemptId")?.unwrap_or(1),
    };
    let id = format!("azure:{}:{}:{}", run.number("id")?, node.text("name")?, attempt.max(1));
    let at = if step == 2 { node.maybe_time("finishTime")? } else { node.maybe_time("startTime")? };
    let at = at.unwrap_or(hook.at);
    let sha = run.maybe_text("resources.repositories.self.version")?.filter(|text| is_full_sha(text));
    let deployment = DeploymentEvent {
        version: run.maybe_text("name")?.map(Text::new),
        sha: sha.map(Sha::new),
        started_at: if state == DeploymentState::Running { Some(at) } else { node.maybe_time("startTime")? },
        finished_at: (step == 2).then_some(at),
        hotfix: run.maybe_text("resources.repositories.self.refName")?.and_then(message::is_hotfix),
        ..record::deployment(&id, environment, state)
    };
    let body = EventBody::Deployment(Box::new(deployment));
    let mut event = hook.event(STAGE, format!("{id}:{state}:{at}"), record::later(at, step), body);
    event.repo = told_repository(hook)?;
    event.service = Some(pipeline_alias(pipeline_name(hook)?));
    Ok(vec![event])
}

const fn deployed(state: RunState) -> DeploymentState {
    match state {
        RunState::Passed => DeploymentState::Succeeded,
        RunState::Failed => DeploymentState::Failed,
        RunState::Cancelled => DeploymentState::Cancelled,
        RunState::Queued => DeploymentState::Pending,
        RunState::Running => DeploymentState::Running,
    }
}

/// A deployment of a classic release to one of its stages.
pub(super) fn release(hook: &Hook<'_>, completed: bool) -> Result<Vec<DeliveryEvent>, Refusal> {
    let node = hook.resource.object("environment")?;
    let deployment = hook.resource.maybe_object("deployment")?;
    let attempt = attempt(&node, deployment.as_ref())?;
    if attempt.is_none() && !completed {
        return Err(Refusal::drop("deployment_started_without_attempt"));
    }
    let status = node.text("status")?;
    let (state, serving) = match (completed, status) {
        (false, _) => (DeploymentState::Running, None),
        (true, "succeeded") => (DeploymentState::Succeeded, None),
        // It went out, and a part of it failed.
        (true, "partiallySucceeded") => (DeploymentState::Failed, Some(true)),
        // Rejected by its approvers or by its own steps.
        (true, "rejected" | "failed") => (DeploymentState::Failed, None),
        (true, "canceled") => (DeploymentState::Cancelled, None),
        (true, other) => {
            return Err(node.unknown(
                "status",
                other,
                "succeeded, partiallySucceeded, rejected, failed, canceled",
            ));
        }
    };
    let release = node.number("release.id")?;
    let stage = node.number("id")?;
    let id = match attempt {
        Some(attempt) => format!("azure:release:{release}:{stage}:{attempt}"),
        None => format!("azure:release:{release}:{stage}:{}", hook.at),
    };
    let time = |field: &str| deployment.as_ref().map(|node| node.maybe_time(field)).transpose();
    let artifact = Artifact::primary(hook, deployment.as_ref())?;
    let (started_at, finished_at) = if completed {
        (time("startedOn")?.flatten(), Some(time("completedOn")?.flatten().unwrap_or(hook.at)))
    } else {
        (Some(time("startedOn")?.flatten().unwrap_or(hook.at)), None)
    };
    let event = DeploymentEvent {
        version: artifact.version.map(Text::new),
        sha: artifact.sha,
        started_at,
        finished_at,
        trigger: trigger(hook, deployment.as_ref())?,
        serving,
        ..record::deployment(&id, node.text("name")?, state)
    };
    let at = finished_at.or(started_at).unwrap_or(hook.at);
    let occurred_at = record::later(at, if completed { 2 } else { 1 });
    let mut event =
        hook.event(SOURCE, format!("{id}:{state}"), occurred_at, EventBody::Deployment(Box::new(event)));
    event.repo = artifact.repo;
    let pipeline = hook.resource.first_text(&[
        "release.releaseDefinition.name",
        "environment.releaseDefinition.name",
        "deployment.releaseDefinition.name",
        "project.name",
    ])?;
    event.service = pipeline.map(pipeline_alias);
    Ok(vec![event])
}

/// Which attempt of a release on its stage this is: the deployment's own, else the latest of its steps.
fn attempt(environment: &Node<'_>, deployment: Option<&Node<'_>>) -> Result<Option<u64>, Refusal> {
    if let Some(attempt) = deployment.map(|node| node.maybe_number("attempt")).transpose()?.flatten() {
        return Ok(Some(attempt));
    }
    let mut latest = None;
    for step in environment.items("deploySteps")? {
        latest = latest.max(step.maybe_number("attempt")?);
    }
    Ok(latest)
}

fn trigger(hook: &Hook<'_>, deployment: Option<&Node<'_>>) -> Result<Option<Trigger>, Refusal> {
    let reason = deployment.map(|node| node.maybe_text("reason")).transpose()?.flatten();
    Ok(match (reason, hook.resource.maybe_text("release.reason")?) {
        (Some("manual"), _) => Some(Trigger::Manual),
        (Some("scheduled"), _) => Some(Trigger::Schedule),
        (Some("automated"), Some("continuousIntegration")) => Some(Trigger::Push),
        (Some("automated"), Some("schedule")) => Some(Trigger::Schedule),
        _ => None,
    })
}

/// What a release deploys.
#[derive(Default)]
struct Artifact {
    version: Option<String>,
    sha: Option<Sha>,
    repo: Option<RepoName>,
}

impl Artifact {
    /// The primary artifact of the release, which is told in one of several places.
    fn primary(hook: &Hook<'_>, deployment: Option<&Node<'_>>) -> Result<Self, Refusal> {
        let mut listed = hook.resource.items("release.artifacts")?;
        if let (true, Some(node)) = (listed.is_empty(), deployment) {
            listed = node.items("release.artifacts")?;
        }
        for node in &listed {
            if node.flag("isPrimary")? != Some(true) {
                continue;
            }
            let Some(reference) = node.maybe_object("definitionReference")? else { continue };
            let sha = reference.maybe_text("sourceVersion.id")?.filter(|text| is_full_sha(text));
            // The key has a dot in it.
            let provider =
                reference.value().get("repository.provider").and_then(|provider| provider.get("id"));
            let github = provider
                .and_then(serde_json::Value::as_str)
                .or(node.maybe_text("type")?)
                .is_some_and(|provider| provider.eq_ignore_ascii_case("github"));
            let name = reference.maybe_text("repository.name")?.filter(|name| github && name.contains('/'));
            return Ok(Self {
                version: reference.maybe_text("version.name")?.map(str::to_owned),
                sha: sha.map(Sha::new),
                repo: name.map(|name| RepoName::new(format!("github.com/{name}"))),
            });
        }
        Ok(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_by_an_address_that_names_it() {
        assert_eq!(
            named("https://api.github.com/repos/acme/shop"),
            Some(RepoName::new("github.com/acme/shop"))
        );
        assert_eq!(named("https://dev.azure.com/acme/_apis/git/repositories/1"), None);
    }
}
