//! Pull requests and their stages (semantics, section 4).

use crate::change::World;
use crate::record::{Record, Thing, micros, seconds, time};
use serde_json::{Value, json};

/// A pull request as it stands.
#[derive(Debug, Clone)]
pub struct PullRequest {
    pub repo: String,
    pub number: u64,
    pub state: String,
    pub opened: i64,
    /// Only of a merged one.
    pub merged: Option<i64>,
    /// Only of a merged one.
    pub merge_commit: Option<String>,
    pub merge_method: Option<String>,
    pub head: String,
    /// Its last list: (SHA, commit time).
    pub listed: Vec<(String, i64)>,
    /// The earliest time known of its listed commits and its head.
    pub first_commit: Option<i64>,
    /// The first review, strictly before the merge.
    pub reviewed: Option<i64>,
    pub author_kind: Option<String>,
}

impl PullRequest {
    pub fn of(key: &(String, u64), records: Vec<&Record>, reviews: &[&Record], world: &World) -> Self {
        let thing = Thing::of(records);
        let state = thing.text("state").unwrap_or_default();
        let is_merged = state == "merged";
        let merged = if is_merged { thing.time("merged_at").or_else(|| thing.final_run()) } else { None };
        let mut listed = Vec::new();
        for item in thing.get("commits").and_then(Value::as_array).into_iter().flatten() {
            if let (Some(sha), Some(at)) = (item["sha"].as_str(), micros(&item["committed_at"])) {
                listed.push((sha.to_owned(), at));
            }
        }
        let head = thing.text("head_sha").unwrap_or_default();
        let graph = world.graphs.get(&key.0);
        let own = |sha: &str| graph.and_then(|g| g.commits[*g.index.get(sha)?].committed);
        let times = listed.iter().flat_map(|(sha, at)| [Some(*at), own(sha)]).chain([own(&head)]);
        let first_commit = times.flatten().min();
        let reviewed = reviews.iter().filter_map(|review| micros(&review.body["submitted_at"]));
        Self {
            repo: key.0.clone(),
            number: key.1,
            opened: thing.time("opened_at").unwrap_or_else(|| thing.first_occurred()),
            merged,
            merge_commit: if is_merged { thing.text("merge_commit_sha") } else { None },
            merge_method: thing.text("merge_method"),
            head,
            listed,
            first_commit,
            reviewed: reviewed.filter(|at| merged.is_none_or(|merged| *at < merged)).min(),
            author_kind: thing.text("author_kind"),
            state,
        }
    }

    /// The deployment that brought it: of the services that it touches the earliest that did not swallow it.
    fn deployment(&self, world: &World) -> Option<usize> {
        let mut found = Vec::new();
        for service in world.catalog.services_of_repo(&self.repo) {
            if !self.touches(&service, world) {
                continue;
            }
            let label = |sha: &str| Some((world.label_of(&service, &self.repo, sha)?, sha.to_owned()));
            let merge = self.merge_commit.as_deref().and_then(label);
            if let Some((index, sha)) = merge.or_else(|| label(&self.head))
                && !world.swallowed(index, &self.repo, &sha)
            {
                found.push(index);
            }
        }
        found.into_iter().min_by(|a, b| {
            let (a, b) = (&world.deployments[*a], &world.deployments[*b]);
            (a.order(), &a.service).cmp(&(b.order(), &b.service))
        })
    }

    /// With paths: whether its merge commit, its head or a listed commit touches them.
    fn touches(&self, service: &str, world: &World) -> bool {
        if world.catalog.globs(service, &self.repo).is_empty() {
            return true;
        }
        let Some(graph) = world.graphs.get(&self.repo) else { return false };
        let listed = self.listed.iter().map(|(sha, _)| sha);
        listed.chain([&self.head]).chain(self.merge_commit.as_ref()).any(|sha| {
            let paths = graph.index.get(sha).and_then(|node| graph.commits[*node].paths.as_ref());
            world.catalog.touches(service, &self.repo, paths)
        })
    }

    pub fn row(&self, world: &World) -> Value {
        let deployment = self.deployment(world).map(|index| &world.deployments[index]);
        let (started, finished) = (deployment.map(|d| d.started), deployment.map(|d| d.end()));
        let spans = [
            ("coding_s", self.first_commit, Some(self.opened)),
            ("pickup_s", Some(self.opened), self.reviewed),
            ("review_s", self.reviewed, self.merged),
            ("waiting_s", self.merged, started),
            ("deploying_s", started, finished),
            ("lead_time_s", self.first_commit, finished),
        ];
        let skewed = spans.iter().any(|(_, from, to)| from.zip(*to).is_some_and(|(from, to)| to < from));
        let mut row = json!({
            "repo": self.repo,
            "number": self.number,
            "state": self.state,
            "first_commit_at": time(self.first_commit),
            "opened_at": time(Some(self.opened)),
            "first_reviewed_at": time(self.reviewed),
            "merged_at": time(self.merged),
            "merge_commit_sha": self.merge_commit,
            "service": deployment.map(|d| &d.service),
            "deployment_id": deployment.map(|d| &d.id),
            "deployed_at": time(finished),
            "skewed": skewed,
            "author_kind": self.author_kind,
        });
        for (name, from, to) in spans {
            row[name] = json!(from.zip(to).map(|(from, to)| seconds(from, to)));
        }
        row
    }
}
