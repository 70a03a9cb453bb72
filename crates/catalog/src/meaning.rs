//! What a catalog means, without the text that said it: this is what its revision hashes.

use crate::dated::Dated;
use crate::environment::EnvironmentRule;
use crate::glob::PathGlob;
use crate::rename::{Rename, Renames};
use crate::service::ServiceConfig;
use crate::target::Target;
use model::metric::Metric;
use model::{RepoName, ServiceName, TeamName, Text, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that a catalog says.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Meaning {
    pub organisation: Option<Text>,
    pub services: BTreeMap<ServiceName, Entry>,
    /// Which service an alias means, from when on.
    pub aliases: BTreeMap<Text, Dated<ServiceName>>,
    /// The group of a team, from when on.
    pub teams: BTreeMap<TeamName, Dated<Option<Text>>>,
    /// The parent of a group.
    pub groups: BTreeMap<Text, Option<Text>>,
    pub renames: Renames,
    pub environments: Vec<EnvironmentRule>,
    pub targets: BTreeMap<Text, BTreeMap<Metric, Target>>,
}

impl Meaning {
    /// The same with these renames too, and with each listed repository under the name that it has now: what names a
    /// service's repository still does when that has another name.
    pub(crate) fn renamed(&self, told: &BTreeSet<Rename>) -> Self {
        let mut renamed = Self { renames: self.renames.with(told), ..self.clone() };
        let claims = || self.services.values().flat_map(|entry| &entry.claims);
        let listed = |name: &RepoName, until: Option<Timestamp>| {
            claims().any(|(claimed, from)| claimed == name && until.is_none_or(|until| *from < until))
        };
        for entry in renamed.services.values_mut() {
            let outgrown = |(name, from): (&RepoName, &Timestamp)| {
                let now = renamed.renames.outgrown(name, *from, listed)?;
                Some((name.clone(), now))
            };
            let outgrown: BTreeMap<RepoName, RepoName> = entry.claims.iter().filter_map(outgrown).collect();
            if !outgrown.is_empty() {
                entry.rename(&outgrown);
            }
        }
        renamed
    }
}

/// A declared service.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub config: Arc<ServiceConfig>,
    /// From when on each repository is its own: the earliest, where one is listed several times.
    pub claims: BTreeMap<RepoName, Timestamp>,
    pub teams: Dated<TeamName>,
    /// Line and column of its name. Not part of the meaning.
    #[serde(skip)]
    pub place: (usize, usize),
}

impl Entry {
    /// Puts new names in the place of old ones. Two that are one repository now are one.
    fn rename(&mut self, names: &BTreeMap<RepoName, RepoName>) {
        let now = |name: &RepoName| names.get(name).unwrap_or(name).clone();
        let mut claims: BTreeMap<RepoName, Timestamp> = BTreeMap::new();
        for (name, from) in &self.claims {
            claims.entry(now(name)).and_modify(|first| *first = *from.min(first)).or_insert(*from);
        }
        let mut config = (*self.config).clone();
        let mut seen = BTreeSet::new();
        config.repositories = config.repositories.iter().map(now).collect();
        config.repositories.retain(|name| seen.insert(name.clone()));
        // Once the whole repository belongs to the service, paths restrict nothing.
        let whole: BTreeSet<RepoName> =
            self.claims.keys().filter(|name| !config.has_paths(name)).map(now).collect();
        let mut paths: BTreeMap<RepoName, Vec<PathGlob>> = BTreeMap::new();
        for (name, globs) in &config.paths {
            paths.entry(now(name)).or_default().extend(globs.iter().cloned());
        }
        paths.retain(|name, _| !whole.contains(name));
        for globs in paths.values_mut() {
            globs.sort();
            globs.dedup();
        }
        config.paths = paths;
        self.claims = claims;
        self.config = Arc::new(config);
    }
}
