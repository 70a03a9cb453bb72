//! Attempts, and the logical deployments that they make up (semantics, section 3).

use crate::correction::Corrections;
use crate::record::{Record, Thing, texts};
use crate::{CatalogModel, Settings};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One vendor deployment: its records merged.
#[derive(Debug, Clone)]
struct Attempt<'a> {
    id: String,
    thing: Thing<'a>,
    environment: String,
    state: String,
    started: i64,
    finished: Option<i64>,
}

impl Attempt<'_> {
    fn order(&self) -> (i64, &str) {
        (self.started, &self.id)
    }
}

/// A logical deployment.
#[derive(Debug, Clone, Default)]
pub struct Deployment {
    pub service: String,
    pub environment: String,
    pub tier: String,
    pub id: String,
    /// The ids of all its attempts.
    pub ids: BTreeSet<String>,
    pub rollout_id: Option<String>,
    pub parts: u32,
    pub repo: Option<String>,
    pub version: Option<String>,
    pub digest: Option<String>,
    pub image: Option<String>,
    pub sha: Option<String>,
    pub started: i64,
    pub finished: Option<i64>,
    pub outcome: &'static str,
    pub automated: Option<bool>,
    pub listed: Option<BTreeSet<String>>,
    pub hotfix: bool,
    pub drill: bool,
    pub labels: BTreeMap<String, String>,
    pub change_ref: Option<String>,
    pub approved: Option<bool>,
    pub in_window: Option<bool>,
    pub canary: Option<Map<String, Value>>,
    pub source: String,
    /// What a correction says about its failure.
    pub corrected_failed: Option<bool>,
}

impl Deployment {
    pub fn key(&self) -> (String, String) {
        (self.service.clone(), self.id.clone())
    }
    /// Production, and no drill.
    pub fn counts(&self) -> bool {
        self.tier == "production" && !self.drill
    }
    /// A succeeded production deployment.
    pub fn succeeded(&self) -> bool {
        self.counts() && self.outcome == "succeeded"
    }
    /// Succeeded or partial in production: what can fail.
    pub fn serves(&self) -> bool {
        self.counts() && matches!(self.outcome, "succeeded" | "partial")
    }
    /// When it finished; only for those that did.
    pub fn end(&self) -> i64 {
        self.finished.expect("what counts has finished")
    }
    /// (finish, id).
    pub fn order(&self) -> (i64, &str) {
        (self.end(), &self.id)
    }
}

/// Every logical deployment of every service, sorted by (service, id).
pub fn deployments(
    attempts: &BTreeMap<(String, String), Vec<&Record>>,
    catalog: &CatalogModel,
    settings: &Settings,
    corrections: &Corrections,
) -> Vec<Deployment> {
    let mut by_place: BTreeMap<(String, String), Vec<Attempt>> = BTreeMap::new();
    for ((service, id), records) in attempts {
        let attempt = attempt(id, records.clone());
        by_place.entry((service.clone(), attempt.environment.clone())).or_default().push(attempt);
    }
    let mut found = Vec::new();
    for ((service, environment), mut attempts) in by_place {
        attempts.sort_by(|a, b| a.order().cmp(&b.order()));
        for group in groups(attempts, settings) {
            found.push(logical(&service, &environment, &group, catalog, corrections));
        }
    }
    found.sort_by_key(Deployment::key);
    found
}

fn attempt<'a>(id: &str, records: Vec<&'a Record>) -> Attempt<'a> {
    let thing = Thing::of(records);
    let state = thing.text("state").unwrap_or_default();
    let stated = thing.time("finished_at");
    let terminal = matches!(state.as_str(), "succeeded" | "failed" | "cancelled");
    Attempt {
        id: id.to_owned(),
        environment: thing.text("environment").unwrap_or_default(),
        started: thing.time("started_at").or(stated).unwrap_or_else(|| thing.first_occurred()),
        finished: if terminal { stated.or_else(|| thing.final_run()) } else { None },
        state,
        thing,
    }
}

