//! What the catalog says about one service.

use crate::environment::EnvironmentRule;
use crate::glob::PathGlob;
use crate::target::Target;
use model::metric::Metric;
use model::{RepoName, ServiceName, Span, Text};
use serde::Serialize;
use std::collections::BTreeMap;

/// A service of the catalog, or one that was only named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ServiceConfig {
    /// Its name.
    pub name: ServiceName,
    /// Whether the catalog declares it.
    pub known: bool,
    /// Its repositories at any time, in the order of the catalog, each once.
    pub repositories: Vec<RepoName>,
    /// The paths that belong to it, for repositories that it shares; a repository that is absent belongs to it
    /// whole.
    pub paths: BTreeMap<RepoName, Vec<PathGlob>>,
    /// The services that it depends on directly, sorted.
    pub dependencies: Vec<ServiceName>,
    /// Whether rollback, revert and hotfix evidence is enough to see its failures; `None`: the default holds.
    pub failure_evidence_suffices: Option<bool>,
    /// Whether it has an alias of an incident source, or the catalog says that incidents reach it.
    pub incident_sources: bool,
    /// Its own failure window.
    pub failure_window: Option<Span>,
    /// The event sources whose deployments count, sorted; `None`: all.
    pub deployments_from: Option<Vec<Text>>,
    /// How much depends on it, in the organisation's own words.
    pub criticality: Option<Text>,
    /// Tags: each is a scope.
    pub tags: BTreeMap<Text, Text>,
    /// The targets of its criticality.
    pub targets: BTreeMap<Metric, Target>,
    /// Services that it took over, sorted. What names one of them that is not declared any more belongs to it.
    pub succeeds: Vec<ServiceName>,
    /// Its own rules for environment tiers, in the order of the catalog; they come before the catalog's.
    pub environments: Vec<EnvironmentRule>,
}

impl ServiceConfig {
    /// A service that the catalog does not declare. One that is called like a repository has it.
    pub(crate) fn implicit(name: &ServiceName) -> Self {
        let repositories = looks_like_a_repo(name.as_str()).then(|| RepoName::new(name.as_str()));
        Self { name: name.clone(), repositories: repositories.into_iter().collect(), ..Self::default() }
    }

    /// Whether only some paths of a repository belong to it.
    pub fn has_paths(&self, repo: &RepoName) -> bool {
        self.paths.contains_key(repo)
    }

    /// Whether a change of these paths touches it; true where the whole repository belongs to it.
    pub fn touches(&self, repo: &RepoName, paths: &[Text]) -> bool {
        let Some(globs) = self.paths.get(repo) else { return true };
        paths.iter().any(|path| globs.iter().any(|glob| glob.matches(path.as_str())))
    }
}

/// Whether a service's name is that of a repository (`host/owner/name`).
pub(crate) fn looks_like_a_repo(name: &str) -> bool {
    name.contains('/')
}
