//! Who owns what (semantics, section 9), which tier an environment has, and which scopes a thing falls into.

use crate::{CatalogModel, Service, Settings};
use std::collections::BTreeSet;

/// Default words of environment names, in the order in which they are tried.
const TIERS: &[(&str, &[&str])] = &[
    ("staging", &["stage", "staging", "stg", "preprod", "pre-prod", "uat"]),
    ("production", &["prod", "production", "prd", "live"]),
    ("testing", &["test", "testing", "qa", "ci"]),
    ("development", &["dev", "development", "local", "preview", "review"]),
];

impl CatalogModel {
    /// The entry of a service.
    pub fn entry(&self, service: &str) -> Option<&Service> {
        self.services.iter().find(|entry| entry.name == service)
    }

    /// The catalog with a service for every repository that was named and that nobody claims.
    pub fn with_named_repositories<'r>(&self, named: impl Iterator<Item = &'r String>) -> Self {
        let mut whole = self.clone();
        for repo in named.collect::<BTreeSet<_>>() {
            let claimed =
                self.services.iter().any(|entry| entry.repositories.iter().any(|(name, _)| name == repo));
            if !claimed {
                let repositories = vec![(repo.clone(), Vec::new())];
                whole.services.push(Service { name: repo.clone(), repositories, ..Service::default() });
            }
        }
        whole
    }

    /// Every service of a repository. One that nobody claims is a service of its own.
    pub fn services_of_repo(&self, repo: &str) -> BTreeSet<String> {
        let claims = |entry: &&Service| entry.repositories.iter().any(|(name, _)| name == repo);
        let mut found: BTreeSet<String> =
            self.services.iter().filter(claims).map(|s| s.name.clone()).collect();
        if found.is_empty() {
            found.insert(repo.to_owned());
        }
        found
    }

    /// The repositories of a service, in the catalog's order.
    pub fn repos_of(&self, service: &str) -> Vec<String> {
        match self.entry(service) {
            Some(entry) => {
                let mut names: Vec<String> = Vec::new();
                for (name, _) in &entry.repositories {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
                names
            }
            None => Vec::new(),
        }
    }

    /// A service's first repository.
    pub fn repos_of_named(&self, service: &str) -> Option<String> {
        self.repos_of(service).into_iter().next()
    }

    /// The service that a hint means. An alias that nobody claims is none.
    pub fn service_of_hint(&self, hint: &str) -> Option<String> {
        if self.entry(hint).is_some() {
            return Some(hint.to_owned());
        }
        if let Some(entry) =
            self.services.iter().find(|entry| entry.aliases.iter().any(|alias| alias == hint))
        {
            return Some(entry.name.clone());
        }
        (!hint.contains(':')).then(|| hint.to_owned())
    }

    /// The one service of a deployment or an incident, else why it is parked.
    pub fn service_of(&self, hint: Option<&str>, repo: Option<&str>) -> Result<String, &'static str> {
        if let Some(service) = hint.and_then(|hint| self.service_of_hint(hint)) {
            return Ok(service);
        }
        let Some(repo) = repo else {
            return Err(if hint.is_some() { "unclaimed" } else { "unnamed" });
        };
        let services = self.services_of_repo(repo);
        if services.len() == 1 { Ok(services.into_iter().next().unwrap()) } else { Err("ambiguous") }
    }

    /// The repository of a commit, push, pull request or run, else why it is parked.
    pub fn repo_of(&self, hint: Option<&str>, repo: Option<&str>) -> Result<String, &'static str> {
        if let Some(repo) = repo {
            return Ok(repo.to_owned());
        }
        let service = self.service_of(hint, None)?;
        self.repos_of(&service).into_iter().next().ok_or("no_repository")
    }

    /// Whether a service has path globs for a repository: then only commits that touch them count.
    pub fn globs(&self, service: &str, repo: &str) -> Vec<String> {
        let Some(entry) = self.entry(service) else { return Vec::new() };
        let mut globs = Vec::new();
        for (_, paths) in entry.repositories.iter().filter(|(name, _)| name == repo) {
            if paths.is_empty() {
                return Vec::new();
            }
            globs.extend(paths.iter().cloned());
        }
        globs
    }

    /// Whether a commit of the repository counts for the service, by its paths (`None`: unknown).
    pub fn touches(&self, service: &str, repo: &str, paths: Option<&Vec<String>>) -> bool {
        let globs = self.globs(service, repo);
        if globs.is_empty() {
            return true;
        }
        paths.is_some_and(|paths| paths.iter().any(|path| globs.iter().any(|glob| glob_matches(glob, path))))
    }

    /// The team that owns a service at a time: the greatest `valid_from` at or before it.
    pub fn team(&self, service: &str, at: i64) -> Option<String> {
        let teams = &self.entry(service)?.teams;
        teams
            .iter()
            .filter(|(from, _)| *from <= at)
            .max_by_key(|(from, _)| *from)
            .map(|(_, team)| team.clone())
    }

    /// The tier of an environment by the catalog's rules, the first match, else `other`.
    pub fn tier(&self, environment: &str) -> String {
        let own = self.environment_rules.iter().map(|(tier, words)| (tier.clone(), words.clone()));
        let default = TIERS
            .iter()
            .map(|(tier, words)| ((*tier).to_owned(), words.iter().map(|w| (*w).to_owned()).collect()));
        let rules: Vec<(String, Vec<String>)> =
            if self.environment_rules.is_empty() { default.collect() } else { own.collect() };
        let name = words_of(environment);
        for (tier, patterns) in rules {
            for pattern in patterns {
                let wanted = words_of(&pattern);
                if !wanted.is_empty() && name.windows(wanted.len()).any(|part| part == wanted) {
                    return tier;
                }
            }
        }
        "other".to_owned()
    }

    /// The scopes of a service at a time: itself, its team, the groups above it, the organisation, its tags.
    pub fn scopes(&self, service: &str, at: i64, settings: &Settings) -> BTreeSet<String> {
        let mut scopes =
            BTreeSet::from([format!("service:{service}"), format!("org:{}", self.organisation(settings))]);
        if let Some(team) = self.team(service, at) {
            let mut group = self.group_of_team.get(&team).cloned();
            scopes.insert(format!("team:{team}"));
            while let Some(name) = group {
                if !scopes.insert(format!("group:{name}")) {
                    break;
                }
                group = self.group_parents.get(&name).cloned();
            }
        }
        for (key, value) in self.entry(service).map(|entry| entry.tags.clone()).unwrap_or_default() {
            scopes.insert(format!("tag:{key}={value}"));
        }
        scopes
    }

    /// The organisation's name: the catalog's, else the settings'.
    pub fn organisation<'a>(&'a self, settings: &'a Settings) -> &'a str {
        self.organisation.as_deref().unwrap_or(&settings.organisation)
    }
}

