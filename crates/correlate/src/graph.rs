//! The commit graph and its labels: the earliest deployment whose head reaches a commit, per service.
//!
//! A label is a minimum over the graph. A lower one is handed on to the parents until it meets one as low; a
//! source that is taken away takes with it only the labels that it gave, which are then filled from their
//! children. Neither depends on what came first.

use crate::merge::last;
use crate::state::{Node, Rank, Thing};
use crate::task::Correlator;
use model::event::{Commit, Push};
use model::{DeliveryEvent, EventBody, RepoName, ServiceName, Sha, Text};
use std::collections::BTreeSet;

fn commit(event: &DeliveryEvent) -> Option<&Commit> {
    match &event.body {
        EventBody::Commit(body) => Some(body),
        _ => None,
    }
}

/// A push as its records tell it: where a link of its chain leads.
pub(crate) struct Chained {
    /// Commit → the one before it.
    links: Vec<(Sha, Sha)>,
    pub(crate) known: BTreeSet<Sha>,
}

pub(crate) fn chain(push: &Push) -> Chained {
    let mut known: BTreeSet<Sha> = push.commits.iter().filter(|sha| !sha.is_zero()).cloned().collect();
    let mut links = Vec::new();
    let mut before = push.before.clone().filter(|sha| !sha.is_zero() && push.forced != Some(true));
    for sha in push.commits.iter().chain(std::iter::once(&push.after)).filter(|sha| !sha.is_zero()) {
        if let Some(before) = before.filter(|before| before != sha) {
            links.push((sha.clone(), before));
        }
        before = Some(sha.clone());
    }
    if !push.after.is_zero() {
        known.insert(push.after.clone());
    }
    Chained { links, known }
}

impl Correlator {
    /// A push's records changed: the commits in it may have other edges.
    pub(crate) fn settle_push(&mut self, repo: &RepoName, source: &Text, id: &Text) {
        let thing = Thing::Push(repo.clone(), source.clone(), id.clone());
        let mut shas = BTreeSet::new();
        for event in self.state.records.of(&thing) {
            if let EventBody::Push(push) = &event.body {
                shas.extend(chain(push).known);
            }
        }
        for sha in shas {
            self.state.pushed_in.put(((repo.clone(), sha.clone()), (source.clone(), id.clone())), ());
            self.settle_commit(repo, &sha);
        }
    }

    /// Merges a commit's records anew and hands on what that changes.
    pub(crate) fn settle_commit(&mut self, repo: &RepoName, sha: &Sha) {
        let key = (repo.clone(), sha.clone());
        let new = self.merge_commit(repo, sha);
        let old = self.state.nodes.get(&key).cloned().unwrap_or_default();
        if new == old {
            return;
        }
        for reverted in old.reverts.iter().chain(&new.reverts) {
            self.dirty.revert_pairs.insert((repo.clone(), sha.clone(), reverted.clone()));
        }
        for reverted in &old.reverts {
            self.state.reverted_by.remove(&((repo.clone(), reverted.clone()), sha.clone()));
        }
        for reverted in &new.reverts {
            self.state.reverted_by.put(((repo.clone(), reverted.clone()), sha.clone()), ());
        }
        let services = self.catalog.all_services_of_repo(repo);
        let was: BTreeSet<&Sha> = old.parents.iter().collect();
        let is: BTreeSet<&Sha> = new.parents.iter().collect();
        for parent in was.difference(&is) {
            self.state.children.remove(&((repo.clone(), (*parent).clone()), sha.clone()));
        }
        for parent in is.difference(&was) {
            self.state.children.put(((repo.clone(), (*parent).clone()), sha.clone()), ());
        }
        let known_changed = new.known != old.known;
        self.state.nodes.put(key, new.clone());
        for service in &services {
            for parent in was.difference(&is) {
                self.refill(service, repo, parent);
            }
            let mine = self.state.reach.get(&(service.clone(), repo.clone(), sha.clone())).cloned();
            if let Some(rank) = mine {
                for parent in is.difference(&was) {
                    self.offer(service, repo, parent, &rank);
                }
            }
            self.dirty.commits.insert((service.clone(), repo.clone(), sha.clone()));
        }
        self.mark_pulls_of(repo, sha);
        self.mark_merges_of(repo, sha);
        if known_changed {
            self.dirty.rollouts.extend(self.state.awaited.of(sha).map(|(rollout, ())| rollout.clone()));
        }
    }

    pub(crate) fn merge_commit(&self, repo: &RepoName, sha: &Sha) -> Node {
        let thing = Thing::Commit(repo.clone(), sha.clone());
        let records: Vec<DeliveryEvent> = self.state.records.of(&thing).collect();
        let mut node = Node { known: !records.is_empty(), ..Node::default() };
        node.drill = records.iter().any(|record| record.is_drill());
        let parents = last(&records, |event| commit(event)?.parents.clone());
        node.committed_at = last(&records, |event| Some(commit(event)?.committed_at));
        node.authored_at = last(&records, |event| commit(event)?.authored_at);
        node.author_kind = last(&records, |event| commit(event)?.author_kind);
        node.paths = last(&records, |event| commit(event)?.paths.clone());
        node.reverts = last(&records, |event| commit(event)?.reverts.clone()).unwrap_or_default();
        let said_merge = last(&records, |event| commit(event)?.is_merge);
        match parents {
            Some(parents) => {
                node.merge = parents.len() > 1;
                node.parents = parents;
            }
            None => {
                node.merge = said_merge == Some(true);
                let (chained, pushed) = self.pushed_parents(repo, sha);
                node.known |= pushed;
                node.parents = chained.into_iter().collect();
            }
        }
        node.known |= self.is_pushed(repo, sha);
        node
    }

