//! Rows of what went wrong, was switched, was found, or cannot be placed; and the archive of events.

use super::{sha, stored, word};
use model::fact::{DataQuality, FlagChange, Incident, ParkedEvent, Scan};
use model::hex;
use model::{
    DeliveryEvent, DeploymentId, Environment, IncidentId, RepoName, ServiceName, TeamName, Text, Timestamp,
};
use sha2::{Digest, Sha256};

stored!(
    /// An incident.
    IncidentRow in "incidents_rows" by task {
        service: ServiceName,
        team: Option<TeamName>,
        incident_id: IncidentId,
        members: Vec<IncidentId>,
        severity: Option<Text>,
        tier: Text,
        status: Text,
        started_at: Timestamp,
        detected_at: Timestamp,
        detection_stated: bool,
        mitigated_at: Option<Timestamp>,
        resolved_at: Option<Timestamp>,
        time_to_restore_s: Option<i64>,
        time_to_detect_s: Option<i64>,
        cause: Option<Text>,
        deployment_id: Option<DeploymentId>,
        failure_evidence: Option<Text>,
        skewed: bool,
        drill: bool,
        source: Text,
    }
);

impl From<&Incident> for IncidentRow {
    fn from(fact: &Incident) -> Self {
        Self {
            service: fact.service.clone(),
            team: fact.team.clone(),
            incident_id: fact.incident_id.clone(),
            members: fact.members.clone(),
            severity: fact.severity.map(|severity| word(severity.as_str())),
            tier: word(fact.tier.as_str()),
            status: word(fact.status.as_str()),
            started_at: fact.started_at,
            detected_at: fact.detected_at,
            detection_stated: fact.detection_stated,
            mitigated_at: fact.mitigated_at,
            resolved_at: fact.resolved_at,
            time_to_restore_s: fact.time_to_restore_s,
            time_to_detect_s: fact.time_to_detect_s,
            cause: fact.cause.map(|cause| word(cause.as_str())),
            deployment_id: fact.deployment_id.clone(),
            failure_evidence: fact.failure_evidence.map(|evidence| word(evidence.as_str())),
            skewed: fact.skewed,
            drill: fact.drill,
            source: fact.source.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A change of a feature flag.
    FlagChangeRow in "flag_changes_rows" by task {
        source: Text,
        event_id: Text,
        service: Option<ServiceName>,
        flag: Text,
        action: Text,
        environment: Environment,
        changed_at: Timestamp,
        from: Option<Text>,
        to: Option<Text>,
    }
);

impl From<&FlagChange> for FlagChangeRow {
    fn from(fact: &FlagChange) -> Self {
        Self {
            source: fact.source.clone(),
            event_id: fact.event_id.clone(),
            service: fact.service.clone(),
            flag: fact.flag.clone(),
            action: fact.action.clone(),
            environment: fact.environment.clone(),
            changed_at: fact.changed_at,
            from: fact.from.clone(),
            to: fact.to.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A security finding.
    ScanRow in "scans_rows" by task {
        source: Text,
        event_id: Text,
        service: Option<ServiceName>,
        repo: Option<RepoName>,
        scanner: Text,
        finding: Text,
        severity: Text,
        state: Text,
        commit_sha: Option<Text>,
        digest: Option<Text>,
        scanned_at: Timestamp,
    }
);

impl From<&Scan> for ScanRow {
    fn from(fact: &Scan) -> Self {
        Self {
            source: fact.source.clone(),
            event_id: fact.event_id.clone(),
            service: fact.service.clone(),
            repo: fact.repo.clone(),
            scanner: fact.scanner.clone(),
            finding: fact.finding.clone(),
            severity: fact.severity.clone(),
            state: fact.state.clone(),
            commit_sha: fact.commit_sha.as_ref().map(sha),
            digest: fact.digest.clone(),
            scanned_at: fact.scanned_at,
            ..Self::default()
        }
    }
}

stored!(
    /// An event that waits for the catalog.
    ParkedEventRow in "parked_events_rows" by task {
        source: Text,
        event_id: Text,
        hash: Text,
        event_type: Text,
        occurred_at: Timestamp,
        reason: Text,
        claim: Option<Text>,
        body: String,
    }
);

impl From<&ParkedEvent> for ParkedEventRow {
    fn from(fact: &ParkedEvent) -> Self {
        Self {
            source: fact.source.clone(),
            event_id: fact.event_id.clone(),
            hash: fact.hash.clone(),
            event_type: fact.event_type.clone(),
            occurred_at: fact.occurred_at,
            reason: fact.reason.clone(),
            claim: fact.claim.clone(),
            body: fact.body.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A data-quality finding.
    DataQualityRow in "data_quality_rows" by task {
        signal: Text,
        subject: Text,
        service: Option<ServiceName>,
        since: Timestamp,
        detail: String,
        remedy: String,
    }
);

impl From<&DataQuality> for DataQualityRow {
    fn from(fact: &DataQuality) -> Self {
        Self {
            signal: fact.signal.clone(),
            subject: fact.subject.clone(),
            service: fact.service.clone(),
            since: fact.since,
            detail: fact.detail.clone(),
            remedy: fact.remedy.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A canonical event in the archive.
    EventRow in "events_rows" {
        event_id: Text,
        r#type: Text,
        source: Text,
        repo: Option<RepoName>,
        service: Option<Text>,
        occurred_at: Timestamp,
        observed_at: Timestamp,
        drill: Option<bool>,
        imported: Option<bool>,
        hash: String,
        body: String,
    }
);

impl From<&DeliveryEvent> for EventRow {
    fn from(event: &DeliveryEvent) -> Self {
        // The same bytes as `DeliveryEvent::content_hash` hashes, made once.
        let body = model::json::to_text(event);
        let hash = hex::lower(&Sha256::digest(body.as_bytes()));
        Self {
            event_id: event.id.clone(),
            r#type: word(event.body.type_name()),
            source: event.source.clone(),
            repo: event.repo.clone(),
            service: event.service.clone(),
            occurred_at: event.occurred_at,
            observed_at: event.observed_at,
            drill: event.drill,
            imported: event.imported,
            hash,
            body,
            ..Self::default()
        }
    }
}