/// Runs of letters, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `**` is any number of path segments, `*` any run within one, `?` one character; a glob that matches a folder
/// matches what is beneath it.
pub fn glob_matches(glob: &str, path: &str) -> bool {
    let glob: Vec<&str> = glob.split('/').filter(|part| !part.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    (1..=path.len()).any(|depth| segments_match(&glob, &path[..depth]))
}

fn segments_match(glob: &[&str], path: &[&str]) -> bool {
    match (glob.first(), path.first()) {
        (None, None) => true,
        (Some(&"**"), _) => (0..=path.len()).any(|skip| segments_match(&glob[1..], &path[skip..])),
        (Some(g), Some(p)) => {
            let (g, p): (Vec<char>, Vec<char>) = (g.chars().collect(), p.chars().collect());
            characters_match(&g, &p) && segments_match(&glob[1..], &path[1..])
        }
        _ => false,
    }
}

fn characters_match(glob: &[char], text: &[char]) -> bool {
    match (glob.first(), text.first()) {
        (None, None) => true,
        (Some('*'), _) => (0..=text.len()).any(|skip| characters_match(&glob[1..], &text[skip..])),
        (Some('?'), Some(_)) => characters_match(&glob[1..], &text[1..]),
        (Some(g), Some(t)) => g == t && characters_match(&glob[1..], &text[1..]),
        _ => false,
    }
}
