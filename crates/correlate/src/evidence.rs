//! Evidence that one deployment gives against another: rollback, revert, hotfix (semantics, section 5).

use crate::state::{Blamer, Rank, RevertBlame, RevertPair, Rollback};
use crate::task::Correlator;
use model::definitions::FirstDeployment;
use model::fact::FailureEvidence;
use model::{DeploymentId, Environment, RepoName, ServiceName, Sha, Text, Timestamp};
use std::collections::BTreeSet;

impl Correlator {
    /// Notes that a deployment blames another, or no longer does.
    fn blame_by_deployment(
        &mut self,
        service: &ServiceName,
        blamed: &DeploymentId,
        rule: FailureEvidence,
        by: &DeploymentId,
        on: bool,
    ) {
        let blame = (service.clone(), blamed.clone(), rule, Blamer::Deployment(by.clone()));
        let blaming = (service.clone(), by.clone(), rule, blamed.clone());
        if on {
            self.state.blames.put(blame, ());
            self.state.blamed_by.put(blaming, ());
        } else {
            self.state.blames.remove(&blame);
            self.state.blamed_by.remove(&blaming);
        }
        self.dirty.deployments.insert((service.clone(), blamed.clone()));
        self.dirty.deployments.insert((service.clone(), by.clone()));
    }

    // Rollbacks.

    /// Looks at the rollbacks of the marked environments anew, from the earliest mark on.
    ///
    /// What a rollback restores may have been rolled back from by an earlier one, so they are decided in order;
    /// a decision reaches no later one than its finish plus the remediation window.
    pub(crate) fn settle_sweeps(&mut self) {
        for ((service, environment), marks) in std::mem::take(&mut self.dirty.sweeps) {
            let mut marks = marks;
            while let Some(from) = marks.pop_first() {
                let reach = self.sweep(&service, &environment, &from);
                // Marks that the sweep went over, with all that they reach themselves, are done.
                marks.retain(|mark| self.reach_of(&service, &environment, mark) > reach);
            }
        }
    }

    /// How far a change at a rank reaches. A decision looks at the deployment right after the restored one: where
    /// that is the one after the mark, the window runs from its finish.
    fn reach_of(&self, service: &ServiceName, environment: &Environment, mark: &Rank) -> Timestamp {
        let place = (service.clone(), environment.clone(), after(mark));
        let next = self.state.succeeded.range(place..).next();
        let next = next.filter(|((s, e, _), _)| s == service && e == environment);
        let furthest = next.map_or(mark.finish, |((.., next), _)| next.finish);
        furthest.plus(self.definitions.remediation_window)
    }

    fn sweep(&mut self, service: &ServiceName, environment: &Environment, from: &Rank) -> Timestamp {
        let mut limit = self.reach_of(service, environment, from);
        let mut next = Some(from.clone());
        while let Some(at) = next {
            let place = (service.clone(), environment.clone(), at);
            let found = self.state.succeeded.range(place..).next();
            let Some(((s, e, rank), version)) = found else { break };
            if s != service || e != environment || rank.finish > limit {
                break;
            }
            let (rank, version) = (rank.clone(), version.clone());
            let decision =
                version.and_then(|version| self.decide_rollback(service, environment, &rank, &version));
            let place = (service.clone(), environment.clone(), rank.clone());
            if self.state.rollbacks.get(&place) != decision.as_ref() {
                self.drop_rollback(service, environment, &rank);
                if let Some(rollback) = decision {
                    self.put_rollback(service, environment, &rank, rollback);
                }
                limit = limit.max(rank.finish.plus(self.definitions.remediation_window));
            }
            next = Some(after(&rank));
        }
        limit
    }

    fn decide_rollback(
        &self,
        service: &ServiceName,
        environment: &Environment,
        rank: &Rank,
        version: &Text,
    ) -> Option<Rollback> {
        let key = |rank: &Rank| (service.clone(), environment.clone(), version.clone(), rank.clone());
        let ((.., restored), ()) =
            self.state.by_version.range(key(&Rank::at(Timestamp::MIN))..key(rank)).next_back()?;
        let place = |rank: &Rank| (service.clone(), environment.clone(), rank.clone());
        let mut between: Vec<Rank> = Vec::new();
        let window_start = rank.finish.minus(self.definitions.remediation_window);
        for ((.., later), _) in self.state.succeeded.range(place(&after(restored))..place(rank)) {
            // The first one after the restored occurrence failed; too long ago, and this is no rollback.
            if between.is_empty() && later.finish < window_start {
                return None;
            }
            between.push(later.clone());
        }
        let rolled_back = between.split_off(1.min(between.len()));
        let failed = between.pop()?;
        let from = (service.clone(), environment.clone(), restored.clone(), Rank::at(Timestamp::MIN));
        let mut marks = self.state.rollback_marks.range(from..);
        let rolled_from = marks.next().is_some_and(|((s, e, marked, by), _)| {
            s == service && e == environment && marked == restored && by < rank
        });
        (!rolled_from).then(|| Rollback { restored: restored.clone(), failed, rolled_back })
    }

