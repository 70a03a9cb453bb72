//! What follows from the stored tables at once, and is therefore not stored: things as their records tell them, and the
//! tables in which others look them up. A restored task fills them here; a running one keeps them in step.
//!
//! That both come to the same is held by the law (`tests/tests/law.rs`), which compares them after every crash.

use crate::rollouts::{artifact_keys, awaited_by, names_of};
use crate::state::{Rank, Thing};
use crate::task::Correlator;
use model::fact::{Row, RowKey};
use model::table::Derived;
use model::{DeploymentId, EventBody, RepoName, ServiceName, Sha, Text};
use std::collections::BTreeSet;

/// The things that records tell of.
#[derive(Default)]
struct Things {
    commits: BTreeSet<(RepoName, Sha)>,
    pulls: BTreeSet<(RepoName, u64)>,
    attempts: BTreeSet<(ServiceName, DeploymentId)>,
}

impl Correlator {
    /// Fills what is derived, from what was restored.
    pub(crate) fn index(&mut self) {
        // What is restored was concluded with every rename that was told.
        self.catalog = self.with_renames();
        let Things { commits, pulls, attempts } = self.index_pushes();
        commits.into_iter().for_each(|(repo, sha)| self.index_commit(repo, sha));
        pulls.into_iter().for_each(|(repo, number)| self.index_pull(repo, number));
        attempts.into_iter().for_each(|(service, id)| self.index_attempt(service, id));
        self.index_rollouts();
        self.index_labels();
        self.index_runs();
    }

