//! Which commits a deployment ships, and how long each took (semantics, section 4).

use crate::state::{Node, Pull, PullRole, Rank};
use crate::task::Correlator;
use model::definitions::LeadTimeStart;
use model::event::MergeMethod;
use model::fact::{Change, Row, RowKey, StartEvidence};
use model::{RepoName, Scope, ServiceName, Sha, Timestamp};

/// Why a labelled commit is not a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotShipped {
    /// No deployment reaches it.
    NoLabel,
    /// It is a merge.
    Merge,
    /// Its deployment lists its commits, and this is none of them.
    NotListed,
    /// The first deployment does not ship the history behind its head.
    Swallowed,
    /// Nobody told of the commit itself: it is only named as a parent.
    NotKnown,
    /// The service counts only commits that touch its paths, and this one's are not known.
    PathsUnknown,
    /// It touches none of the service's paths.
    OtherPaths,
}

/// When a pull request's stages began and ended.
#[derive(Debug, Default, Clone)]
pub struct Stages {
    pub first_commit_at: Option<Timestamp>,
    pub opened_at: Option<Timestamp>,
    pub first_reviewed_at: Option<Timestamp>,
    pub merged_at: Option<Timestamp>,
}

impl Correlator {
    /// Derives the changes of the marked commits anew, and hands on what hangs on their labels.
    pub(crate) fn settle_commits(&mut self) {
        for (service, repo, sha) in std::mem::take(&mut self.dirty.commits) {
            self.mark_revert_pairs(&repo, &sha);
            self.mark_pulls_of(&repo, &sha);
            self.mark_runs_on(&repo, &sha);
            self.mark_naming(&service, &crate::rollouts::name_of_sha(&sha));
            let shipped = self.ship(&service, &repo, &sha);
            self.signal_commit(&service, &repo, &sha, shipped.as_ref().map_err(|why| *why));
            let key = RowKey::Change(service.clone(), repo.clone(), sha.clone());
            let place = (service.clone(), repo.clone(), sha.clone());
            let old = self.state.counted.get(&place).cloned();
            let new = shipped.as_ref().ok().map(|change| change.deployment_id.clone());
            if old != new {
                match &new {
                    Some(id) => self.state.counted.put(place, id.clone()),
                    None => self.state.counted.remove(&place),
                };
                for (id, more) in [(old, false), (new, true)] {
                    let Some(id) = id else { continue };
                    let key = (service.clone(), id);
                    let count = self.state.shipped.get(&key).copied().unwrap_or(0);
                    let count = if more { count + 1 } else { count.saturating_sub(1) };
                    if count == 0 {
                        self.state.shipped.remove(&key);
                    } else {
                        self.state.shipped.put(key.clone(), count);
                    }
                    self.dirty.deployments.insert(key);
                }
            }
            let scopes = shipped.as_ref().map(|change| self.change_scopes(change)).unwrap_or_default();
            self.publish(key, shipped.ok().map(|change| Row::Change(Box::new(change))), scopes, false);
        }
    }

    /// The scopes of a change that the catalog does not give: its repository, its deployment's labels.
    fn change_scopes(&self, change: &Change) -> Vec<Scope> {
        let mut scopes = vec![Scope::new(format!("repo:{}", change.repo))];
        if let Some(rollout) =
            self.state.rollouts.get(&(change.service.clone(), change.deployment_id.clone()))
        {
            scopes.extend(crate::contribute::label_scopes(&rollout.labels, &self.definitions));
        }
        scopes
    }

    /// The change that a commit is for a service, or why it is none.
    pub(crate) fn ship(
        &self,
        service: &ServiceName,
        repo: &RepoName,
        sha: &Sha,
    ) -> Result<Change, NotShipped> {
        let label = self.state.label(service, repo, sha).ok_or(NotShipped::NoLabel)?;
        let rollout =
            self.state.rollouts.get(&(service.clone(), label.id.clone())).ok_or(NotShipped::NoLabel)?;
        let nothing = Node::default();
        let node = self.state.nodes.get(&(repo.clone(), sha.clone())).unwrap_or(&nothing);
        if node.merge {
            return Err(NotShipped::Merge);
        }
        match &rollout.listed {
            Some(listed) => {
                if !listed.iter().any(|(_, listed)| listed == sha) {
                    return Err(NotShipped::NotListed);
                }
                if node.known {
                    self.in_paths(service, repo, node)?;
                }
            }
            None => {
                if self.swallowed(service, &label, sha) {
                    return Err(NotShipped::Swallowed);
                }
                if !node.known {
                    return Err(NotShipped::NotKnown);
                }
                self.in_paths(service, repo, node)?;
            }
        }
        let pull = self.pull_of(repo, sha);
        let listed = || node.known.then(|| self.listed_time(repo, sha)).flatten();
        let committed_at = node.committed_at.or_else(listed);
        let started = node.known.then(|| self.lead_time_start(repo, sha, node, committed_at)).flatten();
        let lead_time = started.map(|(start, _)| label.finish.since(start));
        let stages = pull.map(|pull| self.stages(repo, pull)).unwrap_or_default();
        let span = |to: Option<Timestamp>, from: Option<Timestamp>| Some(to?.since(from?).seconds());
        Ok(Change {
            service: service.clone(),
            team: self.catalog.team(service, label.finish),
            repo: repo.clone(),
            commit_sha: sha.clone(),
            authored_at: node.authored_at,
            committed_at,
            deployment_id: label.id.clone(),
            deployed_at: label.finish,
            lead_time_s: lead_time.map(|span| span.seconds()),
            start_evidence: started.map(|(_, evidence)| evidence),
            author_kind: node.author_kind,
            skewed: lead_time.is_some_and(|span| span.is_negative()),
            drill: node.drill,
            pull_request: pull.map(|pull| pull.merged.number),
            coding_s: span(stages.opened_at, stages.first_commit_at),
            pickup_s: span(stages.first_reviewed_at, stages.opened_at),
            review_s: span(stages.merged_at, stages.first_reviewed_at),
            waiting_s: span(Some(rollout.started), stages.merged_at),
            deploying_s: span(Some(label.finish), Some(rollout.started)),
        })
    }

