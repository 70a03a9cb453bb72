//! Human corrections and what undoes them (semantics, section 1).

use crate::record::Record;
use serde_json::Value;
use std::collections::BTreeSet;

/// The corrections that stand, in order.
pub struct Corrections<'a> {
    active: Vec<&'a Record>,
}

impl<'a> Corrections<'a> {
    /// Takes away what is undone; undoing the undo brings it back.
    pub fn of(records: &'a [Record]) -> Self {
        let mut all: Vec<&Record> = records.iter().filter(|record| record.kind == "correction").collect();
        all.sort_by(|a, b| {
            (a.occurred, a.observed, &a.id, &a.source, a.hash)
                .cmp(&(b.occurred, b.observed, &b.id, &b.source, b.hash))
        });
        let active =
            all.iter().copied().filter(|record| stands(&record.id, &all, &mut BTreeSet::new())).collect();
        Self { active }
    }

    /// What a field of a thing, known by any of these ids, was last corrected to.
    pub fn get(&self, target: &str, ids: &BTreeSet<String>, field: &str) -> Option<&'a Value> {
        let about = |record: &&&Record| {
            record.body["target"] == target
                && record.body["target_id"].as_str().is_some_and(|id| ids.contains(id))
        };
        self.active
            .iter()
            .rev()
            .filter(about)
            .map(|record| &record.body["set"][field])
            .find(|value| !value.is_null())
    }
}

/// Whether no correction that stands undoes this one. One that is asked about already (a circle) undoes nothing.
fn stands(id: &str, all: &[&Record], asked: &mut BTreeSet<String>) -> bool {
    asked.insert(id.to_owned());
    let undone = all.iter().any(|record| {
        record.body["undoes"].as_str() == Some(id)
            && !asked.contains(&record.id)
            && stands(&record.id, all, asked)
    });
    asked.remove(id);
    !undone
}
