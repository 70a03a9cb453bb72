//! The incident pool: the records of one incident (alert, page, ticket) are linked, pooled, and count once.
//! One task holds it, because links cross services; incidents are few.

use crate::merge::{final_run_began, last};
use crate::message::{Address, Envelope, IncidentView, Message};
use crate::quality::INCIDENTS;
use crate::route::{POOL, owner};
use crate::state::Thing;
use crate::task::Correlator;
use model::event::{CorrectionTarget, EnvironmentTier, IncidentEvent, IncidentState, Names};
use model::{DeliveryEvent, EventBody, HomeKey, IncidentId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn body(event: &DeliveryEvent) -> Option<&IncidentEvent> {
    match &event.body {
        EventBody::Incident(body) => Some(body),
        _ => None,
    }
}

impl Correlator {
    /// Pools the marked incidents anew, with all that are linked to them now or were before.
    pub(crate) fn settle_pool(&mut self) {
        let marked = std::mem::take(&mut self.dirty.pool);
        if marked.is_empty() {
            return;
        }
        let mut waiting = marked;
        for id in waiting.clone() {
            waiting.extend(self.component(&id));
            self.relink(&id);
        }
        let mut done: BTreeSet<IncidentId> = BTreeSet::new();
        let mut standing: BTreeMap<IncidentId, Option<IncidentView>> = BTreeMap::new();
        for id in waiting {
            if let Some(was) = self.state.pooled.take(&id) {
                standing.entry(was).or_insert(None);
            }
            if done.contains(&id) {
                continue;
            }
            let members = self.component(&id);
            for member in &members {
                if let Some(was) = self.state.pooled.take(member) {
                    standing.entry(was).or_insert(None);
                }
            }
            let pooled = self.pool_id(&members);
            if let Some(pooled) = pooled {
                for member in &members {
                    self.state.pooled.put(member.clone(), pooled.clone());
                }
                let view = self.pool_view(&pooled, &members);
                standing.insert(pooled, view);
            }
            done.extend(members);
        }
        for (id, view) in standing {
            self.tell_incident(&id, view.map(Arc::new));
        }
    }

    /// Brings the links of one incident's own records, and of the corrections that target it, up to date.
    fn relink(&mut self, id: &IncidentId) {
        let records: Vec<DeliveryEvent> = self.state.records.of(&Thing::Incident(id.clone())).collect();
        let stated = last(&records, |event| body(event)?.links.clone()).unwrap_or_default();
        // A correction of what nobody has told yet links nothing.
        let duplicate = self.duplicate_of(id).filter(|_| !records.is_empty());
        let new: BTreeSet<IncidentId> =
            stated.into_iter().chain(duplicate).filter(|other| other != id).collect();
        let old: BTreeSet<IncidentId> = self.state.links_of.get(id).into_iter().flatten().cloned().collect();
        for (others, step) in [(new.difference(&old), 1_i64), (old.difference(&new), -1)] {
            for other in others {
                for (a, b) in [(id, other), (other, id)] {
                    let key = (a.clone(), b.clone());
                    let count = i64::from(self.state.links.get(&key).copied().unwrap_or(0)) + step;
                    match u32::try_from(count) {
                        Ok(count) if count > 0 => self.state.links.put(key, count),
                        _ => self.state.links.remove(&key),
                    };
                }
            }
        }
        if new.is_empty() {
            self.state.links_of.remove(id);
        } else {
            self.state.links_of.put(id.clone(), new.into_iter().collect());
        }
    }

    /// The incidents that are linked to one, directly or through others, itself among them.
    fn component(&self, id: &IncidentId) -> BTreeSet<IncidentId> {
        let mut found = BTreeSet::from([id.clone()]);
        let mut stack = vec![id.clone()];
        while let Some(id) = stack.pop() {
            let from = (id.clone(), IncidentId::default());
            for ((_, other), _) in self.state.links.range(from..).take_while(|((a, _), _)| *a == id) {
                if found.insert(other.clone()) {
                    stack.push(other.clone());
                }
            }
        }
        found
    }

    /// The id of pooled records: that of the incident that they are duplicates of (of several, the smallest that
    /// is no duplicate itself), else the smallest by (first occurred, id). `None` without any record.
    fn pool_id(&self, members: &BTreeSet<IncidentId>) -> Option<IncidentId> {
        let first = |id: &IncidentId| {
            self.state.records.of(&Thing::Incident(id.clone())).next().map(|event| event.occurred_at)
        };
        let smallest = members.iter().filter_map(|id| Some((first(id)?, id.clone()))).min()?.1;
        let told = members.iter().filter(|id| self.has_records(id));
        let targets: BTreeSet<IncidentId> = told.filter_map(|id| self.duplicate_of(id)).collect();
        let originals = targets.into_iter().filter(|id| self.duplicate_of(id).is_none());
        Some(originals.min().unwrap_or(smallest))
    }

    fn pool_view(&mut self, id: &IncidentId, members: &BTreeSet<IncidentId>) -> Option<IncidentView> {
        let mut pooled: Vec<(model::RecordOrder, DeliveryEvent)> = Vec::new();
        for member in members {
            let records = self.state.records.of(&Thing::Incident(member.clone()));
            pooled.extend(records.map(|event| (event.order(), event)));
        }
        pooled.sort_by(|(a, _), (b, _)| a.cmp(b));
        let records: Vec<DeliveryEvent> = pooled.into_iter().map(|(_, event)| event).collect();
        let view = self.merge_incident(id, members, &records);
        // Without an owner its records wait for the catalog; with one they no longer do.
        for record in &records {
            let parked = self.parked_row(record);
            self.put_parked(INCIDENTS, parked, view.is_none());
        }
        view
    }

    fn merge_incident(
        &self,
        id: &IncidentId,
        members: &BTreeSet<IncidentId>,
        records: &[DeliveryEvent],
    ) -> Option<IncidentView> {
        macro_rules! field {
            ($name:ident) => {
                last(records, |event| body(event)?.$name.clone())
            };
        }
        let first = records.first()?;
        let status = last(records, |event| Some(body(event)?.state))?;
        let open = |event: &DeliveryEvent| {
            body(event)
                .is_some_and(|body| matches!(body.state, IncidentState::Open | IncidentState::Acknowledged))
        };
        let since_open = records.iter().rposition(open).map_or(0, |index| index + 1);
        let ended = records.get(since_open..).unwrap_or_default();
        let end_stated =
            |field: fn(&IncidentEvent) -> Option<Timestamp>| last(ended, |event| field(body(event)?));
        let run_began = || final_run_began(records, |event| Some(body(event)?.state));
        let default_end = |state: IncidentState| (status == state).then(run_began).flatten();
        let mitigated_at =
            end_stated(|body| body.mitigated_at).or_else(|| default_end(IncidentState::Mitigated));
        let resolved_at =
            end_stated(|body| body.resolved_at).or_else(|| default_end(IncidentState::Resolved));
        let (started, detected) = (field!(started_at), field!(detected_at));
        let detected_at = detected.or(started).unwrap_or(first.occurred_at);
        let started_at = started.unwrap_or(detected_at);
        let ids = || members.iter().map(IncidentId::as_str);
        let corrected_deployment =
            self.corrected(CorrectionTarget::Incident, ids(), |set| set.deployment_id.clone());
        let names = match corrected_deployment {
            Some(deployment) => Names { deployment_id: Some(deployment), ..Names::default() },
            // DevLake links an incident by time, whatever it names.
            None if self.definitions.is_devlake() => Names::default(),
            None => field!(names).unwrap_or_default(),
        };
        let named = DeliveryEvent {
            service: last(records, |event| event.service.clone()),
            repo: last(records, |event| event.repo.clone()),
            occurred_at: started_at,
            ..first.clone()
        };
        Some(IncidentView {
            id: id.clone(),
            members: members
                .iter()
                .filter(|member| *member == id || self.has_records(member))
                .cloned()
                .collect(),
            service: owner(&self.catalog, &named, named.service.as_ref()).ok()?,
            repo: named.repo.as_ref().map(|repo| self.catalog.canonical_repo(repo, started_at)),
            severity: self
                .corrected(CorrectionTarget::Incident, ids(), |set| set.severity)
                .or(field!(severity)),
            tier: field!(tier).unwrap_or(EnvironmentTier::Production),
            status,
            started_at,
            detected_at,
            detection_stated: started.is_some() && detected.is_some(),
            mitigated_at,
            resolved_at,
            cause: self.corrected(CorrectionTarget::Incident, ids(), |set| set.cause).or(field!(cause)),
            names,
            remedy: field!(remedy),
            drill: records.iter().any(|record| record.is_drill()),
            source: last(records, |event| Some(event.source.clone()))?,
        })
    }

    fn has_records(&self, id: &IncidentId) -> bool {
        self.state.records.of(&Thing::Incident(id.clone())).next().is_some()
    }

    /// Tells each home that an incident concerns how it stands, and each that it no longer concerns so.
    fn tell_incident(&mut self, id: &IncidentId, view: Option<Arc<IncidentView>>) {
        let mut homes = BTreeSet::new();
        if let Some(view) = &view {
            homes.insert(self.catalog.home_of_service(&view.service));
            if self.definitions.blame_dependencies {
                let config = self.catalog.service(&view.service);
                homes.extend(config.dependencies.iter().map(|service| self.catalog.home_of_service(service)));
            }
        }
        let from = (id.clone(), HomeKey::default());
        let told: Vec<(HomeKey, Arc<IncidentView>)> = self
            .state
            .told
            .range(from..)
            .take_while(|((i, _), _)| i == id)
            .map(|((_, home), view)| (home.clone(), view.clone()))
            .collect();
        for (home, _) in told.iter().filter(|(home, _)| !homes.contains(home)) {
            self.state.told.remove(&(id.clone(), home.clone()));
            self.send_incident(id, home, None);
        }
        for home in homes {
            let Some(view) = &view else { continue };
            let knows = told.iter().any(|(h, v)| *h == home && v == view);
            if !knows {
                self.state.told.put((id.clone(), home.clone()), view.clone());
                self.send_incident(id, &home, Some(view.clone()));
            }
        }
    }

    fn send_incident(&mut self, id: &IncidentId, home: &HomeKey, view: Option<Arc<IncidentView>>) {
        let message = Message::Incident { home: home.clone(), id: id.clone(), view };
        self.messages.push(Envelope { to: Address::Home(home.clone()), message });
    }

    /// Whether this task holds the pool.
    pub(crate) fn has_pool(&self) -> bool {
        self.is_mine(&HomeKey::new(POOL))
    }

    /// The incident that the last standing correction says this one is a record of.
    fn duplicate_of(&self, id: &IncidentId) -> Option<IncidentId> {
        let ids = std::iter::once(id.as_str());
        self.corrected(CorrectionTarget::Incident, ids, |set| set.duplicate_of.clone())
            .filter(|other| other != id)
    }
}
