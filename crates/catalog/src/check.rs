//! What the declarations mean together, or why they cannot: names that nobody declares, two owners at one time,
//! cycles.

use crate::dated::{ALWAYS, Dated};
use crate::declared::{Declared, Repository, Service};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::document::{Findings, Placed};
use crate::meaning::{Entry, Meaning};
use crate::rename::Renames;
use crate::service::{ServiceConfig, looks_like_a_repo};
use model::{RepoName, ServiceName, TeamName, Text, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Prefixes of the aliases that incident sources use.
const INCIDENT_SOURCES: &[&str] = &[
    "alertmanager",
    "cloudwatch",
    "datadog",
    "firehydrant",
    "grafana",
    "incidentio",
    "jira",
    "newrelic",
    "opsgenie",
    "pagerduty",
    "rootly",
    "sentry",
    "servicenow",
    "splunk",
    "statuspage",
    "victorops",
    "zenduty",
];

/// The meaning of what was declared.
pub(crate) fn meaning(file: &str, text: &str, declared: Declared) -> Result<Meaning, Vec<Diagnostic>> {
    let mut check = Check { findings: Findings::new(file, text), meaning: Meaning::default() };
    check.groups(&declared);
    check.teams(&declared);
    check.aliases(&declared.services);
    check.succeeds(&declared.services);
    check.renames(&declared);
    check.services(&declared);
    check.meaning.organisation = declared.organisation;
    check.meaning.environments = declared.environments;
    check.meaning.targets = declared.targets;
    check.findings.finish(check.meaning)
}

struct Check<'a> {
    findings: Findings<'a>,
    meaning: Meaning,
}

