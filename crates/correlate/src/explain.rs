//! Explanations, from the same decisions that the facts are made by (semantics, section 12).

mod commit;
mod incident;
mod metric;

use crate::deployment::Rollout;
use crate::fact::verdict;
use crate::message::IncidentView;
use crate::rollouts::artifact_keys;
use crate::ship::NotShipped;
use crate::state::{Blamer, Rank};
use crate::task::Correlator;
use commit::{HISTORY, not_shipped};
use model::event::EnvironmentTier;
use model::fact::{Row, RowKey};
use model::{DeploymentId, IncidentId, RepoName, ServiceName, Sha, Span};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why a thing is as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What it is about.
    pub subject: String,
    /// What was concluded, in a sentence.
    pub verdict: String,
    /// What was looked at: what counted, and what did not.
    pub considered: Vec<Considered>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Considered {
    /// What.
    pub candidate: String,
    /// Whether it counted.
    pub counted: bool,
    /// By which rule.
    pub rule: &'static str,
    /// What was found.
    pub detail: String,
    /// The configuration key that decides it.
    pub key: Option<&'static str>,
    /// What to do if that is wrong.
    pub remedy: Option<&'static str>,
}

impl Considered {
    fn yes(candidate: impl Into<String>, rule: &'static str, detail: impl Into<String>) -> Self {
        let (candidate, detail) = (candidate.into(), detail.into());
        Self { candidate, counted: true, rule, detail, key: None, remedy: None }
    }
    fn no(candidate: impl Into<String>, rule: &'static str, detail: impl Into<String>) -> Self {
        Self { counted: false, ..Self::yes(candidate, rule, detail) }
    }
    fn key(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
    fn remedy(self, remedy: &'static str) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

const CORRECT: &str = "if this is wrong: streamgauge correct deployment ID --not-failed --reason '…'";

/// A span as a person reads it: its two largest units.
pub fn human(span: Span) -> String {
    let seconds = span.seconds();
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.unsigned_abs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let text: Vec<String> = parts
        .iter()
        .skip_while(|(n, _)| *n == 0)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    if text.is_empty() { "0 s".to_owned() } else { format!("{sign}{}", text.join(" ")) }
}

impl Correlator {
    /// Explains the deployments, of any service of this task, with an attempt of this id.
    pub fn explain_deployment(&self, id: &DeploymentId) -> Vec<Explanation> {
        self.rollouts_with(id).filter_map(|(service, id)| self.explain_rollout(&service, &id)).collect()
    }

    fn explain_rollout(&self, service: &ServiceName, id: &DeploymentId) -> Option<Explanation> {
        let rollout = self.state.rollouts.get(&(service.clone(), id.clone()))?;
        let mut considered = Vec::new();
        for member in &rollout.members {
            let counts = rollout.counting.contains(member);
            let attempt = self.state.attempts.get(&(service.clone(), member.clone()))?;
            let text = format!("attempt {member}");
            let state = format!("{} (started {})", attempt.state, attempt.started);
            considered.push(if counts {
                Considered::yes(text, "parts and retries", state)
            } else {
                Considered::no(
                    text,
                    "parts and retries",
                    format!("{state}: retried by a later attempt of the same part"),
                )
            });
        }
        let tier = format!("{} is {}", rollout.environment, rollout.tier);
        considered.push(if rollout.tier == EnvironmentTier::Production {
            Considered::yes("environment", "tier", tier)
        } else {
            Considered::no("environment", "tier", format!("{tier}: only production counts"))
                .key("environments (catalog)")
                .remedy("add a rule under [[environments]] in the catalog")
        });
        if rollout.drill {
            considered.push(Considered::no("drill", "drill", "it is marked as a drill: no metric sees it"));
        }
        self.explain_head(rollout, &mut considered);
        self.explain_changes(service, id, rollout, &mut considered);
        let verdict = self.explain_failure(service, id, rollout, &mut considered);
        Some(Explanation {
            subject: format!("deployment {id} of {service}"),
            verdict: format!("{} in {}; {verdict}", rollout.outcome, rollout.environment),
            considered,
        })
    }

    fn explain_head(&self, rollout: &Rollout, considered: &mut Vec<Considered>) {
        let told = artifact_keys(rollout).into_iter().find(|key| self.state.artifacts.get(key).is_some());
        considered.push(match (&rollout.head, &rollout.commit_sha) {
            (Some((repo, sha)), _) => {
                let by =
                    told.map_or("as the deployment states".to_owned(), |key| format!("by artifact {key}"));
                Considered::yes(format!("commit {sha}"), "head", format!("known in {repo}, {by}"))
            }
            (None, Some(sha)) => Considered::no(
                format!("commit {sha}"),
                "head",
                "not known in a repository of the service: it labels no commit",
            )
            .key("services.repositories (catalog)")
            .remedy("import the repository's history, or list the repository under the service"),
            (None, None) => {
                let tags = match (rollout.tags.is_empty(), &rollout.version) {
                    (false, Some(version)) => format!(", and {version} is no known tag of its repositories"),
                    _ => String::new(),
                };
                let detail = format!("neither the deployment nor an artifact states one{tags}");
                Considered::no("commit", "head", detail)
                    .remedy("send `sha`, or a `digest` with an artifact event, or the tag")
            }
        });
    }

    fn explain_changes(
        &self,
        service: &ServiceName,
        id: &DeploymentId,
        rollout: &Rollout,
        considered: &mut Vec<Considered>,
    ) {
        let Some(finish) = rollout.finished else { return };
        let rank = Rank { finish, id: id.clone() };
        let from = (service.clone(), rank.clone(), RepoName::default(), Sha::new(""));
        let held = self.state.held.range(from..).take_while(|((s, r, ..), ())| s == service && *r == rank);
        if self.state.first_deployment(service) == Some(&rank) {
            considered.extend(self.headless_before(service, &rank));
        }
        let mut shipped = 0_u64;
        let mut reasons: BTreeMap<&'static str, (u64, String, NotShipped)> = BTreeMap::new();
        for ((_, _, repo, sha), ()) in held {
            match self.ship(service, repo, sha) {
                Ok(_) => shipped += 1,
                Err(why) => {
                    let entry = reasons.entry(not_shipped(why).0).or_insert((0, sha.to_string(), why));
                    entry.0 += 1;
                }
            }
        }
        if shipped > 0 {
            considered.push(Considered::yes(
                format!("{shipped} commits"),
                "changes",
                "it is the first production deployment of the service that reaches them",
            ));
        }
        for (text, (count, example, why)) in reasons {
            let row =
                Considered::no(format!("{count} commits"), "changes", format!("{text} (such as {example})"));
            let (_, key, remedy) = not_shipped(why);
            considered.push(Considered { key, remedy, ..row });
        }
    }

    /// Earlier deployments of the service that would be its first if their heads were known.
    fn headless_before(&self, service: &ServiceName, rank: &Rank) -> Vec<Considered> {
        let rollouts = self.state.rollouts.range((service.clone(), DeploymentId::default())..);
        let rollouts = rollouts.take_while(|((s, _), _)| s == service).filter(|((_, id), rollout)| {
            let before = rollout.finished.is_some_and(|finish| (finish, id) < (rank.finish, &rank.id));
            before && rollout.succeeded() && rollout.head.is_none()
        });
        let detail = "it finished earlier, but its head is not known: so this one is the service's first";
        rollouts
            .take(5)
            .map(|((_, id), _)| {
                Considered::no(format!("deployment {id}"), "first deployment", detail)
                    .key("lead_time.first_deployment")
                    .remedy(HISTORY)
            })
            .collect()
    }

    fn explain_failure(
        &self,
        service: &ServiceName,
        id: &DeploymentId,
        rollout: &Rollout,
        considered: &mut Vec<Considered>,
    ) -> String {
        if !rollout.serves() {
            return format!(
                "it cannot fail: a {} deployment to {} serves nobody",
                rollout.outcome, rollout.tier
            );
        }
        let blames = self.blames_of(service, id);
        if let Some(failed) = rollout.corrected_failed {
            considered.push(Considered::yes(
                "correction",
                "manual",
                if failed {
                    "a correction says that it failed"
                } else {
                    "a correction says that it did not fail"
                },
            ));
        }
        for (rule, blamer) in &blames {
            let (candidate, detail) = match blamer {
                Blamer::Deployment(by) => (format!("deployment {by}"), self.explain_blamer(service, id, by)),
                Blamer::Incident(by) => {
                    (format!("incident {by}"), self.explain_blaming(service, by, rollout))
                }
            };
            let row = Considered {
                counted: rollout.corrected_failed != Some(false),
                ..Considered::yes(candidate, rule.as_str(), detail)
            };
            considered.push(row.key("failure_window, remediation_window").remedy(CORRECT));
        }
        self.explain_near_misses(service, id, rollout, considered);
        if !self.has_failure_source(service) {
            considered.push(
                Considered::no("service", "failure source", "no incident source: fail rate, recovery and rework are null")
                    .key("failure_evidence_suffices")
                    .remedy("add an incident alias, or failure_evidence_suffices = true, to the service in the catalog"),
            );
        }
        let recovered = match self.state.row(&RowKey::Deployment(service.clone(), id.clone())) {
            Some(Row::Deployment(row)) => row.recovered_at.zip(row.recovery_s),
            _ => None,
        };
        match verdict(rollout, &blames) {
            (Some(true), evidence) => {
                let evidence = evidence.map_or("", |evidence| evidence.as_str());
                match recovered {
                    Some((at, seconds)) => format!(
                        "it failed (evidence: {evidence}) and recovered at {at}, after {}",
                        human(Span::from_seconds(seconds))
                    ),
                    None => format!("it failed (evidence: {evidence}) and has not recovered"),
                }
            }
            (_, Some(_)) => "a correction says that it did not fail".to_owned(),
            _ => "no evidence says that it failed".to_owned(),
        }
    }

    fn explain_blamer(&self, service: &ServiceName, id: &DeploymentId, by: &DeploymentId) -> String {
        let pairs = self.reverted_commits(service, id);
        let version = |id: &DeploymentId| {
            let rollout = self.state.rollouts.get(&(service.clone(), id.clone()));
            rollout
                .and_then(|rollout| rollout.version.clone())
                .map_or_else(|| id.to_string(), |v| v.to_string())
        };
        match pairs.iter().next() {
            Some((revert, reverted)) if pairs.len() == 1 => {
                format!("{} ships {revert}, the revert of {reverted}", version(by))
            }
            Some((revert, reverted)) => format!(
                "{} ships {} reverts of its commits, such as {revert} of {reverted}",
                version(by),
                pairs.len()
            ),
            None => format!("{} followed it", version(by)),
        }
    }

    fn explain_blaming(&self, service: &ServiceName, by: &IncidentId, rollout: &Rollout) -> String {
        match (self.view_for(service, by), rollout.finished) {
            (Some(view), Some(finish)) if !view.has_names() => {
                format!("started {} after it finished", human(view.started_at.since(finish)))
            }
            (Some(view), _) => format!("names it: {}", named(&view)),
            _ => "names it".to_owned(),
        }
    }

    /// Incidents that began while this deployment served and do not blame it.
    fn explain_near_misses(
        &self,
        service: &ServiceName,
        id: &DeploymentId,
        rollout: &Rollout,
        considered: &mut Vec<Considered>,
    ) {
        let Some(finish) = rollout.finished else { return };
        let until = finish.plus(Span::from_days(1));
        let from = (service.clone(), finish, IncidentId::default());
        let near =
            self.state.incidents_at.range(from..).take_while(|((s, at, _), ())| s == service && *at <= until);
        for ((_, _, incident), ()) in near.take(20) {
            let verdict = self.state.verdicts.get(&(service.clone(), incident.clone()));
            if verdict.and_then(|verdict| verdict.blamed.as_ref()).is_some_and(|(blamed, _)| blamed == id) {
                continue;
            }
            if let Some(view) = self.view_for(service, incident) {
                let (detail, key, remedy) = self.why_not_blamed(service, &view);
                let row = Considered::no(format!("incident {incident}"), "temporal", detail);
                considered.push(Considered { key, remedy, ..row });
            }
        }
    }
}

/// What an incident names.
fn named(view: &IncidentView) -> String {
    let id = view.names.deployment_id.iter().map(|id| format!("deployment {id}"));
    let version = view.names.version.iter().map(|version| format!("version {version}"));
    let sha = view.names.sha.iter().map(|sha| format!("commit {sha}"));
    id.chain(version).chain(sha).collect::<Vec<_>>().join(", ")
}
