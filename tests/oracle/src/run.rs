//! Pipeline runs (semantics, section 7).

use crate::change::World;
use crate::record::{Record, Thing, seconds, time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One attempt of a pipeline run.
#[derive(Debug, Clone)]
pub struct Run {
    pub repo: String,
    pub run_id: String,
    pub attempt: u64,
    pub workflow: String,
    pub sha: String,
    pub state: String,
    pub started: Option<i64>,
    pub finished: Option<i64>,
    pub deployed: Option<i64>,
    pub drill: bool,
    pub source: String,
}

impl Run {
    /// Whether it passed or failed: only such runs enter a metric.
    pub fn decided(&self) -> bool {
        matches!(self.state.as_str(), "passed" | "failed") && !self.drill
    }

    /// Its duration in whole seconds, and whether it is negative.
    pub fn duration(&self) -> Option<(i64, bool)> {
        let (started, finished) = (self.started?, self.finished?);
        Some((seconds(started, finished), finished < started))
    }

    pub fn row(&self) -> Value {
        json!({
            "repo": self.repo,
            "run_id": self.run_id,
            "attempt": self.attempt,
            "workflow": self.workflow,
            "commit_sha": self.sha,
            "state": self.state,
            "started_at": time(self.started),
            "finished_at": time(self.finished),
            "duration_s": self.duration().map(|(s, _)| s),
            "start_to_deploy_s": self.started.zip(self.deployed).filter(|(from, to)| from <= to).map(|(from, to)| seconds(from, to)),
            "skewed": self.duration().is_some_and(|(_, skewed)| skewed),
            "drill": self.drill,
            "source": self.source,
        })
    }
}

/// Every run, merged.
pub fn runs(records: &BTreeMap<(String, String, u64), Vec<&Record>>, world: &World) -> Vec<Run> {
    let mut runs = Vec::new();
    // The finish of the first deployment that took a commit in, merge commits included, not as old history.
    let deployed = |repo: &String, sha: &String| {
        let services = world.catalog.services_of_repo(repo);
        let ends = services.iter().filter_map(|service| {
            let index = world.label_of(service, repo, sha)?;
            (!world.swallowed(index, repo, sha)).then(|| world.deployments[index].end())
        });
        ends.min()
    };
    for ((repo, run_id, attempt), records) in records {
        let thing = Thing::of(records.clone());
        let state = thing.text("state").unwrap_or_default();
        let sha = thing.text("sha").unwrap_or_default();
        let ended = matches!(state.as_str(), "passed" | "failed" | "cancelled");
        runs.push(Run {
            repo: repo.clone(),
            run_id: run_id.clone(),
            attempt: *attempt,
            workflow: thing.text("workflow").unwrap_or_default(),
            started: thing.time("started_at"),
            finished: if ended { thing.time("finished_at").or_else(|| thing.final_run()) } else { None },
            deployed: deployed(repo, &sha),
            drill: thing.drill(),
            source: thing.source(),
            state,
            sha,
        });
    }
    runs
}
