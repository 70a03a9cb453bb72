//! The facts of deployments, incidents, flags, scans and parked events.

use crate::contribute::label_scopes;
use crate::deployment::Rollout;
use crate::message::IncidentView;
use crate::quality::{EVENTS, deployment_in};
use crate::route::{Route, owner, route};
use crate::state::{BlameVerdict, Blamer, Named, Rank, Thing};
use crate::task::Correlator;
use model::definitions::RestoredAt;
use model::event::EnvironmentTier;
use model::fact::{
    Deployment, FailureEvidence, FlagChange, Incident, Outcome, ParkedEvent, Row, RowKey, Scan,
};
use model::hex;
use model::{DeploymentId, EventBody, HomeKey, IncidentId, Scope, ServiceName, Text, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What blames a deployment, rule by rule, strongest first.
pub type Blames = BTreeSet<(FailureEvidence, Blamer)>;

impl Correlator {
    /// Derives the marked deployments anew. The recovery of one may hang on that of a later one, so they are
    /// taken from the latest; a recovery that changes marks those that hang on it.
    pub(crate) fn settle_deployments(&mut self) {
        while let Some(key) = self.dirty.deployments.pop_last() {
            let (service, id) = key;
            let row_key = RowKey::Deployment(service.clone(), id.clone());
            let recovery_of = |row: Option<&Row>| match row {
                Some(Row::Deployment(row)) => Some((row.failed, row.recovered_at, row.finished_at)),
                _ => None,
            };
            let old = self.state.row(&row_key);
            let before = recovery_of(old.as_ref());
            let row = self.deployment_fact(&service, &id).map(|row| Row::Deployment(Box::new(row)));
            self.signal_deployment(&service, &id, deployment_in(old.as_ref()), deployment_in(row.as_ref()));
            let scopes = self
                .state
                .rollouts
                .get(&(service.clone(), id.clone()))
                .map(|rollout| self.deployment_scopes(&service, rollout))
                .unwrap_or_default();
            if recovery_of(row.as_ref()) != before {
                let blamed = self.blamed_of(&service, &id);
                self.dirty.deployments.extend(blamed.into_iter().map(|(_, id)| (service.clone(), id)));
            }
            let failure_source = self.has_failure_source(&service);
            self.publish(row_key, row, scopes, failure_source);
        }
    }

    fn deployment_scopes(&self, service: &ServiceName, rollout: &Rollout) -> Vec<Scope> {
        let config = self.catalog.service(service);
        let repo = rollout.repo.as_ref().or_else(|| config.repositories.first());
        let repo = repo.map(|repo| Scope::new(format!("repo:{repo}")));
        repo.into_iter().chain(label_scopes(&rollout.labels, &self.definitions)).collect()
    }

    /// Whether a service's failures can be seen: an incident source, or the catalog says that evidence suffices.
    pub(crate) fn has_failure_source(&self, service: &ServiceName) -> bool {
        let config = self.catalog.service(service);
        let suffices = config.failure_evidence_suffices.unwrap_or(self.definitions.failure_evidence_suffices);
        config.incident_sources || suffices || self.has_incidents(service)
    }

    fn has_incidents(&self, service: &ServiceName) -> bool {
        let from = (service.clone(), IncidentId::default());
        self.state.failure_sources.range(from..).next().is_some_and(|((s, _), ())| s == service)
    }

    /// To be called before an incident of a service comes or goes.
    pub(crate) fn mark_failure_source(&mut self, service: &ServiceName) {
        if !self.dirty.failure_sources.contains_key(service) {
            let before = self.has_incidents(service);
            self.dirty.failure_sources.insert(service.clone(), before);
        }
    }

    /// A service's failures became visible or invisible: what its deployments contribute is another thing now. An
    /// incident that only changed is no reason to look at all of them.
    pub(crate) fn settle_failure_sources(&mut self) {
        for (service, before) in std::mem::take(&mut self.dirty.failure_sources) {
            if self.has_incidents(&service) == before {
                continue;
            }
            let from = (service.clone(), DeploymentId::default());
            let of = self.state.rollouts.range(from..).take_while(|((s, _), _)| *s == service);
            let of: Vec<_> = of.map(|(key, _)| key.clone()).collect();
            self.dirty.deployments.extend(of);
        }
    }

    /// Everything that blames a deployment.
    pub(crate) fn blames_of(&self, service: &ServiceName, id: &DeploymentId) -> Blames {
        let from = (
            service.clone(),
            id.clone(),
            FailureEvidence::Manual,
            Blamer::Deployment(DeploymentId::default()),
        );
        let blames = self.state.blames.range(from..).take_while(|((s, d, ..), ())| s == service && d == id);
        blames.map(|((_, _, rule, blamer), ())| (*rule, blamer.clone())).collect()
    }

    /// The deployments that this one blames, by rule.
    pub(crate) fn blamed_of(
        &self,
        service: &ServiceName,
        id: &DeploymentId,
    ) -> BTreeSet<(FailureEvidence, DeploymentId)> {
        let from = (service.clone(), id.clone(), FailureEvidence::Manual, DeploymentId::default());
        let blamed =
            self.state.blamed_by.range(from..).take_while(|((s, d, ..), ())| s == service && d == id);
        blamed.map(|((_, _, rule, blamed), ())| (*rule, blamed.clone())).collect()
    }

    fn deployment_fact(&self, service: &ServiceName, id: &DeploymentId) -> Option<Deployment> {
        let rollout = self.state.rollouts.get(&(service.clone(), id.clone()))?;
        let rank = Rank { finish: rollout.finished.unwrap_or(Timestamp::MAX), id: id.clone() };
        let blames = if rollout.serves() { self.blames_of(service, id) } else { Blames::new() };
        let (failed, failure_evidence) = verdict(rollout, &blames);
        let recovered_at = if failed == Some(true) { self.recovered(service, &blames) } else { None };
        let recovery = recovered_at.map(|at| at.since(rank.finish));
        let impact = recovered_at.zip(self.impact(service, &blames)).map(|(at, start)| at.since(start));
        let marks = self
            .state
            .rollback_marks
            .range((service.clone(), rollout.environment.clone(), rank.clone(), Rank::at(Timestamp::MIN))..);
        let rolled_back = marks
            .take_while(|((s, e, r, _), _)| s == service && *e == rollout.environment && *r == rank)
            .any(|(_, failed)| !failed);
        let blamed = self.blamed_of(service, id);
        let remedy = rollout.succeeded() && self.is_remedy(service, id);
        let config = self.catalog.service(service);
        Some(Deployment {
            service: service.clone(),
            team: self.catalog.team(service, rollout.finished.unwrap_or(rollout.started)),
            repo: rollout.repo.clone().or_else(|| config.repositories.first().cloned()),
            environment: rollout.environment.clone(),
            tier: rollout.tier,
            deployment_id: id.clone(),
            rollout_id: rollout.rollout_id.clone(),
            parts: u32::try_from(rollout.counting.len()).unwrap_or(u32::MAX),
            version: rollout.version.clone(),
            commit_sha: rollout.commit_sha.clone(),
            started_at: rollout.started,
            finished_at: rollout.finished,
            outcome: rollout.outcome,
            automated: rollout.automated,
            failed,
            failure_evidence,
            rolled_back: rollout.serves() && rolled_back,
            is_rollback: rollout.succeeded()
                && blamed.iter().any(|(rule, _)| *rule == FailureEvidence::Rollback),
            is_rework: rollout.succeeded() && (rollout.hotfix || !blamed.is_empty() || remedy),
            recovered_at,
            recovery_s: recovery.map(|span| span.seconds()),
            impact_to_recovery_s: impact.map(|span| span.seconds()),
            changes: self.changes_of(service, &rank),
            labels: rollout.labels.clone(),
            change_ref: rollout.change_ref.clone(),
            approved: rollout.approved,
            in_window: rollout.in_window,
            canary_steps: rollout.canary.as_ref().map(|canary| canary.steps),
            canary_promoted: rollout.canary.as_ref().and_then(|canary| canary.promoted),
            hotfix: rollout.hotfix,
            drill: rollout.drill,
            skewed: recovery.is_some_and(|span| span.is_negative()),
            source: rollout.source.clone(),
        })
    }

    fn is_remedy(&self, service: &ServiceName, id: &DeploymentId) -> bool {
        let from = (service.clone(), id.clone(), IncidentId::default());
        self.state.remedies.range(from..).next().is_some_and(|((s, d, _), ())| s == service && d == id)
    }

    /// The latest end of the incidents that blame a deployment; without any, the earliest remedy.
    fn recovered(&self, service: &ServiceName, blames: &Blames) -> Option<Timestamp> {
        let views: Vec<Arc<IncidentView>> = self.blaming_incidents(service, blames);
        if !views.is_empty() {
            let ends: Option<Vec<Timestamp>> = views.iter().map(|view| self.end_of(view)).collect();
            return ends?.into_iter().max();
        }
        blames
            .iter()
            .filter_map(|(_, blamer)| match blamer {
                Blamer::Deployment(id) => {
                    let key = RowKey::Deployment(service.clone(), id.clone());
                    match self.state.row(&key) {
                        Some(Row::Deployment(row)) if row.failed == Some(true) => row.recovered_at,
                        Some(Row::Deployment(row)) => row.finished_at,
                        _ => None,
                    }
                }
                Blamer::Incident(_) => None,
            })
            .min()
    }

    fn impact(&self, service: &ServiceName, blames: &Blames) -> Option<Timestamp> {
        self.blaming_incidents(service, blames).iter().map(|view| view.started_at).min()
    }

    fn blaming_incidents(&self, service: &ServiceName, blames: &Blames) -> Vec<Arc<IncidentView>> {
        let incidents: BTreeSet<&IncidentId> = blames
            .iter()
            .filter_map(|(_, blamer)| match blamer {
                Blamer::Incident(id) => Some(id),
                Blamer::Deployment(_) => None,
            })
            .collect();
        incidents.into_iter().filter_map(|id| self.view_for(service, id)).collect()
    }

    /// When an incident counts as over; `None` while it is open.
    fn end_of(&self, view: &IncidentView) -> Option<Timestamp> {
        match self.definitions.restored_at {
            RestoredAt::Resolved => view.resolved_at,
            RestoredAt::Mitigated => view.mitigated_at.or(view.resolved_at),
        }
    }

    pub(crate) fn settle_incidents(&mut self) {
        for (home, id) in std::mem::take(&mut self.dirty.incidents) {
            let view = self.state.incidents.get(&(home.clone(), id.clone())).cloned();
            let own = view.filter(|view| self.catalog.home_of_service(&view.service) == home);
            // A copy that is context never speaks for the incident; its home may be in this task too.
            if own.is_none() && self.own_elsewhere(&home, &id) {
                continue;
            }
            let scopes: Vec<Scope> = own
                .iter()
                .filter_map(|view| view.repo.as_ref().map(|repo| Scope::new(format!("repo:{repo}"))))
                .collect();
            let row = own.map(|view| self.incident_fact(&view));
            self.signal_incident(&id, row.as_ref());
            self.publish(RowKey::Incident(id), row.map(|row| Row::Incident(Box::new(row))), scopes, false);
        }
    }

    fn own_elsewhere(&self, home: &HomeKey, id: &IncidentId) -> bool {
        self.state
            .incident_homes(id)
            .any(|(other, view)| other != *home && self.catalog.home_of_service(&view.service) == other)
    }

    fn incident_fact(&self, view: &IncidentView) -> Incident {
        let (deployment_id, failure_evidence) =
            match self.state.named.get(&(view.id.clone(), view.service.clone())) {
                Some(Named::Elsewhere(found))
                    if self.blames_at_all(view) && found.can_fail && !found.cleared =>
                {
                    (Some(found.deployment.clone()), Some(FailureEvidence::Explicit))
                }
                _ => match self.state.verdicts.get(&(view.service.clone(), view.id.clone())) {
                    Some(BlameVerdict { blamed: Some((id, rule)), .. }) => (Some(id.clone()), Some(*rule)),
                    _ => self.blamed_dependency(view),
                },
            };
        let restore = view.resolved_at.map(|at| at.since(view.started_at));
        let detect = view.detection_stated.then(|| view.detected_at.since(view.started_at));
        Incident {
            service: view.service.clone(),
            team: self.catalog.team(&view.service, view.resolved_at.unwrap_or(view.started_at)),
            incident_id: view.id.clone(),
            members: view.members.clone(),
            severity: view.severity,
            tier: view.tier,
            status: view.status,
            started_at: view.started_at,
            detected_at: view.detected_at,
            detection_stated: view.detection_stated,
            mitigated_at: view.mitigated_at,
            resolved_at: view.resolved_at,
            time_to_restore_s: restore.map(|span| span.seconds()),
            time_to_detect_s: detect.map(|span| span.seconds()),
            cause: view.cause,
            deployment_id,
            failure_evidence,
            skewed: [restore, detect].into_iter().flatten().any(|span| span.is_negative()),
            drill: view.drill,
            source: view.source.clone(),
        }
    }

    /// Without a deployment of its own service: of the dependencies' that it blames the one that finished last.
    pub(crate) fn blamed_dependency(
        &self,
        view: &IncidentView,
    ) -> (Option<DeploymentId>, Option<FailureEvidence>) {
        let from = (view.id.clone(), view.service.clone(), ServiceName::default(), 0);
        let blamed = self.state.blamed_elsewhere.range(from..);
        let blamed = blamed.take_while(|((id, of, ..), _)| *id == view.id && *of == view.service);
        let config = self.catalog.service(&view.service);
        let still = blamed.filter(|((.., service, _), _)| config.dependencies.contains(service));
        match still.map(|(_, at)| at).max() {
            Some((_, id)) => (Some(id.clone()), Some(FailureEvidence::Temporal)),
            None => (None, None),
        }
    }

    // Facts that are told whole.

    pub(crate) fn settle_flag(&mut self, source: &Text, id: &Text, thing: &Thing) {
        let row = self.state.records.of(thing).next_back().and_then(|event| match &event.body {
            EventBody::FlagChange(body) => {
                let alias = Text::new(format!("flag:{}", body.flag));
                let hint = event.service.as_ref().or(event.repo.is_none().then_some(&alias));
                Some(FlagChange {
                    source: source.clone(),
                    event_id: id.clone(),
                    service: owner(&self.catalog, &event, hint).ok(),
                    flag: body.flag.clone(),
                    action: body.action.clone(),
                    environment: body.environment.clone(),
                    changed_at: event.occurred_at,
                    from: body.from.clone(),
                    to: body.to.clone(),
                })
            }
            _ => None,
        });
        let key = RowKey::FlagChange(source.clone(), id.clone());
        let old = match self.state.row(&key) {
            Some(Row::FlagChange(old)) => Some(old),
            _ => None,
        };
        self.place_flag(old.as_deref(), row.as_ref());
        self.publish(key, row.map(|row| Row::FlagChange(Box::new(row))), Vec::new(), false);
    }

    pub(crate) fn settle_scan(&mut self, source: &Text, id: &Text, thing: &Thing) {
        let row = self.state.records.of(thing).next_back().and_then(|event| match &event.body {
            EventBody::Scan(body) => Some(Scan {
                source: source.clone(),
                event_id: id.clone(),
                service: owner(&self.catalog, &event, event.service.as_ref()).ok(),
                repo: event.repo.as_ref().map(|repo| self.catalog.canonical_repo(repo, event.occurred_at)),
                scanner: body.scanner.clone(),
                finding: body.finding.clone(),
                severity: body.severity.clone(),
                state: body.state.clone(),
                commit_sha: body.sha.clone(),
                digest: body.digest.clone(),
                scanned_at: event.occurred_at,
            }),
            _ => None,
        });
        let key = RowKey::Scan(source.clone(), id.clone());
        self.publish(key, row.map(|row| Row::Scan(Box::new(row))), Vec::new(), false);
    }

    /// The events that wait for the catalog, each a row with the reason.
    pub(crate) fn settle_parked(&mut self) {
        for order in std::mem::take(&mut self.dirty.parked) {
            let Some(event) = self.state.records.get(&Thing::Parked, &order) else { continue };
            let parked = self.parked_row(&event);
            self.put_parked(EVENTS, parked, true);
        }
    }

    pub(crate) fn parked_row(&self, event: &model::DeliveryEvent) -> ParkedEvent {
        let hint = match &event.body {
            EventBody::FlagChange(body) if event.service.is_none() && event.repo.is_none() => {
                Some(Text::new(format!("flag:{}", body.flag)))
            }
            _ => event.service.clone(),
        };
        let unowned = owner(&self.catalog, event, hint.as_ref()).err();
        ParkedEvent {
            source: event.source.clone(),
            event_id: event.id.clone(),
            hash: Text::new(hex::lower(&event.content_hash())),
            event_type: Text::new(event.body.type_name()),
            occurred_at: event.occurred_at,
            reason: Text::new(unowned.as_ref().map_or("names_nothing", |unowned| unowned.reason)),
            claim: unowned.and_then(|unowned| unowned.claim),
            body: model::json::to_text(event),
        }
    }

    /// Whether an event is one of this task's under the catalog as it is.
    pub(crate) fn things_of(&self, event: &model::DeliveryEvent) -> Vec<(crate::message::Address, Thing)> {
        match route(&self.catalog, event) {
            Route::To(targets) => targets,
            Route::Archive(_) => Vec::new(),
        }
    }
}

/// Whether a deployment failed, and by the strongest evidence.
pub fn verdict(rollout: &Rollout, blames: &Blames) -> (Option<bool>, Option<FailureEvidence>) {
    if !rollout.serves() || rollout.tier != EnvironmentTier::Production || rollout.outcome == Outcome::Running
    {
        return (None, None);
    }
    match (rollout.corrected_failed, blames.first()) {
        (Some(failed), _) => (Some(failed), Some(FailureEvidence::Manual)),
        (None, Some((rule, _))) => (Some(true), Some(*rule)),
        (None, None) => (Some(false), None),
    }
}
