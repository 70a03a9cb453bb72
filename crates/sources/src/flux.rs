//! Flux: events of its notification controller, by a provider of the type `generic` or `generic-hmac`.
//!
//! Source: Flux's documentation, "Events", "Alerts" and "Providers", and its controllers' reasons. No live payload
//! seen.
//!
//! What counts as a deployment: a revision that a Kustomization applied, and each install, upgrade and rollback of
//! a HelmRelease. Flux repeats: every reconciliation tells the same revision again, which is the same deployment,
//! and the first word that it succeeded is its end. A revision of git is the configuration repository's and is
//! not told; a chart's or a tag's is the version. An alert's `eventMetadata` may say more: `env` or `environment`,
//! `cluster`, `image`. The service is `flux:` with the object's name.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, environment, image, record};
use model::event::{DeliveryEvent, DeploymentState, Trigger};
use model::raw::RawRecord;
use model::{EventBody, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Flux' events: Kustomizations and HelmReleases as deployments",
    emits: "deployment",
    drops: "chart_test_not_used event_without_revision kind_not_used progress_not_used reason_not_used \
        uninstall_not_used waiting_not_used",
    times: "`timestamp`: RFC 3339 in UTC.",
    set_up: &[
        "A `Provider` of the type `generic-hmac` with the hook's address and a secret, and an `Alert` with \
          `eventSeverity: info` for Kustomizations and HelmReleases.",
        "`eventMetadata` of the alert may say `env`, `cluster` and `image`.",
    ],
    seen: None,
    limits: &[
        "A git revision is the configuration repository's and is not told: without `image` lead times are \
          null.",
        "Flux repeats; the same revision is the same deployment.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "flux";

/// Reads one event.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let about = body.object("involvedObject")?;
    let reason = body.text("reason")?;
    let (state, helm) = match about.text("kind")? {
        "Kustomization" => (kustomization(reason)?, false),
        "HelmRelease" => (helm_release(reason)?, true),
        _ => return Err(Refusal::drop("kind_not_used")),
    };
    let at = body.time("timestamp")?;
    let Some(revision) = metadata(&body, "revision")? else {
        return Err(Refusal::drop("event_without_revision"));
    };
    let name = about.text("name")?;
    let namespace = about.maybe_text("namespace")?;
    let qualified = [namespace, Some(name)].into_iter().flatten().collect::<Vec<_>>().join("/");
    let object = about.maybe_text("uid")?.unwrap_or(&qualified);
    // An upgrade may bring other values of the same chart: each is a deployment of its own.
    let id =
        if helm { format!("flux:{object}:{revision}:{at}") } else { format!("flux:{object}:{revision}") };
    let cluster = metadata(&body, "cluster")?;
    let said = match metadata(&body, "environment")? {
        Some(said) => Some(said),
        None => metadata(&body, "env")?,
    };
    let place = said.or(environment::among(&[cluster, namespace, Some(name)])).unwrap_or(name);
    let mut deployment = record::deployment(&id, place, state);
    deployment.part = Some(Text::new(match cluster {
        Some(cluster) => format!("{cluster}/{qualified}"),
        None => qualified.clone(),
    }));
    deployment.trigger = Some(Trigger::Controller);
    if let Some(reference) = metadata(&body, "image")? {
        image::read(reference).fill(&mut deployment);
    }
    deployment.version = deployment.version.or(version(revision, helm).map(Text::new));
    if helm {
        deployment.finished_at = Some(at);
    }
    let told = EventBody::Deployment(Box::new(deployment));
    let mut event = record::event(SOURCE, format!("{id}:{state}:{at}"), at, raw.received_at, told);
    event.service = Some(Text::new(format!("flux:{name}")));
    Ok(vec![event])
}

/// Applying, drift that is corrected and waiting are passed over: each would reopen what is done.
fn kustomization(reason: &str) -> Result<DeploymentState, Refusal> {
    Ok(match reason {
        "ReconciliationSucceeded" => DeploymentState::Succeeded,
        "ReconciliationFailed" | "BuildFailed" | "HealthCheckFailed" | "PruneFailed" | "ValidationFailed" => {
            DeploymentState::Failed
        }
        "Progressing" | "ProgressingWithRetry" => return Err(Refusal::drop("progress_not_used")),
        "DependencyNotReady" | "ArtifactFailed" | "Suspended" => {
            return Err(Refusal::drop("waiting_not_used"));
        }
        _ => return Err(Refusal::drop("reason_not_used")),
    })
}

fn helm_release(reason: &str) -> Result<DeploymentState, Refusal> {
    Ok(match reason {
        "InstallSucceeded" | "UpgradeSucceeded" | "RollbackSucceeded" => DeploymentState::Succeeded,
        "InstallFailed" | "UpgradeFailed" | "RollbackFailed" => DeploymentState::Failed,
        "TestSucceeded" | "TestFailed" => return Err(Refusal::drop("chart_test_not_used")),
        "UninstallSucceeded" | "UninstallFailed" => return Err(Refusal::drop("uninstall_not_used")),
        "Progressing" | "DriftDetected" | "DriftCorrected" | "DriftCorrectionFailed" => {
            return Err(Refusal::drop("progress_not_used"));
        }
        "DependencyNotReady" | "ArtifactFailed" | "Suspended" => {
            return Err(Refusal::drop("waiting_not_used"));
        }
        _ => return Err(Refusal::drop("reason_not_used")),
    })
}

/// A piece of metadata: bare, as the notification controller sends it, or with its controller's prefix, as
/// Kubernetes keeps it.
fn metadata<'a>(body: &Node<'a>, key: &str) -> Result<Option<&'a str>, Refusal> {
    let prefixes =
        ["", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "event.toolkit.fluxcd.io/"];
    for prefix in prefixes {
        if let Some(found) = body.maybe_entry("metadata", &format!("{prefix}{key}"))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A chart's version, or the tag before the digest of an artifact or of git: `v1.2.3@sha1:…`. A branch is none.
fn version(revision: &str, helm: bool) -> Option<&str> {
    let tag = revision.split('@').next().unwrap_or_default();
    let digits = tag.strip_prefix('v').unwrap_or(tag);
    (helm || digits.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(tag)
        .filter(|tag| !tag.is_empty())
}