    fn put_rollback(
        &mut self,
        service: &ServiceName,
        environment: &Environment,
        by: &Rank,
        rollback: Rollback,
    ) {
        let mark = |rank: &Rank| (service.clone(), environment.clone(), rank.clone(), by.clone());
        self.state.rollback_marks.put(mark(&rollback.failed), true);
        self.blame_by_deployment(service, &rollback.failed.id, FailureEvidence::Rollback, &by.id, true);
        for rank in &rollback.rolled_back {
            self.state.rollback_marks.put(mark(rank), false);
            self.dirty.deployments.insert((service.clone(), rank.id.clone()));
        }
        self.state.rollbacks.put((service.clone(), environment.clone(), by.clone()), rollback);
    }

    /// Takes away what a deployment said as a rollback.
    pub(crate) fn drop_rollback(&mut self, service: &ServiceName, environment: &Environment, by: &Rank) {
        let place = (service.clone(), environment.clone(), by.clone());
        let Some(rollback) = self.state.rollbacks.take(&place) else { return };
        let mark = |rank: &Rank| (service.clone(), environment.clone(), rank.clone(), by.clone());
        self.state.rollback_marks.remove(&mark(&rollback.failed));
        self.blame_by_deployment(service, &rollback.failed.id, FailureEvidence::Rollback, &by.id, false);
        for rank in &rollback.rolled_back {
            self.state.rollback_marks.remove(&mark(rank));
            self.dirty.deployments.insert((service.clone(), rank.id.clone()));
        }
    }

    // Hotfixes.

    /// Marks the deployment at a rank and the one after it: what they mend may be another now.
    pub(crate) fn mark_hotfix_around(
        &mut self,
        service: &ServiceName,
        environment: &Environment,
        rank: &Rank,
    ) {
        self.dirty.hotfixes.insert((service.clone(), environment.clone(), rank.clone()));
        let place = (service.clone(), environment.clone(), after(rank));
        if let Some(((s, e, next), _)) = self.state.succeeded.range(place..).next()
            && s == service
            && e == environment
        {
            self.dirty.hotfixes.insert((service.clone(), environment.clone(), next.clone()));
        }
    }

    pub(crate) fn settle_hotfixes(&mut self) {
        let mut found = Vec::new();
        for key in std::mem::take(&mut self.dirty.hotfixes) {
            let new = self.mended_by(&key.0, &key.1, &key.2);
            if self.state.hotfix_pairs.get(&key) == new.as_ref() {
                continue;
            }
            if let Some(old) = self.state.hotfix_pairs.take(&key) {
                self.blame_by_deployment(&key.0, &old, FailureEvidence::Hotfix, &key.2.id, false);
            }
            found.extend(new.map(|new| (key, new)));
        }
        // After all that went: a hotfix whose finish was corrected says the same again from another rank.
        for (key, new) in found {
            self.blame_by_deployment(&key.0, &new, FailureEvidence::Hotfix, &key.2.id, true);
            self.state.hotfix_pairs.put(key, new);
        }
    }

    /// The deployment that a hotfix mends: the latest that succeeded before it, within the window.
    fn mended_by(
        &self,
        service: &ServiceName,
        environment: &Environment,
        rank: &Rank,
    ) -> Option<DeploymentId> {
        let rollout = self.state.rollouts.get(&(service.clone(), rank.id.clone()))?;
        if !(rollout.hotfix
            && self.state.succeeded.contains(&(service.clone(), environment.clone(), rank.clone())))
        {
            return None;
        }
        let from = (service.clone(), environment.clone(), Rank::at(Timestamp::MIN));
        let to = (service.clone(), environment.clone(), rank.clone());
        let ((.., before), _) = self.state.succeeded.range(from..to).next_back()?;
        (rank.finish.since(before.finish) <= self.definitions.remediation_window).then(|| before.id.clone())
    }

    // Reverts.

    /// Marks the pairs of reverts that a commit is in.
    pub(crate) fn mark_revert_pairs(&mut self, repo: &RepoName, sha: &Sha) {
        if let Some(node) = self.state.nodes.get(&(repo.clone(), sha.clone())) {
            for reverted in &node.reverts {
                self.dirty.revert_pairs.insert((repo.clone(), sha.clone(), reverted.clone()));
            }
        }
        for (revert, ()) in self.state.reverted_by.of(&(repo.clone(), sha.clone())) {
            self.dirty.revert_pairs.insert((repo.clone(), revert.clone(), sha.clone()));
        }
    }

