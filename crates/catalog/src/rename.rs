//! Renames and transfers of repositories: one repository has one name, whatever it was called when.

use model::{RepoName, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A repository got another name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Rename {
    /// The old name.
    pub from: RepoName,
    /// When.
    pub at: Timestamp,
    /// The new name.
    pub to: RepoName,
}

/// Every rename, by old name and time.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Renames(BTreeMap<RepoName, Vec<(Timestamp, RepoName)>>);

impl Renames {
    pub(crate) fn new(renames: &[Rename]) -> Self {
        let mut by_name: BTreeMap<RepoName, Vec<(Timestamp, RepoName)>> = BTreeMap::new();
        for rename in renames {
            by_name.entry(rename.from.clone()).or_default().push((rename.at, rename.to.clone()));
        }
        by_name.values_mut().for_each(|list| list.sort());
        Self(by_name)
    }

    /// These, and those that were told. Where both say what became of a name at one time, these say it.
    pub(crate) fn with(&self, told: &BTreeSet<Rename>) -> Self {
        let mut all = self.clone();
        for rename in told.iter().filter(|rename| rename.from != rename.to) {
            let list = all.0.entry(rename.from.clone()).or_default();
            if let Err(place) = list.binary_search_by_key(&rename.at, |(at, _)| *at) {
                list.insert(place, (rename.at, rename.to.clone()));
            }
        }
        all
    }

    /// The name that a repository has now which was `listed` by another name from a time on; `None` where it still has
    /// that name, or where a later name of it is listed too: then the earlier one is another repository's since.
    /// `listed` is asked whether a name is listed from before some instant on, if there is one.
    pub(crate) fn outgrown(
        &self,
        name: &RepoName,
        from: Timestamp,
        listed: impl Fn(&RepoName, Option<Timestamp>) -> bool,
    ) -> Option<RepoName> {
        let away = |name, after: Timestamp| {
            self.0.get(name).and_then(|list| list.iter().find(|(when, _)| *when > after))
        };
        let mut now = name;
        let mut next = away(name, from);
        let mut used = BTreeSet::new();
        while let Some((when, to)) = next {
            next = away(to, *when);
            if listed(to, next.map(|(until, _)| *until)) || !used.insert((now, *when)) {
                return None;
            }
            now = to;
        }
        (now != name).then(|| now.clone())
    }

    /// Every other name that a repository had.
    pub(crate) fn former(&self, repo: &RepoName, listed: impl Fn(&RepoName) -> bool) -> Vec<RepoName> {
        let was = |name: &&RepoName| *name != repo && self.canonical(name, Timestamp::MIN, &listed) == *repo;
        self.0.keys().filter(was).cloned().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Rename> {
        self.0.iter().flat_map(|(from, list)| {
            list.iter().map(|(at, to)| Rename { from: from.clone(), at: *at, to: to.clone() })
        })
    }

    /// The last name of the repository that had a name at a time.
    ///
    /// Forges redirect an old name, so it still means the same repository after the rename, unless the name was
    /// given to another one: by a later rename, or by the catalog, where `declared` says so.
    pub(crate) fn canonical(
        &self,
        name: &RepoName,
        at: Timestamp,
        declared: impl Fn(&RepoName) -> bool,
    ) -> RepoName {
        let (mut name, mut at) = (name.clone(), at);
        // Each step uses up one rename: what swaps names back and forth at one instant still ends.
        let mut used = BTreeSet::new();
        while let Some((when, to)) = self.next(&name, at, &declared) {
            if !used.insert((name.clone(), when)) {
                break;
            }
            (name, at) = (to, when.max(at));
        }
        name
    }

    fn next(
        &self,
        name: &RepoName,
        at: Timestamp,
        declared: &impl Fn(&RepoName) -> bool,
    ) -> Option<(Timestamp, RepoName)> {
        let list = self.0.get(name)?;
        if let Some(later) = list.iter().find(|(when, _)| *when > at) {
            return Some(later.clone());
        }
        let last = list.last()?;
        (!declared(name) && !self.taken_again(name, last.0, at)).then(|| last.clone())
    }

    /// Whether a name was given to a repository after one time and by another.
    fn taken_again(&self, name: &RepoName, after: Timestamp, by: Timestamp) -> bool {
        self.0.values().flatten().any(|(when, to)| to == name && *when >= after && *when <= by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> Timestamp {
        Timestamp::from_micros(day * 86_400_000_000)
    }

    fn renames(list: &[(&str, &str, i64)]) -> Renames {
        let rename = |(from, to, at): &(&str, &str, i64)| Rename {
            from: (*from).into(),
            at: day(*at),
            to: (*to).into(),
        };
        Renames::new(&list.iter().map(rename).collect::<Vec<_>>())
    }

    fn name(renames: &Renames, name: &str, at: i64, declared: &[&str]) -> String {
        renames.canonical(&name.into(), day(at), |name| declared.contains(&name.as_str())).to_string()
    }

    #[test]
    fn an_old_name_means_the_same_repository_before_and_after_the_rename() {
        let chain = renames(&[("h/o/a", "h/o/b", 10), ("h/o/b", "h/p/c", 20)]);
        for (old, at) in
            [("h/o/a", 5), ("h/o/a", 10), ("h/o/a", 15), ("h/o/a", 25), ("h/o/b", 15), ("h/p/c", 1)]
        {
            assert_eq!(name(&chain, old, at, &[]), "h/p/c", "{old} at {at}");
        }
        assert_eq!(name(&chain, "h/o/x", 5, &[]), "h/o/x");
    }

    #[test]
    fn a_name_that_another_repository_took_means_that_one_from_the_rename_on() {
        let once = renames(&[("h/o/a", "h/o/b", 10)]);
        assert_eq!(name(&once, "h/o/a", 9, &["h/o/a"]), "h/o/b");
        assert_eq!(name(&once, "h/o/a", 10, &["h/o/a"]), "h/o/a");
        let taken = renames(&[("h/o/a", "h/o/b", 10), ("h/o/z", "h/o/a", 20)]);
        assert_eq!(name(&taken, "h/o/a", 15, &[]), "h/o/b");
        assert_eq!(name(&taken, "h/o/a", 20, &[]), "h/o/a");
        assert_eq!(name(&taken, "h/o/z", 5, &[]), "h/o/a");
    }

    #[test]
    fn a_rename_and_its_way_back_end_with_the_first_name() {
        let back = renames(&[("h/o/a", "h/o/b", 10), ("h/o/b", "h/o/a", 20)]);
        for (old, at) in
            [("h/o/a", 5), ("h/o/a", 15), ("h/o/a", 25), ("h/o/b", 5), ("h/o/b", 15), ("h/o/b", 25)]
        {
            assert_eq!(name(&back, old, at, &[]), "h/o/a", "{old} at {at}");
        }
        let swap = renames(&[("h/o/a", "h/o/b", 10), ("h/o/b", "h/o/a", 10)]);
        assert!(["h/o/a", "h/o/b"].contains(&name(&swap, "h/o/a", 5, &[]).as_str()));
    }
}