impl Check<'_> {
    fn groups(&mut self, declared: &Declared) {
        let mut places = BTreeMap::new();
        for group in &declared.groups {
            if places.insert(&group.name.value, group.name.at).is_some() {
                self.twice("group", &group.name);
            }
            let parent = group.parent.as_ref().map(|parent| parent.value.clone());
            self.meaning.groups.insert(group.name.value.clone(), parent);
        }
        let known: BTreeSet<&str> = places.keys().map(|name| name.as_str()).collect();
        for parent in declared.groups.iter().filter_map(|group| group.parent.as_ref()) {
            self.known("group", parent, &known, "[[groups]]");
        }
        let parents =
            self.meaning.groups.iter().filter_map(|(name, parent)| Some((name, vec![parent.as_ref()?])));
        let next: BTreeMap<&Text, Vec<&Text>> = parents.collect();
        for cycle in cycles(&next) {
            let at = cycle.first().and_then(|name| places.get(name)).copied().unwrap_or_default();
            let message = format!("groups lie in each other: {}", path(&cycle));
            self.findings.add(at, message, "take the parent of one of them away");
        }
    }

    fn teams(&mut self, declared: &Declared) {
        let groups: BTreeSet<&str> = declared.groups.iter().map(|group| group.name.value.as_str()).collect();
        for team in &declared.teams {
            if let Some(group) = &team.group {
                self.known("group", group, &groups, "[[groups]]");
            }
            let group = team.group.as_ref().map(|group| group.value.clone());
            let dated = self.meaning.teams.entry(TeamName::new(team.name.value.as_str())).or_default();
            if dated.insert(team.from, group).is_some() {
                let message = format!("team \"{}\" is declared twice from the same time on", team.name.value);
                self.findings.add(team.name.at, message, "keep one, or give one a later valid_from");
            }
        }
    }

    /// Which service an alias means when: two at one time are a mistake.
    fn aliases(&mut self, services: &[Service]) {
        let names: BTreeSet<&Text> = services.iter().map(|service| &service.name.value).collect();
        for service in services {
            let own = ServiceName::new(service.name.value.as_str());
            for alias in &service.aliases {
                if alias.name.value != service.name.value && names.contains(&alias.name.value) {
                    let message = format!("alias \"{}\" is the name of another service", alias.name.value);
                    self.findings.add(alias.name.at, message, "take the alias away, or rename that service");
                    continue;
                }
                self.alias(&alias.name, alias.from, own.clone());
            }
            // What a service took over and nobody declares any more is one more name of it.
            for old in service.succeeds.iter().filter(|old| !names.contains(&old.value)) {
                self.alias(old, ALWAYS, own.clone());
            }
        }
    }

    fn alias(&mut self, alias: &Placed<Text>, from: Timestamp, service: ServiceName) {
        let dated = self.meaning.aliases.entry(alias.value.clone()).or_default();
        let Some(other) = dated.insert(from, service.clone()) else { return };
        let (message, remedy) = if *other == service {
            (format!("alias \"{}\" is listed twice from the same time on", alias.value), "keep one")
        } else {
            let message = format!(
                "alias \"{}\" belongs to \"{other}\" and \"{service}\" at the same time",
                alias.value
            );
            (message, "take it from one of them, or give one a later valid_from")
        };
        self.findings.add(alias.at, message, remedy);
    }

    fn succeeds(&mut self, services: &[Service]) {
        let next: BTreeMap<&Text, Vec<&Text>> = services
            .iter()
            .map(|service| (&service.name.value, service.succeeds.iter().map(|old| &old.value).collect()))
            .collect();
        for cycle in cycles(&next) {
            let first = services.iter().find(|service| Some(&&service.name.value) == cycle.first());
            let at = first.map(|service| service.name.at).unwrap_or_default();
            let message = format!("services succeed each other: {}", path(&cycle));
            self.findings.add(at, message, "a successor is newer: take one of the two away");
        }
    }

    fn renames(&mut self, declared: &Declared) {
        let mut seen = BTreeSet::new();
        for Placed { value: rename, at } in &declared.renames {
            if rename.from == rename.to {
                self.findings.add(
                    *at,
                    format!("\"{}\" is renamed to itself", rename.from),
                    "take the rename away",
                );
            }
            if !seen.insert((&rename.from, rename.at)) {
                let message = format!("\"{}\" is renamed twice at the same time", rename.from);
                self.findings.add(*at, message, "keep one, or correct the time of one");
            }
        }
        let renames: Vec<_> = declared.renames.iter().map(|rename| rename.value.clone()).collect();
        self.meaning.renames = Renames::new(&renames);
    }

    fn services(&mut self, declared: &Declared) {
        let names: BTreeSet<&str> =
            declared.services.iter().map(|service| service.name.value.as_str()).collect();
        let teams: BTreeSet<&str> = declared.teams.iter().map(|team| team.name.value.as_str()).collect();
        for service in &declared.services {
            for dependency in &service.dependencies {
                if dependency.value == service.name.value {
                    let message = format!("service \"{}\" depends on itself", service.name.value);
                    self.findings.add(dependency.at, message, "take the dependency away");
                }
                self.known("service", dependency, &names, "[[services]]");
            }
            let entry = self.entry(service, declared, &teams);
            if self.meaning.services.insert(entry.config.name.clone(), entry).is_some() {
                self.twice("service", &service.name);
            }
        }
    }

    fn entry(&mut self, service: &Service, declared: &Declared, teams: &BTreeSet<&str>) -> Entry {
        let name = ServiceName::new(service.name.value.as_str());
        let (repositories, paths, claims) = self.repositories(service);
        let told = |alias: &Text| {
            alias.as_str().split_once(':').is_some_and(|(source, _)| INCIDENT_SOURCES.contains(&source))
        };
        let criticality = service.criticality.as_ref().map(|word| word.value.clone());
        let targets = criticality.as_ref().and_then(|word| declared.targets.get(word));
        let config = ServiceConfig {
            name: name.clone(),
            known: true,
            repositories,
            paths,
            dependencies: sorted(&service.dependencies),
            failure_evidence_suffices: service.failure_evidence_suffices,
            incident_sources: service
                .incident_source
                .unwrap_or_else(|| service.aliases.iter().any(|alias| told(&alias.name.value))),
            failure_window: service.failure_window,
            deployments_from: service.deployments_from.clone(),
            criticality,
            tags: service.tags.clone(),
            targets: targets.cloned().unwrap_or_default(),
            succeeds: sorted(&service.succeeds),
            environments: service.environments.clone(),
        };
        let teams = self.teams_of(service, teams);
        Entry { config: Arc::new(config), claims, teams, place: self.findings.place(service.name.at) }
    }

    fn teams_of(&mut self, service: &Service, known: &BTreeSet<&str>) -> Dated<TeamName> {
        let mut teams: Dated<TeamName> = Dated::default();
        for team in &service.teams {
            self.known("team", &team.name, known, "[[teams]]");
            if let Some(other) = teams.insert(team.from, TeamName::new(team.name.value.as_str())) {
                let own = &service.name.value;
                let message = format!(
                    "service \"{own}\" has teams \"{other}\" and \"{}\" at the same time",
                    team.name.value
                );
                self.findings.add(team.name.at, message, "keep one, or give one a later valid_from");
            }
        }
        teams
    }

    /// The repositories in order, the paths of those that are shared, and from when on each is the service's own.
    #[expect(clippy::type_complexity, reason = "three parts of one entry, taken apart at once")]
    fn repositories(
        &mut self,
        service: &Service,
    ) -> (Vec<RepoName>, BTreeMap<RepoName, Vec<crate::PathGlob>>, BTreeMap<RepoName, Timestamp>) {
        let mut by_name: BTreeMap<&RepoName, Vec<&Repository>> = BTreeMap::new();
        let mut names: Vec<RepoName> = Vec::new();
        for repository in &service.repositories {
            let listed = by_name.entry(&repository.name.value).or_default();
            if listed.is_empty() {
                names.push(repository.name.value.clone());
            }
            if listed.iter().any(|other| other.from == repository.from) {
                let message =
                    format!("repository \"{}\" is listed twice from the same time on", repository.name.value);
                self.findings.add(repository.name.at, message, "keep one, with the paths of both");
            }
            listed.push(repository);
        }
        let mut paths = BTreeMap::new();
        let mut claims = BTreeMap::new();
        for (name, listed) in by_name {
            let from = listed.iter().map(|repository| repository.from).min().unwrap_or(ALWAYS);
            claims.insert(name.clone(), from);
            // Once the whole repository belongs to the service, paths restrict nothing.
            if listed.iter().all(|repository| !repository.paths.is_empty()) {
                let globs: BTreeSet<_> =
                    listed.iter().flat_map(|repository| repository.paths.clone()).collect();
                paths.insert(name.clone(), globs.into_iter().collect());
            }
        }
        // A service that is called like a repository and lists none has that one, as it had before it was declared.
        if names.is_empty() && looks_like_a_repo(service.name.value.as_str()) {
            let own = RepoName::new(service.name.value.as_str());
            claims.insert(own.clone(), ALWAYS);
            names.push(own);
        }
        (names, paths, claims)
    }

    fn twice(&mut self, what: &str, name: &Placed<Text>) {
        self.findings.add(
            name.at,
            format!("{what} \"{}\" is declared twice", name.value),
            "make one of the two",
        );
    }

    /// Reports a name that nobody declares.
    fn known(&mut self, what: &str, name: &Placed<Text>, known: &BTreeSet<&str>, table: &str) {
        if !known.contains(name.value.as_str()) {
            let remedy = did_you_mean(name.value.as_str(), known.iter().copied(), || {
                format!("declare it under {table}")
            });
            self.findings.add(name.at, format!("unknown {what} \"{}\"", name.value), remedy);
        }
    }
}

