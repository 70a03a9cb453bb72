//! What was found: in the warehouse, and in the files that an organisation has.

use crate::entry::CatalogEntry;
use crate::rename::Rename;
use model::event::EnvironmentTier;
use model::{Environment, RepoName, ServiceName, TeamName, Text, Timestamp};
use std::collections::BTreeSet;

/// How often something was seen, since when, and who told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How many events.
    pub count: u64,
    /// When the first of them happened.
    pub since: Timestamp,
    /// Their sources.
    pub sources: BTreeSet<Text>,
}

impl Seen {
    /// `3 deployment events from argocd since 2026-01-31`.
    pub(crate) fn say(&self, what: &str) -> String {
        let sources: Vec<&str> = self.sources.iter().map(Text::as_str).collect();
        let from = if sources.is_empty() { String::new() } else { format!(" from {}", sources.join(", ")) };
        let plural = if self.count == 1 { "" } else { "s" };
        let since = self.since.to_string();
        format!("{} {what}{plural}{from} since {}", self.count, since.get(..10).unwrap_or(&since))
    }
}

/// Parked events of one reason, claim and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Why they wait: `unclaimed_alias`, `ambiguous_repository` or `names_nothing`.
    pub reason: Text,
    /// The alias or the repository.
    pub claim: Option<Text>,
    /// The events' type.
    pub event_type: Text,
    /// How many.
    pub seen: Seen,
}

/// A service with deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployer {
    /// Its name as it is now: that of a repository where no other is told.
    pub service: ServiceName,
    /// The repositories that its deployments name.
    pub repos: BTreeSet<RepoName>,
    /// Whether its failures are seen by the evidence of its own repository.
    pub failure_evidence_suffices: bool,
    /// Its deployments.
    pub seen: Seen,
}

/// An environment of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenEnvironment {
    /// The service.
    pub service: ServiceName,
    /// The environment.
    pub environment: Environment,
    /// What it counts as now.
    pub tier: EnvironmentTier,
    /// The deployments to it.
    pub seen: Seen,
}

/// A team that a vendor names for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamSaid {
    /// The service, or an alias of it.
    pub service: Text,
    /// The team.
    pub team: TeamName,
    /// How often.
    pub seen: Seen,
}

/// A rename or transfer that a forge told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// From which name to which, and when.
    pub rename: Rename,
    /// Who told it.
    pub source: Text,
}

/// An entry that a file of the organisation describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The file.
    pub file: String,
    /// The entry.
    pub entry: CatalogEntry,
    /// Whether the file only says whose a place is, not that it is a service (CODEOWNERS): then the entry is no
    /// service by itself, and lends paths and team to one that is seen.
    pub is_place: bool,
}

/// Everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Parked events.
    pub claims: Vec<Claim>,
    /// Services with deployments, declared or not.
    pub deployers: Vec<Deployer>,
    /// Environments.
    pub environments: Vec<SeenEnvironment>,
    /// Teams as vendors say.
    pub teams: Vec<TeamSaid>,
    /// Renames as forges say.
    pub renames: Vec<Renamed>,
    /// Entries of files.
    pub described: Vec<Described>,
}
