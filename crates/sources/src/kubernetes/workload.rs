//! Rollouts of Deployments, StatefulSets and DaemonSets, from the objects themselves.

use super::{SOURCE, Seen, service};
use crate::node::Node;
use crate::{Refusal, image, record};
use model::event::{DeliveryEvent, DeploymentState};
use model::{EventBody, Timestamp};

/// The annotation that counts a Deployment's pod templates.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The annotation that counts a DaemonSet's pod templates: its name says deprecated, and nothing else tells.
const GENERATION: &str = "deprecated.daemonset.template.generation";

/// A rollout as an object tells it.
struct Rollout {
    /// The revision of the pod template.
    revision: String,
    state: DeploymentState,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    occurred_at: Timestamp,
}

/// A Deployment: its condition `Progressing` tells.
pub(super) fn deployment(object: &Node<'_>, seen: &Seen<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    observed(object)?;
    let Some(revision) = object.maybe_entry("metadata.annotations", REVISION)? else {
        return Err(Refusal::drop("rollout_without_revision"));
    };
    let mut progressing = None;
    for condition in object.items("status.conditions")? {
        if condition.text("type")? == "Progressing" {
            progressing = Some(condition);
        }
    }
    // Absent where `progressDeadlineSeconds` is set to its largest value: then nothing tells when.
    let Some(condition) = progressing else { return Err(Refusal::drop("rollout_without_condition")) };
    let at = match condition.maybe_time("lastUpdateTime")? {
        Some(at) => at,
        None => condition.time("lastTransitionTime")?,
    };
    let reason = condition.maybe_text("reason")?.unwrap_or_default();
    let count = |path: &str| Ok::<_, Refusal>(object.maybe_number(path)?.unwrap_or_default());
    if reason == "NewReplicaSetAvailable" && count("status.replicas")? != count("status.updatedReplicas")? {
        // A rollback to a revision that still has its replica set begins so: the condition is the last one's.
        return Err(Refusal::drop("rollout_not_observed"));
    }
    let state = match reason {
        "NewReplicaSetAvailable" => DeploymentState::Succeeded,
        "ProgressDeadlineExceeded" => DeploymentState::Failed,
        // New, found or scaled replica sets, pauses, and errors that the controller tries again.
        _ => DeploymentState::Running,
    };
    let step = match (state, reason) {
        (DeploymentState::Running, "NewReplicaSetCreated" | "FoundNewReplicaSet") => 0,
        (DeploymentState::Running, _) => 1,
        _ => 2,
    };
    // The first revision starts with the Deployment itself; the start of a later one only its beginning tells.
    let started_at = match revision {
        "1" => object.maybe_time("metadata.creationTimestamp")?,
        _ => (step == 0).then_some(at),
    };
    let rollout = Rollout {
        revision: revision.to_owned(),
        state,
        started_at,
        finished_at: (state != DeploymentState::Running).then_some(at),
        // All of it may lie within one second, and the later word must win.
        occurred_at: Timestamp::from_micros(at.micros() + step),
    };
    told(object, seen, rollout)
}

/// A StatefulSet: complete when its current revision is the one that it updates to, and all are ready.
pub(super) fn stateful_set(object: &Node<'_>, seen: &Seen<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    observed(object)?;
    updates_by_itself(object)?;
    let Some(revision) = object.maybe_text("status.updateRevision")? else {
        return Err(Refusal::drop("rollout_without_revision"));
    };
    let count = |path: &str| Ok(object.maybe_number(path)?.unwrap_or_default());
    let wanted = object.maybe_number("spec.replicas")?.unwrap_or(1);
    let partition = count("spec.updateStrategy.rollingUpdate.partition")?;
    let updated = if partition > 0 {
        // With a partition only those at and above it are updated, and the revision stays the old one.
        count("status.updatedReplicas")? >= wanted.saturating_sub(partition)
    } else {
        object.maybe_text("status.currentRevision")? == Some(revision)
    };
    let complete = updated && count("status.readyReplicas")? >= wanted;
    told(object, seen, of_set(object, revision, complete)?)
}

