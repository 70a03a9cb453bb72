//! CDEvents: the Continuous Delivery Foundation's vocabulary, carried by CloudEvents.
//!
//! Source: the CDEvents specification (0.1 to 0.6) and its CloudEvents binding. Read are an event in HTTP
//! binary mode (headers `ce-…`), in structured mode (`data` within the body), in batches, and bare. Any
//! version of a type is read: what changed between them is not used here.
//!
//! The vocabulary's pipeline, task and test runs name neither commit nor repository, and its changes neither
//! number nor branch: they are dropped, each under its own name.

use crate::facts::Facts;
use crate::node::{Node, header, is_full_sha, parse};
use crate::purl::ArtifactName;
use crate::{Refusal, SourceSettings, environment, purl, record, repository};
use model::base64;
use model::event::{
    Artifact, DeliveryEvent, DeploymentEvent, DeploymentState, IncidentEvent, IncidentState, Names,
};
use model::raw::RawRecord;
use model::{EventBody, Sha, Text, Timestamp};
use serde_json::{Value, json};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "CDEvents in CloudEvents (structured, binary, batch) or bare",
    emits: "artifact deployment incident",
    drops: "artifact_deleted_not_used artifact_downloaded_not_used artifact_without_commit \
        artifact_without_digest branch_not_used build_not_used change_without_number \
        changewindow_not_used custom_event_not_used environment_not_used migration_not_used \
        pipelinerun_without_commit reconciliation_not_used repository_not_used \
        scheduledexecution_not_used service_published_not_used service_removed_not_used \
        taskrun_without_commit testcaserun_without_repository testoutput_not_used \
        testsuiterun_without_repository ticket_not_used",
    times: "`context.timestamp`: RFC 3339 with offset.",
    set_up: &[
        "Point the tool's CloudEvents sink (Jenkins' CDEvents plugin, Tekton's controller, …) to \
          `/v1/events`.",
        "Structured, binary and batched CloudEvents are read, and bare events.",
    ],
    seen: Some("16 conformance examples of the specification."),
    limits: &["Runs, tests and changes of the vocabulary name neither commit nor number: they are dropped."],
};

/// The source's name on its events.
const SOURCE: &str = "cdevents";

/// Reads one record: an event, or a batch of them.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let root = Node::root(&value, settings);
    let Some(batch) = root.elements() else {
        return envelope(&root, Some(raw), settings, raw.received_at);
    };
    let mut events = Vec::new();
    let mut dropped = None;
    for item in &batch {
        match envelope(item, None, settings, raw.received_at) {
            Ok(mut found) => events.append(&mut found),
            Err(Refusal::Drop(reason)) => dropped = dropped.or(Some(reason)),
            Err(reject) => return Err(reject),
        }
    }
    match dropped {
        Some(reason) if events.is_empty() => Err(Refusal::Drop(reason)),
        _ => Ok(events),
    }
}

/// Opens whatever carries the event. `raw` gives the headers of binary mode; an event of a batch has none.
fn envelope(
    node: &Node<'_>,
    raw: Option<&RawRecord>,
    settings: &SourceSettings,
    received_at: Timestamp,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    if node.has("context") {
        return told(node, received_at);
    }
    if node.has("specversion") {
        let text = data(node)?;
        let data = Node::root(&text, settings);
        if data.has("context") {
            return told(&data, received_at);
        }
        let context = |key: &str| node.value().get(key).cloned().unwrap_or(Value::Null);
        let whole = assembled(
            context("id"),
            context("source"),
            context("type"),
            context("time"),
            context("subject"),
            &text,
        );
        return told(&Node::root(&whole, settings), received_at);
    }
    let ce = |name: &str| raw.and_then(|raw| header(raw, name)).map_or(Value::Null, Value::from);
    if ce("ce-type").is_null() {
        let detail = "neither a CDEvent (`context`), nor a CloudEvent (`specversion`), nor headers `ce-…`";
        return Err(Refusal::reject("unknown_event", detail));
    }
    let whole =
        assembled(ce("ce-id"), ce("ce-source"), ce("ce-type"), ce("ce-time"), ce("ce-subject"), node.value());
    told(&Node::root(&whole, settings), received_at)
}

/// The data of a CloudEvent in structured mode: JSON, JSON in a text, or that in base64.
pub(crate) fn data(node: &Node<'_>) -> Result<Value, Refusal> {
    match (node.value().get("data"), node.maybe_text("data_base64")?) {
        (Some(data @ Value::Object(_)), _) => Ok(data.clone()),
        (Some(Value::String(text)), _) => parse(text.as_bytes()),
        (_, Some(text)) => {
            let bytes = base64::decode(text);
            parse(&bytes.ok_or_else(|| Refusal::reject("malformed", "field `data_base64` is not base64"))?)
        }
        _ => Err(Refusal::reject("missing_field", "field `data` is missing: the event is expected in it")),
    }
}

