//! From attempts to logical deployments, and the tables in which evidence looks them up.

use crate::deployment::{Attempt, Chain, Rollout, group};
use crate::state::{Rank, Thing};
use crate::task::Correlator;
use model::event::CorrectionTarget;
use model::{DeliveryEvent, DeploymentId, Environment, HomeKey, RepoName, ServiceName, Sha, Text, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

impl Correlator {
    /// An attempt's records changed: merges them anew.
    pub(crate) fn settle_attempt(&mut self, service: &ServiceName, id: &DeploymentId) {
        let new = self.merge_attempt(service, id);
        let key = (service.clone(), id.clone());
        let old = self.state.attempts.get(&key).cloned();
        if new.as_ref() == old.as_deref() {
            return;
        }
        if let Some(old) = old {
            let chain = (service.clone(), old.environment.clone(), old.chain.clone());
            self.state.chains.remove(&(
                chain.0.clone(),
                chain.1.clone(),
                chain.2.clone(),
                old.started,
                id.clone(),
            ));
            let had = self.dirty.chains.entry(chain).or_default();
            had.extend(self.state.rollout_of.get(&key).cloned());
            self.state.attempts.remove(&key);
        }
        if let Some(new) = new {
            let chain = (service.clone(), new.environment.clone(), new.chain.clone());
            self.state
                .chains
                .put((chain.0.clone(), chain.1.clone(), chain.2.clone(), new.started, id.clone()), ());
            self.dirty.chains.entry(chain).or_default();
            self.state.attempts.put(key, Box::new(new));
        }
    }

    pub(crate) fn merge_attempt(&self, service: &ServiceName, id: &DeploymentId) -> Option<Attempt> {
        let config = self.catalog.service(service);
        let thing = Thing::Attempt(service.clone(), id.clone());
        let counts = |event: &DeliveryEvent| {
            config.deployments_from.as_ref().is_none_or(|sources| sources.contains(&event.source))
        };
        let records: Vec<DeliveryEvent> = self.state.records.of(&thing).filter(counts).collect();
        let mut attempt = Attempt::merge(&records)?;
        let named = records.iter().rev().find_map(|event| Some((event.repo.as_ref()?, event.occurred_at)));
        attempt.repo = named.map(|(repo, at)| self.catalog.canonical_repo(repo, at));
        Some(attempt)
    }

    /// Groups the attempts of the marked chains anew.
    pub(crate) fn settle_chains(&mut self) {
        let mut had: BTreeSet<(ServiceName, DeploymentId)> = BTreeSet::new();
        let mut has: BTreeMap<(ServiceName, DeploymentId), (Vec<DeploymentId>, Vec<DeploymentId>)> =
            BTreeMap::new();
        for ((service, environment, chain), old) in std::mem::take(&mut self.dirty.chains) {
            had.extend(old.into_iter().map(|id| (service.clone(), id)));
            let attempts = self.attempts_of(&service, &environment, &chain);
            for attempt in &attempts {
                let key = (service.clone(), attempt.id.clone());
                had.extend(self.state.rollout_of.get(&key).map(|id| (service.clone(), id.clone())));
            }
            for group in group(&chain, &attempts, self.definitions.merge_within) {
                if let Some(first) = group.members.first() {
                    has.insert((service.clone(), first.clone()), (group.members, group.counting));
                }
            }
        }
        for key in had.iter().filter(|key| !has.contains_key(*key)) {
            self.replace_rollout(&key.0, &key.1, None);
            self.dirty.deployments.insert(key.clone());
            for member in self.members_of(key) {
                if self.state.rollout_of.get(&(key.0.clone(), member.clone())) == Some(&key.1) {
                    self.state.rollout_of.remove(&(key.0.clone(), member));
                }
            }
            self.state.rollouts.remove(key);
        }
        for ((service, id), (members, counting)) in has {
            for member in &members {
                self.state.rollout_of.put((service.clone(), member.clone()), id.clone());
            }
            let rollout = self.build_rollout(&service, &members, &counting);
            self.replace_rollout(&service, &id, rollout);
        }
    }

    fn members_of(&self, key: &(ServiceName, DeploymentId)) -> Vec<DeploymentId> {
        self.state.rollouts.get(key).map(|rollout| rollout.members.clone()).unwrap_or_default()
    }

    fn attempts_of(&self, service: &ServiceName, environment: &Environment, chain: &Chain) -> Vec<&Attempt> {
        let from = (
            service.clone(),
            environment.clone(),
            chain.clone(),
            Timestamp::from_micros(i64::MIN),
            DeploymentId::default(),
        );
        self.state
            .chains
            .range(from..)
            .take_while(|((s, e, c, ..), ())| s == service && e == environment && c == chain)
            .filter_map(|((.., id), ())| {
                self.state.attempts.get(&(service.clone(), id.clone())).map(|attempt| &**attempt)
            })
            .collect()
    }

    /// Derives the marked logical deployments anew from the same attempts.
    pub(crate) fn settle_rollouts(&mut self) {
        for (service, id) in std::mem::take(&mut self.dirty.rollouts) {
            let Some(old) = self.state.rollouts.get(&(service.clone(), id.clone())) else { continue };
            let (members, counting) = (old.members.clone(), old.counting.clone());
            let rollout = self.build_rollout(&service, &members, &counting);
            self.replace_rollout(&service, &id, rollout);
        }
    }

    fn build_rollout(
        &self,
        service: &ServiceName,
        members: &[DeploymentId],
        counting: &[DeploymentId],
    ) -> Option<Rollout> {
        let attempts = &self.state.attempts;
        let attempt =
            |id: &DeploymentId| attempts.get(&(service.clone(), id.clone())).map(|attempt| &**attempt);
        let members: Vec<&Attempt> = members.iter().filter_map(attempt).collect();
        let counting: Vec<&Attempt> = counting.iter().filter_map(attempt).collect();
        let stated = counting.iter().find_map(|attempt| attempt.tier);
        let environment = &members.first()?.environment;
        let tier = stated.unwrap_or_else(|| self.catalog.tier(service, environment));
        let mut rollout = Rollout::merge(&members, &counting, tier)?;
        let ids = || members.iter().map(|attempt| attempt.id.as_str());
        rollout.corrected_failed = self.corrected(CorrectionTarget::Deployment, ids(), |set| set.failed);
        if let Some(tier) = self.corrected(CorrectionTarget::Deployment, ids(), |set| set.tier) {
            rollout.tier = tier;
        }
        if self.corrected(CorrectionTarget::Deployment, ids(), |set| set.cancelled) == Some(true) {
            rollout.outcome = model::fact::Outcome::Cancelled;
            rollout.finished = counting
                .iter()
                .map(|attempt| attempt.finished)
                .max()
                .flatten()
                .filter(|_| counting.iter().all(|attempt| attempt.finished.is_some()));
        }
        if let (Some(version), None, None, None) =
            (&rollout.version, &rollout.digest, &rollout.image, &rollout.sha)
        {
            rollout.tags = self.tags(service, version);
        }
        let mut keys = artifact_keys(&rollout).into_iter();
        rollout.commit_sha =
            keys.find_map(|key| self.state.artifacts.get(&key).cloned()).or(rollout.sha.clone());
        rollout.head = rollout.commit_sha.as_ref().and_then(|sha| {
            let repo = self.repo_that_knows(service, rollout.repo.as_ref(), sha)?;
            Some((repo, sha.clone()))
        });
        let config = self.catalog.service(service);
        let named = rollout.repo.clone().filter(|repo| config.repositories.contains(repo));
        let fallback = named.or_else(|| config.repositories.first().cloned()).unwrap_or_default();
        if let Some(listed) = &mut rollout.listed {
            for (repo, sha) in listed.iter_mut() {
                *repo = self
                    .repo_that_knows(service, rollout.repo.as_ref(), sha)
                    .unwrap_or_else(|| fallback.clone());
            }
        }
        Some(rollout)
    }

    /// How the artifacts of a version's tags are called: `github.com/acme/shop:v1.2.0`, with and without the `v`, by each
    /// name that a repository of the service had.
    fn tags(&self, service: &ServiceName, version: &Text) -> Vec<Text> {
        let other = version.as_str().strip_prefix('v').map_or_else(|| format!("v{version}"), str::to_owned);
        let config = self.catalog.service(service);
        let names = config
            .repositories
            .iter()
            .flat_map(|repo| std::iter::once(repo.clone()).chain(self.catalog.former_names(repo)));
        names
            .flat_map(|repo| [version.as_str(), &other].map(|tag| Text::new(format!("{repo}:{tag}"))))
            .collect()
    }

    /// The repository of the service that knows a commit: the one that was named, else the catalog's first.
    fn repo_that_knows(
        &self,
        service: &ServiceName,
        named: Option<&RepoName>,
        sha: &Sha,
    ) -> Option<RepoName> {
        let config = self.catalog.service(service);
        let knows = |repo: &&RepoName| {
            self.state.nodes.get(&((*repo).clone(), sha.clone())).is_some_and(|node| node.known)
        };
        let named = named.filter(|named| config.repositories.contains(named));
        named.into_iter().chain(&config.repositories).find(knows).cloned()
    }

    /// The logical deployments, of any service of this task, with an attempt of this id.
    pub(crate) fn rollouts_with<'a>(
        &'a self,
        id: &'a DeploymentId,
    ) -> impl Iterator<Item = (ServiceName, DeploymentId)> + 'a {
        let from = (Text::new(id.as_str()), ServiceName::default());
        let bearing = self.state.bearers.range(from..);
        bearing.take_while(|((name, _), ())| name.as_str() == id.as_str()).filter_map(|((_, service), ())| {
            let rollout = self.state.rollout_of.get(&(service.clone(), id.clone()))?;
            Some((service.clone(), rollout.clone()))
        })
    }

    /// Puts a logical deployment in place of what stands there, with every table that looks it up.
    fn replace_rollout(&mut self, service: &ServiceName, id: &DeploymentId, new: Option<Rollout>) {
        let key = (service.clone(), id.clone());
        let old = self.state.rollouts.get(&key).cloned();
        if old == new {
            return;
        }
        let first_before = self.state.first_deployment(service).cloned();
        if let Some(old) = &old {
            self.unlist_rollout(service, id, old, new.as_ref());
        }
        match &new {
            Some(new) => {
                self.state.rollouts.put(key.clone(), new.clone());
                self.list_rollout(service, id, new);
            }
            None => {
                self.state.rollouts.remove(&key);
            }
        }
        let first_after = self.state.first_deployment(service).cloned();
        if first_before != first_after {
            for rank in [first_before, first_after].into_iter().flatten() {
                self.mark_held(service, &rank);
            }
        }
        for rollout in old.iter().chain(new.iter()) {
            for member in &rollout.members {
                self.mark_naming(service, &name_of_id(member));
                self.dirty.questions.insert(member.clone());
            }
            for name in names_of(rollout) {
                self.mark_naming(service, &name);
            }
        }
        self.dirty.deployments.insert(key);
    }

    fn unlist_rollout(
        &mut self,
        service: &ServiceName,
        id: &DeploymentId,
        old: &Rollout,
        new: Option<&Rollout>,
    ) {
        let s = || service.clone();
        for member in &old.members {
            // A member that has moved to another logical deployment is still borne.
            let moved = self.state.rollout_of.get(&(s(), member.clone())).is_some_and(|of| of != id);
            if !moved && new.is_none_or(|new| !new.members.contains(member)) {
                self.state.bearers.remove(&(Text::new(member.as_str()), s()));
            }
        }
        for name in names_of(old) {
            self.state.by_name.remove(&(s(), name, id.clone()));
        }
        for sha in awaited_by(old) {
            self.state.awaited.remove(&(sha, (s(), id.clone())));
        }
        for key in artifact_keys(old) {
            self.state.artifact_users.remove(&(key.clone(), s(), id.clone()));
            self.dirty.subscriptions.insert((key, self.catalog.home_of_service(service)));
        }
        let Some(finish) = old.finished else { return };
        let rank = Rank { finish, id: id.clone() };
        // Whatever it is now, the commits that it held are to be looked at: their deployment has changed.
        self.mark_held(service, &rank);
        // A correction that clears a deployment takes its incidents' blame away, or gives it back.
        let alike = |new: &Rollout| {
            let judged = |rollout: &Rollout| (rollout.finished, rollout.outcome, rollout.corrected_failed);
            new.serves() && judged(new) == judged(old)
        };
        if old.serves() && !new.is_some_and(alike) {
            self.state.serving.remove(&(s(), rank.clone()));
            self.mark_incidents_after(service, finish);
        }
        if !old.succeeded() {
            return;
        }
        let same = |new: &Rollout| {
            new.succeeded() && new.finished == old.finished && new.environment == old.environment
        };
        let stays = new.is_some_and(same);
        if !stays || new.is_some_and(|new| new.immutable != old.immutable || new.hotfix != old.hotfix) {
            self.state.succeeded.remove(&(s(), old.environment.clone(), rank.clone()));
            if let Some(version) = &old.immutable {
                self.state.by_version.remove(&(s(), old.environment.clone(), version.clone(), rank.clone()));
            }
            self.drop_rollback(service, &old.environment, &rank);
            self.dirty.sweep(service, &old.environment, rank.clone());
            self.mark_hotfix_around(service, &old.environment, &rank);
        }
        if !stays || new.is_some_and(|new| new.head != old.head) {
            self.state.headed.remove(&(s(), rank.clone()));
            if let Some((repo, sha)) = &old.head {
                self.remove_head(service, repo, sha, &rank);
            }
        }
        let keep: BTreeSet<&(RepoName, Sha)> =
            new.filter(|_| stays).and_then(|new| new.listed.as_ref()).into_iter().flatten().collect();
        for at in old.listed.iter().flatten().filter(|at| !keep.contains(at)) {
            self.remove_listed(service, &at.0, &at.1, &rank);
        }
    }

    fn list_rollout(&mut self, service: &ServiceName, id: &DeploymentId, new: &Rollout) {
        let s = || service.clone();
        for member in &new.members {
            self.state.bearers.put((Text::new(member.as_str()), s()), ());
        }
        for name in names_of(new) {
            self.state.by_name.put((s(), name, id.clone()), ());
        }
        for sha in awaited_by(new) {
            self.state.awaited.put((sha, (s(), id.clone())), ());
        }
        for key in artifact_keys(new) {
            self.state.artifact_users.put((key.clone(), s(), id.clone()), ());
            self.dirty.subscriptions.insert((key, self.catalog.home_of_service(service)));
        }
        let Some(finish) = new.finished else { return };
        let rank = Rank { finish, id: id.clone() };
        self.mark_held(service, &rank);
        if new.serves() && self.state.serving.put((s(), rank.clone()), ()) {
            self.mark_incidents_after(service, finish);
        }
        if !new.succeeded() {
            return;
        }
        let place = (s(), new.environment.clone(), rank.clone());
        if !self.state.succeeded.contains(&place) {
            self.state.succeeded.put(place, new.immutable.clone());
            if let Some(version) = &new.immutable {
                self.state.by_version.put((s(), new.environment.clone(), version.clone(), rank.clone()), ());
            }
            self.dirty.sweep(service, &new.environment, rank.clone());
            self.mark_hotfix_around(service, &new.environment, &rank);
        }
        if let Some((repo, sha)) = &new.head
            && self.state.headed.put((s(), rank.clone()), ())
        {
            self.add_head(service, repo, sha, &rank);
        }
        for (repo, sha) in new.listed.iter().flatten() {
            self.add_listed(service, repo, sha, &rank);
        }
    }

    /// Marks every commit that a deployment labels.
    pub(crate) fn mark_held(&mut self, service: &ServiceName, rank: &Rank) {
        let from = (service.clone(), rank.clone(), RepoName::default(), Sha::new(""));
        let held = self.state.held.range(from..).take_while(|((s, r, ..), ())| s == service && r == rank);
        let held: Vec<_> =
            held.map(|((_, _, repo, sha), ())| (service.clone(), repo.clone(), sha.clone())).collect();
        self.dirty.commits.extend(held);
    }
}