/// A DaemonSet: complete when every node that should run it runs the new one.
pub(super) fn daemon_set(object: &Node<'_>, seen: &Seen<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    observed(object)?;
    updates_by_itself(object)?;
    let Some(revision) = object.maybe_entry("metadata.annotations", GENERATION)? else {
        return Err(Refusal::drop("rollout_without_revision"));
    };
    let count = |path: &str| Ok::<_, Refusal>(object.maybe_number(path)?.unwrap_or_default());
    let wanted = count("status.desiredNumberScheduled")?;
    let updated = count("status.updatedNumberScheduled")? >= wanted;
    let complete = updated && count("status.numberAvailable")? >= wanted;
    told(object, seen, of_set(object, revision, complete)?)
}

/// The controller has seen the newest pod template; until then the status is about the one before.
fn observed(object: &Node<'_>) -> Result<(), Refusal> {
    let generation = object.maybe_number("metadata.generation")?.unwrap_or_default();
    let observed = object.maybe_number("status.observedGeneration")?.unwrap_or_default();
    if observed == 0 || observed < generation {
        return Err(Refusal::drop("rollout_not_observed"));
    }
    Ok(())
}

/// With `OnDelete` a set's pods are updated when somebody deletes them: there is no rollout to follow.
fn updates_by_itself(object: &Node<'_>) -> Result<(), Refusal> {
    match object.maybe_text("spec.updateStrategy.type")? {
        Some("OnDelete") => Err(Refusal::drop("update_on_delete")),
        _ => Ok(()),
    }
}

/// A set's rollout: from the last change of its pod template to the first status that is complete.
fn of_set(object: &Node<'_>, revision: &str, complete: bool) -> Result<Rollout, Refusal> {
    let (mut templated_at, mut status_at) = (None, None);
    for entry in object.items("metadata.managedFields")? {
        let at = entry.maybe_time("time")?;
        if entry.maybe_text("subresource")? == Some("status") || entry.has("fieldsV1.f:status") {
            status_at = status_at.max(at);
        } else if entry.has("fieldsV1.f:spec.f:template") {
            templated_at = templated_at.max(at);
        }
    }
    let Some(status_at) = status_at else { return Err(Refusal::drop("rollout_without_time")) };
    // A rollback has the name of the revision that it goes back to: the template's change tells it apart.
    let revision = match templated_at {
        Some(at) => format!("{revision}:{at}"),
        None => revision.to_owned(),
    };
    Ok(Rollout {
        revision,
        state: if complete { DeploymentState::Succeeded } else { DeploymentState::Running },
        started_at: templated_at,
        // Later changes of the status (a pod that restarts) move its time: the first complete one is the end.
        finished_at: None,
        occurred_at: if complete { record::after(status_at, Some(status_at)) } else { status_at },
    })
}

fn told(object: &Node<'_>, seen: &Seen<'_>, rollout: Rollout) -> Result<Vec<DeliveryEvent>, Refusal> {
    let Rollout { revision, state, started_at, finished_at, occurred_at } = rollout;
    let id = format!("kubernetes:{}:{revision}", object.text("metadata.uid")?);
    let mut deployment = record::deployment(&id, seen.environment(object)?, state);
    deployment.part = Some(seen.part(object)?);
    deployment.started_at = started_at;
    deployment.finished_at = finished_at;
    if let Some(image) = main_image(object)? {
        image.fill(&mut deployment);
    }
    let body = EventBody::Deployment(Box::new(deployment));
    let about = format!("{id}:{state}:{occurred_at}");
    let mut event = record::event(SOURCE, about, occurred_at, seen.received_at, body);
    event.service = Some(service(object, "metadata.labels", "metadata.name")?);
    Ok(vec![event])
}

/// The image of the container that the workload is about: the one that kubectl takes by default, which an
/// annotation names; else the one that is called like the workload, else the first.
pub(crate) fn main_image(object: &Node<'_>) -> Result<Option<image::Image>, Refusal> {
    let annotation = "kubectl.kubernetes.io/default-container";
    let named = object.maybe_entry("spec.template.metadata.annotations", annotation)?;
    let called = named.or(object.maybe_text("metadata.name")?);
    let (mut main, mut first) = (None, None);
    for container in object.items("spec.template.spec.containers")? {
        let reference = container.maybe_text("image")?;
        if container.maybe_text("name")? == called {
            main = main.or(reference);
        }
        first = first.or(reference);
    }
    Ok(main.or(first).map(image::read))
}
