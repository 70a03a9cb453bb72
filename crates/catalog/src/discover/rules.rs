//! From evidence to a plan: which service each name is, and whose.

use super::environments;
use super::evidence::{Claim, Deployer, Described, Evidence, Renamed};
use super::name::{key, last, stem};
use crate::catalog::Catalog;
use crate::entry::{CatalogEntry, ServiceEntry, quoted};
use crate::owner::Owner;
use crate::service::looks_like_a_repo;
use model::{RepoName, ServiceName, TeamName, Text};
use std::collections::{BTreeMap, BTreeSet};

/// A service that is proposed.
#[derive(Debug, Default)]
pub(crate) struct NewService {
    pub entry: ServiceEntry,
    pub failure_evidence_suffices: bool,
    /// Why.
    pub because: Vec<String>,
    /// What to look at.
    pub notes: Vec<String>,
}

/// What is proposed.
#[derive(Debug)]
pub(crate) struct Plan<'c> {
    pub catalog: &'c Catalog,
    /// Groups with their parents, and why.
    pub groups: BTreeMap<Text, (Option<Text>, String)>,
    /// Teams with their groups, and why.
    pub teams: BTreeMap<TeamName, (Option<Text>, String)>,
    pub services: BTreeMap<ServiceName, NewService>,
    /// Aliases of declared services, and why.
    pub aliases: BTreeMap<ServiceName, Vec<(Text, String)>>,
    /// Teams of declared services, and why.
    pub owners: BTreeMap<ServiceName, (TeamName, String)>,
    pub environments: Vec<environments::Proposed>,
    /// Renames that the text does not say yet.
    pub renames: Vec<Renamed>,
    /// What a person must decide, by what it is about.
    pub questions: BTreeMap<String, String>,
    /// Which service each proposed alias is given to.
    taken: BTreeMap<Text, ServiceName>,
    /// What files call the team of a service.
    said: BTreeMap<ServiceName, BTreeMap<TeamName, String>>,
}

/// How many services a name may be.
enum Known {
    Declared(ServiceName),
    New(ServiceName),
    Several(Vec<String>),
    Nobody,
}

