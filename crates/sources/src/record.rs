//! Events with nothing but what every one has: sources fill in what their vendor says.

use model::event::{
    DeliveryEvent, DeploymentEvent, DeploymentState, EventBody, IncidentEvent, IncidentState,
};
use model::{DeploymentId, Environment, IncidentId, Text, Timestamp};

/// An event with what every event has.
pub(crate) fn event(
    source: &str,
    id: impl AsRef<str>,
    occurred_at: Timestamp,
    observed_at: Timestamp,
    body: EventBody,
) -> DeliveryEvent {
    DeliveryEvent {
        id: Text::new(id),
        occurred_at,
        observed_at,
        source: Text::new(source),
        repo: None,
        service: None,
        drill: None,
        imported: None,
        body,
    }
}

/// The same moment, so many microseconds later. Vendors tell states by whole seconds, and of two within one the
/// later word must win in whatever order they arrive: what follows has the greater step.
pub(crate) fn later(at: Timestamp, step: i64) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(step))
}

/// When a later word about a thing occurred. Vendors tell whole seconds, and a start and an end within one of
/// them would be told at the same time; the later word must win in whatever order the two arrive, so it is
/// told a microsecond later.
pub(crate) fn after(at: Timestamp, earlier: Option<Timestamp>) -> Timestamp {
    match earlier {
        Some(earlier) if at == earlier => Timestamp::from_micros(at.micros() + 1),
        _ => at,
    }
}

/// A deployment of which only the id, the environment and the state are known.
pub(crate) fn deployment(id: &str, environment: &str, state: DeploymentState) -> DeploymentEvent {
    DeploymentEvent {
        deployment_id: DeploymentId::new(id),
        rollout_id: None,
        part: None,
        environment: Environment::new(environment),
        tier: None,
        version: None,
        sha: None,
        digest: None,
        image: None,
        state,
        started_at: None,
        finished_at: None,
        trigger: None,
        author_kind: None,
        commits: None,
        hotfix: None,
        serving: None,
        labels: None,
        change_ref: None,
        approved: None,
        in_window: None,
        canary: None,
    }
}

/// An incident of which only the id and the state are known.
pub(crate) fn incident(id: &str, state: IncidentState) -> IncidentEvent {
    IncidentEvent {
        incident_id: IncidentId::new(id),
        state,
        severity: None,
        tier: None,
        started_at: None,
        detected_at: None,
        mitigated_at: None,
        resolved_at: None,
        cause: None,
        names: None,
        remedy: None,
        links: None,
    }
}
