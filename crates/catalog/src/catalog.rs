//! The catalog: immutable, shared by every task, asked for every event.

use crate::dated::{ALWAYS, Dated};
use crate::diagnostic::Diagnostic;
use crate::meaning::{Entry, Meaning};
use crate::owner::Owner;
use crate::rename::Rename;
use crate::service::{ServiceConfig, looks_like_a_repo};
use crate::{check, declared, environment};
use model::event::EnvironmentTier;
use model::hex;
use model::{Definitions, Environment, HomeKey, RepoName, Scope, ServiceName, TeamName, Text, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ownership as a catalog and the definitions say.
#[derive(Debug)]
pub struct Catalog {
    file: String,
    /// As it was written.
    stated: Arc<Meaning>,
    /// The same with the names that repositories have now.
    meaning: Meaning,
    organisation: Text,
    revision: String,
    /// The services of each claimed repository, and from when on.
    claims: BTreeMap<RepoName, BTreeMap<ServiceName, Timestamp>>,
    /// The home of each claimed repository.
    homes: BTreeMap<RepoName, HomeKey>,
    /// The scopes of each declared service: every fact asks for them.
    scopes: BTreeMap<ServiceName, Dated<Vec<Scope>>>,
}

impl Catalog {
    /// A catalog that knows nothing: every repository and service that is named is a service of its own.
    pub fn empty(definitions: &Definitions) -> Self {
        Self::new(String::new(), Arc::default(), &BTreeSet::new(), definitions)
    }

    /// Reads a catalog. `file` is only named in diagnostics.
    ///
    /// # Errors
    /// Every mistake that was found, in the order of the text; the first 200, if there are more.
    pub fn from_toml(file: &str, text: &str, definitions: &Definitions) -> Result<Self, Vec<Diagnostic>> {
        let declared = declared::read(file, text, &definitions.timezone)?;
        let meaning = check::meaning(file, text, declared)?;
        Ok(Self::new(file.to_owned(), Arc::new(meaning), &BTreeSet::new(), definitions))
    }

    /// The same with renames that were told beside those that it declares.
    pub fn with_renames(&self, told: &BTreeSet<Rename>, definitions: &Definitions) -> Self {
        Self::new(self.file.clone(), Arc::clone(&self.stated), told, definitions)
    }

    fn new(file: String, stated: Arc<Meaning>, told: &BTreeSet<Rename>, definitions: &Definitions) -> Self {
        let meaning = stated.renamed(told);
        let organisation =
            meaning.organisation.clone().unwrap_or_else(|| Text::new(definitions.organisation.as_str()));
        let mut claims: BTreeMap<RepoName, BTreeMap<ServiceName, Timestamp>> = BTreeMap::new();
        for (service, entry) in &meaning.services {
            for (repo, from) in &entry.claims {
                claims.entry(repo.clone()).or_default().insert(service.clone(), *from);
            }
        }
        let homes = homes(&meaning.services);
        let revision = revision(&meaning, definitions);
        let mut catalog =
            Self { file, stated, meaning, organisation, revision, claims, homes, scopes: BTreeMap::new() };
        catalog.scopes = catalog.every_scope();
        catalog
    }

    /// The scopes of each declared service from each time on at which they may change. Scopes of one name share
    /// one text.
    fn every_scope(&self) -> BTreeMap<ServiceName, Dated<Vec<Scope>>> {
        let mut known: BTreeSet<Scope> = BTreeSet::new();
        let mut every = BTreeMap::new();
        for (service, entry) in &self.meaning.services {
            let groups = entry.teams.iter().filter_map(|(_, team)| self.meaning.teams.get(team));
            let groups = groups.flat_map(|dated| dated.iter().map(|(from, _)| *from));
            let teams = entry.teams.iter().map(|(from, _)| *from);
            let mut dated = Dated::default();
            for from in std::iter::once(ALWAYS).chain(teams).chain(groups) {
                let mut scopes = self.derive_scopes(service, from);
                for scope in &mut scopes {
                    match known.get(scope) {
                        Some(known) => *scope = known.clone(),
                        None => _ = known.insert(scope.clone()),
                    }
                }
                dated.insert(from, scopes);
            }
            every.insert(service.clone(), dated);
        }
        every
    }

    /// What changes whenever the catalog or the definitions mean something else: 32 hexadecimal digits.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The file that it was read from; empty for an empty catalog.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The organisation: the catalog's own name for it, else that of the definitions.
    pub fn organisation(&self) -> &Text {
        &self.organisation
    }

    /// The name that the repository has in the end, whatever it was called at a time; itself if unknown.
    pub fn canonical_repo(&self, repo: &RepoName, at: Timestamp) -> RepoName {
        self.meaning.renames.canonical(repo, at, |name| self.claims.contains_key(name))
    }

    /// The names that a repository had before, sorted.
    pub fn former_names(&self, repo: &RepoName) -> Vec<RepoName> {
        self.meaning.renames.former(repo, |name| self.claims.contains_key(name))
    }

    /// Whether a service lists a repository by this name, which the repository has no longer.
    pub fn lists_outgrown(&self, name: &RepoName) -> bool {
        let stated = self.stated.services.values();
        stated.into_iter().any(|entry| entry.claims.contains_key(name)) && !self.claims.contains_key(name)
    }

    /// The home of a repository: the smallest of those that are connected to it by services, at any time.
    pub fn home_of_repo(&self, repo: &RepoName) -> HomeKey {
        self.homes.get(repo).cloned().unwrap_or_else(|| HomeKey::new(repo.as_str()))
    }

    /// The home of a service: that of its repositories; `service:<name>` without one.
    pub fn home_of_service(&self, service: &ServiceName) -> HomeKey {
        match self.meaning.services.get(service) {
            Some(entry) => match entry.config.repositories.first() {
                Some(repo) => self.home_of_repo(repo),
                None => HomeKey::from(format!("service:{service}")),
            },
            None if looks_like_a_repo(service.as_str()) => {
                self.home_of_repo(&RepoName::new(service.as_str()))
            }
            None => HomeKey::from(format!("service:{service}")),
        }
    }

    /// Whose an event is that names a repository, a service or an alias, or several of them. `repo` is canonical.
    pub fn owner(&self, repo: Option<&RepoName>, service: Option<&Text>, at: Timestamp) -> Owner {
        let hint = service.filter(|hint| !hint.as_str().is_empty());
        let mut services = repo.map(|repo| self.services_of_repo(repo, at)).unwrap_or_default();
        if let Some(hint) = hint {
            if self.meaning.services.contains_key(hint.as_str()) {
                return Owner::Service(ServiceName::new(hint.as_str()));
            }
            if let Some(service) = self.service_of_alias(hint, at) {
                return Owner::Service(service.clone());
            }
            if !hint.as_str().contains(':') {
                return Owner::Service(ServiceName::new(hint.as_str()));
            }
        }
        match (hint, repo, services.len()) {
            (_, Some(_), 1) => services.pop().map_or(Owner::Unnamed, Owner::Service),
            (Some(alias), ..) => Owner::Unclaimed { alias: alias.clone() },
            (None, Some(repo), _) => Owner::Ambiguous { repo: repo.clone(), services },
            (None, None, _) => Owner::Unnamed,
        }
    }

    /// The service that claims an alias at a time.
    pub fn service_of_alias(&self, alias: &Text, at: Timestamp) -> Option<&ServiceName> {
        self.meaning.aliases.get(alias)?.at(at)
    }

    /// The services of a repository at a time, sorted. One that nobody claims is a service of its own, called
    /// like it.
    pub fn services_of_repo(&self, repo: &RepoName, at: Timestamp) -> Vec<ServiceName> {
        let claims = self.claims.get(repo).into_iter().flatten();
        let services: Vec<ServiceName> =
            claims.filter(|(_, from)| **from <= at).map(|(service, _)| service.clone()).collect();
        if services.is_empty() { vec![ServiceName::new(repo.as_str())] } else { services }
    }

    /// The services of a repository at any time, sorted; its own one too, if it was unclaimed before the first.
    pub fn all_services_of_repo(&self, repo: &RepoName) -> Vec<ServiceName> {
        let claims = self.claims.get(repo).into_iter().flatten();
        let mut services: BTreeSet<ServiceName> = BTreeSet::new();
        let mut always = false;
        for (service, from) in claims {
            services.insert(service.clone());
            always |= *from == ALWAYS;
        }
        if !always {
            services.insert(ServiceName::new(repo.as_str()));
        }
        services.into_iter().collect()
    }

    /// What the catalog says about a service; of one that it does not declare, what its name says.
    pub fn service(&self, name: &ServiceName) -> Arc<ServiceConfig> {
        match self.meaning.services.get(name) {
            Some(entry) => Arc::clone(&entry.config),
            None => Arc::new(ServiceConfig::implicit(name)),
        }
    }

    /// The declared services, sorted.
    pub fn services(&self) -> Vec<ServiceName> {
        self.meaning.services.keys().cloned().collect()
    }

    /// The repositories that services claim, sorted.
    pub fn repositories(&self) -> Vec<RepoName> {
        self.claims.keys().cloned().collect()
    }

    /// The declared teams, sorted.
    pub fn teams(&self) -> Vec<TeamName> {
        self.meaning.teams.keys().cloned().collect()
    }

    /// The declared groups, sorted.
    pub fn declared_groups(&self) -> Vec<Text> {
        self.meaning.groups.keys().cloned().collect()
    }

    /// The renames, declared and told, by old name and time.
    pub fn renames(&self) -> Vec<Rename> {
        self.meaning.renames.iter().collect()
    }

    /// The aliases that a service has at any time, sorted.
    pub fn aliases(&self, service: &ServiceName) -> Vec<Text> {
        let has = |(alias, dated): (&Text, &Dated<ServiceName>)| {
            dated.iter().any(|(_, owner)| owner == service).then(|| alias.clone())
        };
        self.meaning.aliases.iter().filter_map(has).collect()
    }

    /// The team that owns a service at a time.
    pub fn team(&self, service: &ServiceName, at: Timestamp) -> Option<TeamName> {
        self.meaning.services.get(service)?.teams.at(at).cloned()
    }

    /// The groups above a team at a time, nearest first.
    pub fn groups(&self, team: &TeamName, at: Timestamp) -> Vec<Text> {
        let mut groups = Vec::new();
        let mut next = self.meaning.teams.get(team).and_then(|dated| dated.at(at)).cloned().flatten();
        while let Some(group) = next {
            next = self.meaning.groups.get(&group).cloned().flatten();
            groups.push(group);
        }
        groups
    }

    /// The scopes of a service at a time, sorted: itself, its team, the groups above, the organisation, its tags.
    pub fn scopes(&self, service: &ServiceName, at: Timestamp) -> Vec<Scope> {
        let declared = self.scopes.get(service).and_then(|dated| dated.at(at));
        declared.cloned().unwrap_or_else(|| self.derive_scopes(service, at))
    }

    fn derive_scopes(&self, service: &ServiceName, at: Timestamp) -> Vec<Scope> {
        let mut scopes = vec![
            Scope::from(format!("service:{service}")),
            Scope::from(format!("org:{}", self.organisation)),
        ];
        if let Some(team) = self.team(service, at) {
            scopes.extend(self.groups(&team, at).iter().map(|group| Scope::from(format!("group:{group}"))));
            scopes.push(Scope::from(format!("team:{team}")));
        }
        if let Some(entry) = self.meaning.services.get(service) {
            let tags = entry.config.tags.iter();
            scopes.extend(tags.map(|(key, value)| Scope::from(format!("tag:{key}={value}"))));
        }
        scopes.sort();
        scopes.dedup();
        scopes
    }

    /// The tier of a service's environment: its own rules, the catalog's, then the built-in words; else `other`.
    pub fn tier(&self, service: &ServiceName, environment: &Environment) -> EnvironmentTier {
        let name = environment.as_str();
        let own = self.meaning.services.get(service).map(|entry| entry.config.environments.as_slice());
        environment::by_rules(own.unwrap_or_default(), name)
            .or_else(|| environment::by_rules(&self.meaning.environments, name))
            .unwrap_or_else(|| environment::built_in(name))
    }

    /// Whether a rule of the catalog, not a built-in word, tells the tier of a service's environment.
    pub(crate) fn has_environment_rule(&self, service: &ServiceName, name: &str) -> bool {
        let own = self.meaning.services.get(service).map(|entry| entry.config.environments.as_slice());
        own.into_iter().flatten().chain(&self.meaning.environments).any(|rule| rule.matches(name))
    }

    pub(crate) const fn meaning(&self) -> &Meaning {
        &self.meaning
    }
}

/// The smallest repository of each connected component. Repositories of one service are connected.
fn homes(services: &BTreeMap<ServiceName, Entry>) -> BTreeMap<RepoName, HomeKey> {
    // A forest in which each repository points to a smaller one, or to itself: the root of a tree is its smallest.
    let mut smaller: BTreeMap<&RepoName, &RepoName> = BTreeMap::new();
    for entry in services.values() {
        let mut repos = entry.config.repositories.iter();
        let Some(first) = repos.next() else { continue };
        let mut root = root_of(&mut smaller, first);
        for repo in repos {
            let other = root_of(&mut smaller, repo);
            smaller.insert(root.max(other), root.min(other));
            root = root.min(other);
        }
    }
    let repos: Vec<&RepoName> = smaller.keys().copied().collect();
    let home = |repo: &RepoName, root: &RepoName| (repo.clone(), HomeKey::new(root.as_str()));
    repos.into_iter().map(|repo| home(repo, root_of(&mut smaller, repo))).collect()
}

/// The root of a repository's tree; the way there is made short.
fn root_of<'r>(smaller: &mut BTreeMap<&'r RepoName, &'r RepoName>, repo: &'r RepoName) -> &'r RepoName {
    let mut way = Vec::new();
    let mut at = repo;
    while let Some(next) = smaller.get(at).copied().filter(|next| *next != at) {
        way.push(at);
        at = next;
    }
    way.push(repo);
    way.into_iter().for_each(|repo| _ = smaller.insert(repo, at));
    at
}

/// The hash of everything that decides whose a thing is and what it counts for.
fn revision(meaning: &Meaning, definitions: &Definitions) -> String {
    // Maps of texts and plain structs always encode.
    let json = serde_json::to_string(&(meaning, definitions)).unwrap_or_default();
    hex::lower(Sha256::digest(json.as_bytes()).get(..16).unwrap_or_default())
}