    fn is_pushed(&self, repo: &RepoName, sha: &Sha) -> bool {
        self.state.pushed_in.of(&(repo.clone(), sha.clone())).next().is_some()
    }

    /// The union of the push chains' edges from a commit, and whether any push has it.
    fn pushed_parents(&self, repo: &RepoName, sha: &Sha) -> (BTreeSet<Sha>, bool) {
        let mut parents = BTreeSet::new();
        let mut pushed = false;
        for ((source, id), ()) in self.state.pushed_in.of(&(repo.clone(), sha.clone())) {
            pushed = true;
            let thing = Thing::Push(repo.clone(), source.clone(), id.clone());
            for event in self.state.records.of(&thing) {
                if let EventBody::Push(push) = &event.body {
                    parents.extend(chain(push).links.into_iter().filter(|(s, _)| s == sha).map(|(_, p)| p));
                }
            }
        }
        (parents, pushed)
    }

    /// A deployment whose head is this commit begins to label.
    pub(crate) fn add_head(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha, rank: &Rank) {
        self.state.heads.put(((service.clone(), repo.clone(), sha.clone()), rank.clone()), ());
        self.offer(service, repo, sha, rank);
    }

    /// A deployment whose head is this commit no longer labels.
    pub(crate) fn remove_head(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha, rank: &Rank) {
        self.state.heads.remove(&((service.clone(), repo.clone(), sha.clone()), rank.clone()));
        if self.state.reach.get(&(service.clone(), repo.clone(), sha.clone())) == Some(rank) {
            self.refill(service, repo, sha);
        }
    }

    /// A deployment begins to list this commit: that reaches the commit alone, not what lies behind it.
    pub(crate) fn add_listed(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha, rank: &Rank) {
        self.with_label(service, repo, sha, |state, key| {
            state.listed.put((key, rank.clone()), ());
        });
    }

    /// A deployment no longer lists this commit.
    pub(crate) fn remove_listed(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha, rank: &Rank) {
        self.with_label(service, repo, sha, |state, key| {
            state.listed.remove(&(key, rank.clone()));
        });
    }

    /// Offers a label to a commit and, where it is lower than what stands there, to what lies behind it.
    fn offer(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha, rank: &Rank) {
        let mut stack = vec![sha.clone()];
        while let Some(sha) = stack.pop() {
            let key = (service.clone(), repo.clone(), sha);
            if self.state.reach.get(&key).is_some_and(|stands| stands <= rank) {
                continue;
            }
            self.with_label(service, repo, &key.2, |state, key| {
                state.reach.put(key, rank.clone());
            });
            if let Some(node) = self.state.nodes.get(&(key.1, key.2)) {
                stack.extend(node.parents.iter().cloned());
            }
        }
    }

    /// Takes away the label of a commit, and of all behind it that bear the same one, and fills them anew.
    fn refill(&mut self, service: &ServiceName, repo: &RepoName, sha: &Sha) {
        let Some(rank) = self.state.reach.get(&(service.clone(), repo.clone(), sha.clone())).cloned() else {
            return;
        };
        let mut emptied = BTreeSet::new();
        let mut stack = vec![sha.clone()];
        while let Some(sha) = stack.pop() {
            let key = (service.clone(), repo.clone(), sha);
            if self.state.reach.get(&key) != Some(&rank) {
                continue;
            }
            self.with_label(service, repo, &key.2, |state, key| {
                state.reach.remove(&key);
            });
            if let Some(node) = self.state.nodes.get(&(key.1, key.2.clone())) {
                stack.extend(node.parents.iter().cloned());
            }
            emptied.insert(key.2);
        }
        for sha in emptied {
            if let Some(rank) = self.best_offer(service, repo, &sha) {
                self.offer(service, repo, &sha, &rank);
            }
        }
    }

    fn best_offer(&self, service: &ServiceName, repo: &RepoName, sha: &Sha) -> Option<Rank> {
        let place = (service.clone(), repo.clone(), sha.clone());
        let head = self.state.heads.of(&place).next().map(|(rank, ())| rank);
        let children = self.state.children.of(&(repo.clone(), sha.clone()));
        let children = children
            .filter_map(|(child, ())| self.state.reach.get(&(service.clone(), repo.clone(), child.clone())));
        children.chain(head).min().cloned()
    }

    /// Makes a change that may move a commit's label, and marks the commit where it does.
    fn with_label(
        &mut self,
        service: &ServiceName,
        repo: &RepoName,
        sha: &Sha,
        change: impl FnOnce(&mut crate::state::State, (ServiceName, RepoName, Sha)),
    ) {
        let before = self.state.label(service, repo, sha);
        change(&mut self.state, (service.clone(), repo.clone(), sha.clone()));
        let after = self.state.label(service, repo, sha);
        if before == after {
            return;
        }
        if let Some(rank) = before {
            self.state.held.remove(&(service.clone(), rank, repo.clone(), sha.clone()));
        }
        if let Some(rank) = after {
            self.state.held.put((service.clone(), rank, repo.clone(), sha.clone()), ());
        }
        self.dirty.commits.insert((service.clone(), repo.clone(), sha.clone()));
    }
}
