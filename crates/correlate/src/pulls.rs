//! Pull requests: their records merged, their deployment found.

use crate::contribute::label_scopes;
use crate::merge::{final_run_began, last};
use crate::state::{Pull, PullRole, Rank, Thing};
use crate::task::Correlator;
use model::event::{ListedCommit, PullRequestEvent, PullRequestState, Review};
use model::fact::{PullRequest, Row, RowKey};
use model::{DeliveryEvent, EventBody, RepoName, Scope, ServiceName, Sha, Text, Timestamp};
use std::collections::BTreeSet;

fn body(event: &DeliveryEvent) -> Option<&PullRequestEvent> {
    match &event.body {
        EventBody::PullRequest(body) => Some(body),
        _ => None,
    }
}

fn merge(records: &[DeliveryEvent]) -> Option<PullRequestEvent> {
    macro_rules! field {
        ($name:ident) => {
            last(records, |event| body(event)?.$name.clone())
        };
        (stated $name:ident) => {
            last(records, |event| Some(body(event)?.$name.clone()))?
        };
    }
    Some(PullRequestEvent {
        number: field!(stated number),
        state: field!(stated state),
        opened_at: field!(stated opened_at),
        merged_at: field!(merged_at),
        closed_at: field!(closed_at),
        head_ref: field!(stated head_ref),
        base_ref: field!(stated base_ref),
        head_sha: field!(stated head_sha),
        merge_commit_sha: field!(merge_commit_sha),
        merge_method: field!(merge_method),
        commits: field!(commits) as Option<Vec<ListedCommit>>,
        labels: field!(labels) as Option<Vec<Text>>,
        author_kind: field!(author_kind),
    })
}

/// The commits that a pull request knows, each in its roles.
pub(crate) fn roles(pull: &PullRequestEvent) -> BTreeSet<(Sha, PullRole)> {
    let merge = pull.merge_commit_sha.iter().map(|sha| (sha.clone(), PullRole::Merge));
    let listed = pull.commits.iter().flatten().map(|listed| (listed.sha.clone(), PullRole::Listed));
    merge.chain(listed).chain([(pull.head_sha.clone(), PullRole::Head)]).collect()
}

impl Correlator {
    /// A pull request's records or reviews changed: merges them anew.
    pub(crate) fn settle_pull_records(&mut self, repo: &RepoName, number: u64) {
        let key = (repo.clone(), number);
        let new = self.merge_pull(repo, number);
        let old = self.state.pulls.get(&key).cloned();
        if old == new {
            return;
        }
        let was = old.as_ref().map(|pull| roles(&pull.merged)).unwrap_or_default();
        let is = new.as_ref().map(|pull| roles(&pull.merged)).unwrap_or_default();
        for (sha, role) in was.difference(&is) {
            self.state.pulls_of.remove(&((repo.clone(), sha.clone()), (*role, number)));
        }
        for (sha, role) in &is {
            self.state.pulls_of.put(((repo.clone(), sha.clone()), (*role, number)), ());
        }
        match new {
            Some(new) => self.state.pulls.put(key.clone(), new),
            None => self.state.pulls.remove(&key),
        };
        // What these commits' lead times and stages start from may be another now.
        for service in self.catalog.all_services_of_repo(repo) {
            for (sha, _) in was.iter().chain(&is) {
                self.dirty.commits.insert((service.clone(), repo.clone(), sha.clone()));
            }
        }
        self.dirty.pulls.insert(key);
    }

    pub(crate) fn merge_pull(&self, repo: &RepoName, number: u64) -> Option<Pull> {
        let records: Vec<DeliveryEvent> =
            self.state.records.of(&Thing::PullRequest(repo.clone(), number)).collect();
        let merged = merge(&records).map(|mut merged| {
            // Forges fill these in before a merge, and one that was reopened was not merged after all.
            if merged.state == PullRequestState::Merged {
                let began = || final_run_began(&records, |event| Some(body(event)?.state));
                merged.merged_at = merged.merged_at.or_else(began);
            } else {
                merged.merged_at = None;
                merged.merge_commit_sha = None;
            }
            merged
        });
        merged.map(|merged| {
            let merged_at = merged.merged_at;
            let reviews = self.state.records.of(&Thing::Reviews(repo.clone(), number));
            let reviews = reviews.filter_map(|event| match event.body {
                EventBody::Review(Review { submitted_at, .. }) => Some(submitted_at),
                _ => None,
            });
            // DevLake takes the first review whenever it was.
            let counts =
                |at: &Timestamp| self.definitions.is_devlake() || merged_at.is_none_or(|merged| *at < merged);
            let first_reviewed_at = reviews.filter(counts).min();
            Pull { merged, first_reviewed_at }
        })
    }

    /// Marks the pull requests that know a commit, and the commits whose start may hang on it.
    pub(crate) fn mark_pulls_of(&mut self, repo: &RepoName, sha: &Sha) {
        for role in [PullRole::Merge, PullRole::Head, PullRole::Listed] {
            let numbers: Vec<u64> = self.pulls_with(repo, sha, role).map(|pull| pull.merged.number).collect();
            self.dirty.pulls.extend(numbers.into_iter().map(|number| (repo.clone(), number)));
        }
    }

