//! What facts and metrics are seen by: ownership as it is now, scopes and definitions.

use crate::rows::DefinitionRow;
use model::{Definitions, RepoName, Scope, ServiceName, TeamName, Text, Timestamp};
use std::collections::BTreeMap;

/// A service as the catalog knows it now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamDimension {
    /// Its name.
    pub team: TeamName,
    /// The groups above it, nearest first.
    pub groups: Vec<Text>,
    /// The services that it owns.
    pub services: Vec<ServiceName>,
}

/// What a metric is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeDimension {
    /// The scope.
    pub scope: Scope,
    /// When the first thing counted in it happened.
    pub first_at: Timestamp,
    /// Whether the failures of any service in it can be seen.
    pub failure_source: bool,
}

/// Every dimension, whole: what is not in it is deleted from the tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dimensions {
    /// Services.
    pub services: Vec<ServiceDimension>,
    /// Teams.
    pub teams: Vec<TeamDimension>,
    /// Scopes.
    pub scopes: Vec<ScopeDimension>,
    /// What decides the numbers. The views read the reporting zone and the failure window from it.
    pub definitions: Definitions,
}

/// The definitions that views and analysts read. An unbounded failure window is an empty text.
pub(crate) fn definition_rows(definitions: &Definitions) -> Vec<DefinitionRow> {
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
    .map(|(key, value)| DefinitionRow { key: Text::new(key), value, ..DefinitionRow::default() })
    .collect()
}
