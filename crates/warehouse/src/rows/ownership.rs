//! Rows of the dimensions: ownership, scopes and definitions.

use super::stored;
use model::fact::{DefinitionDimension, ScopeDimension, ServiceDimension, TeamDimension};
use model::{RepoName, Scope, ServiceName, TeamName, Text, Timestamp};
use std::collections::BTreeMap;

stored!(
    /// A service.
    ServiceRow in "services_rows" by task {
        service: ServiceName,
        team: Option<TeamName>,
        groups: Vec<Text>,
        repos: Vec<RepoName>,
        tags: BTreeMap<Text, Text>,
        criticality: Option<Text>,
        depends_on: Vec<ServiceName>,
        failure_source: bool,
    }
);

impl From<&ServiceDimension> for ServiceRow {
    fn from(service: &ServiceDimension) -> Self {
        Self {
            service: service.service.clone(),
            team: service.team.clone(),
            groups: service.groups.clone(),
            repos: service.repos.clone(),
            tags: service.tags.clone(),
            criticality: service.criticality.clone(),
            depends_on: service.depends_on.clone(),
            failure_source: service.failure_source,
            ..Self::default()
        }
    }
}

stored!(
    /// A team.
    TeamRow in "teams_rows" by task {
        team: TeamName,
        groups: Vec<Text>,
        services: Vec<ServiceName>,
    }
);

impl From<&TeamDimension> for TeamRow {
    fn from(team: &TeamDimension) -> Self {
        Self {
            team: team.team.clone(),
            groups: team.groups.clone(),
            services: team.services.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A scope.
    ScopeRow in "scopes_rows" by task {
        scope: Scope,
        kind: Text,
        first_at: Timestamp,
        failure_source: bool,
    }
);

impl From<&ScopeDimension> for ScopeRow {
    fn from(scope: &ScopeDimension) -> Self {
        let kind = scope.scope.as_str().split_once(':').map_or("", |(kind, _)| kind);
        Self {
            scope: scope.scope.clone(),
            kind: Text::new(kind),
            first_at: scope.first_at,
            failure_source: scope.failure_source,
            ..Self::default()
        }
    }
}

stored!(
    /// A definition.
    DefinitionRow in "definitions_rows" by task {
        key: Text,
        value: String,
    }
);

impl From<&DefinitionDimension> for DefinitionRow {
    fn from(definition: &DefinitionDimension) -> Self {
        Self { key: definition.key.clone(), value: definition.value.clone(), ..Self::default() }
    }
}
