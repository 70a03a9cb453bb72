//! Labels, changes and lead times (semantics, section 4).

use crate::graph::Graph;
use crate::pull_request::PullRequest;
use crate::record::{Record, seconds, time};
use crate::rollout::Deployment;
use crate::{CatalogModel, Settings, Sorted};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is known before failures.
pub struct World<'a> {
    pub catalog: &'a CatalogModel,
    pub settings: &'a Settings,
    pub graphs: BTreeMap<String, Graph>,
    pub deployments: Vec<Deployment>,
    /// Per deployment: the artifact's SHA, else its own.
    pub commit_sha: Vec<Option<String>>,
    /// Per deployment: its head, when that commit is known in a repository of the service.
    pub head: Vec<Option<(String, usize)>>,
    /// Service → its first deployment with a known head.
    pub first: BTreeMap<String, usize>,
    /// (service, repository) → per commit the deployment that is its label.
    pub labels: BTreeMap<(String, String), Vec<Option<usize>>>,
    /// (service, SHA) → the label of a listed commit that no graph holds.
    pub free_labels: BTreeMap<(String, String, String), usize>,
    pub pull_requests: BTreeMap<(String, u64), PullRequest>,
    pub changes: Vec<Change>,
    /// Per deployment: how many changes it ships.
    pub shipped: Vec<Option<u64>>,
}

/// A commit that reached production of a service.
#[derive(Debug, Clone)]
pub struct Change {
    pub service: String,
    pub repo: String,
    pub sha: String,
    /// Number of its deployment.
    pub deployment: usize,
    pub authored: Option<i64>,
    pub committed: Option<i64>,
    pub author_kind: Option<String>,
    pub start: Option<(i64, &'static str)>,
    pub pull_request: Option<u64>,
    pub drill: bool,
}

impl<'a> World<'a> {
    pub fn of(
        sorted: &Sorted,
        catalog: &'a CatalogModel,
        settings: &'a Settings,
        deployments: Vec<Deployment>,
    ) -> World<'a> {
        let mut graphs = BTreeMap::new();
        let (none_commits, none_pushes) = (BTreeMap::new(), Vec::new());
        for repo in sorted.commits.keys().chain(sorted.pushes.keys()).collect::<BTreeSet<_>>() {
            let commits = sorted.commits.get(repo).unwrap_or(&none_commits);
            let pushes = sorted.pushes.get(repo).unwrap_or(&none_pushes);
            graphs.insert(repo.clone(), Graph::of(commits, pushes));
        }
        let artifacts = Artifacts::of(&sorted.artifacts);
        let mut world = World {
            catalog,
            settings,
            commit_sha: deployments
                .iter()
                .map(|d| artifacts.sha(d).or(d.sha.clone()).or_else(|| artifacts.tagged(d, catalog)))
                .collect(),
            head: Vec::new(),
            first: BTreeMap::new(),
            labels: BTreeMap::new(),
            free_labels: BTreeMap::new(),
            pull_requests: BTreeMap::new(),
            changes: Vec::new(),
            shipped: vec![None; deployments.len()],
            graphs,
            deployments,
        };
        world.head = (0..world.deployments.len()).map(|d| world.find_head(d)).collect();
        for index in 0..world.deployments.len() {
            world.label(index);
        }
        for (key, records) in &sorted.pull_requests {
            let reviews = sorted.reviews.get(key).cloned().unwrap_or_default();
            let pull_request = PullRequest::of(key, records.clone(), &reviews, &world);
            world.pull_requests.insert(key.clone(), pull_request);
        }
        world.ship();
        world
    }

    fn find_head(&self, index: usize) -> Option<(String, usize)> {
        let sha = self.commit_sha[index].as_ref()?;
        let node = |repo: String| Some((repo.clone(), self.graphs.get(&repo)?.known_node(sha)?));
        self.repos_for(index).into_iter().find_map(node)
    }

    /// The repositories of a deployment's service, the one that it names first.
    fn repos_for(&self, index: usize) -> Vec<String> {
        let deployment = &self.deployments[index];
        let mut repos = self.catalog.repos_of(&deployment.service);
        repos.sort_by_key(|repo| Some(repo) != deployment.repo.as_ref());
        repos
    }

    /// Labels what a deployment reaches with it, where no earlier one does.
    fn label(&mut self, index: usize) {
        let deployment = self.deployments[index].clone();
        if !deployment.succeeded() {
            return;
        }
        let service = deployment.service.clone();
        if let Some((repo, head)) = self.head[index].clone() {
            for node in self.graphs[&repo].reach(head) {
                self.lower(&service, &repo, node, index);
            }
            let first = *self.first.entry(service.clone()).or_insert(index);
            if deployment.order() < self.deployments[first].order() {
                self.first.insert(service.clone(), index);
            }
        }
        for sha in deployment.listed.iter().flatten() {
            match self.place(index, sha) {
                Some((repo, node)) => self.lower(&service, &repo, node, index),
                None => {
                    let repo = self.repos_for(index).first().cloned().unwrap_or_default();
                    let key = (service.clone(), repo, sha.clone());
                    let label = *self.free_labels.entry(key.clone()).or_insert(index);
                    if deployment.order() < self.deployments[label].order() {
                        self.free_labels.insert(key, index);
                    }
                }
            }
        }
    }

