//! What a repository is called in the end: a rename or transfer that was told is a dated alias (semantics, section 9).

use crate::CatalogModel;
use crate::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Renames as (old name, when) → new name, and the names that the catalog lists.
pub struct Renames {
    by_name: BTreeMap<(String, i64), String>,
    listed: BTreeSet<String>,
}

impl Renames {
    /// The renames that were told, and the catalog with each repository under its last name.
    pub fn of(records: &[Record], catalog: &CatalogModel) -> (Self, CatalogModel) {
        let mut told = BTreeSet::new();
        for record in records.iter().filter(|record| record.kind == "repository") {
            let moved = matches!(record.body["action"].as_str(), Some("renamed" | "transferred"));
            if let (true, Some(from), Some(to)) = (moved, record.body["from"].as_str(), &record.repo)
                && from != to
            {
                told.insert((from.to_owned(), record.occurred, to.clone()));
            }
        }
        let mut by_name = BTreeMap::new();
        for (from, at, to) in told {
            by_name.entry((from, at)).or_insert(to);
        }
        let names = catalog.services.iter().flat_map(|service| &service.repositories);
        let mut renames = Self { by_name, listed: names.map(|(name, _)| name.clone()).collect() };
        let mut renamed = catalog.clone();
        for (name, _) in renamed.services.iter_mut().flat_map(|service| &mut service.repositories) {
            if let Some(last) = renames.last_unlisted(name) {
                *name = last;
            }
        }
        let names = renamed.services.iter().flat_map(|service| &service.repositories);
        renames.listed = names.map(|(name, _)| name.clone()).collect();
        for (old, _) in renames.by_name.keys() {
            let last = renames.last(old, i64::MIN);
            if last != *old {
                renamed.former_names.entry(last).or_default().insert(old.clone());
            }
        }
        (renames, renamed)
    }

    /// The renames away from a name, in order of time.
    fn away(&self, name: &str) -> Vec<(i64, &str)> {
        let of = self.by_name.iter().filter(|((from, _), _)| from == name);
        of.map(|((_, at), to)| (*at, to.as_str())).collect()
    }

    /// What a listed name (listed since ever) became in the end, unless one of the names on the way is listed too.
    fn last_unlisted(&self, name: &str) -> Option<String> {
        let (mut way, mut at) = (vec![name.to_owned()], i64::MIN);
        while let Some((when, to)) = self.away(&way[way.len() - 1]).into_iter().find(|(when, _)| *when > at) {
            if self.listed.contains(to) {
                return None;
            }
            way.push(to.to_owned());
            at = when;
        }
        (way.len() > 1).then(|| way.pop().unwrap())
    }

    /// What the repository is called in the end that somebody calls so at a time.
    pub fn last(&self, name: &str, at: i64) -> String {
        let (mut name, mut at) = (name.to_owned(), at);
        let mut gone = BTreeSet::new();
        loop {
            let away = self.away(&name);
            let next = match away.iter().find(|(when, _)| *when > at) {
                Some(later) => Some(*later),
                // An old name stands for its last bearer, until the catalog or another rename gives it away.
                None => away.last().copied().filter(|(when, _)| {
                    let given = |((_, at_), to): (&(String, i64), &String)| {
                        *to == name && *at_ >= *when && *at_ <= at
                    };
                    !self.listed.contains(&name) && !self.by_name.iter().any(given)
                }),
            };
            let Some((when, to)) = next.filter(|(when, _)| gone.insert((name.clone(), *when))) else {
                return name;
            };
            let to = to.to_owned();
            (name, at) = (to, when.max(at));
        }
    }
}
