//! OpenTelemetry logs over OTLP/HTTP, in their JSON form: records with the deployment attributes of the semantic
//! conventions, as deployments.
//!
//! Source: OpenTelemetry's "OTLP Specification" (OTLP/HTTP, JSON Protobuf encoding), and the semantic conventions'
//! registry: `deployment.*`, `service.*`, `vcs.*`. No live payload seen.
//!
//! A log record that has `deployment.id` tells of a deployment: `deployment.status` its end, and without one it began. An
//! attribute of the record counts before the one of its resource.

use crate::facts::Facts;
use crate::node::{Node, is_full_sha, parse};
use crate::record::{deployment, event};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, repository};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState};
use model::raw::RawRecord;
use model::{EventBody, Sha, Text, Timestamp};
use serde_json::{Map, Value};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "OpenTelemetry logs (OTLP/HTTP, JSON) with deployment attributes: deployments",
    emits: "deployment",
    drops: "no_deployment_attributes",
    times: "`timeUnixNano`, else `observedTimeUnixNano`: Unix nanoseconds.",
    set_up: &[
        "In the collector an exporter `otlphttp` with `logs_endpoint` the hook's URL, `encoding: json`, and a header `Authorization: Bearer …`: the hook's scheme is `bearer`.",
        "Log records with the attributes `deployment.id`, `deployment.status` (`succeeded`, `failed`; at the start none) and `deployment.environment.name`; of the resource `service.name`, `service.version`, `vcs.repository.url.full`, `vcs.ref.head.revision`.",
    ],
    seen: None,
    limits: &[
        "Protobuf bodies are refused: set `encoding: json`.",
        "Of each record only these attributes and its times are stored.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "otlp";
/// The attributes that are read, and stored; sorted.
const ATTRIBUTES: [&str; 8] = [
    "deployment.environment",
    "deployment.environment.name",
    "deployment.id",
    "deployment.status",
    "service.name",
    "service.version",
    "vcs.ref.head.revision",
    "vcs.repository.url.full",
];

/// The attributes of one place.
struct Attributes<'a> {
    of: Vec<Node<'a>>,
}

impl<'a> Attributes<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        for attribute in
            self.of.iter().filter(|attribute| attribute.value().get("key").is_some_and(|key| key == name))
        {
            if let Some(text) = attribute.maybe_text("value.stringValue")? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

/// Reads one export.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let Some(resources) = body.maybe_items("resourceLogs")? else {
        let detail = "field `resourceLogs` is missing: an export of logs in OTLP's JSON form is expected";
        return Err(Refusal::reject("missing_field", detail));
    };
    let mut events = Vec::new();
    for resource in resources {
        let around = Attributes { of: resource.items("resource.attributes")? };
        for scope in resource.items("scopeLogs")? {
            for line in scope.items("logRecords")? {
                events.extend(told(&line, &around, raw)?);
            }
        }
    }
    if events.is_empty() { Err(Refusal::drop("no_deployment_attributes")) } else { Ok(events) }
}

fn told(line: &Node<'_>, around: &Attributes<'_>, raw: &RawRecord) -> Result<Option<DeliveryEvent>, Refusal> {
    let own = Attributes { of: line.items("attributes")? };
    let attribute = |name: &str| Ok(own.text(name)?.or(around.text(name)?));
    let Some(id) = attribute("deployment.id")? else { return Ok(None) };
    bounded("deployment.id", id, MAX_NAME_BYTES)?;
    let state = match attribute("deployment.status")? {
        None => DeploymentState::Running,
        Some("succeeded") => DeploymentState::Succeeded,
        Some("failed") => DeploymentState::Failed,
        Some(other) => return Err(line.unknown("deployment.status", other, "succeeded, failed")),
    };
    let environment = match attribute("deployment.environment.name")? {
        Some(name) => name,
        // What it was called until version 1.27 of the conventions.
        None => attribute("deployment.environment")?.ok_or_else(|| {
            let detail = format!("the deployment {id:?} has no attribute `deployment.environment.name`");
            Refusal::reject("missing_field", detail)
        })?,
    };
    let at = match time(line, "timeUnixNano")? {
        Some(at) => at,
        None => time(line, "observedTimeUnixNano")?.unwrap_or(raw.received_at),
    };
    let ended = state != DeploymentState::Running;
    let body = DeploymentEvent {
        version: attribute("service.version")?.map(Text::new),
        sha: attribute("vcs.ref.head.revision")?.filter(|sha| is_full_sha(sha)).map(Sha::new),
        started_at: (!ended).then_some(at),
        finished_at: ended.then_some(at),
        ..deployment(&format!("{SOURCE}:{id}"), environment, state)
    };
    let id = format!("{id}:{}", body.state.as_str());
    let mut told = event(SOURCE, id, at, raw.received_at, EventBody::Deployment(Box::new(body)));
    told.service = attribute("service.name")?.map(Text::new);
    told.repo = attribute("vcs.repository.url.full")?.and_then(repository::of_url);
    Ok(Some(told))
}

/// Unix nanoseconds, as a text or a number; 0 is none.
fn time(line: &Node<'_>, path: &str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = line.maybe_id(path)?.filter(|text| text != "0") else { return Ok(None) };
    let time = text.parse::<i64>().ok().map(|nanos| Timestamp::from_micros(nanos.div_euclid(1_000)));
    let time = time.filter(|time| (Timestamp::MIN..=Timestamp::MAX).contains(time)).ok_or_else(|| {
        Refusal::reject("bad_time", format!("field `{path}`: {text:?} is no time in Unix nanoseconds"))
    })?;
    Ok(Some(time))
}

/// An export without anything but what is read: bodies and attributes of logs may say anything of anybody.
pub(crate) fn reduced(export: &Value) -> Value {
    let list = |value: &Value, key: &str, of: &dyn Fn(&Value) -> Value| {
        let items = value.get(key).and_then(Value::as_array).into_iter().flatten();
        Value::Array(items.map(of).collect())
    };
    let attributes = |value: &Value| {
        let items = value.get("attributes").and_then(Value::as_array).into_iter().flatten();
        let known = |item: &&Value| {
            item.get("key").and_then(Value::as_str).is_some_and(|key| ATTRIBUTES.binary_search(&key).is_ok())
        };
        Value::Array(items.filter(known).cloned().collect())
    };
    let line = |value: &Value| {
        let mut kept = Map::new();
        for key in ["timeUnixNano", "observedTimeUnixNano"] {
            kept.extend(value.get(key).map(|time| (key.to_owned(), time.clone())));
        }
        kept.insert("attributes".to_owned(), attributes(value));
        Value::Object(kept)
    };
    let scope = |value: &Value| {
        Value::Object(Map::from_iter([("logRecords".to_owned(), list(value, "logRecords", &line))]))
    };
    let resource = |value: &Value| {
        let of = value.get("resource").map_or(Value::Array(Vec::new()), attributes);
        let of = Value::Object(Map::from_iter([("attributes".to_owned(), of)]));
        let scopes = list(value, "scopeLogs", &scope);
        Value::Object(Map::from_iter([("resource".to_owned(), of), ("scopeLogs".to_owned(), scopes)]))
    };
    let Some(Value::Array(_)) = export.get("resourceLogs") else { return Value::Object(Map::new()) };
    Value::Object(Map::from_iter([("resourceLogs".to_owned(), list(export, "resourceLogs", &resource))]))
}
