//! Tekton Pipelines' events, carried by CloudEvents (binary or structured): a run of a pipeline is queued, starts,
//! ends. The CDEvents that its other controller sends are read by the source `cdevents`.
//!
//! Source: Tekton's documentation, "Events in Tekton", its code (`pkg/reconciler/events/cloudevent`), and the type
//! hints of Tekton Chains ("SLSA provenance"). The data is the whole `PipelineRun`, of API v1 or v1beta1. Duplicates
//! and events out of order are documented: ids and times are made of the run's own. What runs again is a run of its
//! own, so it has one attempt.
//!
//! No live payload was seen of a run of a pipeline: the documentation shows one of a task.
//!
//! Tekton knows neither commit nor repository. They are read, in this order, from what Pipelines as Code writes on
//! its runs (`pipelinesascode.tekton.dev/sha`, `…/repo-url`), from parameters (`revision`, `git-revision`,
//! `commit`, `sha`, …; `repo-url`, `git-url`, or a `url` that ends in `.git`) and from results (`commit`,
//! `CHAINS-GIT_COMMIT`, `CHAINS-GIT_URL`, …). Names are compared without case, `-` and `_`. Images are read from
//! results whose names end in `IMAGE_URL` and `IMAGE_DIGEST`, and from the result `IMAGES`.
//!
//! What counts as a deployment: a run of a pipeline whose name has the word `deploy`, `deployment`, `release` or
//! `rollout`, or which is called after production or staging. Its environment is the parameter `environment`
//! (`env`, `target-environment`, `deploy-environment`, …), else the tier that the name says, else the name; its
//! version is the parameter `version` (`app-version`, `image-tag`, `tag`). It belongs to the service that claims
//! `tekton:<namespace>/<pipeline>`, else to the repository's.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::{
    MAX_NAME_BYTES, Refusal, SourceSettings, bounded, cdevents, environment, message, purl, record,
    repository,
};
use model::event::{
    Artifact, DeliveryEvent, DeploymentEvent, DeploymentState, PipelineRunEvent, RunState, Trigger,
};
use model::raw::RawRecord;
use model::{EventBody, RepoName, RunId, Sha, Text, Timestamp};
use serde_json::Value;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Tekton's CloudEvents: pipelines' runs, deployments, images",
    emits: "pipeline_run artifact deployment",
    drops: "customrun_not_used pipelinerun_still_running pipelinerun_without_commit \
        pipelinerun_without_repository taskrun_not_used triggers_not_used",
    times: "RFC 3339 in UTC of the run's status.",
    set_up: &[
        "In the ConfigMap `config-events` (in older versions `config-defaults`) the sink: the hook's URL.",
    ],
    seen: Some("The documentation's run of a task. No live payload of a run of a pipeline."),
    limits: &[
        "Commit, repository and image are read from annotations, parameters and results with usual names.",
        "A pipeline deploys where its name says so.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "tekton";

/// Reads one event.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let root = Node::root(&value, settings);
    if root.has("specversion") {
        used(root.text("type")?)?;
        let data = cdevents::data(&root)?;
        return told(&Node::root(&data, settings), raw.received_at);
    }
    match header(raw, "ce-type") {
        Some(kind) => used(kind)?,
        None if root.has("pipelineRun") => {}
        None => {
            let detail = "neither a CloudEvent (`specversion`), nor headers `ce-…`, nor a `pipelineRun`";
            return Err(Refusal::reject("unknown_event", detail));
        }
    }
    told(&root, raw.received_at)
}

