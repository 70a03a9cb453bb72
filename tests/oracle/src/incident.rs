//! Incidents: records pooled over links and duplicates (semantics, sections 1 and 6).

use crate::CatalogModel;
use crate::correction::Corrections;
use crate::record::{Record, Thing, micros, seconds, time};
use crate::rename::Renames;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an incident says it came from, or what ended it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Names {
    pub deployment: Option<String>,
    pub version: Option<String>,
    pub sha: Option<String>,
}

/// An incident.
#[derive(Debug, Clone)]
pub struct Incident {
    pub service: String,
    pub id: String,
    pub members: BTreeSet<String>,
    pub severity: Option<String>,
    pub tier: String,
    pub status: String,
    pub started: i64,
    pub detected: i64,
    pub both_stated: bool,
    pub mitigated: Option<i64>,
    pub resolved: Option<i64>,
    pub cause: Option<String>,
    /// The correction's deployment, else its names; none when it names nothing.
    pub names: Option<Names>,
    pub remedy: Option<Names>,
    pub repo: Option<String>,
    pub drill: bool,
    pub source: String,
}

/// Every incident sorted by id, and the records that are parked.
pub fn incidents<'a>(
    records: &BTreeMap<String, Vec<&'a Record>>,
    catalog: &CatalogModel,
    corrections: &Corrections,
    renames: &Renames,
) -> (Vec<Incident>, Vec<(&'a Record, &'static str)>) {
    let (mut found, mut parked) = (Vec::new(), Vec::new());
    let duplicate_of = |id: &String| -> Option<String> {
        let target = corrections.get("incident", &BTreeSet::from([id.clone()]), "duplicate_of")?.as_str()?;
        (target != id).then(|| target.to_owned())
    };
    // Two ids are neighbours when one links the other or is a duplicate of it.
    let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, own) in records {
        let links = Thing::of(own.clone()).list("links").unwrap_or_default();
        for other in links.into_iter().chain(duplicate_of(id)) {
            neighbours.entry(id.clone()).or_default().insert(other.clone());
            neighbours.entry(other).or_default().insert(id.clone());
        }
    }
    let mut done = BTreeSet::new();
    for id in records.keys() {
        if done.contains(id) {
            continue;
        }
        let mut group = BTreeSet::from([id.clone()]);
        let mut open = vec![id.clone()];
        while let Some(next) = open.pop() {
            for other in neighbours.get(&next).into_iter().flatten() {
                if group.insert(other.clone()) {
                    open.push(other.clone());
                }
            }
        }
        done.extend(group.iter().cloned());
        let told: BTreeSet<String> = group.iter().filter(|id| records.contains_key(*id)).cloned().collect();
        let thing = Thing::of(told.iter().flat_map(|id| records[id].clone()).collect());
        let targets: BTreeSet<String> = told.iter().filter_map(duplicate_of).collect();
        let original = targets.into_iter().find(|target| duplicate_of(target).is_none());
        let first = |id: &String| Thing::of(records[id].clone()).first_occurred();
        let id = original
            .unwrap_or_else(|| told.iter().min_by_key(|id| (first(id), (*id).clone())).unwrap().clone());
        let started = thing.time("started_at").or(thing.time("detected_at"));
        let started = started.unwrap_or_else(|| thing.first_occurred());
        let repo = thing.repo().map(|repo| renames.last(&repo, started));
        match catalog.service_of(thing.service().as_deref(), repo.as_deref()) {
            Ok(service) => {
                let found_here = incident(service, id, &group, told, &thing, corrections);
                found.push(Incident { repo, ..found_here });
            }
            Err(reason) => parked.extend(thing.records.iter().map(|record| (*record, reason))),
        }
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    (found, parked)
}

