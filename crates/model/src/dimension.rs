//! Dimensions: what facts and metrics are seen by. Ownership as it is now, scopes and definitions.

use crate::definitions::Definitions;
use crate::ids::{RepoName, Scope, ServiceName, TeamName, Text};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A service as the catalog knows it now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceDimension {
    /// Its name.
    pub service: ServiceName,
    /// The team that owns it; `None` when unowned.
    pub team: Option<TeamName>,
    /// The groups above the team, nearest first.
    pub groups: Vec<Text>,
    /// Its repositories.
    pub repos: Vec<RepoName>,
    /// Its tags.
    pub tags: BTreeMap<Text, Text>,
    /// Its criticality.
    pub criticality: Option<Text>,
    /// The services that it depends on directly.
    pub depends_on: Vec<ServiceName>,
    /// Whether its failures can be seen (semantics, section 7).
    pub failure_source: bool,
}

/// A team as the catalog knows it now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamDimension {
    /// Its name.
    pub team: TeamName,
    /// The groups above it, nearest first.
    pub groups: Vec<Text>,
    /// The services that it owns.
    pub services: Vec<ServiceName>,
}

/// What a metric is about, as one task knows it: a scope is the merge of what every task says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeDimension {
    /// The scope.
    pub scope: Scope,
    /// When the first thing counted in it happened: the earliest that a task knows.
    pub first_at: Timestamp,
    /// Whether the failures of any service in it can be seen: whether any task says so.
    pub failure_source: bool,
}

impl ScopeDimension {
    /// Takes in what another task says of the scope.
    pub fn merge(&mut self, other: &Self) {
        self.first_at = self.first_at.min(other.first_at);
        self.failure_source |= other.failure_source;
    }
}

/// One of the definitions that views and analysts read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefinitionDimension {
    /// Which.
    pub key: Text,
    /// Its value as text.
    pub value: String,
}

impl DefinitionDimension {
    /// The definitions that views and analysts read: the views need the reporting zone and the failure window
    /// (empty: unbounded).
    pub fn of(definitions: &Definitions) -> Vec<Self> {
        let failure_window =
            definitions.failure_window.map(|span| span.seconds().to_string()).unwrap_or_default();
        [
            ("definition", definitions.hash()),
            ("failure_window_s", failure_window),
            ("organisation", definitions.organisation.clone()),
            ("profile", definitions.profile.as_str().to_owned()),
            ("timezone", definitions.timezone.clone()),
        ]
        .into_iter()
        .map(|(key, value)| Self { key: Text::new(key), value })
        .collect()
    }
}
