//! Jenkins, by its Notification plugin (format JSON): a build is queued, starts, is completed, is finalized.
//! What its CDEvents plugin sends is read by the source `cdevents`.
//!
//! Source: the plugin's documentation and its code (`Phase`, `JobListener`, `model/*State`). No live payload seen.
//! A build that runs
//! again, is replayed or restarted from a stage has a number of its own, so a run has one attempt. Times are
//! Unix milliseconds; versions before 1.14 tell none, or a text.
//!
//! What counts as a deployment, as Jenkins knows none: a build with the parameter `DEPLOY_ENVIRONMENT`
//! (`DEPLOY_ENV`, `DEPLOYMENT_ENVIRONMENT`), which names its environment; or one of a job that has the word
//! `deploy`, `deployment` or `rollout` in its path, whose environment is the parameter `ENVIRONMENT` (`ENV`,
//! `TARGET_ENVIRONMENT`, `TARGET_ENV`), else the word in its path that says a tier. The parameter `VERSION`
//! (`APP_VERSION`, `DEPLOY_VERSION`, `RELEASE_VERSION`, `IMAGE_TAG`) is its version. It is a deployment of the
//! service that claims `jenkins:<job>`, else of the repository's. What set a build off is not told.

use crate::encoding::percent_decode;
use crate::facts::Facts;
use crate::node::{Node, is_full_sha, parse};
use crate::{Refusal, SourceSettings, environment, message, record, repository};
use model::event::{
    DeliveryEvent, DeploymentEvent, DeploymentState, EnvironmentTier, PipelineRunEvent, RunState,
};
use model::raw::RawRecord;
use model::{EventBody, RunId, Sha, Span, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Jenkins' Notification plugin: builds as runs and deployments",
    emits: "pipeline_run deployment",
    drops: "build_without_commit build_without_repository phase_none queued_without_time",
    times: "Unix milliseconds; versions of the plugin before 1.14 tell none or a text.",
    set_up: &[
        "Notification plugin: in the job an endpoint with the format JSON, the protocol HTTP, the event \
          All and the hook's URL.",
        "What the CDEvents plugin sends goes to the source `cdevents`.",
    ],
    seen: None,
    limits: &["A build deploys by its parameters or by its job's name.", "What set a build off is not told."],
};

/// The source's name on its events.
const SOURCE: &str = "jenkins";

/// Reads one notification.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if body.has("context") || body.has("specversion") {
        let detail = "this is an event of Jenkins' CDEvents plugin: the source `cdevents` reads it";
        return Err(Refusal::reject("unknown_event", detail));
    }
    let build = Build::new(&body, raw.received_at)?;
    let mut events = Vec::new();
    if let Some(environment) = build.environment()? {
        events.push(build.deployment(&environment)?);
    }
    match build.run() {
        Ok(run) => events.push(run),
        Err(refusal) if events.is_empty() => return Err(refusal),
        Err(_) => {}
    }
    Ok(events)
}

/// How far a build is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued,
    Started,
    Completed,
    Finalized,
}

impl Phase {
    const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Finalized)
    }
    /// Of two phases at the same moment the later one is told later.
    const fn step(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Started => 1,
            Self::Completed => 2,
            Self::Finalized => 3,
        }
    }
}

/// How a build ended.
#[derive(Clone, Copy)]
enum Outcome {
    Success,
    Unstable,
    Failure,
    /// Aborted, or never built.
    Aborted,
}

/// One build, opened.
struct Build<'a> {
    node: Node<'a>,
    phase: Phase,
    /// The phase's word in lower case.
    phase_word: String,
    outcome: Option<Outcome>,
    /// The job's folders and name, joined by slashes.
    job: String,
    /// The build's address without its scheme: unique everywhere, where Jenkins knows its own address.
    key: String,
    /// When the phase began, unless it is not told.
    stated: Option<Timestamp>,
    received_at: Timestamp,
}

