//! Which deployment an incident blames: the one that it names, else the one that it follows (semantics,
//! section 5, rules 1 and 5), and which deployment ended it. What other homes are told of it is in `blame_elsewhere.rs`.

use crate::deployment::Rollout;
use crate::message::IncidentView;
use crate::rollouts::{name_of_id, name_of_sha, name_of_version};
use crate::state::{BlameVerdict, Blamer, Named, Rank, State};
use crate::task::Correlator;
use model::event::{Cause, EnvironmentTier};
use model::fact::FailureEvidence;
use model::{DeploymentId, HomeKey, IncidentId, ServiceName, Span, Text, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What an incident is to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It is the service's own.
    Own,
    /// It is of a service that depends on this one.
    Dependant,
}

impl State {
    /// The copies of an incident that this task holds, by home.
    pub fn incident_homes<'a>(
        &'a self,
        id: &'a IncidentId,
    ) -> impl Iterator<Item = (HomeKey, &'a Arc<IncidentView>)> + 'a {
        let from = (id.clone(), HomeKey::default());
        let homes = self.incident_home.range(from..).take_while(move |((i, _), ())| i == id);
        homes.filter_map(|((id, home), ())| {
            Some((home.clone(), self.incidents.get(&(home.clone(), id.clone()))?))
        })
    }
}

impl Correlator {
    /// The pool told how an incident stands for one of this task's homes.
    pub(crate) fn put_incident(&mut self, home: &HomeKey, id: &IncidentId, view: Option<Arc<IncidentView>>) {
        let key = (home.clone(), id.clone());
        let old = self.state.incidents.get(&key).cloned();
        if old == view {
            return;
        }
        if let Some(old) = &old {
            self.unlist_incident(home, old);
            self.dirty.blames.insert((old.service.clone(), id.clone()));
        }
        match &view {
            Some(view) => {
                self.state.incidents.put(key, view.clone());
                self.state.incident_home.put((id.clone(), home.clone()), ());
                self.list_incident(home, view);
            }
            None => {
                self.state.incidents.remove(&key);
                self.state.incident_home.remove(&(id.clone(), home.clone()));
            }
        }
        self.dirty.incidents.insert((home.clone(), id.clone()));
    }

    /// The services of a home that an incident concerns: its own, and those that its service depends on.
    fn concerned(&self, home: &HomeKey, view: &IncidentView) -> BTreeSet<ServiceName> {
        let mut services = BTreeSet::from([view.service.clone()]);
        if self.definitions.blame_dependencies {
            services.extend(self.catalog.service(&view.service).dependencies.iter().cloned());
        }
        services.retain(|service| self.catalog.home_of_service(service) == *home);
        services
    }

    pub(crate) fn list_incident(&mut self, home: &HomeKey, view: &IncidentView) {
        for service in self.concerned(home, view) {
            self.state.incidents_at.put((service.clone(), view.started_at, view.id.clone()), ());
            if service == view.service {
                for name in names(view) {
                    self.state.incidents_naming.put((service.clone(), name, view.id.clone()), ());
                }
                self.mark_failure_source(&service);
                self.state.failure_sources.put((service.clone(), view.id.clone()), ());
                if let Some(id) = &view.names.deployment_id {
                    self.ask(id, &view.id, true);
                }
            }
            self.dirty.blames.insert((service, view.id.clone()));
        }
    }

    fn unlist_incident(&mut self, home: &HomeKey, view: &IncidentView) {
        for service in self.concerned(home, view) {
            self.state.incidents_at.remove(&(service.clone(), view.started_at, view.id.clone()));
            if service == view.service {
                for name in names(view) {
                    self.state.incidents_naming.remove(&(service.clone(), name, view.id.clone()));
                }
                self.mark_failure_source(&service);
                self.state.failure_sources.remove(&(service.clone(), view.id.clone()));
                if let Some(id) = &view.names.deployment_id {
                    self.ask(id, &view.id, false);
                }
            }
            self.dirty.blames.insert((service, view.id.clone()));
        }
    }