/// An event whose context lies in the CloudEvent and whose subject, or only its content, is the data.
fn assembled(id: Value, source: Value, kind: Value, time: Value, subject: Value, data: &Value) -> Value {
    let subject = match (data.get("subject"), data.get("content")) {
        (Some(inner @ Value::Object(_)), _) => inner.clone(),
        (None, Some(content @ Value::Object(_))) => {
            json!({ "id": data.get("id").cloned().unwrap_or(subject), "source": data.get("source"), "content": content })
        }
        _ => json!({ "id": subject, "content": data }),
    };
    json!({ "context": { "id": id, "source": source, "type": kind, "timestamp": time }, "subject": subject })
}

/// An event, out of its envelope.
struct Told<'a> {
    subject: Node<'a>,
    content: Option<Node<'a>>,
    /// The context's source, then its id: unique together.
    source: &'a str,
    id: &'a str,
    at: Timestamp,
    received_at: Timestamp,
}

/// Reads one CDEvent.
fn told(node: &Node<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    let context = node.object("context")?;
    let kind = context.text("type")?;
    let (subject_kind, predicate) = subject_and_predicate(kind)?;
    if let Some(reason) = unused(subject_kind, predicate) {
        return Err(Refusal::drop(reason));
    }
    let subject = node.object("subject")?;
    let event = Told {
        content: subject.maybe_object("content")?,
        subject,
        source: context.text("source")?,
        id: context.text("id")?,
        at: context.time("timestamp")?,
        received_at,
    };
    match (subject_kind, predicate) {
        ("service", "deployed" | "upgraded" | "rolledback") => event.service(),
        ("deployment" | "targetrollout", "queued") => event.rollout(subject_kind, DeploymentState::Pending),
        ("deployment" | "targetrollout", "started") => event.rollout(subject_kind, DeploymentState::Running),
        ("deployment" | "targetrollout", "finished") => {
            let state = event.outcome()?;
            event.rollout(subject_kind, state)
        }
        ("incident", "detected" | "reported" | "resolved") => event.incident(predicate),
        ("artifact", "packaged" | "published" | "signed") => event.artifact(),
        _ => {
            let detail =
                format!("type {kind:?} is in no version of the CDEvents specification that is known");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// `dev.cdevents.<subject>.<predicate>` with or without a version behind it.
fn subject_and_predicate(kind: &str) -> Result<(&str, &str), Refusal> {
    if kind.starts_with("dev.cdeventsx.") {
        return Err(Refusal::drop("custom_event_not_used"));
    }
    let mut words = kind.strip_prefix("dev.cdevents.").unwrap_or_default().splitn(3, '.');
    match (words.next(), words.next()) {
        (Some(subject), Some(predicate)) if !subject.is_empty() && !predicate.is_empty() => {
            Ok((subject, predicate))
        }
        _ => {
            let detail = format!(
                "type {kind:?} is no CDEvent's: dev.cdevents.<subject>.<predicate>.<version> is expected"
            );
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}

/// The counted word for a documented event that cannot become one of ours, or says nothing that is used.
fn unused(subject: &str, predicate: &str) -> Option<&'static str> {
    Some(match (subject, predicate) {
        // A published service has an address, and a removed one is gone: neither is a rollout.
        ("service", "published") => "service_published_not_used",
        ("service", "removed") => "service_removed_not_used",
        ("artifact", "downloaded") => "artifact_downloaded_not_used",
        ("artifact", "deleted") => "artifact_deleted_not_used",
        ("pipelinerun", _) => "pipelinerun_without_commit",
        ("taskrun", _) => "taskrun_without_commit",
        ("testsuiterun" | "testsuite", _) => "testsuiterun_without_repository",
        ("testcaserun" | "testcase", _) => "testcaserun_without_repository",
        ("testoutput", _) => "testoutput_not_used",
        ("build", _) => "build_not_used",
        ("change", _) => "change_without_number",
        ("branch", _) => "branch_not_used",
        ("repository", _) => "repository_not_used",
        ("environment", _) => "environment_not_used",
        ("ticket", _) => "ticket_not_used",
        ("changewindow", _) => "changewindow_not_used",
        ("migration", _) => "migration_not_used",
        ("reconciliation", _) => "reconciliation_not_used",
        ("scheduledexecution", _) => "scheduledexecution_not_used",
        _ => return None,
    })
}

impl<'a> Told<'a> {
    fn content(&self) -> Result<&Node<'a>, Refusal> {
        let missing =
            || Refusal::reject("missing_field", "field `subject.content` is missing: an object is expected");
        self.content.as_ref().ok_or_else(missing)
    }

    fn event(&self, body: EventBody) -> DeliveryEvent {
        record::event(SOURCE, format!("{}:{}", self.source, self.id), self.at, self.received_at, body)
    }

    /// A subject's id is unique within its source only: its own, else the event's.
    fn unique(&self, id: &str) -> Result<String, Refusal> {
        Ok(format!("cdevents:{}:{id}", self.subject.maybe_text("source")?.unwrap_or(self.source)))
    }

    fn environment(&self) -> Result<&'a str, Refusal> {
        let environment = self.content()?.object("environment")?;
        match environment.maybe_text("name")? {
            Some(name) => Ok(name),
            None => environment.text("id"),
        }
    }

    fn artifact_name(&self) -> Result<ArtifactName, Refusal> {
        Ok(self.content()?.maybe_text("artifactId")?.map(purl::read).unwrap_or_default())
    }

    /// A service runs another version. The vocabulary knows no attempts: the event is the deployment, done.
    fn service(&self) -> Result<Vec<DeliveryEvent>, Refusal> {
        let artifact = self.artifact_name()?;
        let deployment = DeploymentEvent {
            version: artifact.version.map(Text::new),
            digest: artifact.digest.map(Text::new),
            image: artifact.image.map(Text::new),
            sha: artifact.sha,
            started_at: Some(self.at),
            finished_at: Some(self.at),
            ..record::deployment(
                &format!("cdevents:{}:{}", self.source, self.id),
                self.environment()?,
                DeploymentState::Succeeded,
            )
        };
        let mut event = self.event(EventBody::Deployment(Box::new(deployment)));
        event.service = Some(Text::new(self.subject.text("id")?));
        Ok(vec![event])
    }

    /// A deployment as a whole, or its part at one target: records of one rollout.
    fn rollout(&self, subject: &str, state: DeploymentState) -> Result<Vec<DeliveryEvent>, Refusal> {
        let id = self.subject.text("id")?;
        let content = self.content()?;
        let whole = match subject {
            "targetrollout" => content.text("deploymentId")?,
            _ => id,
        };
        let artifact = self.artifact_name()?;
        let part = match (subject, content.maybe_text("name")?) {
            ("targetrollout", Some(name)) => Some(name),
            ("targetrollout", None) => Some(id),
            _ => None,
        };
        let finished = !matches!(state, DeploymentState::Pending | DeploymentState::Running);
        let deployment = DeploymentEvent {
            rollout_id: Some(Text::new(self.unique(whole)?)),
            part: part.map(Text::new),
            version: artifact.version.map(Text::new),
            digest: artifact.digest.map(Text::new),
            image: artifact.image.map(Text::new),
            sha: artifact.sha,
            started_at: (state == DeploymentState::Running).then_some(self.at),
            finished_at: finished.then_some(self.at),
            ..record::deployment(&format!("{}:{subject}", self.unique(id)?), self.environment()?, state)
        };
        let mut event = self.event(EventBody::Deployment(Box::new(deployment)));
        event.service = artifact.name.map(Text::new);
        Ok(vec![event])
    }

    fn outcome(&self) -> Result<DeploymentState, Refusal> {
        let content = self.content()?;
        Ok(match content.text("outcome")? {
            "success" => DeploymentState::Succeeded,
            "failure" | "error" => DeploymentState::Failed,
            "cancel" => DeploymentState::Cancelled,
            other => return Err(content.unknown("outcome", other, "success, failure, error, cancel")),
        })
    }

    fn incident(&self, predicate: &str) -> Result<Vec<DeliveryEvent>, Refusal> {
        let resolved = predicate == "resolved";
        let state = if resolved { IncidentState::Resolved } else { IncidentState::Open };
        // The artifact of a resolution is the one that runs now: it is not what the incident came from.
        let blamed = if resolved { ArtifactName::default() } else { self.artifact_name()? };
        let names = Names {
            deployment_id: None,
            version: blamed.version.filter(|_| blamed.sha.is_none()).map(Text::new),
            sha: blamed.sha,
        };
        let incident = IncidentEvent {
            tier: environment::tier(self.environment()?),
            detected_at: (predicate == "detected").then_some(self.at),
            resolved_at: resolved.then_some(self.at),
            names: (names != Names::default()).then_some(names),
            ..record::incident(&self.unique(self.subject.text("id")?)?, state)
        };
        let mut event = self.event(EventBody::Incident(Box::new(incident)));
        event.service = self.content()?.maybe_text("service.id")?.map(Text::new);
        Ok(vec![event])
    }

    /// What an artifact was built from, where the event says both in full.
    fn artifact(&self) -> Result<Vec<DeliveryEvent>, Refusal> {
        let artifact = purl::read(self.subject.text("id")?);
        let change =
            self.content.as_ref().map(|content| content.maybe_object("change")).transpose()?.flatten();
        let Some(change) = change else { return Err(Refusal::drop("artifact_without_commit")) };
        let Some(sha) = change.maybe_text("id")?.filter(|id| is_full_sha(id)) else {
            return Err(Refusal::drop("artifact_without_commit"));
        };
        if artifact.digest.is_none() && artifact.image.is_none() {
            return Err(Refusal::drop("artifact_without_digest"));
        }
        let body = Artifact {
            digest: artifact.digest.map(Text::new),
            image: artifact.image.map(Text::new),
            sha: Sha::new(sha),
            built_at: Some(self.at),
        };
        let mut event = self.event(EventBody::Artifact(body));
        event.repo = change.maybe_text("source")?.and_then(repository::of_url);
        Ok(vec![event])
    }
}