    /// The first table that is derived and holds other rows than the other task's: a restored task must know what the
    /// one before it knew.
    pub fn derived_otherwise(&self, other: &Self) -> Option<&'static str> {
        self.state.derived_otherwise(&other.state)
    }

    /// Walks over the records: what lies in which push, and which things there are.
    fn index_pushes(&mut self) -> Things {
        let mut things = Things::default();
        let state = &mut self.state;
        for (thing, records) in state.records.unordered() {
            match thing {
                Thing::Commit(repo, sha) => _ = things.commits.insert((repo.clone(), sha.clone())),
                Thing::PullRequest(repo, number) | Thing::Reviews(repo, number) => {
                    things.pulls.insert((repo.clone(), *number));
                }
                Thing::Attempt(service, id) => _ = things.attempts.insert((service.clone(), id.clone())),
                Thing::Push(repo, source, id) => {
                    for event in records {
                        let EventBody::Push(push) = &event.body else { continue };
                        for sha in crate::graph::chain(push).known {
                            let at = (repo.clone(), sha);
                            things.commits.insert(at.clone());
                            state.pushed_in.restore((at, (source.clone(), id.clone())), Some(()));
                        }
                    }
                }
                _ => {}
            }
        }
        things
    }

    fn index_commit(&mut self, repo: RepoName, sha: Sha) {
        let node = self.merge_commit(&repo, &sha);
        for parent in &node.parents {
            self.state.children.restore(((repo.clone(), parent.clone()), sha.clone()), Some(()));
        }
        for reverted in &node.reverts {
            self.state.reverted_by.restore(((repo.clone(), reverted.clone()), sha.clone()), Some(()));
        }
        self.state.nodes.restore((repo, sha), Some(node));
    }

    fn index_pull(&mut self, repo: RepoName, number: u64) {
        let Some(pull) = self.merge_pull(&repo, number) else { return };
        for (sha, role) in crate::pulls::roles(&pull.merged) {
            self.state.pulls_of.restore(((repo.clone(), sha), (role, number)), Some(()));
        }
        self.state.pulls.restore((repo, number), Some(pull));
    }

    fn index_attempt(&mut self, service: ServiceName, id: DeploymentId) {
        let Some(attempt) = self.merge_attempt(&service, &id) else { return };
        let chain = (
            service.clone(),
            attempt.environment.clone(),
            attempt.chain.clone(),
            attempt.started,
            id.clone(),
        );
        self.state.chains.restore(chain, Some(()));
        self.state.attempts.restore((service, id), Some(Box::new(attempt)));
    }

    fn index_rollouts(&mut self) {
        let state = &mut self.state;
        for ((service, id), rollout) in state.rollouts.iter() {
            let s = || service.clone();
            for member in &rollout.members {
                state.rollout_of.restore((s(), member.clone()), Some(id.clone()));
                state.bearers.restore((Text::new(member.as_str()), s()), Some(()));
            }
            for name in names_of(rollout) {
                state.by_name.restore((s(), name, id.clone()), Some(()));
            }
            for sha in awaited_by(rollout) {
                state.awaited.restore((sha, (s(), id.clone())), Some(()));
            }
            for key in artifact_keys(rollout) {
                state.artifact_users.restore((key, s(), id.clone()), Some(()));
            }
            let Some(finish) = rollout.finished else { continue };
            let rank = Rank { finish, id: id.clone() };
            if rollout.serves() {
                state.serving.restore((s(), rank.clone()), Some(()));
            }
            if !rollout.succeeded() {
                continue;
            }
            let place = (s(), rollout.environment.clone(), rank.clone());
            state.succeeded.restore(place, Some(rollout.immutable.clone()));
            if let Some(version) = &rollout.immutable {
                let place = (s(), rollout.environment.clone(), version.clone(), rank.clone());
                state.by_version.restore(place, Some(()));
            }
            if let Some((repo, sha)) = &rollout.head {
                state.headed.restore((s(), rank.clone()), Some(()));
                state.heads.restore(((s(), repo.clone(), sha.clone()), rank.clone()), Some(()));
            }
            for (repo, sha) in rollout.listed.iter().flatten() {
                state.listed.restore(((s(), repo.clone(), sha.clone()), rank.clone()), Some(()));
            }
        }
    }

    /// The labels: the earliest deployment walks first, and a later one stops where it stands.
    fn index_labels(&mut self) {
        let state = &mut self.state;
        let mut heads: Vec<(Rank, ServiceName, RepoName, Sha)> = Vec::new();
        for ((service, repo, sha), ranks) in state.heads.unordered() {
            let head = |(rank, ()): (&Rank, &())| (rank.clone(), service.clone(), repo.clone(), sha.clone());
            heads.extend(ranks.map(head).take(1));
        }
        heads.sort_unstable();
        for (rank, service, repo, head) in heads {
            let mut stack = vec![head];
            while let Some(sha) = stack.pop() {
                let key = (service.clone(), repo.clone(), sha);
                if state.reach.get(&key).is_some() {
                    continue;
                }
                if let Some(node) = state.nodes.get(&(key.1.clone(), key.2.clone())) {
                    stack.extend(node.parents.iter().cloned());
                }
                state.reach.restore(key, Some(rank.clone()));
            }
        }
        let reached = state.reach.unordered().map(|(key, _)| key);
        let mut labelled: Vec<(ServiceName, RepoName, Sha)> = reached.cloned().collect();
        labelled.extend(state.listed.unordered().map(|(key, _)| key.clone()));
        for (service, repo, sha) in labelled {
            if let Some(rank) = state.label(&service, &repo, &sha) {
                state.held.restore((service, rank, repo, sha), Some(()));
            }
        }
    }

    fn index_runs(&mut self) {
        let state = &mut self.state;
        let mut workflows = BTreeSet::new();
        for (key, published) in state.published.unordered() {
            let RowKey::PipelineRun(repo, id, attempt) = key else { continue };
            let Row::PipelineRun(run) = published.open().row else { continue };
            let on = ((repo.clone(), run.commit_sha.clone()), (id.clone(), *attempt));
            state.runs_on.restore(on, Some(run.workflow.clone()));
            workflows.insert((repo.clone(), run.workflow.clone(), run.commit_sha.clone()));
        }
        for (repo, workflow, sha) in workflows {
            let flaky = self.flaky_on(&repo, &workflow, &sha);
            self.state.flaky.restore((repo, workflow, sha), flaky);
        }
    }
}