    /// Marks the incidents that a deployment with this finish may be blamed by, or shield another from.
    pub(crate) fn mark_incidents_after(&mut self, service: &ServiceName, finish: Timestamp) {
        let until = match self.failure_window(service) {
            Some(window) => finish.plus(window),
            // However late, an incident follows the next one that succeeded rather than this one.
            None => {
                let from = (service.clone(), Rank::at(finish.plus(Span::from_micros(1))));
                let later = self.state.serving.range(from..).take_while(|((s, _), ())| s == service);
                let mut later = later.map(|((s, rank), ())| (s.clone(), rank.id.clone(), rank.finish));
                let next = later.find(|(s, id, _)| {
                    self.state.rollouts.get(&(s.clone(), id.clone())).is_some_and(Rollout::succeeded)
                });
                next.map_or(Timestamp::MAX, |(.., finish)| finish)
            }
        };
        let from = (service.clone(), finish, IncidentId::default());
        let after =
            self.state.incidents_at.range(from..).take_while(|((s, at, _), ())| s == service && *at <= until);
        let after: Vec<_> = after.map(|((service, _, id), ())| (service.clone(), id.clone())).collect();
        self.dirty.blames.extend(after);
    }

    /// Marks the incidents of a service that state a name.
    pub(crate) fn mark_naming(&mut self, service: &ServiceName, name: &Text) {
        let from = (service.clone(), name.clone(), IncidentId::default());
        let naming =
            self.state.incidents_naming.range(from..).take_while(|((s, n, _), ())| s == service && n == name);
        let naming: Vec<_> = naming.map(|((service, _, id), ())| (service.clone(), id.clone())).collect();
        self.dirty.blames.extend(naming);
        // Incidents of other homes name deployments by id only; their answer carries what they need.
        let foreign = name.as_str().strip_prefix("id:").map(DeploymentId::new);
        if foreign.is_some() {
            let from = (service.clone(), IncidentId::default(), ServiceName::default(), 0);
            let of = self.state.foreign_blames.range(from..).take_while(|((s, ..), _)| s == service);
            let of = of.filter(|(_, (id, _))| Some(id) == foreign.as_ref());
            let of: Vec<_> = of.map(|((service, id, ..), _)| (service.clone(), id.clone())).collect();
            self.dirty.blames.extend(of);
        }
    }

    /// The failure window of a service; `None` is unbounded.
    pub(crate) fn failure_window(&self, service: &ServiceName) -> Option<Span> {
        let own = self.catalog.service(service).failure_window.filter(|_| !self.definitions.is_devlake());
        own.or(self.definitions.failure_window)
    }

    /// Whether an incident is of the kind that blames at all: production, severe enough, no drill.
    pub(crate) fn blames_at_all(&self, view: &IncidentView) -> bool {
        let severe = view.severity.is_none_or(|severity| severity <= self.definitions.min_severity);
        view.tier == EnvironmentTier::Production && severe && !view.drill
    }

    /// The incident as this task knows it for a service: its own, a dependant's, or a foreign one that names it.
    pub(crate) fn view_for(&self, service: &ServiceName, id: &IncidentId) -> Option<Arc<IncidentView>> {
        let home = self.catalog.home_of_service(service);
        let foreign = || self.foreign_blame(service, id).map(|(_, view)| view);
        self.state.incidents.get(&(home, id.clone())).cloned().or_else(foreign)
    }

    pub(crate) fn settle_blames(&mut self) {
        let dirty = std::mem::take(&mut self.dirty.blames);
        // What is taken back comes first: an incident has one signal, and it is that of the service that it is of now.
        for (service, id) in &dirty {
            if !self.is_own(service, id) && self.state.named.contains(&(id.clone(), service.clone())) {
                self.tell_named(id, service, None);
            }
        }
        for (service, id) in dirty {
            let key = (service.clone(), id.clone());
            let new = self.conclude(&service, &id);
            let old = self.state.verdicts.get(&key).cloned().unwrap_or_default();
            if let Some((deployment, rule)) = &old.blamed {
                self.state.blames.remove(&(
                    service.clone(),
                    deployment.clone(),
                    *rule,
                    Blamer::Incident(id.clone()),
                ));
                self.dirty.deployments.insert((service.clone(), deployment.clone()));
            }
            if let Some(deployment) = &old.remedy {
                self.state.remedies.remove(&(service.clone(), deployment.clone(), id.clone()));
                self.dirty.deployments.insert((service.clone(), deployment.clone()));
            }
            if let Some((deployment, rule)) = &new.blamed {
                self.state
                    .blames
                    .put((service.clone(), deployment.clone(), *rule, Blamer::Incident(id.clone())), ());
                self.dirty.deployments.insert((service.clone(), deployment.clone()));
            }
            if let Some(deployment) = &new.remedy {
                self.state.remedies.put((service.clone(), deployment.clone(), id.clone()), ());
                self.dirty.deployments.insert((service.clone(), deployment.clone()));
            }
            let mut new = new;
            new.told = self.to_tell(&service, &id, &new);
            self.tell_blamed(&service, &id, old.told, new.told.clone());
            if new == BlameVerdict::default() {
                self.state.verdicts.remove(&key);
            } else {
                self.state.verdicts.put(key, new);
            }
            self.dirty.incidents.insert((self.catalog.home_of_service(&service), id));
        }
    }