impl<'c> Plan<'c> {
    pub(crate) fn new(catalog: &'c Catalog) -> Self {
        Self {
            catalog,
            groups: BTreeMap::new(),
            teams: BTreeMap::new(),
            services: BTreeMap::new(),
            aliases: BTreeMap::new(),
            owners: BTreeMap::new(),
            environments: Vec::new(),
            renames: Vec::new(),
            questions: BTreeMap::new(),
            taken: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    fn ask(&mut self, about: impl Into<String>, what: String) {
        self.questions.entry(about.into()).and_modify(|old| *old = format!("{old}; {what}")).or_insert(what);
    }

    /// Entries of files: services, teams, groups. Places are looked at when a service is seen there.
    pub(crate) fn described(&mut self, described: &[Described]) {
        for Described { file, entry, .. } in described.iter().filter(|one| !one.is_place) {
            let because = format!("{file} describes it");
            match entry {
                CatalogEntry::Group(group) if !self.catalog.declared_groups().contains(&group.name) => {
                    self.groups.entry(group.name.clone()).or_insert((group.parent.clone(), because));
                }
                CatalogEntry::Team(team) if !self.catalog.teams().contains(&team.name) => {
                    self.teams.entry(team.name.clone()).or_insert((team.group.clone(), because));
                }
                CatalogEntry::Service(service) => self.described_service(service, because),
                _ => {}
            }
        }
        // A repository that two of them take whole would leave what names only it to nobody.
        let mut whole: BTreeMap<RepoName, BTreeSet<ServiceName>> = BTreeMap::new();
        for (name, new) in &self.services {
            for (repo, _) in new.entry.repositories.iter().filter(|(_, paths)| paths.is_empty()) {
                whole.entry(repo.clone()).or_default().insert(name.clone());
            }
        }
        for (repo, names) in whole.into_iter().filter(|(_, names)| names.len() > 1) {
            for (_, new) in self.services.iter_mut().filter(|(name, _)| names.contains(*name)) {
                new.entry.repositories.retain(|(name, _)| *name != repo);
            }
            self.shared(&repo, &names);
        }
    }

    /// Says that services share a repository and no evidence tells their paths.
    fn shared(&mut self, repo: &RepoName, names: &BTreeSet<ServiceName>) {
        let all = names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
        for (_, new) in self.services.iter_mut().filter(|(name, _)| names.contains(*name)) {
            new.notes.push(format!("{repo} holds {all}: add it with the paths of this one"));
        }
    }

    fn described_service(&mut self, service: &ServiceEntry, because: String) {
        let name = &service.name;
        if let Some(team) = &service.team {
            self.said.entry(name.clone()).or_default().entry(team.clone()).or_insert_with(|| because.clone());
        }
        if self.is_declared(name) {
            for alias in &service.aliases {
                self.give(alias, name, &because);
            }
            return;
        }
        if self.services.contains_key(name) {
            return;
        }
        if let Owner::Service(owner) =
            self.catalog.owner(None, Some(&Text::new(name.as_str())), model::Timestamp::MAX)
            && self.is_declared(&owner)
        {
            return self
                .ask(name.as_str(), format!("{because}, and it is an alias of {owner}: which one is it?"));
        }
        let claimed =
            |(repo, _): &&(RepoName, Vec<crate::PathGlob>)| self.catalog.repositories().contains(repo);
        if let Some((repo, _)) = service.repositories.iter().find(claimed) {
            let owners: Vec<String> =
                self.catalog.all_services_of_repo(repo).iter().map(ToString::to_string).collect();
            let what = format!("{because} in {repo}, which {} has: is it a part of it?", owners.join(", "));
            return self.ask(name.as_str(), what);
        }
        let entry = ServiceEntry { aliases: Vec::new(), team: None, ..service.clone() };
        self.services.insert(
            name.clone(),
            NewService { entry, because: vec![because.clone()], ..NewService::default() },
        );
        for alias in &service.aliases {
            self.give(alias, name, &because);
        }
    }

    fn is_declared(&self, name: &ServiceName) -> bool {
        self.catalog.meaning().services.contains_key(name)
    }

    /// Gives an alias to a service, declared or new, unless another has it.
    fn give(&mut self, alias: &Text, service: &ServiceName, because: &str) {
        let declared = self.catalog.meaning().aliases.get(alias);
        let other =
            declared.and_then(|dated| dated.iter().map(|(_, owner)| owner).find(|owner| *owner != service));
        let other = other.or_else(|| self.taken.get(alias).filter(|owner| *owner != service)).cloned();
        if let Some(other) = other {
            let what =
                format!("{other} has it, and {because}: is it {service}, and from when on (valid_from)?");
            return self.ask(alias.as_str(), what);
        }
        if declared.is_some() || self.taken.insert(alias.clone(), service.clone()).is_some() {
            return;
        }
        match self.services.get_mut(service) {
            Some(new) => {
                new.entry.aliases.push(alias.clone());
                if !new.because.iter().any(|known| known == because) {
                    new.because.push(because.to_owned());
                }
            }
            None => {
                self.aliases.entry(service.clone()).or_default().push((alias.clone(), because.to_owned()))
            }
        }
    }

    /// Which service a name is: the same words first, then without suffixes; declared ones before new ones.
    fn known(&self, name: &str) -> Known {
        let declared = self.catalog.services();
        for of in [key as fn(&str) -> String, stem] {
            let wanted = of(name);
            let like = |other: &&ServiceName| !wanted.is_empty() && of(other.as_str()) == wanted;
            let found: Vec<&ServiceName> = declared.iter().filter(like).collect();
            let new: Vec<&ServiceName> = self.services.keys().filter(like).collect();
            match (found.as_slice(), new.as_slice()) {
                ([one], _) => return Known::Declared((*one).clone()),
                ([], [one]) => return Known::New((*one).clone()),
                ([], []) => {}
                (several, others) => {
                    let all = several.iter().chain(others).map(ToString::to_string);
                    return Known::Several(all.collect());
                }
            }
        }
        // A service must not be called like another one's alias.
        let aliased = [last(name).to_owned(), stem(name)].into_iter().find_map(|name| {
            let dated = self.catalog.meaning().aliases.get(&Text::from(name))?;
            dated.iter().map(|(_, owner)| owner.clone()).next_back()
        });
        aliased.map_or(Known::Nobody, Known::Declared)
    }

    /// Services with deployments that nobody declares.
    pub(crate) fn deployers(&mut self, evidence: &Evidence) {
        let declared = |one: &&Deployer| {
            let hint = Text::new(one.service.as_str());
            let repo = looks_like_a_repo(one.service.as_str()).then(|| RepoName::new(one.service.as_str()));
            let told = if repo.is_some() { None } else { Some(&hint) };
            match self.catalog.owner(repo.as_ref(), told, one.seen.since) {
                Owner::Service(owner) => self.is_declared(&owner),
                _ => true,
            }
        };
        let (repos, names): (Vec<&Deployer>, Vec<&Deployer>) = evidence
            .deployers
            .iter()
            .filter(|one| !declared(one))
            .partition(|one| looks_like_a_repo(one.service.as_str()));
        let mut names_of: BTreeMap<&RepoName, BTreeSet<ServiceName>> = BTreeMap::new();
        for one in &evidence.deployers {
            for repo in &one.repos {
                names_of.entry(repo).or_default().insert(one.service.clone());
            }
        }
        for one in names {
            self.deployer(one, &names_of, &evidence.described);
        }
        for one in repos {
            self.repository(one);
        }
    }

    /// A service that deployments name.
    fn deployer(
        &mut self,
        one: &Deployer,
        names_of: &BTreeMap<&RepoName, BTreeSet<ServiceName>>,
        described: &[Described],
    ) {
        let name = &one.service;
        let seen = one.seen.say("deployment");
        match self.known(name.as_str()) {
            Known::New(service) if service == *name => {
                self.services.entry(service).and_modify(|new| new.because.push(seen));
            }
            Known::Declared(service) | Known::New(service) => {
                let because = format!("{name} is {service} by its name: {seen}");
                self.give(&Text::new(name.as_str()), &service, &because);
            }
            Known::Several(all) => self.ask(name.as_str(), which(&seen, &all)),
            Known::Nobody => {
                let mut new = NewService {
                    entry: ServiceEntry { name: name.clone(), ..ServiceEntry::default() },
                    failure_evidence_suffices: one.failure_evidence_suffices,
                    because: vec![seen],
                    notes: Vec::new(),
                };
                let mut shared = Vec::new();
                for repo in &one.repos {
                    // What names only the repository is the same service when that is called alike.
                    let is_other = |other: &&ServiceName| {
                        **other != *name
                            && (other.as_str() != repo.as_str() || key(repo.as_str()) != key(name.as_str()))
                    };
                    let others = names_of.get(repo).map_or(0, |all| all.iter().filter(is_other).count());
                    let is_free = !self.catalog.repositories().contains(repo) && !self.has_repo(repo);
                    if others == 0 && is_free {
                        new.entry.repositories.push((repo.clone(), Vec::new()));
                    } else if let Some((file, place)) = place(described, repo, name.as_str(), true) {
                        new.entry.repositories.extend(place.repositories.iter().cloned());
                        new.because.push(format!("{file} names its paths"));
                    } else {
                        shared.push(repo.clone());
                    }
                }
                self.services.insert(name.clone(), new);
                for repo in shared {
                    let mut names = names_of.get(&repo).cloned().unwrap_or_default();
                    names.retain(|other| other == name || !looks_like_a_repo(other.as_str()));
                    let all = names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
                    let note = format!("{repo} holds {all}: add it with the paths of this one");
                    self.services.entry(name.clone()).and_modify(|new| new.notes.push(note));
                }
            }
        }
    }

    fn has_repo(&self, repo: &RepoName) -> bool {
        self.services.values().any(|new| new.entry.repositories.iter().any(|(name, _)| name == repo))
    }

    /// A repository that is a service of its own because nobody claims it.
    fn repository(&mut self, one: &Deployer) {
        let repo = RepoName::new(one.service.as_str());
        let seen = one.seen.say("deployment");
        let has = |new: &NewService| new.entry.repositories.iter().any(|(name, _)| *name == repo);
        let owners: Vec<ServiceName> =
            self.services.iter().filter(|(_, new)| has(new)).map(|(name, _)| name.clone()).collect();
        if let [owner] = owners.as_slice() {
            self.services.entry(owner.clone()).and_modify(|new| {
                new.because.push(seen.clone());
                new.failure_evidence_suffices |= one.failure_evidence_suffices;
            });
            return;
        }
        if !owners.is_empty() {
            let all: Vec<String> = owners.iter().map(ToString::to_string).collect();
            return self.ask(repo.as_str(), which(&seen, &all));
        }
        match self.known(repo.as_str()) {
            Known::Declared(service) | Known::New(service) => {
                let what = format!("{seen}: is it a repository of {service}, or a service of its own?");
                self.ask(repo.as_str(), what);
            }
            Known::Several(all) => self.ask(repo.as_str(), which(&seen, &all)),
            Known::Nobody => {
                let name = ServiceName::new(last(repo.as_str()));
                let entry = ServiceEntry {
                    name: name.clone(),
                    repositories: vec![(repo, Vec::new())],
                    ..ServiceEntry::default()
                };
                let failure_evidence_suffices = one.failure_evidence_suffices;
                let new =
                    NewService { entry, failure_evidence_suffices, because: vec![seen], notes: Vec::new() };
                self.services.insert(name, new);
            }
        }
    }

    /// What waits.
    pub(crate) fn claims(&mut self, claims: &[Claim]) {
        let mut sorted: Vec<&Claim> = claims.iter().collect();
        // Deployments first: what is deployed is a service, and then incidents have one to go to.
        sorted.sort_by_key(|one| (one.event_type.as_str() != "deployment", &one.claim, &one.event_type));
        for one in sorted {
            let seen = one.seen.say(&format!("{} event", one.event_type));
            match (one.reason.as_str(), &one.claim) {
                ("unclaimed_alias", Some(alias)) => self.alias(alias, one, &seen),
                ("ambiguous_repository", Some(repo)) => {
                    let services =
                        self.catalog.services_of_repo(&RepoName::new(repo.as_str()), one.seen.since);
                    let all: Vec<String> = services.iter().map(ToString::to_string).collect();
                    let what = format!("{seen} name only this repository: {}", all.join(" or "));
                    self.ask(repo.as_str(), format!("{what}? send `service` with them"));
                }
                _ => {
                    let sources: Vec<&str> = one.seen.sources.iter().map(Text::as_str).collect();
                    let about = format!("{} from {}", one.event_type, sources.join(", "));
                    self.ask(about, format!("{seen} name nothing: send `repo` or `service` with them"));
                }
            }
        }
    }

    fn alias(&mut self, alias: &Text, one: &Claim, seen: &str) {
        if matches!(self.catalog.owner(None, Some(alias), one.seen.since), Owner::Service(_)) {
            return;
        }
        if self.catalog.meaning().aliases.contains_key(alias) {
            return self.ask(
                alias.as_str(),
                format!("{seen}, before the valid_from of the alias: whose was it then?"),
            );
        }
        if self.taken.contains_key(alias) {
            return;
        }
        match self.known(alias.as_str()) {
            Known::Declared(service) | Known::New(service) => {
                self.give(alias, &service, &format!("{alias} is {service} by its name: {seen}"));
            }
            Known::Several(all) => self.ask(alias.as_str(), which(seen, &all)),
            Known::Nobody if one.event_type.as_str() == "deployment" && !stem(alias.as_str()).is_empty() => {
                let name = ServiceName::from(stem(alias.as_str()));
                let entry = ServiceEntry { name: name.clone(), ..ServiceEntry::default() };
                self.services.insert(name.clone(), NewService { entry, ..NewService::default() });
                self.give(alias, &name, &format!("{alias} is nobody's: {seen}"));
            }
            Known::Nobody => self.ask(alias.as_str(), format!("{seen}: which service is it?")),
        }
    }

    /// The teams of services without one: of files, of places, of vendors; where they differ, nobody's.
    pub(crate) fn owners(&mut self, evidence: &Evidence) {
        for said in &evidence.teams {
            let resolved = match self.catalog.owner(None, Some(&said.service), model::Timestamp::MAX) {
                Owner::Service(owner) if self.is_declared(&owner) => owner,
                _ => match self.taken.get(&said.service) {
                    Some(owner) => owner.clone(),
                    None => match self.known(said.service.as_str()) {
                        Known::Declared(owner) | Known::New(owner) => owner,
                        _ => continue,
                    },
                },
            };
            let because = format!("{} for {}", said.seen.say("ownership event"), said.service);
            self.said.entry(resolved).or_default().entry(said.team.clone()).or_insert(because);
        }
        let declared = self.catalog.services().into_iter().map(|name| {
            let config = self.catalog.service(&name);
            let repos = config
                .repositories
                .iter()
                .filter(|repo| self.catalog.services_of_repo(repo, model::Timestamp::MAX).len() == 1);
            (name, repos.cloned().collect::<Vec<_>>())
        });
        let new = self.services.iter().map(|(name, new)| {
            (name.clone(), new.entry.repositories.iter().map(|(repo, _)| repo.clone()).collect())
        });
        let all: Vec<(ServiceName, Vec<RepoName>)> = declared.chain(new).collect();
        for (name, repos) in all {
            for repo in &repos {
                let inside = place(&evidence.described, repo, name.as_str(), true);
                let Some((file, found)) =
                    inside.or_else(|| place(&evidence.described, repo, name.as_str(), false))
                else {
                    continue;
                };
                if let Some(team) = &found.team {
                    let said = self.said.entry(name.clone()).or_default();
                    said.entry(team.clone()).or_insert_with(|| format!("{file} names its team"));
                }
            }
            self.owner(&name);
        }
    }

    fn owner(&mut self, name: &ServiceName) {
        let has_team = self.catalog.meaning().services.get(name).is_some_and(|entry| !entry.teams.is_empty());
        let mut said = self.said.get(name).cloned().unwrap_or_default();
        // Addresses and people own nothing.
        said.retain(|team, _| !team.as_str().contains('@') && !team.as_str().trim().is_empty());
        if has_team || said.is_empty() {
            return;
        }
        if said.len() > 1 {
            let all: Vec<String> =
                said.iter().map(|(team, because)| format!("{} ({because})", quoted(team.as_str()))).collect();
            return self.ask(format!("team of {name}"), format!("{}?", all.join(" or ")));
        }
        let Some((team, because)) = said.into_iter().next() else { return };
        if !self.catalog.teams().contains(&team) {
            self.teams.entry(team.clone()).or_insert((None, format!("it owns {name}")));
        }
        match self.services.get_mut(name) {
            Some(new) => {
                new.entry.team = Some(team);
                if !new.because.contains(&because) {
                    new.because.push(because);
                }
            }
            None => _ = self.owners.insert(name.clone(), (team, because)),
        }
    }
}

/// The place in a repository that is called like a service, or (not `inside`) the whole of it.
fn place<'d>(
    described: &'d [Described],
    repo: &RepoName,
    name: &str,
    inside: bool,
) -> Option<(&'d str, &'d ServiceEntry)> {
    let mut found = described.iter().filter(|one| one.is_place).filter_map(|one| match &one.entry {
        CatalogEntry::Service(entry) => Some((one.file.as_str(), entry)),
        _ => None,
    });
    found.find(|(_, entry)| {
        let there =
            entry.repositories.iter().any(|(other, paths)| other == repo && paths.is_empty() != inside);
        there && (!inside || key(entry.name.as_str()) == key(name))
    })
}

fn which(seen: &str, all: &[String]) -> String {
    format!("{seen}: {}?", all.join(" or "))
}