    pub(crate) fn settle_revert_pairs(&mut self) {
        for (repo, revert, reverted) in std::mem::take(&mut self.dirty.revert_pairs) {
            for service in self.catalog.all_services_of_repo(&repo) {
                let key = (service.clone(), repo.clone(), revert.clone(), reverted.clone());
                let new = self.decide_revert(&service, &repo, &revert, &reverted);
                let old = self.state.revert_pairs.get(&key).cloned();
                if old == new {
                    continue;
                }
                if let Some((blamed, by)) = old {
                    self.state.revert_pairs.remove(&key);
                    self.state.revert_blames.remove(&revert_blame(&key, &blamed, &by));
                    // Another pair may say the same: then the blame stays.
                    if !self.reverts_between(&service, &blamed, &by) {
                        self.blame_by_deployment(&service, &blamed, FailureEvidence::Reverted, &by, false);
                    }
                }
                if let Some((blamed, by)) = new {
                    self.state.revert_blames.put(revert_blame(&key, &blamed, &by), ());
                    self.state.revert_pairs.put(key, (blamed.clone(), by.clone()));
                    self.blame_by_deployment(&service, &blamed, FailureEvidence::Reverted, &by, true);
                }
            }
        }
    }

    fn decide_revert(
        &self,
        service: &ServiceName,
        repo: &RepoName,
        revert: &Sha,
        reverted: &Sha,
    ) -> Option<(DeploymentId, DeploymentId)> {
        let node = self.state.nodes.get(&(repo.clone(), revert.clone()))?;
        if !node.reverts.contains(reverted) {
            return None;
        }
        let target = self.state.nodes.get(&(repo.clone(), reverted.clone()));
        // A revert of a revert is no evidence.
        if target.is_some_and(|target| !target.reverts.is_empty()) {
            return None;
        }
        let blamed = self.state.label(service, repo, reverted)?;
        let by = self.state.label(service, repo, revert)?;
        if by <= blamed || by.finish.since(blamed.finish) > self.definitions.remediation_window {
            return None;
        }
        let config = self.catalog.service(service);
        if config.has_paths(repo) {
            let touches = |paths: Option<&Vec<Text>>| paths.is_some_and(|paths| config.touches(repo, paths));
            if !touches(node.paths.as_ref()) || !touches(target.and_then(|target| target.paths.as_ref())) {
                return None;
            }
        }
        let swallowed = self.swallowed(service, &blamed, reverted) || self.swallowed(service, &by, revert);
        (!swallowed).then_some((blamed.id, by.id))
    }

    /// Whether a commit that bears this label was swallowed: the first deployment of a service does not ship
    /// the history that it reaches.
    pub(crate) fn swallowed(&self, service: &ServiceName, label: &Rank, sha: &Sha) -> bool {
        if self.state.first_deployment(service) != Some(label) {
            return false;
        }
        let Some(first) = self.state.rollouts.get(&(service.clone(), label.id.clone())) else { return false };
        if let Some(listed) = &first.listed {
            return !listed.iter().any(|(_, listed)| listed == sha);
        }
        match self.definitions.first_deployment {
            FirstDeployment::All => false,
            FirstDeployment::None => true,
            FirstDeployment::Head => first.head.as_ref().is_none_or(|(_, head)| head != sha),
        }
    }
}

/// The smallest rank after this one.
fn after(rank: &Rank) -> Rank {
    Rank { finish: rank.finish, id: DeploymentId::new(format!("{}\0", rank.id)) }
}

/// A pair of commits under the pair of deployments that it speaks of.
fn revert_blame(pair: &RevertPair, blamed: &DeploymentId, by: &DeploymentId) -> RevertBlame {
    (pair.0.clone(), blamed.clone(), by.clone(), pair.1.clone(), pair.2.clone(), pair.3.clone())
}

impl Correlator {
    /// Whether any pair of commits makes one deployment the revert of another.
    fn reverts_between(&self, service: &ServiceName, blamed: &DeploymentId, by: &DeploymentId) -> bool {
        let from =
            (service.clone(), blamed.clone(), by.clone(), RepoName::default(), Sha::new(""), Sha::new(""));
        let next = self.state.revert_blames.range(from..).next();
        next.is_some_and(|((s, target, blamer, ..), ())| s == service && target == blamed && blamer == by)
    }

    /// The commits whose reverts blame this deployment (for explanations).
    pub(crate) fn reverted_commits(
        &self,
        service: &ServiceName,
        blamed: &DeploymentId,
    ) -> BTreeSet<(Sha, Sha)> {
        let from = (
            service.clone(),
            blamed.clone(),
            DeploymentId::default(),
            RepoName::default(),
            Sha::new(""),
            Sha::new(""),
        );
        let pairs = self.state.revert_blames.range(from..);
        pairs
            .take_while(|((s, target, ..), ())| s == service && target == blamed)
            .map(|((.., revert, reverted), ())| (revert.clone(), reverted.clone()))
            .collect()
    }
}