fn sorted(names: &[Placed<Text>]) -> Vec<ServiceName> {
    let names: BTreeSet<ServiceName> =
        names.iter().map(|name| ServiceName::new(name.value.as_str())).collect();
    names.into_iter().collect()
}

/// Every cycle once, beginning with its smallest name.
fn cycles<'n>(next: &BTreeMap<&'n Text, Vec<&'n Text>>) -> Vec<Vec<&'n Text>> {
    let mut found = Vec::new();
    let mut done: BTreeSet<&Text> = BTreeSet::new();
    for start in next.keys() {
        let mut way: Vec<&Text> = Vec::new();
        let mut open: Vec<(&'n Text, usize)> = vec![(*start, 0)];
        while let Some((name, depth)) = open.pop() {
            way.truncate(depth);
            if let Some(from) = way.iter().position(|seen| *seen == name) {
                let mut cycle: Vec<&'n Text> = way.iter().skip(from).copied().collect();
                let smallest =
                    cycle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
                cycle.rotate_left(smallest);
                if !found.contains(&cycle) {
                    found.push(cycle);
                }
            } else if done.insert(name) {
                way.push(name);
                let further = next.get(name).into_iter().flatten();
                open.extend(further.map(|name| (*name, depth + 1)));
            }
        }
    }
    found
}

fn path(cycle: &[&Text]) -> String {
    let names = cycle.iter().chain(cycle.first()).map(|name| name.as_str());
    names.collect::<Vec<_>>().join(" → ")
}