/// Refuses what is not a run of a pipeline with another state.
fn used(kind: &str) -> Result<(), Refusal> {
    if kind.starts_with("dev.cdevents.") || kind.starts_with("cd.") {
        let detail = format!("type {kind:?} is a CDEvent's: the source `cdevents` reads it");
        return Err(Refusal::reject("unknown_event", detail));
    }
    let mut words = kind.strip_prefix("dev.tekton.event.").unwrap_or_default().split('.');
    match (words.next(), words.next()) {
        (Some("pipelinerun"), Some("queued" | "started" | "running" | "successful" | "failed")) => Ok(()),
        // A step further within the run.
        (Some("pipelinerun"), Some("unknown")) => Err(Refusal::drop("pipelinerun_still_running")),
        (Some("taskrun"), _) => Err(Refusal::drop("taskrun_not_used")),
        (Some("customrun" | "run"), _) => Err(Refusal::drop("customrun_not_used")),
        (Some("triggers"), _) => Err(Refusal::drop("triggers_not_used")),
        _ => {
            let detail = format!("type {kind:?} is no documented event of Tekton");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// Reads what an event carries.
fn told(data: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let run = Run::new(data.object("pipelineRun")?, received_at)?;
    // Each image repeats them.
    bounded("id", run.uid, MAX_NAME_BYTES)?;
    bounded("repo", run.repo().as_ref().map_or("", |repo| repo.as_str()), MAX_NAME_BYTES)?;
    let mut events = Vec::new();
    if let Some(environment) = run.environment() {
        events.push(run.deployment(environment));
    }
    match run.run() {
        Ok(event) => events.push(event),
        Err(refusal) if events.is_empty() => return Err(refusal),
        Err(_) => {}
    }
    events.extend(run.artifacts());
    Ok(events)
}

/// A name without case, `-` and `_`: pipelines write theirs in many ways.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Parameters, and results, that one run may have: each name that is looked for is compared with all of them.
const MAX_VALUES: usize = 1_000;

/// Named values: parameters, results.
type Values<'a> = Vec<(&'a str, &'a str)>;

/// The pairs of a list of `{name, value}`; lists and objects among the values are left out.
fn values<'a>(node: &Node<'a>, path: &str) -> Result<Values<'a>, Refusal> {
    let mut found = Vec::new();
    let items = node.items(path)?;
    if items.len() > MAX_VALUES {
        let detail = format!("field `{path}` lists {} values; at most {MAX_VALUES} are read", items.len());
        return Err(Refusal::reject("too_large", detail));
    }
    for item in items {
        let name = item.text("name")?;
        let value = item.value().get("value").and_then(Value::as_str).map(str::trim);
        found.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    }
    Ok(found)
}

/// One run, opened.
struct Run<'a> {
    node: Node<'a>,
    uid: &'a str,
    namespace: &'a str,
    pipeline: &'a str,
    state: RunState,
    /// How late the state is among a run's states.
    step: i64,
    at: Timestamp,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    parameters: Values<'a>,
    results: Values<'a>,
    received_at: Timestamp,
}

impl<'a> Run<'a> {
    fn new(node: Node<'a>, received_at: Timestamp) -> Result<Self, Refusal> {
        let (state, step) = standing(&node)?;
        let started_at = node.maybe_time("status.startTime")?;
        let finished_at = if step == 2 { node.maybe_time("status.completionTime")? } else { None };
        let created_at = node.maybe_time("metadata.creationTimestamp")?;
        let at = finished_at.or(started_at.filter(|_| step > 0)).or(created_at).unwrap_or(received_at);
        let mut results = values(&node, "status.results")?;
        // Of API v1beta1.
        results.extend(values(&node, "status.pipelineResults")?);
        Ok(Self {
            uid: node.text("metadata.uid")?,
            namespace: node.maybe_text("metadata.namespace")?.unwrap_or("default"),
            pipeline: pipeline(&node)?,
            parameters: values(&node, "spec.params")?,
            results,
            state,
            step,
            at,
            started_at,
            finished_at,
            received_at,
            node,
        })
    }

    fn event(&self, about: &str, occurred_at: Timestamp, body: EventBody) -> DeliveryEvent {
        self.event_of(self.repo(), about, occurred_at, body)
    }

    fn event_of(
        &self,
        repo: Option<RepoName>,
        about: &str,
        occurred_at: Timestamp,
        body: EventBody,
    ) -> DeliveryEvent {
        let id = format!("{}:{about}", self.uid);
        let mut event = record::event(SOURCE, id, occurred_at, self.received_at, body);
        event.repo = repo;
        event
    }

