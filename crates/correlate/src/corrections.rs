//! Corrections: which of them stand. They are few and may undo each other whatever they target, so every task has
//! them all.

use crate::state::Thing;
use crate::task::Correlator;
use model::event::{Correction, CorrectionSet, CorrectionTarget};
use model::{DeliveryEvent, DeploymentId, EventBody, IncidentId, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A correction that stands. The greatest one wins, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// When it was made, when it reached us, and its id: the order in which corrections count.
    pub order: (Timestamp, Timestamp, Text),
    /// What it sets.
    pub set: CorrectionSet,
}

impl Correlator {
    /// Corrections changed: finds out which stand, and marks what those target that differ.
    pub(crate) fn settle_corrections(&mut self) {
        let mut all: Vec<(&DeliveryEvent, &Correction)> = self
            .state
            .records_of(&Thing::Corrections)
            .filter_map(|event| match &event.body {
                EventBody::Correction(body) => Some((event.as_ref(), body)),
                _ => None,
            })
            .collect();
        // Stable: what ties in all three stays in the order of records.
        all.sort_by(|(a, _), (b, _)| {
            (a.occurred_at, a.observed_at, &a.id).cmp(&(b.occurred_at, b.observed_at, &b.id))
        });
        let mut undoers: BTreeMap<&Text, BTreeSet<&Text>> = BTreeMap::new();
        for (event, body) in &all {
            if let Some(undone) = &body.undoes {
                undoers.entry(undone).or_default().insert(&event.id);
            }
        }
        let mut standing: BTreeMap<(CorrectionTarget, Text), Vec<Standing>> = BTreeMap::new();
        for (event, body) in all.iter().filter(|(event, _)| stands(&event.id, &undoers, &mut BTreeSet::new()))
        {
            standing.entry((body.target, body.target_id.clone())).or_default().push(Standing {
                order: (event.occurred_at, event.observed_at, event.id.clone()),
                set: body.set.clone(),
            });
        }
        let before: BTreeSet<_> = self.state.corrections.iter().map(|(key, _)| key.clone()).collect();
        let gone: Vec<_> = before.into_iter().filter(|key| !standing.contains_key(key)).collect();
        for key in gone {
            self.state.corrections.take(&key);
            self.mark_target(&key);
        }
        for (key, list) in standing {
            if self.state.corrections.get(&key) != Some(&list) {
                self.state.corrections.put(key.clone(), list);
                self.mark_target(&key);
            }
        }
    }

    fn mark_target(&mut self, (target, id): &(CorrectionTarget, Text)) {
        match target {
            CorrectionTarget::Deployment => {
                let id = DeploymentId::new(id.as_str());
                let of: Vec<_> = self.rollouts_with(&id).collect();
                self.dirty.rollouts.extend(of);
            }
            CorrectionTarget::Incident if self.has_pool() => {
                self.dirty.pool.insert(IncidentId::new(id.as_str()));
            }
            CorrectionTarget::Incident => {}
        }
    }

    /// What a field was last corrected to, over the ids by which a thing is known.
    pub(crate) fn corrected<'a, T>(
        &'a self,
        target: CorrectionTarget,
        ids: impl Iterator<Item = &'a str>,
        field: impl Fn(&'a CorrectionSet) -> Option<T>,
    ) -> Option<T> {
        ids.filter_map(|id| self.state.corrections.get(&(target, Text::new(id))))
            .flatten()
            .filter_map(|standing| Some((&standing.order, field(&standing.set)?)))
            .max_by_key(|(order, _)| *order)
            .map(|(_, value)| value)
    }
}

/// Whether no correction that stands undoes this one: undoing the undo brings it back. In a circle, one that is
/// being asked about undoes nothing.
fn stands<'a>(
    id: &'a Text,
    undoers: &BTreeMap<&'a Text, BTreeSet<&'a Text>>,
    asked: &mut BTreeSet<&'a Text>,
) -> bool {
    if !asked.insert(id) {
        return false;
    }
    let undone = undoers.get(id).is_some_and(|by| by.iter().any(|undoer| stands(undoer, undoers, asked)));
    asked.remove(id);
    !undone
}