    /// Whether this task is the home of an incident, as the catalog stands, and the incident the service's own.
    fn is_own(&self, service: &ServiceName, id: &IncidentId) -> bool {
        let home = self.catalog.home_of_service(service);
        self.state.incidents.get(&(home, id.clone())).is_some_and(|view| view.service == *service)
    }

    fn conclude(&mut self, service: &ServiceName, id: &IncidentId) -> BlameVerdict {
        let home = self.catalog.home_of_service(service);
        let local = self.state.incidents.get(&(home, id.clone())).cloned();
        let foreign = self.foreign_blame(service, id);
        let Some(view) = local else {
            let blamed = foreign.and_then(|(deployment, view)| self.blame_named(service, &deployment, &view));
            return BlameVerdict { blamed, ..BlameVerdict::default() };
        };
        let relation = if view.service == *service {
            Relation::Own
        } else if self.concerned(&self.catalog.home_of_service(service), &view).contains(service) {
            Relation::Dependant
        } else {
            let blamed = foreign.and_then(|(deployment, view)| self.blame_named(service, &deployment, &view));
            return BlameVerdict { blamed, ..BlameVerdict::default() };
        };
        if relation == Relation::Own {
            let named = view.has_names().then(|| self.resolve_names(&view));
            self.tell_named(id, service, named.map(|named| (named, view.clone())));
        }
        let blamed = match (relation, self.state.named.get(&(id.clone(), service.clone()))) {
            _ if !self.blames_at_all(&view) => None,
            (Relation::Own, Some(Named::Own(deployment))) => {
                let deployment = deployment.clone();
                self.blame_named(service, &deployment, &view)
            }
            _ if view.has_names() => {
                foreign.and_then(|(deployment, view)| self.blame_named(service, &deployment, &view))
            }
            (relation, _) => {
                self.followed(service, &view, relation).map(|id| (id, FailureEvidence::Temporal))
            }
        };
        let remedy = if relation == Relation::Own { self.ended_by(service, &view) } else { None };
        BlameVerdict { blamed, remedy, told: None }
    }

    fn blame_named(
        &self,
        service: &ServiceName,
        deployment: &DeploymentId,
        view: &IncidentView,
    ) -> Option<(DeploymentId, FailureEvidence)> {
        let rollout = self.state.rollouts.get(&(service.clone(), deployment.clone()))?;
        let blamable =
            self.blames_at_all(view) && rollout.serves() && rollout.corrected_failed != Some(false);
        blamable.then(|| (deployment.clone(), FailureEvidence::Explicit))
    }

    /// What an incident's names come to: the id, then the version, then the commit; the first that resolves.
    pub(crate) fn resolve_names(&self, view: &IncidentView) -> Named {
        let service = &view.service;
        if let Some(id) = &view.names.deployment_id {
            if let Some(rollout) = self.state.rollout_of.get(&(service.clone(), id.clone())) {
                let serves =
                    self.state.rollouts.get(&(service.clone(), rollout.clone())).is_some_and(Rollout::serves);
                return if serves { Named::Own(rollout.clone()) } else { Named::Unblamable(rollout.clone()) };
            }
            let mut found = self.answered(id).into_iter().filter(|found| found.service != *service);
            if let (Some(only), None) = (found.next(), found.next()) {
                return Named::Elsewhere(only);
            }
        }
        let by_version = view.names.version.as_ref().and_then(|version| {
            self.choose(service, &name_of_version(version), view.started_at, |rollout| {
                rollout.version.as_ref() == Some(version)
            })
        });
        let by_sha = || {
            let sha = view.names.sha.as_ref()?;
            let stated = self.choose(service, &name_of_sha(sha), view.started_at, |_| true);
            stated.or_else(|| {
                let config = self.catalog.service(service);
                let labels =
                    config.repositories.iter().filter_map(|repo| self.state.label(service, repo, sha));
                labels.min().map(|rank| rank.id)
            })
        };
        by_version.or_else(by_sha).map_or(Named::Nothing, Named::Own)
    }

