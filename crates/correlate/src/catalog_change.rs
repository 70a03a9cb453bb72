//! A new revision of the catalog: records move to their new homes, and what is derived is derived anew.

use crate::message::{Address, Envelope, Message};
use crate::state::{State, Thing};
use crate::task::Correlator;
use catalog::Catalog;
use model::fact::RowKey;
use model::{IncidentId, RecordOrder};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Correlator {
    /// Takes a new catalog; what was told of renames stays.
    pub fn set_catalog(&mut self, catalog: Arc<Catalog>) {
        self.stated = catalog;
        // Though it comes to the same, its text may say now what was told.
        self.dirty.renames = true;
        self.follow(self.with_renames());
    }

    /// Takes what the catalog and the renames come to. Contributions are moved to the scopes that own them now; each
    /// record whose home is elsewhere now is forwarded; everything derived is derived anew by the next
    /// [`Self::settle`], which publishes only what differs.
    pub(crate) fn follow(&mut self, catalog: Arc<Catalog>) {
        if self.catalog.revision() == catalog.revision() {
            self.catalog = catalog;
            return;
        }
        let published: Vec<_> =
            self.state.published.unordered().map(|(_, published)| published.clone()).collect();
        let flaky: Vec<_> =
            self.state.flaky.iter().map(|((repo, ..), flaky)| (repo.clone(), flaky.clone())).collect();
        for row in &published {
            self.contribute(&row.open(), -1);
        }
        for (repo, flaky) in &flaky {
            self.contribute_flaky(repo, flaky, -1);
        }
        self.catalog = catalog;
        self.told.outdate();
        for row in &published {
            self.contribute(&row.open(), 1);
        }
        for (repo, flaky) in &flaky {
            self.contribute_flaky(repo, flaky, 1);
        }
        self.reroute();
        self.rebuild();
    }

    /// Files each record under the thing that it is about now, or sends it to where that is.
    fn reroute(&mut self) {
        for (thing, order) in self.filed() {
            // Every task has every rename.
            if thing == Thing::Renames {
                continue;
            }
            let Some(event) = self.state.records.get(&thing, &order) else { continue };
            let targets = self.things_of(&event);
            let stays = targets.iter().any(|(address, target)| {
                *target == thing
                    && match address {
                        Address::Home(key) => self.is_mine(key),
                        Address::All | Address::Task(_) => true,
                    }
            });
            if stays {
                continue;
            }
            self.state.records.remove(&thing, &order);
            let event = Arc::new(event);
            for (address, target) in targets {
                // An artifact under its other key, or a copy that every task has, is not this record's to move.
                let same_kind = std::mem::discriminant(&target) == std::mem::discriminant(&thing)
                    || thing == Thing::Parked
                    || target == Thing::Parked;
                if !same_kind {
                    continue;
                }
                match &address {
                    Address::Home(key) if !self.is_mine(key) => {
                        self.messages.push(Envelope { to: address, message: Message::Event(event.clone()) });
                    }
                    _ => {
                        self.state.records.put(target, &order, &event);
                    }
                }
            }
        }
    }

    /// Where each record lies.
    fn filed(&self) -> Vec<(Thing, RecordOrder)> {
        self.state.records.keys().map(|(thing, order)| (thing.clone(), order)).collect()
    }

    /// Throws away what is derived and marks every thing.
    fn rebuild(&mut self) {
        let incidents: Vec<_> = self
            .state
            .incidents
            .iter()
            .map(|((home, id), view)| (home.clone(), id.clone(), view.clone()))
            .collect();
        let asked: BTreeSet<_> = self.state.asking.iter().map(|((id, _), ())| id.clone()).collect();
        let subscribed: Vec<_> = self.state.subscriptions.iter().map(|(key, ())| key.clone()).collect();
        self.state.clear_derived();
        self.derived = Some(BTreeSet::new());
        for (home, id, view) in incidents {
            let listed = (id.clone(), home.clone());
            self.state.incident_home.put(listed, ());
            self.list_incident(&home, &view);
            self.dirty.incidents.insert((home, id));
        }
        for id in asked {
            let from = (id.clone(), IncidentId::default());
            let still = self.state.asking.range(from..).next().is_some_and(|((i, _), ())| *i == id);
            if !still {
                let message = Message::Ask { id, task: self.task, on: false };
                self.messages.push(Envelope { to: Address::All, message });
            }
        }
        self.dirty.subscriptions.extend(subscribed);
        // What incidents concluded stays until it is concluded anew: others were told of it.
        let concluded: Vec<_> = self.state.verdicts.iter().map(|(key, _)| key.clone()).collect();
        self.dirty.blames.extend(concluded);
        let flaky: Vec<_> = self.state.flaky.iter().map(|(key, _)| key.clone()).collect();
        self.dirty.flaky.extend(flaky);
        let foreign: Vec<_> = self
            .state
            .foreign_blames
            .iter()
            .map(|((service, id, ..), _)| (service.clone(), id.clone()))
            .collect();
        self.dirty.blames.extend(foreign);
        let named: Vec<_> =
            self.state.named.iter().map(|((id, service), _)| (service.clone(), id.clone())).collect();
        self.dirty.blames.extend(named);
        let questions: Vec<_> = self.state.questions.iter().map(|((id, _), _)| id.clone()).collect();
        self.dirty.questions.extend(questions);
        for (thing, order) in self.filed() {
            self.mark_record(&thing, &order);
        }
        if self.has_pool() {
            let told: BTreeSet<_> = self.state.told.iter().map(|((id, _), _)| id.clone()).collect();
            self.dirty.pool.extend(told);
            let pooled: Vec<_> = self.state.pooled.iter().map(|(id, _)| id.clone()).collect();
            self.dirty.pool.extend(pooled);
        }
    }

    /// After a rebuild: takes away the rows that were not derived again.
    pub(crate) fn settle_derived(&mut self) {
        let Some(derived) = self.derived.take() else { return };
        let gone: Vec<RowKey> = self
            .state
            .published
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !derived.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.publish(key, None, Vec::new(), false);
        }
    }
}

impl State {
    /// Clears every table that is derived from records and messages.
    fn clear_derived(&mut self) {
        self.corrections.clear();
        self.corrections_by_id.clear();
        self.undoers.clear();
        self.nodes.clear();
        self.children.clear();
        self.pushed_in.clear();
        self.reverted_by.clear();
        self.attempts.clear();
        self.chains.clear();
        self.rollout_of.clear();
        self.bearers.clear();
        self.rollouts.clear();
        self.succeeded.clear();
        self.by_version.clear();
        self.serving.clear();
        self.headed.clear();
        self.by_name.clear();
        self.awaited.clear();
        self.heads.clear();
        self.listed.clear();
        self.reach.clear();
        self.held.clear();
        self.shipped.clear();
        self.counted.clear();
        self.rollbacks.clear();
        self.rollback_marks.clear();
        self.blames.clear();
        self.blamed_by.clear();
        self.revert_pairs.clear();
        self.revert_blames.clear();
        self.hotfix_pairs.clear();
        self.incident_home.clear();
        self.incidents_at.clear();
        self.incidents_naming.clear();
        self.remedies.clear();
        self.failure_sources.clear();
        self.asking.clear();
        self.pulls.clear();
        self.pulls_of.clear();
        self.runs_on.clear();
        self.artifact_users.clear();
        self.flags_at.clear();
        self.cases.clear();
    }
}