/// The index keys of a deployment's artifact: its digest's, its image's, and those of the tags that it may be.
pub fn artifact_keys(rollout: &Rollout) -> Vec<HomeKey> {
    let key = |kind: &str, name: &Text| HomeKey::new(format!("{kind}{name}"));
    let digest = rollout.digest.iter().map(|name| key("digest:", name));
    digest.chain(rollout.image.iter().chain(&rollout.tags).map(|name| key("image:", name))).collect()
}

/// The commits whose being known changes a deployment.
pub(crate) fn awaited_by(rollout: &Rollout) -> BTreeSet<Sha> {
    let listed = rollout.listed.iter().flatten().map(|(_, sha)| sha.clone());
    rollout.commit_sha.iter().cloned().chain(listed).collect()
}

/// The name under which an incident finds a deployment by its id.
pub fn name_of_id(id: &DeploymentId) -> Text {
    Text::new(format!("id:{id}"))
}
/// The name under which an incident finds a deployment by its version.
pub fn name_of_version(version: &Text) -> Text {
    Text::new(format!("version:{version}"))
}
/// The name under which an incident finds a deployment by its commit.
pub fn name_of_sha(sha: &Sha) -> Text {
    Text::new(format!("sha:{sha}"))
}

/// The names by which an incident may mean this deployment, its members' ids apart.
pub(crate) fn names_of(rollout: &Rollout) -> BTreeSet<Text> {
    let version = rollout.version.iter().map(name_of_version);
    let head = rollout.head.iter().map(|(_, sha)| sha);
    let shas = rollout.sha.iter().chain(head).map(name_of_sha);
    version.chain(shas).collect()
}