impl<'a> Build<'a> {
    fn new(body: &Node<'a>, received_at: Timestamp) -> Result<Self, Refusal> {
        let node = body.object("build")?;
        let phase_word = node.text("phase")?;
        let phase = match phase_word {
            "QUEUED" => Phase::Queued,
            "STARTED" => Phase::Started,
            "COMPLETED" => Phase::Completed,
            "FINALIZED" | "FINISHED" => Phase::Finalized,
            // What a pipeline's step `notifyEndpoints` sends in between.
            "NONE" => return Err(Refusal::drop("phase_none")),
            other => {
                return Err(node.unknown("phase", other, "QUEUED, STARTED, COMPLETED, FINALIZED, NONE"));
            }
        };
        let outcome = if phase.ended() { Some(outcome(&node)?) } else { None };
        let address = match node.maybe_text("full_url")? {
            Some(url) => url.split_once("://").map_or(url, |(_, rest)| rest),
            None => node.text("url")?,
        };
        let stated = match node.value().get("timestamp") {
            // Of a build without an executor it is not known since when it waits.
            Some(serde_json::Value::Number(number)) if number.as_i64() == Some(0) => {
                return Err(Refusal::drop("queued_without_time"));
            }
            Some(serde_json::Value::String(_)) => node.maybe_time("timestamp")?,
            _ => node.maybe_unix_millis("timestamp")?,
        };
        Ok(Self {
            phase,
            phase_word: phase_word.to_ascii_lowercase(),
            outcome,
            job: job(node.maybe_text("url")?.unwrap_or(address), body.maybe_text("name")?),
            key: address.trim_end_matches('/').to_owned(),
            stated,
            received_at,
            node,
        })
    }

    fn event(&self, what: &str, body: EventBody) -> DeliveryEvent {
        let at = record::later(self.stated.unwrap_or(self.received_at), self.phase.step());
        let id = format!("{}:{what}:{}", self.key, self.phase_word);
        record::event(SOURCE, id, at, self.received_at, body)
    }

    /// When the build started and ended, where the phase says so. Only a completed one has its end; it was
    /// finalized later, after what ran behind it.
    fn times(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), Refusal> {
        Ok(match self.phase {
            Phase::Started => (self.stated, None),
            Phase::Completed => {
                let duration = self.node.maybe_number("duration")?.filter(|millis| *millis > 0);
                let span = duration.and_then(|millis| i64::try_from(millis.saturating_mul(1_000)).ok());
                let start = self.stated.zip(span).map(|(end, span)| end.minus(Span::from_micros(span)));
                (start.filter(|start| *start >= Timestamp::MIN), self.stated)
            }
            Phase::Queued | Phase::Finalized => (None, None),
        })
    }

    fn sha(&self) -> Result<Option<Sha>, Refusal> {
        let commit = self.node.maybe_text("scm.commit")?;
        Ok(commit.filter(|commit| is_full_sha(commit)).map(Sha::new))
    }

    /// The build as a run. Without the commit that it is about, which is not known before the checkout, it says
    /// nothing.
    fn run(&self) -> Result<DeliveryEvent, Refusal> {
        let Some(sha) = self.sha()? else { return Err(Refusal::drop("build_without_commit")) };
        let Some(repo) = self.node.maybe_text("scm.url")?.and_then(repository::of_url) else {
            return Err(Refusal::drop("build_without_repository"));
        };
        let (started_at, finished_at) = self.times()?;
        let run = PipelineRunEvent {
            run_id: RunId::new(format!("jenkins:{}", self.key)),
            attempt: 1,
            workflow: Text::new(&self.job),
            sha,
            reference: self.node.maybe_text("scm.branch")?.map(Text::new),
            state: match (self.phase, self.outcome) {
                (Phase::Queued, _) => RunState::Queued,
                (_, None) => RunState::Running,
                (_, Some(Outcome::Success)) => RunState::Passed,
                // Unstable is a build whose tests failed.
                (_, Some(Outcome::Unstable | Outcome::Failure)) => RunState::Failed,
                (_, Some(Outcome::Aborted)) => RunState::Cancelled,
            },
            started_at,
            finished_at,
        };
        let mut event = self.event("run", EventBody::PipelineRun(run));
        event.repo = Some(repo);
        Ok(event)
    }

