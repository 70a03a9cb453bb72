//! Small random organisations: events of every kind about few things, so that many of them meet.

use crate::{CatalogModel, Service, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// SplitMix64: the same numbers for the same seed, everywhere.
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Less than this.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
    /// One of these, or nothing as often.
    pub fn maybe<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if self.below(2) == 0 { None } else { Some(self.pick(from)) }
    }
    /// In any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
    fn sha(&mut self) -> String {
        format!("c{}", self.below(14))
    }
    fn time(&mut self) -> String {
        let seconds = 1_767_225_600 + self.below(60 * 24 * 10) as i64 * 60;
        jiff::Timestamp::from_second(seconds).unwrap().to_string()
    }
    fn maybe_time(&mut self) -> Option<String> {
        if self.below(2) == 0 { None } else { Some(self.time()) }
    }
    fn shas(&mut self) -> Vec<String> {
        (0..self.below(4)).map(|_| self.sha()).collect()
    }
}

/// An event of any kind, about one of few things, so that many meet.
pub fn event(random: &mut Random, number: u64) -> Value {
    let kinds = ["commit", "commit", "push", "pull_request", "review", "pipeline_run", "artifact"];
    let often = ["commit", "deployment", "deployment", "deployment", "deployment", "deployment", "incident"];
    let more = ["commit", "deployment", "deployment", "incident", "incident", "incident", "correction"];
    let kind = random.pick(&[kinds, often, more, often].concat());
    let at = random.time();
    let id = format!("e{}", if random.below(10) == 0 { 0 } else { number });
    let mut event = json!({
        "id": id, "type": kind, "occurred_at": at, "observed_at": at, "source": random.pick(&["x", "y"]),
        "repo": random.pick(&["r/mono", "r/mono", "r/mono", "r/lone", "r/unknown"]),
        "service": random.pick(&[Some("cart"), Some("cart"), Some("checkout"), Some("own"), Some("pd:1"), Some("pd:2"), None]),
        "drill": if random.below(20) == 0 { Some(true) } else { None },
    });
    event[kind] = body(random, kind);
    event
}

/// Every name of a repository: the last are those that only renames give.
const NAMES: &[&str] = &["r/mono", "r/mono", "r/lone", "r/unknown", "r/new", "r/newer"];

/// Makes renames of some events, and has others name what those give. In its own sequence, so that what is left is what
/// it was.
pub fn rename_some(mut random: Random, events: &mut [Value]) {
    for event in events {
        match random.below(40) {
            0 => {
                *event = json!({
                    "id": event["id"], "type": "repository", "occurred_at": event["occurred_at"],
                    "observed_at": event["observed_at"], "source": event["source"], "repo": random.pick(NAMES),
                    "repository": {
                        "action": random.pick(&["renamed", "renamed", "transferred", "archived"]),
                        "from": random.pick(NAMES),
                    },
                });
            }
            1..8 => event["repo"] = random.pick(NAMES).into(),
            _ => {}
        }
    }
}

