//! Kubernetes: Deployments, StatefulSets and DaemonSets as `kubectl get -w -o json` gives them, and events as
//! exporters send them.
//!
//! Source: Kubernetes' API reference (`apps/v1`, `core/v1` Event), "Deployment status", and what
//! `kubectl rollout status` waits for; kubernetes-event-exporter's documentation. No live payload seen.
//!
//! What counts as a deployment: a rollout, which is a new revision of a workload's pod template. Scaling and
//! pods that restart are none (`kubectl rollout restart` is a new revision, and counts). A Deployment says in its condition `Progressing` how far it is and since when.
//! Sets have no times of their own: only those of `metadata.managedFields`, which kubectl shows with
//! `--show-managed-fields`; without them a set is dropped. The commit is left to the artifacts of the image.
//!
//! Argo CD's Applications and Argo Rollouts' Rollouts from the same watch are read by those sources.
//! Headers that are read: `environment`, and `cluster` (no object says in which it is).
//! The service is `k8s:` with the label `backstage.io/kubernetes-id`, else `app.kubernetes.io/name`, `app`, or
//! the workload's name.

mod event;
mod workload;

pub(crate) use workload::main_image;

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::object::{self, Object};
use crate::{Refusal, SourceSettings, argo_rollouts, argocd, environment};
use model::event::DeliveryEvent;
use model::raw::RawRecord;
use model::{Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Kubernetes objects from a watch (Deployments, sets) and exported events: rollouts",
    emits: "deployment",
    drops: "analysis_not_used app_project_not_used application_set_not_used dry_run event_not_used \
        event_without_revision job_not_used kind_not_used never_synced object_deleted \
        operation_without_sync pod_not_used replica_set_not_used rollout_not_observed rollout_unchanged \
        rollout_without_condition rollout_without_revision rollout_without_time scaling_not_used \
        selective_sync self_heal update_on_delete watch_bookmark watch_error",
    times: "RFC 3339 in UTC of conditions, managed fields and events.",
    set_up: &[
        "Post what `kubectl get deployments,statefulsets,daemonsets -A -w -o json --show-managed-fields` \
          prints, or let an event exporter post to the hook.",
        "The headers `environment` and `cluster` say where it is.",
    ],
    seen: None,
    limits: &[
        "Sets have no times of their own: without managed fields they are dropped.",
        "Scaling and restarts of pods are no rollouts.",
        "The commit is left to the artifacts of the image.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "kubernetes";

/// Where an object was seen.
struct Seen<'a> {
    environment: Option<&'a str>,
    cluster: Option<&'a str>,
    received_at: Timestamp,
}

/// Reads an object, a watch event, a list or an exported event.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let seen = Seen {
        environment: header(raw, "environment"),
        cluster: header(raw, "cluster"),
        received_at: raw.received_at,
    };
    // Exporters leave the kind out of the events that they send.
    if body.has("involvedObject") {
        return event::read(&body, &seen);
    }
    if !object::is_object(&body) {
        let detail = "the body is no Kubernetes object: `kind` and `metadata` are expected, \
                      as in `kubectl get deployments -A -w -o json`";
        return Err(Refusal::reject("unknown_event", detail));
    }
    object::each(&object::objects(&body)?, |found| one(found, &seen))
}

fn one(found: &Object<'_>, seen: &Seen<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    if found.node.maybe_text("apiVersion")?.is_some_and(|version| version.starts_with("argoproj.io/")) {
        return match found.kind {
            "Rollout" | "AnalysisRun" | "Experiment" => argo_rollouts::watched(found, seen.received_at),
            _ => argocd::watched(found, seen.received_at),
        };
    }
    match found.kind {
        "Deployment" => workload::deployment(&found.node, seen),
        "StatefulSet" => workload::stateful_set(&found.node, seen),
        "DaemonSet" => workload::daemon_set(&found.node, seen),
        "Event" => event::read(&found.node, seen),
        "ReplicaSet" => Err(Refusal::drop("replica_set_not_used")),
        "Pod" => Err(Refusal::drop("pod_not_used")),
        "Job" | "CronJob" => Err(Refusal::drop("job_not_used")),
        _ => Err(Refusal::drop("kind_not_used")),
    }
}

impl Seen<'_> {
    /// The header, a label, else the namespace or the name, whichever says one.
    fn environment<'b>(&'b self, object: &Node<'b>) -> Result<&'b str, Refusal> {
        if let Some(name) = self.environment {
            return Ok(name);
        }
        if let Some(label) = object::environment(object)? {
            return Ok(label);
        }
        let name = object.text("metadata.name")?;
        let namespace = object.maybe_text("metadata.namespace")?;
        Ok(environment::among(&[self.cluster, namespace, Some(name)]).unwrap_or(name))
    }

    /// The target: which workload in which cluster.
    fn part(&self, object: &Node<'_>) -> Result<Text, Refusal> {
        let qualified = object::qualified(object)?;
        Ok(match self.cluster {
            Some(cluster) => Text::new(format!("{cluster}/{qualified}")),
            None => Text::new(qualified),
        })
    }
}

/// What the catalog may claim as a service's.
pub(crate) fn service(object: &Node<'_>, labels: &str, name: &str) -> Result<Text, Refusal> {
    for label in ["backstage.io/kubernetes-id", "app.kubernetes.io/name", "app"] {
        if let Some(name) = object.maybe_entry(labels, label)? {
            return Ok(Text::new(format!("k8s:{name}")));
        }
    }
    Ok(Text::new(format!("k8s:{}", object.text(name)?)))
}