    /// A parameter by the first of several names, in any case.
    fn parameter(&self, names: &[&str]) -> Option<&'a str> {
        let parameters = self.node.value().get("parameters")?.as_object()?;
        names.iter().find_map(|name| {
            let (_, value) = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            value.as_str().map(str::trim).filter(|text| !text.is_empty())
        })
    }

    /// The environment that the build deploys to, where it is a deployment.
    fn environment(&self) -> Result<Option<String>, Refusal> {
        self.node.maybe_object("parameters")?;
        if let Some(name) = self.parameter(&["DEPLOY_ENVIRONMENT", "DEPLOY_ENV", "DEPLOYMENT_ENVIRONMENT"]) {
            return Ok(Some(name.to_owned()));
        }
        let lower = self.job.to_lowercase();
        let mut words = lower.split(|letter: char| !letter.is_alphabetic());
        if !words.any(|word| matches!(word, "deploy" | "deployment" | "rollout")) {
            return Ok(None);
        }
        let named = self.parameter(&["ENVIRONMENT", "ENV", "TARGET_ENVIRONMENT", "TARGET_ENV"]);
        let by_path = || environment::tier(&self.job).map(EnvironmentTier::as_str);
        Ok(named.or_else(by_path).map(str::to_owned))
    }

    fn deployment(&self, environment: &str) -> Result<DeliveryEvent, Refusal> {
        let (started_at, finished_at) = self.times()?;
        let state = match (self.phase, self.outcome) {
            (Phase::Queued, _) => DeploymentState::Pending,
            (_, None) => DeploymentState::Running,
            // Unstable is a build with errors that were not fatal: it ran to its end.
            (_, Some(Outcome::Success | Outcome::Unstable)) => DeploymentState::Succeeded,
            (_, Some(Outcome::Failure)) => DeploymentState::Failed,
            (_, Some(Outcome::Aborted)) => DeploymentState::Cancelled,
        };
        let version = ["VERSION", "APP_VERSION", "DEPLOY_VERSION", "RELEASE_VERSION", "IMAGE_TAG"];
        let deployment = DeploymentEvent {
            version: self.parameter(&version).map(Text::new),
            sha: self.sha()?,
            started_at,
            finished_at,
            hotfix: self.node.maybe_text("scm.branch")?.and_then(message::is_hotfix),
            ..record::deployment(&format!("jenkins:{}", self.key), environment, state)
        };
        let mut event = self.event("deployment", EventBody::Deployment(Box::new(deployment)));
        event.repo = self.node.maybe_text("scm.url")?.and_then(repository::of_url);
        event.service = Some(Text::new(format!("jenkins:{}", self.job)));
        Ok(event)
    }
}

fn outcome(node: &Node<'_>) -> Result<Outcome, Refusal> {
    Ok(match node.text("status")? {
        "SUCCESS" => Outcome::Success,
        "UNSTABLE" => Outcome::Unstable,
        "FAILURE" => Outcome::Failure,
        "ABORTED" | "NOT_BUILT" => Outcome::Aborted,
        other => {
            return Err(node.unknown("status", other, "SUCCESS, UNSTABLE, FAILURE, ABORTED, NOT_BUILT"));
        }
    })
}

/// `job/folder/job/name/18/` is the job `folder/name`; names are encoded.
fn job(url: &str, name: Option<&str>) -> String {
    let mut parts = url.split('/').skip_while(|part| *part != "job");
    let mut names = Vec::new();
    while parts.next() == Some("job") {
        let Some(name) = parts.next().filter(|name| !name.is_empty()) else { break };
        names.push(String::from_utf8_lossy(&percent_decode(name.as_bytes())).into_owned());
    }
    if names.is_empty() { name.unwrap_or("job").to_owned() } else { names.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_folders() {
        assert_eq!(job("job/shop/job/feature%2Fbasket/18/", None), "shop/feature/basket");
        assert_eq!(job("ci.example.com/jenkins/job/shop/18", None), "shop");
        assert_eq!(job("18", Some("shop")), "shop");
    }
}
