//! Argo CD: an Application as our notification template sends it (`deploy/templates/argocd`), or as a watch
//! gives it.
//!
//! Source: Argo CD's documentation ("Notifications", "Application specification") and its API types
//! (`pkg/apis/application/v1alpha1/types.go`). No live payload seen.
//!
//! What counts as a deployment: a sync operation, told by `status.operationState`, from its start to its end.
//! Syncs of single resources, self-healing and dry runs are none: Argo CD keeps them out of its history too.
//! The revision is the configuration repository's and is not told. The image is, and the artifacts say which
//! commit it was built from; it is taken only from a status that Argo CD compared after the operation, for
//! before that the summary still lists what ran earlier.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::object::{self, Object};
use crate::{Refusal, SourceSettings, environment, image, record, template};
use model::event::{AuthorKind, DeliveryEvent, DeploymentState, Trigger};
use model::raw::RawRecord;
use model::{EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Argo CD's Applications, by our notification template or from a watch: syncs as \
        deployments",
    emits: "deployment",
    drops: "app_project_not_used application_set_not_used dry_run kind_not_used never_synced \
        object_deleted operation_without_sync selective_sync self_heal watch_bookmark watch_error",
    times: "`status.operationState.startedAt` and `finishedAt`: RFC 3339 in UTC.",
    set_up: &[
        "Merge `deploy/templates/argocd/notifications.yaml` into the ConfigMap `argocd-notifications-cm`, \
          with the hook's URL.",
        "Or post what `kubectl get applications -A -w -o json` prints.",
    ],
    seen: None,
    limits: &[
        "The revision is the configuration repository's and is not told; the image leads to the commit, \
          and without it lead times are null.",
        "Another template than ours is refused by its name.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "argocd";

/// Reads a notification, or what a watch gave.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    if object::is_object(&body) {
        return object::each(&object::objects(&body)?, |found| watched(found, raw.received_at));
    }
    template::check(&body, SOURCE, 1)?;
    application(&body.object("app")?, raw.received_at, true)
}

/// An object that a watch gave.
pub(crate) fn watched(found: &Object<'_>, received_at: Timestamp) -> Result<Vec<DeliveryEvent>, Refusal> {
    match found.kind {
        "Application" => application(&found.node, received_at, false),
        "ApplicationSet" => Err(Refusal::drop("application_set_not_used")),
        "AppProject" => Err(Refusal::drop("app_project_not_used")),
        _ => Err(Refusal::drop("kind_not_used")),
    }
}

fn application(
    app: &Node<'_>,
    received_at: Timestamp,
    notified: bool,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let name = app.text("metadata.name")?;
    if app.maybe_text("status.operationState.phase")?.is_none() {
        return Err(Refusal::drop("never_synced"));
    }
    let operation = app.object("status.operationState")?;
    no_deployment(&operation)?;
    let state = state(&operation)?;
    let started_at = operation.time("startedAt")?;
    let ended = !matches!(state, DeploymentState::Running);
    // Between retries a running operation has an end too.
    let finished_at = if ended { Some(operation.time("finishedAt")?) } else { None };
    let qualified = object::qualified(app)?;
    let id = format!("argocd:{qualified}:{started_at}");
    let (trigger, author_kind) = initiator(&operation)?;
    let mut deployment = record::deployment(&id, environment(app, name)?, state);
    deployment.part = Some(Text::new(&qualified));
    deployment.started_at = Some(started_at);
    deployment.finished_at = finished_at;
    deployment.trigger = trigger;
    deployment.author_kind = author_kind;
    if state == DeploymentState::Succeeded && is_fresh(app, &operation, finished_at, notified)? {
        let images = app.maybe_texts("status.summary.images")?.unwrap_or_default();
        if let Some(image) = image::of_workload(&images, name) {
            image.fill(&mut deployment);
        }
    }
    let occurred_at = finished_at.map_or(started_at, |at| record::after(at, Some(started_at)));
    let body = EventBody::Deployment(Box::new(deployment));
    let mut event = record::event(SOURCE, format!("{id}:{state}"), occurred_at, received_at, body);
    event.service = Some(Text::new(format!("argocd:{name}")));
    Ok(vec![event])
}

