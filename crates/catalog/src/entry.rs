//! What a reader proposes for the catalog, and how the catalog's TOML says it.

use crate::catalog::Catalog;
use crate::glob::PathGlob;
use model::{RepoName, ServiceName, TeamName, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// One entry of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogEntry {
    /// A service.
    Service(ServiceEntry),
    /// A team.
    Team(TeamEntry),
    /// A group of teams or of groups.
    Group(GroupEntry),
}

/// A service, as far as a reader knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceEntry {
    /// Its name.
    pub name: ServiceName,
    /// Its repositories; without paths the whole one.
    pub repositories: Vec<(RepoName, Vec<PathGlob>)>,
    /// What other tools call it: `pagerduty:P1`.
    pub aliases: Vec<Text>,
    /// Its team.
    pub team: Option<TeamName>,
    /// The services that it depends on.
    pub dependencies: Vec<ServiceName>,
    /// Tags.
    pub tags: BTreeMap<Text, Text>,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamEntry {
    /// Its name.
    pub name: TeamName,
    /// The group that it belongs to.
    pub group: Option<Text>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its name.
    pub name: Text,
    /// The group above it.
    pub parent: Option<Text>,
}

impl CatalogEntry {
    /// Its name, whatever it is.
    pub fn name(&self) -> &str {
        match self {
            Self::Service(service) => service.name.as_str(),
            Self::Team(team) => team.name.as_str(),
            Self::Group(group) => group.name.as_str(),
        }
    }
}

impl fmt::Display for CatalogEntry {
    /// The entry as TOML.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Team(team) => {
                writeln!(f, "[[teams]]\nname = {}", quoted(team.name.as_str()))?;
                team.group.iter().try_for_each(|group| writeln!(f, "group = {}", quoted(group.as_str())))
            }
            Self::Group(group) => {
                writeln!(f, "[[groups]]\nname = {}", quoted(group.name.as_str()))?;
                group.parent.iter().try_for_each(|parent| writeln!(f, "parent = {}", quoted(parent.as_str())))
            }
        }
    }
}

impl fmt::Display for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[[services]]\nname = {}", quoted(self.name.as_str()))?;
        let whole = self.repositories.iter().all(|(_, paths)| paths.is_empty());
        if whole && !self.repositories.is_empty() {
            writeln!(f, "repositories = {}", list(self.repositories.iter().map(|(name, _)| name.as_str())))?;
        }
        if !self.aliases.is_empty() {
            writeln!(f, "aliases = {}", list(self.aliases.iter().map(Text::as_str)))?;
        }
        self.team.iter().try_for_each(|team| writeln!(f, "team = {}", quoted(team.as_str())))?;
        if !self.dependencies.is_empty() {
            writeln!(f, "dependencies = {}", list(self.dependencies.iter().map(ServiceName::as_str)))?;
        }
        if !self.tags.is_empty() {
            let tags = self
                .tags
                .iter()
                .map(|(key, value)| format!("{} = {}", quoted(key.as_str()), quoted(value.as_str())));
            writeln!(f, "tags = {{ {} }}", tags.collect::<Vec<_>>().join(", "))?;
        }
        for (name, paths) in self.repositories.iter().filter(|_| !whole) {
            writeln!(f, "[[services.repositories]]\nname = {}", quoted(name.as_str()))?;
            if !paths.is_empty() {
                writeln!(f, "paths = {}", list(paths.iter().map(PathGlob::as_str)))?;
            }
        }
        Ok(())
    }
}

/// The entries that a catalog does not have yet, as TOML that can stand beside it: teams and groups that are only
/// named are declared too, and a dependency that nobody declares becomes a comment.
pub fn to_toml(entries: &[CatalogEntry], known: &Catalog) -> String {
    let known_groups = known.declared_groups();
    let (known_teams, known_services) = (known.teams(), known.services());
    let mut groups: BTreeMap<Text, Option<Text>> = BTreeMap::new();
    let mut teams: BTreeMap<TeamName, Option<Text>> = BTreeMap::new();
    let mut services: BTreeMap<ServiceName, ServiceEntry> = BTreeMap::new();
    for entry in entries {
        match entry {
            CatalogEntry::Group(group) => {
                groups.entry(group.name.clone()).or_insert_with(|| group.parent.clone());
            }
            CatalogEntry::Team(team) => {
                _ = teams.entry(team.name.clone()).or_insert_with(|| team.group.clone())
            }
            CatalogEntry::Service(service) => {
                services.entry(service.name.clone()).or_insert_with(|| service.clone());
            }
        }
    }
    services.retain(|name, _| !known_services.contains(name));
    for team in services.values().filter_map(|service| service.team.clone()) {
        teams.entry(team).or_default();
    }
    teams.retain(|name, _| !known_teams.contains(name));
    let named: Vec<Text> = teams.values().chain(groups.values()).flatten().cloned().collect();
    named.into_iter().for_each(|group| _ = groups.entry(group).or_default());
    groups.retain(|name, _| !known_groups.contains(name));

    let mut text = String::new();
    let declared: BTreeSet<ServiceName> = services.keys().chain(&known_services).cloned().collect();
    let groups = groups.into_iter().map(|(name, parent)| CatalogEntry::Group(GroupEntry { name, parent }));
    let teams = teams.into_iter().map(|(name, group)| CatalogEntry::Team(TeamEntry { name, group }));
    for entry in groups.chain(teams) {
        // Writing to a text cannot fail.
        _ = writeln!(text, "{entry}");
    }
    for mut service in services.into_values() {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            service.dependencies.into_iter().partition(|name| declared.contains(name));
        service.dependencies = here;
        for name in elsewhere {
            _ = writeln!(text, "# depends on {}, which no entry declares", quoted(name.as_str()));
        }
        _ = writeln!(text, "{service}");
    }
    text
}

pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(crate) fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
}
