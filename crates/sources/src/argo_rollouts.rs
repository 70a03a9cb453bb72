//! Argo Rollouts: what our notification templates send (`deploy/templates/argo_rollouts`), and Rollouts from a
//! watch.
//!
//! Source: Argo Rollouts' documentation, "Notifications" and "Rollout specification", and its API types. No live
//! payload seen.
//!
//! What counts as a deployment: a revision of a Rollout. A notification may carry a status that is older than what
//! it tells (argoproj/argo-rollouts#3535), so that the templates say which event they are for, and the status is
//! not read. A watched object is complete when its stable replica set is the current one and it is healthy, and
//! failed when it is aborted or out of its time. A canary has the steps of its strategy.
//! The service is `k8s:…`, as of the other workloads of Kubernetes.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::object::{self, Object};
use crate::{Refusal, SourceSettings, environment, kubernetes, record, template};
use model::event::{Canary, DeliveryEvent, DeploymentState};
use model::raw::RawRecord;
use model::{EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Argo Rollouts, by our notification templates or from a watch: revisions as deployments",
    emits: "deployment",
    drops: "analysis_not_used kind_not_used object_deleted rollout_not_observed rollout_unchanged \
        rollout_without_condition rollout_without_revision rollout_without_time watch_bookmark \
        watch_error",
    times: "RFC 3339 in UTC; the notification's own time and those of `status.conditions`.",
    set_up: &[
        "Merge `deploy/templates/argo_rollouts/notifications.yaml` into the ConfigMap \
          `argo-rollouts-notification-configmap`, with the hook's URL.",
        "Or post what `kubectl get rollouts -A -w -o json` prints.",
    ],
    seen: None,
    limits: &["Another template than ours is refused by its name.", "No commit: the image leads to it."],
};

/// The source's name on its events.
const SOURCE: &str = "argo_rollouts";

/// The annotation that counts a Rollout's pod templates.
const REVISION: &str = "rollout.argoproj.io/revision";

/// Reads a notification, or what a watch gave.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if object::is_object(&body) {
        return object::each(&object::objects(&body)?, |found| watched(found, raw.received_at));
    }
    template::check(&body, SOURCE, 1)?;
    let state = match body.text("event")? {
        "completed" => DeploymentState::Succeeded,
        "aborted" => DeploymentState::Failed,
        other => return Err(body.unknown("event", other, "completed, aborted")),
    };
    let at = body.time("at")?;
    told(&body.object("rollout")?, state, at, raw.received_at)
}

/// An object that a watch gave.
pub(crate) fn watched(found: &Object<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    match found.kind {
        "Rollout" => {}
        "AnalysisRun" | "Experiment" => return Err(Refusal::drop("analysis_not_used")),
        _ => return Err(Refusal::drop("kind_not_used")),
    }
    let rollout = &found.node;
    let generation = rollout.maybe_id("metadata.generation")?;
    if rollout.maybe_id("status.observedGeneration")? != generation {
        return Err(Refusal::drop("rollout_not_observed"));
    }
    let progressing = condition(rollout, "Progressing")?;
    if rollout.flag("status.abort")? == Some(true) {
        let at = match rollout.maybe_time("status.abortedAt")? {
            Some(at) => Some(at),
            None => progressing.as_ref().map(since).transpose()?,
        };
        let Some(at) = at else { return Err(Refusal::drop("rollout_without_time")) };
        return told(rollout, DeploymentState::Failed, at, received_at);
    }
    let Some(progressing) = progressing else { return Err(Refusal::drop("rollout_without_condition")) };
    let current = rollout.maybe_text("status.currentPodHash")?;
    let promoted = current.is_some() && rollout.maybe_text("status.stableRS")? == current;
    let state = match rollout.maybe_text("status.phase")? {
        Some("Healthy") if promoted => DeploymentState::Succeeded,
        Some("Degraded") if progressing.maybe_text("reason")? == Some("ProgressDeadlineExceeded") => {
            DeploymentState::Failed
        }
        Some("Progressing" | "Paused") if !promoted => DeploymentState::Running,
        // A healthy one that is scaled, or whose pods fail later: no news of the rollout.
        _ => return Err(Refusal::drop("rollout_unchanged")),
    };
    told(rollout, state, since(&progressing)?, received_at)
}

fn condition<'a>(rollout: &Node<'a>, kind: &str) -> Result<Option<Node<'a>>, Refusal> {
    for condition in rollout.items("status.conditions")? {
        if condition.text("type")? == kind {
            return Ok(Some(condition));
        }
    }
    Ok(None)
}

fn since(condition: &Node<'_>) -> Result<Timestamp, Refusal> {
    match condition.maybe_time("lastUpdateTime")? {
        Some(at) => Ok(at),
        None => condition.time("lastTransitionTime"),
    }
}

fn told(
    rollout: &Node<'_>,
    state: DeploymentState,
    at: Timestamp,
    received_at: Timestamp,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let Some(revision) = rollout.maybe_entry("metadata.annotations", REVISION)? else {
        return Err(Refusal::drop("rollout_without_revision"));
    };
    let id = format!("argo_rollouts:{}:{revision}", rollout.text("metadata.uid")?);
    let name = rollout.text("metadata.name")?;
    let namespace = rollout.maybe_text("metadata.namespace")?;
    let label = object::environment(rollout)?;
    let place = label.or(environment::among(&[namespace, Some(name)])).unwrap_or(name);
    let ended = state != DeploymentState::Running;
    let mut deployment = record::deployment(&id, place, state);
    deployment.part = Some(Text::new(object::qualified(rollout)?));
    deployment.finished_at = ended.then_some(at);
    deployment.canary = canary(rollout, state)?;
    if let Some(image) = kubernetes::main_image(rollout)? {
        image.fill(&mut deployment);
    }
    let occurred_at = if ended { record::after(at, Some(at)) } else { at };
    let body = EventBody::Deployment(Box::new(deployment));
    let mut event = record::event(SOURCE, format!("{id}:{state}:{at}"), occurred_at, received_at, body);
    event.service = Some(kubernetes::service(rollout, "metadata.labels", "metadata.name")?);
    Ok(vec![event])
}

/// The steps of a canary; a blue-green strategy and a canary without steps have none.
fn canary(rollout: &Node<'_>, state: DeploymentState) -> Result<Option<Canary>, Refusal> {
    let steps = rollout.items("spec.strategy.canary.steps")?.len();
    if steps == 0 {
        return Ok(None);
    }
    let promoted = match state {
        DeploymentState::Succeeded => Some(true),
        DeploymentState::Failed => Some(false),
        _ => None,
    };
    Ok(Some(Canary { steps: u32::try_from(steps).unwrap_or(u32::MAX), promoted }))
}