/// Operations that are no deployment.
fn no_deployment(operation: &Node<'_>) -> Result<(), Refusal> {
    let Some(sync) = operation.maybe_object("operation.sync")? else {
        return Err(Refusal::drop("operation_without_sync"));
    };
    if sync.flag("dryRun")? == Some(true) {
        return Err(Refusal::drop("dry_run"));
    }
    if sync.maybe_number("autoHealAttemptsCount")?.is_some_and(|attempts| attempts > 0) {
        return Err(Refusal::drop("self_heal"));
    }
    if !sync.items("resources")?.is_empty() {
        return Err(Refusal::drop("selective_sync"));
    }
    Ok(())
}

fn state(operation: &Node<'_>) -> Result<DeploymentState, Refusal> {
    Ok(match operation.text("phase")? {
        "Running" | "Terminating" => DeploymentState::Running,
        "Succeeded" => DeploymentState::Succeeded,
        "Failed" | "Error" if terminated(operation)? => DeploymentState::Cancelled,
        "Failed" | "Error" => DeploymentState::Failed,
        other => {
            return Err(operation.unknown("phase", other, "Running, Terminating, Succeeded, Failed, Error"));
        }
    })
}

/// Whether somebody ended the operation; one that ran out of its time is ended by the controller.
fn terminated(operation: &Node<'_>) -> Result<bool, Refusal> {
    let message = operation.maybe_text("message")?.unwrap_or_default();
    Ok(message.starts_with("Operation terminated") && !message.contains("timeout"))
}

/// Who began it. An account's name does not say whether a person or a pipeline uses it, unless it is an
/// address, the built-in administrator, or the role of a project (`proj:…`), which only tokens have.
fn initiator(operation: &Node<'_>) -> Result<(Option<Trigger>, Option<AuthorKind>), Refusal> {
    if operation.flag("operation.initiatedBy.automated")? == Some(true) {
        return Ok((Some(Trigger::Controller), None));
    }
    Ok(match operation.maybe_text("operation.initiatedBy.username")? {
        Some(name) if name.starts_with("proj:") => (None, Some(AuthorKind::Bot)),
        Some(name) if name.contains('@') || name == "admin" || name == "human" => {
            (Some(Trigger::Manual), Some(AuthorKind::Human))
        }
        _ => (None, None),
    })
}

/// Whether the summary lists what this operation brought: compared after its end, at its revision, and of an
/// object that a watch gives (perhaps days later) with nothing that drifted.
fn is_fresh(
    app: &Node<'_>,
    operation: &Node<'_>,
    finished_at: Option<Timestamp>,
    notified: bool,
) -> Result<bool, Refusal> {
    let compared = app.maybe_time("status.reconciledAt")?;
    let one = operation.maybe_text("syncResult.revision")? == app.maybe_text("status.sync.revision")?;
    let several =
        operation.maybe_texts("syncResult.revisions")? == app.maybe_texts("status.sync.revisions")?;
    let synced = app.maybe_text("status.sync.status")? == Some("Synced");
    Ok(compared >= finished_at && one && several && (notified || synced))
}

/// Argo CD has no word for it: a label, else whichever of cluster, namespace, project and application says one.
fn environment<'a>(app: &Node<'a>, name: &'a str) -> Result<&'a str, Refusal> {
    if let Some(label) = object::environment(app)? {
        return Ok(label);
    }
    let cluster = app.maybe_text("spec.destination.name")?.filter(|cluster| *cluster != "in-cluster");
    let namespace = app.maybe_text("spec.destination.namespace")?;
    let project = app.maybe_text("spec.project")?.filter(|project| *project != "default");
    Ok(environment::among(&[cluster, namespace, project, Some(name)]).unwrap_or(name))
}