fn body(random: &mut Random, kind: &str) -> Value {
    match kind {
        "commit" => {
            let number = random.below(14);
            let parents: Vec<String> = (0..random.below(3))
                .filter(|_| number > 0)
                .map(|_| format!("c{}", random.below(number)))
                .collect();
            json!({
                "sha": format!("c{number}"), "parents": if random.below(5) == 0 { None } else { Some(parents) },
                "committed_at": random.time(), "authored_at": random.maybe_time(),
                "author_kind": random.maybe(&["human", "bot"]), "is_merge": random.maybe(&[true, false]),
                "paths": random.pick(&[Some(vec!["cart/a"]), Some(vec!["checkout/a", "cart/b"]), Some(vec!["lib"]), None]),
                "reverts": random.maybe(&[vec!["c1"], vec!["c2", "c3"], vec!["c5"]]),
            })
        }
        "push" => json!({
            "ref": "main", "before": random.sha(), "after": random.sha(), "commits": random.shas(),
            "forced": random.maybe(&[true, false]),
        }),
        "pull_request" => {
            let listed: Vec<Value> = random
                .shas()
                .into_iter()
                .map(|sha| json!({"sha": sha, "committed_at": random.time()}))
                .collect();
            json!({
                "number": random.below(3), "state": random.pick(&["open", "closed", "merged"]),
                "opened_at": random.time(), "merged_at": random.maybe_time(), "head_ref": "h", "base_ref": "b",
                "head_sha": random.sha(), "merge_commit_sha": random.sha(), "commits": listed,
                "merge_method": random.maybe(&["merge", "squash", "rebase"]),
            })
        }
        "review" => json!({"number": random.below(3), "submitted_at": random.time(), "state": "approved"}),
        "pipeline_run" => json!({
            "run_id": random.pick(&["1", "2"]), "attempt": random.below(3), "workflow": "ci", "sha": random.sha(),
            "state": random.pick(&["queued", "running", "passed", "failed", "cancelled"]),
            "started_at": random.maybe_time(), "finished_at": random.maybe_time(),
        }),
        "artifact" => json!({
            "digest": random.maybe(&["sha256:aa", "sha256:bb"]), "image": random.maybe(&["i:1", "i:2"]),
            "sha": random.sha(),
        }),
        "deployment" => json!({
            "deployment_id": format!("d{}", random.below(12)), "rollout_id": random.pick(&[None, None, None, Some("r1")]),
            "part": random.maybe(&["eu", "us"]), "environment": random.pick(&["prod", "prod", "live-2", "staging"]),
            "version": random.maybe(&["1.0.0", "v1.0.0", "2.0.0", "latest"]),
            "sha": random.sha(), "digest": random.maybe(&["sha256:aa", "sha256:bb"]),
            "image": random.maybe(&["i:1", "i:2"]), "started_at": random.maybe_time(),
            "state": random.pick(&["succeeded", "succeeded", "succeeded", "succeeded", "succeeded", "failed", "cancelled", "running"]),
            "finished_at": random.maybe_time(), "trigger": random.maybe(&["push", "manual"]),
            "commits": random.pick(&[None, None, None, Some(vec!["c1", "c9"]), Some(vec![]), Some(vec!["zz"])]), "hotfix": random.pick(&[None, Some(false), Some(false), Some(true)]),
            "serving": random.maybe(&[true, false]), "labels": random.maybe(&[json!({"region": "eu"}), json!({"region": "x"})]),
            "canary": random.maybe(&[json!({"steps": 3}), json!({"steps": 3, "promoted": false})]),
        }),
        "incident" => json!({
            "incident_id": format!("i{}", random.below(4)),
            "state": random.pick(&["open", "acknowledged", "mitigated", "resolved", "resolved"]),
            "severity": random.maybe(&["sev1", "sev4"]), "started_at": random.maybe_time(),
            "detected_at": random.maybe_time(), "resolved_at": random.maybe_time(), "mitigated_at": random.maybe_time(),
            "cause": random.maybe(&["change", "dependency", "flag"]),
            "names": random.pick(&[None, None, None, Some(json!({"deployment_id": "d1"})), Some(json!({"version": "1.0.0"})), Some(json!({"sha": "c4"}))]),
            "remedy": random.maybe(&[json!({"deployment_id": "d2"}), json!({"sha": "c6"})]),
            "links": if random.below(4) == 0 { Some(json!(["i0"])) } else { None },
        }),
        _ => {
            let deployment = random.below(2) == 0;
            let set = if deployment {
                random.pick(&[
                    json!({"failed": true}),
                    json!({"failed": false}),
                    json!({"tier": "staging"}),
                    json!({"cancelled": true}),
                ])
            } else {
                random.pick(&[
                    json!({"cause": "change"}),
                    json!({"deployment_id": "d3"}),
                    json!({"duplicate_of": "i1"}),
                ])
            };
            json!({
                "target": if deployment { "deployment" } else { "incident" }, "set": set, "reason": "r",
                "target_id": if deployment { format!("d{}", random.below(8)) } else { format!("i{}", random.below(4)) },
                "undoes": if random.below(3) == 0 { Some(format!("e{}", random.below(40))) } else { None },
            })
        }
    }
}

/// Two services that share a repository, owned by another team from a day on.
pub fn catalog() -> CatalogModel {
    let service = |name: &str, repositories: &[(&str, &[&str])], alias: &str| Service {
        name: name.to_owned(),
        repositories: repositories
            .iter()
            .map(|(repo, globs)| ((*repo).to_owned(), globs.iter().map(|g| (*g).to_owned()).collect()))
            .collect(),
        aliases: vec![alias.to_owned()],
        teams: vec![(i64::MIN, "a".to_owned()), (1_767_600_000_000_000, "b".to_owned())],
        dependencies: if name == "cart" { Vec::new() } else { vec!["cart".to_owned()] },
        ..Service::default()
    };
    CatalogModel {
        services: vec![
            service("cart", &[("r/mono", &["cart/**"])], "pd:1"),
            service("checkout", &[("r/mono", &["checkout/**"]), ("r/lone", &[])], "pd:3"),
        ],
        group_of_team: BTreeMap::from([("a".to_owned(), "g".to_owned())]),
        ..CatalogModel::default()
    }
}

/// Another ownership of the same things: the catalog before the one that counts.
pub fn earlier(model: &CatalogModel, random: &mut Random) -> CatalogModel {
    let mut earlier = model.clone();
    match random.below(4) {
        0 => earlier.services.clear(),
        1 => {
            earlier.services.pop();
        }
        2 => {
            for service in &mut earlier.services {
                service.aliases.clear();
                service.dependencies.clear();
                service.teams = vec![(i64::MIN, "c".to_owned())];
            }
        }
        _ => {
            for service in &mut earlier.services {
                service.repositories.truncate(1);
                service.repositories.iter_mut().for_each(|(_, globs)| globs.clear());
            }
        }
    }
    earlier
}

/// The same ownership with other homes: a service lives where its first repository does.
pub fn elsewhere(model: &CatalogModel) -> CatalogModel {
    let mut elsewhere = model.clone();
    elsewhere.services.iter_mut().for_each(|service| service.repositories.reverse());
    elsewhere
}

/// Any definitions.
pub fn settings(random: &mut Random) -> Settings {
    Settings {
        lead_time_start: random.pick(&["commit", "authored", "pr_opened", "pr_merged"]).to_owned(),
        first_deployment: random.pick(&["head", "none", "all"]).to_owned(),
        restored_at: random.pick(&["resolved", "mitigated"]).to_owned(),
        failure_window_s: random.maybe(&[4 * 3600]),
        blame_dependencies: random.pick(&[true, false]),
        failure_evidence_suffices: true,
        timezone: random.pick(&["UTC", "Asia/Kolkata"]).to_owned(),
        label_scopes: BTreeMap::from([("region".to_owned(), vec!["eu".to_owned()])]),
        ..Settings::default()
    }
}