    /// A commit's own time changed: the lead times of the merge commits of its pull requests may hang on it.
    pub(crate) fn mark_merges_of(&mut self, repo: &RepoName, sha: &Sha) {
        let merges: BTreeSet<Sha> = [PullRole::Head, PullRole::Listed]
            .into_iter()
            .flat_map(|role| self.pulls_with(repo, sha, role))
            .flat_map(|pull| {
                let listed = pull.merged.commits.iter().flatten().map(|listed| listed.sha.clone());
                pull.merged.merge_commit_sha.clone().into_iter().chain(listed)
            })
            .collect();
        for service in self.catalog.all_services_of_repo(repo) {
            for merge in &merges {
                self.dirty.commits.insert((service.clone(), repo.clone(), merge.clone()));
            }
        }
    }

    pub(crate) fn settle_pulls(&mut self) {
        for (repo, number) in std::mem::take(&mut self.dirty.pulls) {
            let row = self.state.pulls.get(&(repo.clone(), number)).map(|pull| self.pull_fact(&repo, pull));
            let scopes = row.as_ref().map(|row| self.pull_scopes(row)).unwrap_or_default();
            let key = RowKey::PullRequest(repo, number);
            self.publish(key, row.map(|row| Row::PullRequest(Box::new(row))), scopes, false);
        }
    }

    /// The scopes of a pull request that the catalog does not give: its repository, its deployment's labels.
    fn pull_scopes(&self, row: &PullRequest) -> Vec<Scope> {
        let shipped = row.service.clone().zip(row.deployment_id.clone());
        let rollout = shipped.and_then(|key| self.state.rollouts.get(&key));
        let labels =
            rollout.map(|rollout| label_scopes(&rollout.labels, &self.definitions)).unwrap_or_default();
        std::iter::once(Scope::new(format!("repo:{}", row.repo))).chain(labels).collect()
    }

    fn pull_fact(&self, repo: &RepoName, pull: &Pull) -> PullRequest {
        let merged = &pull.merged;
        let stages = self.stages(repo, pull);
        let shipped = self.shipped_by(repo, pull);
        let rollout = shipped
            .as_ref()
            .and_then(|(rank, service)| self.state.rollouts.get(&(service.clone(), rank.id.clone())));
        let finish = shipped.as_ref().map(|(rank, _)| rank.finish);
        let started = rollout.map(|rollout| rollout.started);
        let span = |to: Option<Timestamp>, from: Option<Timestamp>| Some(to?.since(from?));
        let spans = [
            span(stages.opened_at, stages.first_commit_at),
            span(stages.first_reviewed_at, stages.opened_at),
            span(stages.merged_at, stages.first_reviewed_at),
            span(started, stages.merged_at),
            span(finish, started),
            span(finish, stages.first_commit_at),
        ];
        let skewed = spans.iter().flatten().any(|span| span.is_negative());
        let [coding_s, pickup_s, review_s, waiting_s, deploying_s, lead_time_s] =
            spans.map(|span| span.map(|span| span.seconds()));
        let row = PullRequest {
            repo: repo.clone(),
            number: merged.number,
            state: merged.state,
            first_commit_at: stages.first_commit_at,
            opened_at: merged.opened_at,
            first_reviewed_at: stages.first_reviewed_at,
            merged_at: merged.merged_at,
            merge_commit_sha: merged.merge_commit_sha.clone(),
            service: shipped.as_ref().map(|(_, service)| service.clone()),
            deployment_id: shipped.as_ref().map(|(rank, _)| rank.id.clone()),
            deployed_at: finish,
            coding_s,
            pickup_s,
            review_s,
            waiting_s,
            deploying_s,
            lead_time_s,
            skewed,
            author_kind: merged.author_kind,
        };
        if self.definitions.is_devlake() { self.as_devlake(row, pull) } else { row }
    }

    /// The deployment that shipped a pull request: of the services that it touches the earliest, those apart
    /// whose first deployment swallowed it.
    fn shipped_by(&self, repo: &RepoName, pull: &Pull) -> Option<(Rank, ServiceName)> {
        let merge = pull.merged.merge_commit_sha.as_ref();
        self.catalog
            .all_services_of_repo(repo)
            .into_iter()
            .filter(|service| self.pull_touches(service, repo, pull))
            .filter_map(|service| {
                let of = |sha: &Sha| Some((self.state.label(&service, repo, sha)?, sha.clone()));
                // DevLake knows a pull request's deployment by its merge commit only.
                let head = || of(&pull.merged.head_sha).filter(|_| !self.definitions.is_devlake());
                let (label, sha) = merge.and_then(of).or_else(head)?;
                (!self.swallowed(&service, &label, &sha)).then_some((label, service))
            })
            .min()
    }

    fn pull_touches(&self, service: &ServiceName, repo: &RepoName, pull: &Pull) -> bool {
        let config = self.catalog.service(service);
        if !config.has_paths(repo) {
            return true;
        }
        roles(&pull.merged).iter().any(|(sha, _)| {
            let node = self.state.nodes.get(&(repo.clone(), sha.clone()));
            node.and_then(|node| node.paths.as_ref()).is_some_and(|paths| config.touches(repo, paths))
        })
    }
}