    /// In a monorepo only the commits that touch the service's paths are its changes.
    fn in_paths(&self, service: &ServiceName, repo: &RepoName, node: &Node) -> Result<(), NotShipped> {
        let config = self.catalog.service(service);
        if !config.has_paths(repo) {
            return Ok(());
        }
        let paths = node.paths.as_ref().ok_or(NotShipped::PathsUnknown)?;
        if config.touches(repo, paths) { Ok(()) } else { Err(NotShipped::OtherPaths) }
    }

    /// What a lead time starts from, and by which evidence.
    fn lead_time_start(
        &self,
        repo: &RepoName,
        sha: &Sha,
        node: &Node,
        committed_at: Option<Timestamp>,
    ) -> Option<(Timestamp, StartEvidence)> {
        let own = committed_at.map(|at| (at, StartEvidence::Commit));
        let squashed = self
            .pulls_with(repo, sha, PullRole::Merge)
            .next()
            .filter(|pull| {
                matches!(pull.merged.merge_method, Some(MergeMethod::Squash | MergeMethod::Rebase))
            })
            .and_then(|pull| self.first_commit_of(repo, pull))
            .map(|at| (at, StartEvidence::PrFirstCommit));
        let chosen = match self.definitions.lead_time_start {
            LeadTimeStart::Commit => None,
            LeadTimeStart::Authored => node.authored_at.map(|at| (at, StartEvidence::Authored)),
            LeadTimeStart::PrOpened => {
                self.pull_of(repo, sha).map(|pull| (pull.merged.opened_at, StartEvidence::PrOpened))
            }
            LeadTimeStart::PrMerged => self
                .pull_of(repo, sha)
                .and_then(|pull| pull.merged.merged_at)
                .map(|at| (at, StartEvidence::PrMerged)),
        };
        chosen.or(squashed).or(own)
    }

    /// A commit's time as pull requests list it.
    fn listed_time(&self, repo: &RepoName, sha: &Sha) -> Option<Timestamp> {
        self.pulls_with(repo, sha, PullRole::Listed)
            .flat_map(|pull| pull.merged.commits.iter().flatten())
            .filter(|listed| listed.sha == *sha)
            .map(|listed| listed.committed_at)
            .min()
    }

    /// The earliest time known of a pull request's commits and of its head.
    pub(crate) fn first_commit_of(&self, repo: &RepoName, pull: &Pull) -> Option<Timestamp> {
        let own =
            |sha: &Sha| self.state.nodes.get(&(repo.clone(), sha.clone())).and_then(|node| node.committed_at);
        let listed = pull.merged.commits.iter().flatten();
        let listed = listed.flat_map(|listed| [Some(listed.committed_at), own(&listed.sha)]);
        listed.chain([own(&pull.merged.head_sha)]).flatten().min()
    }

    /// The stages that are a pull request's own.
    pub(crate) fn stages(&self, repo: &RepoName, pull: &Pull) -> Stages {
        Stages {
            first_commit_at: self.first_commit_of(repo, pull),
            opened_at: Some(pull.merged.opened_at),
            first_reviewed_at: pull.first_reviewed_at,
            merged_at: pull.merged.merged_at,
        }
    }

    /// The pull request that brought a commit: the one that was merged by it, else the earliest that lists it.
    pub(crate) fn pull_of<'a>(&'a self, repo: &'a RepoName, sha: &'a Sha) -> Option<&'a Pull> {
        let merged = self.pulls_with(repo, sha, PullRole::Merge).next();
        merged.or_else(|| {
            self.pulls_with(repo, sha, PullRole::Listed)
                .min_by_key(|pull| (pull.merged.opened_at, pull.merged.number))
        })
    }

    /// The pull requests that know a commit in a role, by number.
    pub(crate) fn pulls_with<'a>(
        &'a self,
        repo: &'a RepoName,
        sha: &'a Sha,
        role: PullRole,
    ) -> impl Iterator<Item = &'a Pull> + 'a {
        let known = self.state.pulls_of.of(&(repo.clone(), sha.clone()));
        let numbers = known.filter(move |((known_as, _), ())| *known_as == role);
        numbers.filter_map(|((_, number), ())| self.state.pulls.get(&(repo.clone(), *number)))
    }

    /// How many changes a deployment ships; `None` where that cannot be known.
    pub(crate) fn changes_of(&self, service: &ServiceName, rank: &Rank) -> Option<u64> {
        let key = (service.clone(), rank.id.clone());
        let rollout = self.state.rollouts.get(&key)?;
        if !rollout.succeeded() || (rollout.head.is_none() && rollout.listed.is_none()) {
            return None;
        }
        Some(self.state.shipped.get(&key).copied().unwrap_or(0))
    }
}