/// The attempts of one service and environment, in order, put into rollouts.
fn groups<'a>(attempts: Vec<Attempt<'a>>, settings: &Settings) -> Vec<Vec<Attempt<'a>>> {
    let mut named: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
    let mut unnamed: Vec<Vec<Attempt>> = Vec::new();
    // The latest group of each version.
    let mut latest: BTreeMap<String, usize> = BTreeMap::new();
    for attempt in attempts {
        let text = |field: &str| attempt.thing.text(field);
        if let Some(rollout) = text("rollout_id") {
            named.entry(rollout).or_default().push(attempt);
            continue;
        }
        let (Some(part), Some(version)) = (text("part"), text("version").or(text("digest")).or(text("sha")))
        else {
            unnamed.push(vec![attempt]);
            continue;
        };
        if let Some(group) = latest.get(&version).and_then(|group| unnamed.get_mut(*group)) {
            let has = group.iter().any(|other| other.thing.text("part").as_ref() == Some(&part));
            let end = group.iter().map(|other| other.finished.unwrap_or(other.started)).max().unwrap();
            if !has && attempt.started - end <= settings.merge_within_s * 1_000_000 {
                group.push(attempt);
                continue;
            }
        }
        latest.insert(version, unnamed.len());
        unnamed.push(vec![attempt]);
    }
    named.into_values().chain(unnamed).collect()
}

fn logical(
    service: &str,
    environment: &str,
    group: &[Attempt],
    catalog: &CatalogModel,
    corrections: &Corrections,
) -> Deployment {
    // `group` is in order, so that the last of each part stays.
    let mut last: BTreeMap<Option<String>, &Attempt> = BTreeMap::new();
    if group[0].thing.get("rollout_id").is_some() {
        for attempt in group {
            last.insert(attempt.thing.text("part"), attempt);
        }
    } else {
        last.extend(group.iter().map(|attempt| (Some(attempt.id.clone()), attempt)));
    }
    let mut counting: Vec<&Attempt> = last.into_values().collect();
    counting.sort_by(|a, b| a.order().cmp(&b.order()));
    let first = |field: &str| counting.iter().find_map(|attempt| attempt.thing.get(field));
    let text = |field: &str| first(field).and_then(Value::as_str).map(str::to_owned);
    let flag = |field: &str| first(field).and_then(Value::as_bool);
    let ids: BTreeSet<String> = group.iter().map(|attempt| attempt.id.clone()).collect();
    let corrected = |field: &str| corrections.get("deployment", &ids, field);
    let lists: Vec<BTreeSet<String>> = counting
        .iter()
        .filter_map(|a| texts(a.thing.get("commits")))
        .map(|l| l.into_iter().collect())
        .collect();
    let mut outcome = outcome(&counting);
    if corrected("cancelled").and_then(Value::as_bool) == Some(true) {
        outcome = "cancelled";
    }
    let finished = counting.iter().map(|attempt| attempt.finished).collect::<Option<Vec<i64>>>();
    let labels = first("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    Deployment {
        service: service.to_owned(),
        environment: environment.to_owned(),
        tier: corrected("tier")
            .or_else(|| first("tier"))
            .and_then(Value::as_str)
            .map_or_else(|| catalog.tier(environment), str::to_owned),
        id: group[0].id.clone(),
        rollout_id: text("rollout_id"),
        parts: counting.len() as u32,
        repo: counting.iter().find_map(|a| a.thing.repo()).or_else(|| catalog.repos_of_named(service)),
        version: text("version"),
        digest: text("digest"),
        image: text("image"),
        sha: text("sha"),
        started: group[0].started,
        finished: finished.and_then(|all| all.into_iter().max()),
        outcome,
        automated: automated(text("trigger"), text("author_kind")),
        listed: if lists.is_empty() { None } else { Some(lists.into_iter().flatten().collect()) },
        hotfix: counting.iter().any(|a| a.thing.bool("hotfix") == Some(true)),
        drill: counting.iter().any(|a| a.thing.drill()),
        labels: labels.into_iter().filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect(),
        change_ref: text("change_ref"),
        approved: flag("approved"),
        in_window: flag("in_window"),
        canary: first("canary").and_then(Value::as_object).cloned(),
        source: counting[0].thing.source(),
        corrected_failed: corrected("failed").and_then(Value::as_bool),
        ids,
    }
}

fn outcome(counting: &[&Attempt]) -> &'static str {
    let all = |state: &str| counting.iter().all(|attempt| attempt.state == state);
    let any = |state: &str| counting.iter().any(|attempt| attempt.state == state);
    let serving = counting.iter().any(|attempt| attempt.thing.bool("serving") == Some(true));
    if counting.iter().any(|attempt| attempt.finished.is_none()) {
        "running"
    } else if all("succeeded") {
        "succeeded"
    } else if all("cancelled") {
        "cancelled"
    } else if !any("succeeded") && !serving {
        "failed"
    } else {
        "partial"
    }
}

fn automated(trigger: Option<String>, author: Option<String>) -> Option<bool> {
    if trigger.is_none() && author.is_none() {
        return None;
    }
    Some(trigger.is_some_and(|trigger| trigger != "manual") || author.as_deref() == Some("bot"))
}