    /// Of the deployments that serve under a name: the latest that finished by an instant, else the earliest after.
    fn choose(
        &self,
        service: &ServiceName,
        name: &Text,
        start: Timestamp,
        fits: impl Fn(&Rollout) -> bool,
    ) -> Option<DeploymentId> {
        let from = (service.clone(), name.clone(), DeploymentId::default());
        let named = self.state.by_name.range(from..).take_while(|((s, n, _), ())| s == service && n == name);
        let ranks: BTreeSet<Rank> = named
            .filter_map(|((_, _, id), ())| {
                let rollout = self.state.rollouts.get(&(service.clone(), id.clone()))?;
                let finish = rollout.finished.filter(|_| rollout.serves() && fits(rollout))?;
                Some(Rank { finish, id: id.clone() })
            })
            .collect();
        let by_then = ranks.iter().rev().find(|rank| rank.finish <= start);
        by_then.or_else(|| ranks.first()).map(|rank| rank.id.clone())
    }

    /// The deployment that an incident follows: the service's most recent one that serves, if recent enough.
    fn followed(
        &self,
        service: &ServiceName,
        view: &IncidentView,
        relation: Relation,
    ) -> Option<DeploymentId> {
        let by_change = matches!(view.cause, None | Some(Cause::Change | Cause::Unknown));
        let by_dependency = relation == Relation::Dependant && view.cause == Some(Cause::Dependency);
        if !(by_change || by_dependency || self.definitions.is_devlake()) {
            return None;
        }
        let recent = self.most_recent(service, view.started_at)?;
        let window = self.failure_window(service);
        if window.is_some_and(|window| view.started_at.since(recent.finish) > window) {
            return None;
        }
        let rollout = self.state.rollouts.get(&(service.clone(), recent.id.clone()))?;
        (rollout.corrected_failed != Some(false)).then_some(recent.id)
    }

    /// The deployment of a service that served at an instant.
    pub(crate) fn most_recent(&self, service: &ServiceName, at: Timestamp) -> Option<Rank> {
        let from = (service.clone(), Rank::at(Timestamp::MIN));
        if self.definitions.is_devlake() {
            // DevLake: `finished_date < created_date` and `result = SUCCESS`.
            let before = self.state.serving.range(from..(service.clone(), Rank::at(at))).rev();
            let succeeded = |id: &DeploymentId| {
                self.state.rollouts.get(&(service.clone(), id.clone())).is_some_and(Rollout::succeeded)
            };
            return before.map(|((_, rank), ())| rank).find(|rank| succeeded(&rank.id)).cloned();
        }
        let to = (service.clone(), Rank::at(at.plus(Span::from_micros(1))));
        self.state.serving.range(from..to).next_back().map(|((_, rank), ())| rank.clone())
    }

    /// The deployment that ended an incident: by id, or the earliest with that head that finished after its start.
    fn ended_by(&self, service: &ServiceName, view: &IncidentView) -> Option<DeploymentId> {
        let remedy =
            view.remedy.as_ref().filter(|_| view.tier == EnvironmentTier::Production && !view.drill)?;
        if let Some(id) = &remedy.deployment_id
            && let Some(rollout) = self.state.rollout_of.get(&(service.clone(), id.clone()))
        {
            return Some(rollout.clone());
        }
        let sha = remedy.sha.as_ref()?;
        let name = name_of_sha(sha);
        let from = (service.clone(), name.clone(), DeploymentId::default());
        let named = self.state.by_name.range(from..).take_while(|((s, n, _), ())| s == service && *n == name);
        named
            .filter_map(|((_, _, id), ())| {
                let rollout = self.state.rollouts.get(&(service.clone(), id.clone()))?;
                let head = rollout.head.as_ref().is_some_and(|(_, head)| head == sha);
                let finish =
                    rollout.finished.filter(|at| rollout.succeeded() && head && *at > view.started_at)?;
                Some(Rank { finish, id: id.clone() })
            })
            .min()
            .map(|rank| rank.id)
    }
}

/// The names under which an incident is to be looked at when a deployment changes.
fn names(view: &IncidentView) -> BTreeSet<Text> {
    let ids = view.names.deployment_id.iter().map(name_of_id);
    let versions = view.names.version.iter().map(name_of_version);
    let shas = view.names.sha.iter().map(name_of_sha);
    let remedy = view.remedy.iter();
    let remedies = remedy.flat_map(|remedy| {
        remedy.deployment_id.iter().map(name_of_id).chain(remedy.sha.iter().map(name_of_sha))
    });
    ids.chain(versions).chain(shas).chain(remedies).collect()
}
