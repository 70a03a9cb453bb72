//! Renames that were told and that the catalog does not declare: they are followed in any case; the text says so for good.

use super::evidence::Renamed;
use crate::catalog::Catalog;
use model::RepoName;
use std::collections::{BTreeMap, BTreeSet};

/// The renames of what the catalog lists, by either name or through others: the first that was told of each.
pub(crate) fn propose(catalog: &Catalog, told: &[Renamed]) -> Vec<Renamed> {
    let declared = catalog.renames();
    let mut listed: BTreeSet<&RepoName> = declared.iter().flat_map(|one| [&one.from, &one.to]).collect();
    let repositories = catalog.repositories();
    listed.extend(&repositories);
    loop {
        let before = listed.len();
        for Renamed { rename, .. } in told {
            if listed.contains(&rename.from) || listed.contains(&rename.to) {
                listed.extend([&rename.from, &rename.to]);
            }
        }
        if listed.len() == before {
            break;
        }
    }
    let mut first: BTreeMap<(&RepoName, &RepoName), &Renamed> = BTreeMap::new();
    for one in told.iter().filter(|one| listed.contains(&one.rename.from)) {
        let names = (&one.rename.from, &one.rename.to);
        if declared.iter().any(|rename| (&rename.from, &rename.to) == names) {
            continue;
        }
        let place = first.entry(names).or_insert(one);
        if one.rename.at < place.rename.at {
            *place = one;
        }
    }
    let mut proposed: Vec<Renamed> = first.into_values().cloned().collect();
    // One name at one time has one successor.
    proposed.dedup_by(|b, a| (&a.rename.from, a.rename.at) == (&b.rename.from, b.rename.at));
    proposed
}