    /// Where a listed commit lies in the repositories of the service: where it is known, else in the first.
    fn place(&self, index: usize, sha: &str) -> Option<(String, usize)> {
        let repos = self.repos_for(index);
        let known = |repo: &String| Some((repo.clone(), self.graphs.get(repo)?.known_node(sha)?));
        let unseen = |repo: &String| Some((repo.clone(), *self.graphs.get(repo)?.index.get(sha)?));
        repos.iter().find_map(known).or_else(|| repos.first().and_then(unseen))
    }

    fn lower(&mut self, service: &str, repo: &str, node: usize, index: usize) {
        let size = self.graphs[repo].shas.len();
        let labels =
            self.labels.entry((service.to_owned(), repo.to_owned())).or_insert_with(|| vec![None; size]);
        if labels[node].is_none_or(|label| self.deployments[index].order() < self.deployments[label].order())
        {
            labels[node] = Some(index);
        }
    }

    /// The label of a commit for a service; of one that no graph holds, the earliest deployment that lists it.
    pub fn label_of(&self, service: &str, repo: &str, sha: &str) -> Option<usize> {
        let free = self.free_labels.get(&(service.to_owned(), repo.to_owned(), sha.to_owned())).copied();
        let in_graph = || {
            let node = *self.graphs.get(repo)?.index.get(sha)?;
            self.labels.get(&(service.to_owned(), repo.to_owned()))?[node]
        };
        in_graph().or(free)
    }

    /// Whether the first deployment of the service took this commit in without shipping it.
    pub fn swallowed(&self, index: usize, repo: &str, sha: &str) -> bool {
        let deployment = &self.deployments[index];
        if self.first.get(&deployment.service) != Some(&index) {
            return false;
        }
        if let Some(listed) = &deployment.listed {
            return !listed.contains(sha);
        }
        match self.settings.first_deployment.as_str() {
            "all" => false,
            "none" => true,
            _ => {
                let node = self.graphs.get(repo).and_then(|graph| graph.index.get(sha));
                node.is_none() || self.head[index] != node.map(|node| (repo.to_owned(), *node))
            }
        }
    }

    /// Makes the changes and counts them.
    fn ship(&mut self) {
        let mut changes = Vec::new();
        for ((service, repo), labels) in &self.labels {
            let graph = &self.graphs[repo];
            for (node, label) in labels.iter().enumerate() {
                let Some(index) = *label else { continue };
                let sha = &graph.shas[node];
                let deployment = &self.deployments[index];
                let listed = deployment.listed.as_ref().map(|list| list.contains(sha));
                let ships = listed.unwrap_or_else(|| !self.swallowed(index, repo, sha));
                let counts = if graph.known[node] {
                    !graph.is_merge(node)
                        && self.catalog.touches(service, repo, graph.commits[node].paths.as_ref())
                } else {
                    listed == Some(true)
                };
                if ships && counts {
                    changes.push(self.change(service, repo, sha, index, graph.known[node]));
                }
            }
        }
        for ((service, repo, sha), index) in &self.free_labels {
            changes.push(self.change(service, repo, sha, *index, false));
        }
        for index in 0..self.deployments.len() {
            let deployment = &self.deployments[index];
            if deployment.succeeded() && (self.head[index].is_some() || deployment.listed.is_some()) {
                self.shipped[index] =
                    Some(changes.iter().filter(|c: &&Change| c.deployment == index).count() as u64);
            }
        }
        self.changes = changes;
    }

    fn change(&self, service: &str, repo: &str, sha: &str, deployment: usize, known: bool) -> Change {
        let own = self.graphs.get(repo).and_then(|g| Some(&g.commits[*g.index.get(sha)?]));
        let own = own.cloned().unwrap_or_default();
        let merged = self.merged_by(repo, sha);
        let listing = self.listed_by(repo, sha);
        let committed = own.committed.or_else(|| self.listed_time(repo, sha));
        let squashed = merged.filter(|pr| matches!(pr.merge_method.as_deref(), Some("squash" | "rebase")));
        let commit = squashed
            .and_then(|pr| pr.first_commit)
            .map(|t| (t, "pr_first_commit"))
            .or_else(|| committed.map(|t| (t, "commit")));
        let brought = merged.or(listing);
        let chosen = match self.settings.lead_time_start.as_str() {
            "authored" => own.authored.map(|t| (t, "authored")),
            "pr_opened" => brought.map(|pr| (pr.opened, "pr_opened")),
            "pr_merged" => brought.and_then(|pr| pr.merged).map(|t| (t, "pr_merged")),
            _ => None,
        };
        Change {
            service: service.to_owned(),
            repo: repo.to_owned(),
            sha: sha.to_owned(),
            deployment,
            authored: own.authored,
            committed: if known { committed } else { None },
            author_kind: own.author_kind,
            start: if known { chosen.or(commit) } else { None },
            pull_request: brought.map(|pr| pr.number),
            drill: own.drill,
        }
    }

