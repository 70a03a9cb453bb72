//! Corrections: which of them stand. They are few and may undo each other whatever they target, so every task has
//! them all.

use crate::state::Thing;
use crate::task::Correlator;
use model::event::{Correction, CorrectionSet, CorrectionTarget};
use model::{DeploymentId, EventBody, IncidentId, RecordOrder, Text, Timestamp};
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
    /// Files the corrections that came in, finds out anew whether they stand and whether those do that they undo
    /// (directly or through others), and marks what those target that differ. What stood before is not looked at:
    /// there may be years of it.
    pub(crate) fn settle_corrections(&mut self) {
        let affected = self.file_corrections();
        let mut lists: BTreeMap<(CorrectionTarget, Text), Vec<Standing>> = BTreeMap::new();
        for id in &affected {
            let stands = self.stands(id, &mut BTreeSet::new());
            for (order, body) in self.corrections_called(id) {
                let key = (body.target, body.target_id);
                let list = lists.entry(key).or_insert_with_key(|key| {
                    let stood = self.state.corrections.get(key).into_iter().flatten();
                    stood.filter(|standing| !affected.contains(&standing.order.2)).cloned().collect()
                });
                if stands {
                    list.push(Standing { order, set: body.set });
                }
            }
        }
        for (key, mut list) in lists {
            // Stable: what ties in all three has one id, and stays in the order of records.
            list.sort_by(|a, b| a.order.cmp(&b.order));
            if self.state.corrections.get(&key) == (!list.is_empty()).then_some(&list) {
                continue;
            }
            if list.is_empty() {
                self.state.corrections.remove(&key);
            } else {
                self.state.corrections.put(key.clone(), list);
            }
            self.mark_target(&key);
        }
    }

    /// Notes the marked corrections by their ids and by what they undo. Returns them with all that they undo.
    fn file_corrections(&mut self) -> BTreeSet<Text> {
        let mut waiting = Vec::new();
        for order in std::mem::take(&mut self.dirty.corrections) {
            let id = order.id.clone();
            let record = self.state.records.get(&Thing::Corrections, &order);
            if let Some(EventBody::Correction(Correction { undoes: Some(undone), .. })) =
                record.map(|event| event.body)
            {
                self.state.undoers.put((undone, id.clone()), ());
            }
            self.state.corrections_by_id.put((id.clone(), order), ());
            waiting.push(id);
        }
        let mut affected = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            if affected.contains(&id) {
                continue;
            }
            waiting.extend(self.corrections_called(&id).filter_map(|(_, body)| body.undoes));
            affected.insert(id);
        }
        affected
    }

    /// The corrections of one id, in the order of records: usually one.
    fn corrections_called<'a>(
        &'a self,
        id: &'a Text,
    ) -> impl Iterator<Item = ((Timestamp, Timestamp, Text), Correction)> + 'a {
        let orders = self.state.corrections_by_id.range((id.clone(), RecordOrder::least())..);
        let orders = orders.take_while(move |((name, _), ())| name == id);
        orders.filter_map(|((_, order), ())| {
            let event = self.state.records.get(&Thing::Corrections, order)?;
            match event.body {
                EventBody::Correction(body) => Some(((event.occurred_at, event.observed_at, event.id), body)),
                _ => None,
            }
        })
    }

    /// Whether no correction that stands undoes this one: undoing the undo brings it back. In a circle, one that is
    /// being asked about undoes nothing.
    fn stands(&self, id: &Text, asked: &mut BTreeSet<Text>) -> bool {
        if !asked.insert(id.clone()) {
            return false;
        }
        let undoers = self.state.undoers.range((id.clone(), Text::default())..);
        let mut undoers = undoers.take_while(|((undone, _), ())| undone == id);
        let undone = undoers.any(|((_, undoer), ())| self.stands(undoer, asked));
        asked.remove(id);
        !undone
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
