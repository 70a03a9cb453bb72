//! Warnings: what a catalog may say, and most likely does not mean.

use crate::catalog::Catalog;
use crate::dated::ALWAYS;
use crate::diagnostic::Diagnostic;
use crate::meaning::Entry;
use model::{RepoName, Timestamp};
use std::collections::BTreeSet;

/// Everything in a valid catalog that deserves a look, in the order of the file; what has no place of its own
/// comes first.
pub fn lint(catalog: &Catalog) -> Vec<Diagnostic> {
    let mut lint = Lint { catalog, found: Vec::new() };
    for entry in catalog.meaning().services.values() {
        lint.service(entry);
    }
    lint.repositories();
    lint.aliases();
    lint.teams();
    lint.targets();
    lint.found.sort();
    lint.found
}

struct Lint<'c> {
    catalog: &'c Catalog,
    found: Vec<Diagnostic>,
}

impl Lint<'_> {
    fn warn(&mut self, place: (usize, usize), message: String, remedy: impl Into<String>) {
        let file = self.catalog.file().to_owned();
        self.found.push(Diagnostic { file, line: place.0, column: place.1, message, remedy: remedy.into() });
    }

    fn service(&mut self, entry: &Entry) {
        let config = &entry.config;
        let name = &config.name;
        if entry.teams.is_empty() {
            self.warn(entry.place, format!("service \"{name}\" has no team"), "add team = \"…\"");
        } else if let Some((from, _)) = entry.teams.iter().next().filter(|(from, _)| *from != ALWAYS) {
            let message = format!("service \"{name}\" has no team before {from}");
            self.warn(entry.place, message, "take valid_from from its first team, if that one always had it");
        }
        if config.repositories.is_empty() && self.catalog.aliases(name).is_empty() {
            let message = format!("service \"{name}\" has neither repositories nor aliases");
            self.warn(entry.place, message, "only events that name it reach it: add repositories or aliases");
        } else if config.repositories.is_empty() {
            let message = format!("service \"{name}\" has no repository");
            self.warn(entry.place, message, "without its commits it has no lead times: add repositories");
        }
        if !config.incident_sources && config.failure_evidence_suffices != Some(true) {
            let message = format!("service \"{name}\" has no incident source");
            let remedy = "add its alias there, as in aliases = [\"pagerduty:P1\"], or failure_evidence_suffices = true";
            self.warn(entry.place, message, remedy);
        }
        if let Some(word) = &config.criticality
            && !self.catalog.meaning().targets.contains_key(word)
        {
            let message = format!("criticality \"{word}\" of service \"{name}\" has no targets");
            self.warn(entry.place, message, format!("add [targets.{word}]"));
        }
        for repo in config.repositories.iter().filter(|repo| !config.has_paths(repo)) {
            let others = self.catalog.all_services_of_repo(repo);
            if let Some(other) =
                others.iter().find(|other| *other != name && self.catalog.service(other).known)
            {
                let message = format!(
                    "services \"{name}\" and \"{other}\" share \"{repo}\", and \"{name}\" has no paths"
                );
                self.warn(entry.place, message, "every commit counts for it: add paths, if only some do");
            }
        }
    }

    fn repositories(&mut self) {
        let listed: BTreeSet<RepoName> = self.catalog.repositories().into_iter().collect();
        for rename in self.catalog.renames() {
            // The last name: where a chain of renames goes on, it is the end of it that counts.
            let last = self.catalog.canonical_repo(&rename.from, Timestamp::MIN);
            if !listed.contains(&last) {
                let message = format!("\"{}\" became \"{last}\", which no service lists", rename.from);
                self.warn((0, 0), message, format!("list \"{last}\" among the repositories of its service"));
            }
        }
        let mut late = Vec::new();
        for repo in &listed {
            let own = self.catalog.all_services_of_repo(repo);
            if own
                .iter()
                .any(|service| service.as_str() == repo.as_str() && !self.catalog.service(service).known)
            {
                late.push(format!("repository \"{repo}\" belongs to no service before the first valid_from"));
            }
        }
        for message in late {
            self.warn(
                (0, 0),
                message,
                "until then it is a service of its own: take valid_from away, if it always did",
            );
        }
    }

    fn aliases(&mut self) {
        for (alias, dated) in &self.catalog.meaning().aliases {
            let owners: Vec<_> = dated.iter().map(|(_, service)| service).collect();
            let repeated = owners.windows(2).any(|pair| pair.first() == pair.last());
            if repeated {
                let message = format!("alias \"{alias}\" is given again to the service that has it");
                self.warn((0, 0), message, "keep the first one");
            }
        }
    }

    fn teams(&mut self) {
        let meaning = self.catalog.meaning();
        let owning: BTreeSet<_> =
            meaning.services.values().flat_map(|entry| entry.teams.iter()).map(|(_, team)| team).collect();
        for team in meaning.teams.keys().filter(|team| !owning.contains(team)) {
            self.warn((0, 0), format!("team \"{team}\" owns no service"), "give it one, or take it away");
        }
        let used: BTreeSet<_> = meaning
            .teams
            .values()
            .flat_map(|dated| dated.iter().filter_map(|(_, group)| group.as_ref()))
            .chain(meaning.groups.values().flatten())
            .collect();
        for group in meaning.groups.keys().filter(|group| !used.contains(group)) {
            self.warn(
                (0, 0),
                format!("group \"{group}\" has neither teams nor groups"),
                "give it one, or take it away",
            );
        }
    }

    fn targets(&mut self) {
        let meaning = self.catalog.meaning();
        let used: BTreeSet<_> =
            meaning.services.values().filter_map(|entry| entry.config.criticality.as_ref()).collect();
        for word in meaning.targets.keys().filter(|word| !used.contains(word)) {
            self.warn(
                (0, 0),
                format!("no service has the criticality \"{word}\" of [targets.{word}]"),
                "correct the word, or take the targets away",
            );
        }
    }
}