    fn pull_requests_of(&self, repo: &str) -> impl Iterator<Item = &PullRequest> {
        self.pull_requests.range((repo.to_owned(), 0)..=(repo.to_owned(), u64::MAX)).map(|(_, pr)| pr)
    }

    /// The merged pull request with this merge commit.
    fn merged_by(&self, repo: &str, sha: &str) -> Option<&PullRequest> {
        self.pull_requests_of(repo).find(|pr| pr.merge_commit.as_deref() == Some(sha))
    }

    /// The earliest pull request that lists this commit.
    fn listed_by(&self, repo: &str, sha: &str) -> Option<&PullRequest> {
        let lists = |pr: &&PullRequest| pr.listed.iter().any(|(listed, _)| listed == sha);
        self.pull_requests_of(repo).filter(lists).min_by_key(|pr| (pr.opened, pr.number))
    }

    /// The earliest time that a pull request's list gives a commit.
    fn listed_time(&self, repo: &str, sha: &str) -> Option<i64> {
        let lists = self.pull_requests_of(repo).flat_map(|pr| &pr.listed);
        lists.filter(|(listed, _)| listed == sha).map(|(_, time)| *time).min()
    }
}

/// What artifacts say that a digest, or an image, was built from: the last of them by the one order.
#[derive(Default)]
struct Artifacts<'a> {
    digests: BTreeMap<&'a str, &'a str>,
    images: BTreeMap<&'a str, &'a str>,
}

impl<'a> Artifacts<'a> {
    /// Of records in order.
    fn of(records: &[&'a Record]) -> Self {
        let mut this = Self::default();
        for record in records {
            let text = |field: &str| record.body[field].as_str();
            let Some(sha) = text("sha") else { continue };
            this.digests.extend(text("digest").map(|digest| (digest, sha)));
            this.images.extend(text("image").map(|image| (image, sha)));
        }
        this
    }

    /// The SHA of a deployment's digest, else of its image.
    fn sha(&self, deployment: &Deployment) -> Option<String> {
        let digest = deployment.digest.as_deref().and_then(|digest| self.digests.get(digest));
        let image = || deployment.image.as_deref().and_then(|image| self.images.get(image));
        digest.or_else(image).map(|sha| (*sha).to_owned())
    }

    /// The SHA of the tag that a deployment's version is, where it states nothing else: with or without a `v`.
    fn tagged(&self, deployment: &Deployment, catalog: &CatalogModel) -> Option<String> {
        if deployment.digest.is_some() || deployment.image.is_some() {
            return None;
        }
        let version = deployment.version.as_deref()?;
        let other = match version.strip_prefix('v') {
            Some(bare) => bare.to_owned(),
            None => format!("v{version}"),
        };
        for repo in catalog.repos_of(&deployment.service) {
            let former = catalog.former_names.get(&repo).into_iter().flatten();
            for name in std::iter::once(&repo).chain(former) {
                for tag in [version, &other] {
                    if let Some(sha) = self.images.get(format!("{name}:{tag}").as_str()) {
                        return Some((*sha).to_owned());
                    }
                }
            }
        }
        None
    }
}

impl Change {
    /// The lead time in whole seconds, and whether it is negative before flooring.
    pub fn lead_time(&self, world: &World) -> Option<(i64, bool)> {
        let (start, _) = self.start?;
        let end = world.deployments[self.deployment].end();
        Some((seconds(start, end), end < start))
    }

    pub fn row(&self, world: &World) -> Value {
        let deployment = &world.deployments[self.deployment];
        let lead = self.lead_time(world);
        let pull_request = self.pull_request.map(|number| &world.pull_requests[&(self.repo.clone(), number)]);
        let stage = |from: Option<i64>, to: Option<i64>| Some(seconds(from?, to?));
        let opened = pull_request.map(|pr| pr.opened);
        let reviewed = pull_request.and_then(|pr| pr.reviewed);
        let merged = pull_request.and_then(|pr| pr.merged);
        json!({
            "service": self.service,
            "team": world.catalog.team(&self.service, deployment.end()),
            "repo": self.repo,
            "commit_sha": self.sha,
            "authored_at": time(self.authored),
            "committed_at": time(self.committed),
            "deployment_id": deployment.id,
            "deployed_at": time(deployment.finished),
            "lead_time_s": lead.map(|(s, _)| s),
            "start_evidence": self.start.map(|(_, evidence)| evidence),
            "author_kind": self.author_kind,
            "skewed": lead.is_some_and(|(_, skewed)| skewed),
            "drill": self.drill,
            "pull_request": self.pull_request,
            "coding_s": stage(pull_request.and_then(|pr| pr.first_commit), opened),
            "pickup_s": stage(opened, reviewed),
            "review_s": stage(reviewed, merged),
            "waiting_s": stage(merged, Some(deployment.started)),
            "deploying_s": seconds(deployment.started, deployment.end()),
        })
    }
}
