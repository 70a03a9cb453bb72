//! Events as exporters send them. Of all of them one tells of a rollout: the replica set of the revision
//! before is scaled down to nothing, which is the last step of a rolling update. Which revision came instead
//! only the annotations of the Deployment say, which kubernetes-event-exporter adds to what an event is about.
//!
//! That is little: neither the start, nor the image, nor failures. Such deployments have a source name of their
//! own, so that a catalog can leave them out where the objects are watched too.

use super::{Seen, service};
use crate::node::Node;
use crate::{Refusal, environment, record};
use model::event::{DeliveryEvent, DeploymentState};
use model::{EventBody, Text, Timestamp};

/// The source's name on these events.
const SOURCE: &str = "kubernetes_event";

/// Reads an event.
pub(super) fn read(event: &Node<'_>, seen: &Seen<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let about = event.object("involvedObject")?;
    let scaled = event.maybe_text("reason")? == Some("ScalingReplicaSet");
    if about.maybe_text("kind")? != Some("Deployment") || !scaled {
        return Err(Refusal::drop("event_not_used"));
    }
    // "Scaled down replica set checkout-6d4cf56db6 to 0", in newer versions "… to 0 from 1" or "… from 1 to 0".
    let message = event.text("message")?;
    let rest = message.strip_prefix("Scaled down replica set ").unwrap_or_default();
    let to = rest.split(' ').skip_while(|word| *word != "to").nth(1);
    if to != Some("0") {
        return Err(Refusal::drop("scaling_not_used"));
    }
    let Some(revision) = about.maybe_entry("annotations", "deployment.kubernetes.io/revision")? else {
        return Err(Refusal::drop("event_without_revision"));
    };
    let at = time(event)?;
    let id = format!("kubernetes:{}:{revision}", about.text("uid")?);
    let name = about.text("name")?;
    let namespace = about.maybe_text("namespace")?;
    let label = match about.maybe_entry("labels", "environment")? {
        Some(label) => Some(label),
        None => about.maybe_entry("labels", "env")?,
    };
    let said = seen.environment.or(label);
    let called = said.or(environment::among(&[seen.cluster, namespace, Some(name)])).unwrap_or(name);
    let part = [seen.cluster, namespace, Some(name)].into_iter().flatten().collect::<Vec<_>>().join("/");
    let mut deployment = record::deployment(&id, called, DeploymentState::Succeeded);
    deployment.part = Some(Text::new(part));
    let body = EventBody::Deployment(Box::new(deployment));
    let mut told = record::event(SOURCE, format!("{id}:event:{at}"), at, seen.received_at, body);
    told.service = Some(service(&about, "labels", "name")?);
    Ok(vec![told])
}

/// When it happened last: events that repeat are counted in one object.
fn time(event: &Node<'_>) -> Result<Timestamp, Refusal> {
    for field in ["lastTimestamp", "eventTime", "firstTimestamp"] {
        if let Some(at) = event.maybe_time(field)? {
            return Ok(at);
        }
    }
    event.time("metadata.creationTimestamp")
}