    fn parameter(&self, names: &[&str]) -> Option<&'a str> {
        named(&self.parameters, names).next()
    }

    fn sha(&self) -> Option<Sha> {
        let names = [
            "revision",
            "gitrevision",
            "commit",
            "commitsha",
            "commitid",
            "gitcommit",
            "gitsha",
            "sha",
            "chainsgitcommit",
        ];
        let told = written(&self.node, "pipelinesascode.tekton.dev/sha").into_iter();
        let mut found = told.chain(named(&self.parameters, &names)).chain(named(&self.results, &names));
        found.find(|text| is_full_sha(text)).map(Sha::new)
    }

    fn repo(&self) -> Option<RepoName> {
        let names = ["repourl", "giturl", "gitrepourl", "repositoryurl", "gitrepositoryurl", "chainsgiturl"];
        let told = written(&self.node, "pipelinesascode.tekton.dev/repo-url").into_iter();
        let mut found = told.chain(named(&self.parameters, &names)).chain(named(&self.results, &names));
        if let Some(repo) = found.find_map(repository::of_url) {
            return Some(repo);
        }
        // What is called just `url` may lead anywhere.
        let mut urls = named(&self.parameters, &["url"]).chain(named(&self.results, &["url"]));
        urls.find(|url| url.ends_with(".git")).and_then(repository::of_url)
    }

    fn branch(&self) -> Option<&'a str> {
        let told = ["pipelinesascode.tekton.dev/source-branch", "pipelinesascode.tekton.dev/branch"];
        let branch = told.iter().find_map(|key| written(&self.node, key));
        let branch = branch.or_else(|| self.parameter(&["branch", "gitbranch"]))?;
        Some(
            branch
                .strip_prefix("refs/heads/")
                .or_else(|| branch.strip_prefix("refs/tags/"))
                .unwrap_or(branch),
        )
    }

    /// The run as a run; without its commit it says nothing.
    fn run(&self) -> Result<DeliveryEvent, Refusal> {
        let Some(sha) = self.sha() else { return Err(Refusal::drop("pipelinerun_without_commit")) };
        if self.repo().is_none() {
            return Err(Refusal::drop("pipelinerun_without_repository"));
        }
        let run = PipelineRunEvent {
            run_id: RunId::new(format!("tekton:{}", self.uid)),
            attempt: 1,
            workflow: Text::new(self.pipeline),
            sha,
            reference: self.branch().map(Text::new),
            state: self.state,
            started_at: self.started_at,
            finished_at: self.finished_at,
        };
        let about = format!("run:{}", self.state);
        Ok(self.event(&about, record::later(self.at, self.step), EventBody::PipelineRun(run)))
    }

    /// The environment that the run deploys to, where it is a deployment.
    fn environment(&self) -> Option<&'a str> {
        let by_name = environment::of_job(self.pipeline)?;
        let names = [
            "environment",
            "env",
            "targetenvironment",
            "targetenv",
            "deployenvironment",
            "deployenv",
            "deploymentenvironment",
        ];
        Some(self.parameter(&names).unwrap_or(by_name))
    }

    fn deployment(&self, environment: &str) -> DeliveryEvent {
        let state = match self.state {
            RunState::Queued => DeploymentState::Pending,
            RunState::Running => DeploymentState::Running,
            RunState::Passed => DeploymentState::Succeeded,
            RunState::Failed => DeploymentState::Failed,
            RunState::Cancelled => DeploymentState::Cancelled,
        };
        let pushed = written(&self.node, "pipelinesascode.tekton.dev/event-type") == Some("push");
        let deployment = DeploymentEvent {
            version: self.parameter(&["version", "appversion", "imagetag", "tag"]).map(Text::new),
            sha: self.sha(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            trigger: pushed.then_some(Trigger::Push),
            hotfix: self.branch().and_then(message::is_hotfix),
            ..record::deployment(&format!("tekton:{}", self.uid), environment, state)
        };
        let body = EventBody::Deployment(Box::new(deployment));
        let mut event = self.event(&format!("deployment:{state}"), record::later(self.at, self.step), body);
        event.service = Some(Text::new(format!("tekton:{}/{}", self.namespace, self.pipeline)));
        event
    }

    /// The images that a run has built from its commit.
    fn artifacts(&self) -> Vec<DeliveryEvent> {
        let (RunState::Passed, Some(sha)) = (self.state, self.sha()) else { return Vec::new() };
        let mut images = Vec::new();
        for (name, value) in &self.results {
            if let Some(prefix) = name.strip_suffix("IMAGE_URL") {
                let digest = format!("{prefix}IMAGE_DIGEST");
                let digest = self.results.iter().find(|(name, _)| *name == digest);
                images.extend(digest.map(|(_, digest)| (*value, *digest)));
            }
            if *name == "IMAGES" {
                images.extend(value.split([',', '\n']).filter_map(|image| image.trim().split_once('@')));
            }
        }
        let whole = |(image, digest)| purl::read(digest).digest.map(|digest| (digest, image));
        let mut images: Vec<(String, &str)> = images.into_iter().filter_map(whole).collect();
        images.sort_unstable();
        images.dedup_by(|one, other| one.0 == other.0);
        // The same for all, and found by looking through all values.
        let repo = self.repo();
        let event = |(digest, image): (String, &str)| {
            // Without its tag a name is no image's.
            let tagged = image.rsplit('/').next().is_some_and(|last| last.contains(':'));
            let artifact = Artifact {
                digest: Some(Text::new(&digest)),
                image: tagged.then(|| Text::new(image)),
                sha: sha.clone(),
                built_at: self.finished_at,
            };
            self.event_of(repo.clone(), &format!("artifact:{digest}"), self.at, EventBody::Artifact(artifact))
        };
        images.into_iter().map(event).collect()
    }
}