fn incident(
    service: String,
    id: String,
    group: &BTreeSet<String>,
    told: BTreeSet<String>,
    thing: &Thing,
    corrections: &Corrections,
) -> Incident {
    let corrected =
        |field: &str| corrections.get("incident", group, field).and_then(Value::as_str).map(str::to_owned);
    let status = thing.text("state").unwrap_or_default();
    // Ends count only when stated after the last record that says open or acknowledged.
    let reopened = |record: &&&Record| matches!(record.body["state"].as_str(), Some("open" | "acknowledged"));
    let after: Vec<&Record> =
        thing.records.iter().rev().take_while(|record| !reopened(record)).copied().collect();
    let stated = |field: &str| after.iter().map(|record| &record.body[field]).find_map(micros);
    let ended = |state: &str, field: &str| {
        stated(field).or_else(|| if status == state { thing.final_run() } else { None })
    };
    let (started, detected) = (thing.time("started_at"), thing.time("detected_at"));
    let detected_or = detected.or(started).unwrap_or_else(|| thing.first_occurred());
    let named = corrected("deployment_id").map(|id| Names { deployment: Some(id), ..Names::default() });
    Incident {
        service,
        members: told.into_iter().chain([id.clone()]).collect(),
        id,
        severity: corrected("severity").or(thing.text("severity")),
        tier: thing.text("tier").unwrap_or_else(|| "production".to_owned()),
        started: started.unwrap_or(detected_or),
        detected: detected_or,
        both_stated: started.is_some() && detected.is_some(),
        mitigated: ended("mitigated", "mitigated_at"),
        resolved: ended("resolved", "resolved_at"),
        cause: corrected("cause").or(thing.text("cause")),
        names: named.or_else(|| names(thing.get("names"))),
        remedy: names(thing.get("remedy")),
        repo: thing.repo(),
        drill: thing.drill(),
        source: thing.source(),
        status,
    }
}

fn names(value: Option<&Value>) -> Option<Names> {
    let text = |field: &str| value.and_then(|value| value[field].as_str()).map(str::to_owned);
    let names = Names { deployment: text("deployment_id"), version: text("version"), sha: text("sha") };
    (names != Names::default()).then_some(names)
}

impl Incident {
    /// A production incident, and no drill.
    pub fn counts(&self) -> bool {
        self.tier == "production" && !self.drill
    }

    /// When it was over for the recovery of what it blames.
    pub fn end(&self, restored_at: &str) -> Option<i64> {
        if restored_at == "mitigated" { self.mitigated.or(self.resolved) } else { self.resolved }
    }

    /// Started to resolved in whole seconds, and whether it is negative.
    pub fn time_to_restore(&self) -> Option<(i64, bool)> {
        self.resolved.map(|end| (seconds(self.started, end), end < self.started))
    }

    /// Started to detected where both were stated, and whether it is negative.
    pub fn time_to_detect(&self) -> Option<(i64, bool)> {
        self.both_stated.then(|| (seconds(self.started, self.detected), self.detected < self.started))
    }

    pub fn row(&self, catalog: &CatalogModel, blamed: Option<(String, &'static str)>) -> Value {
        let (restore, detect) = (self.time_to_restore(), self.time_to_detect());
        let skewed = restore.is_some_and(|(_, s)| s) || detect.is_some_and(|(_, s)| s);
        json!({
            "service": self.service,
            "team": catalog.team(&self.service, self.resolved.unwrap_or(self.started)),
            "incident_id": self.id,
            "members": self.members,
            "severity": self.severity,
            "tier": self.tier,
            "status": self.status,
            "started_at": time(Some(self.started)),
            "detected_at": time(Some(self.detected)),
            "detection_stated": self.both_stated,
            "mitigated_at": time(self.mitigated),
            "resolved_at": time(self.resolved),
            "time_to_restore_s": restore.map(|(s, _)| s),
            "time_to_detect_s": detect.map(|(s, _)| s),
            "cause": self.cause,
            "deployment_id": blamed.as_ref().map(|(id, _)| id),
            "failure_evidence": blamed.as_ref().map(|(_, evidence)| evidence),
            "skewed": skewed,
            "drill": self.drill,
            "source": self.source,
        })
    }
}