/// Where a run stands by its condition, and how late that is among its states. One that has none yet is queued.
fn standing(node: &Node<'_>) -> Result<(RunState, i64), Refusal> {
    for condition in node.items("status.conditions")? {
        if condition.text("type")? != "Succeeded" {
            continue;
        }
        let reason = condition.maybe_text("reason")?.unwrap_or_default();
        // The last is the reason of old, before runs could be stopped gracefully.
        let cancelled = ["Cancelled", "Stopped", "PipelineRunCancelled"];
        return Ok(match condition.text("status")? {
            "True" => (RunState::Passed, 2),
            "False" if cancelled.iter().any(|word| reason.starts_with(word)) => (RunState::Cancelled, 2),
            "False" => (RunState::Failed, 2),
            "Unknown" => (RunState::Running, 1),
            other => return Err(condition.unknown("status", other, "True, False, Unknown")),
        });
    }
    Ok((RunState::Queued, 0))
}

/// The pipeline's name. One that is written into its run has none: then it is the name that Pipelines as Code
/// knows the run by, or what the run's name is made of.
fn pipeline<'a>(node: &Node<'a>) -> Result<&'a str, Refusal> {
    if let Some(name) = node.maybe_text("spec.pipelineRef.name")? {
        return Ok(name);
    }
    if let Some(name) = written(node, "pipelinesascode.tekton.dev/original-prname") {
        return Ok(name);
    }
    let resolved = values(node, "spec.pipelineRef.params")?;
    if let Some((_, name)) = resolved.into_iter().find(|(name, _)| *name == "name") {
        return Ok(name);
    }
    match node.maybe_text("metadata.generateName")?.map(|name| name.trim_end_matches('-')) {
        Some(name) if !name.is_empty() => Ok(name),
        _ => node.text("metadata.name"),
    }
}

/// What a run's annotations or labels say under a key.
fn written<'a>(node: &Node<'a>, key: &str) -> Option<&'a str> {
    let metadata = node.value().get("metadata")?;
    let found = ["annotations", "labels"].iter().find_map(|list| metadata.get(list)?.get(key)?.as_str());
    found.filter(|text| !text.is_empty())
}

/// The values that have one of several names, in the names' order.
fn named<'b, 'a: 'b>(values: &'b Values<'a>, names: &'b [&str]) -> impl Iterator<Item = &'a str> + 'b {
    names.iter().flat_map(|wanted| {
        values.iter().filter(move |(name, _)| plain(name) == **wanted).map(|(_, value)| *value)
    })
}
