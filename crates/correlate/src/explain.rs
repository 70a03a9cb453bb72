//! Explanations, from the same decisions that the facts are made by (semantics, section 12).

use crate::contribute::contributions;
use crate::deployment::Rollout;
use crate::fact::verdict;
use crate::message::IncidentView;
use crate::rollouts::artifact_keys;
use crate::ship::NotShipped;
use crate::state::{Blamer, Named, PullRole, Rank};
use crate::task::Correlator;
use model::event::{Cause, EnvironmentTier};
use model::fact::{Outcome, Row, RowKey};
use model::metric::{Delta, Metric};
use model::{DeploymentId, IncidentId, RepoName, Scope, ServiceName, Sha, Span, Timestamp};
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
        let told =
            artifact_keys(rollout).into_iter().flatten().find(|key| self.state.artifacts.get(key).is_some());
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
                Considered::no("commit", "head", "neither the deployment nor an artifact states one")
                    .remedy("send `sha`, or a `digest` with an artifact event")
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
        let row = self.state.published.get(&RowKey::Deployment(service.clone(), id.clone()));
        let recovered = match row.map(|published| &published.row) {
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

    fn why_not_blamed(
        &self,
        service: &ServiceName,
        view: &IncidentView,
    ) -> (String, Option<&'static str>, Option<&'static str>) {
        let text = |text: &str| text.to_owned();
        if view.tier != EnvironmentTier::Production {
            return (format!("it is of {}, not of production", view.tier), None, None);
        }
        if view.drill {
            return (text("it is a drill"), None, None);
        }
        if !self.blames_at_all(view) {
            let severity = view.severity.map_or("unknown", |severity| severity.as_str());
            let detail =
                format!("its severity, {severity}, does not reach {}", self.definitions.min_severity);
            return (
                detail,
                Some("incident.min_severity"),
                Some("streamgauge correct incident ID --severity sev2"),
            );
        }
        if view.has_names() {
            let detail = match self.state.named.get(&(view.id.clone(), view.service.clone())) {
                Some(Named::Own(other)) => format!("it names deployment {other}"),
                Some(Named::Elsewhere(found)) => {
                    format!("it names {} of {}", found.deployment, found.service)
                }
                Some(Named::Unblamable(other)) => format!("it names {other}, which cannot fail"),
                _ => text("what it names resolves to nothing that is known"),
            };
            return (detail, None, Some("streamgauge correct incident ID --deployment-id D"));
        }
        if !matches!(view.cause, None | Some(Cause::Change | Cause::Unknown)) {
            let cause = view.cause.map_or("unknown", |cause| cause.as_str());
            return (
                format!("its cause is {cause}"),
                None,
                Some("streamgauge correct incident ID --cause change"),
            );
        }
        match self.most_recent(service, view.started_at) {
            None => (text("no deployment served when it started"), None, None),
            Some(recent) => {
                let after = human(view.started_at.since(recent.finish));
                let served = format!("{} served when it started, {after} after that had finished", recent.id);
                let rollout = self.state.rollouts.get(&(service.clone(), recent.id.clone()));
                if rollout.is_some_and(|rollout| rollout.corrected_failed == Some(false)) {
                    let detail =
                        format!("{served}; a correction says that it did not fail, so nobody is blamed");
                    return (
                        detail,
                        None,
                        Some("streamgauge correct --undo CORRECTION takes the correction back"),
                    );
                }
                let verdict = self.state.verdicts.get(&(service.clone(), view.id.clone()));
                if verdict.is_some_and(|verdict| verdict.blamed.is_some()) {
                    return (format!("{served}, and is blamed"), None, None);
                }
                (format!("{served}: outside the failure window"), Some("failure_window"), None)
            }
        }
    }

    /// Explains a commit for every service of every repository of this task that knows it.
    pub fn explain_commit(&self, prefix: &str) -> Vec<Explanation> {
        let nodes =
            self.state.nodes.iter().filter(|((_, sha), _)| sha.to_string().starts_with(prefix)).take(10);
        nodes
            .flat_map(|((repo, sha), _)| {
                let services = self.catalog.all_services_of_repo(repo).into_iter();
                services.map(move |service| self.explain_commit_of(&service, repo, sha))
            })
            .collect()
    }

    fn explain_commit_of(&self, service: &ServiceName, repo: &RepoName, sha: &Sha) -> Explanation {
        let mut considered = Vec::new();
        let label = self.state.label(service, repo, sha);
        if let Some(rank) = &label {
            let text = format!("deployment {}", rank.id);
            considered.push(Considered::yes(
                text,
                "label",
                format!("the earliest that reaches it, finished {}", rank.finish),
            ));
        }
        for role in [PullRole::Merge, PullRole::Listed, PullRole::Head] {
            for pull in self.pulls_with(repo, sha, role).take(5) {
                let how = match role {
                    PullRole::Merge => "was merged by it",
                    PullRole::Listed => "lists it",
                    PullRole::Head => "ends in it",
                };
                considered.push(Considered::yes(
                    format!("pull request {}", pull.merged.number),
                    "start",
                    how,
                ));
            }
        }
        let verdict = match self.ship(service, repo, sha) {
            Ok(change) => {
                let start = change.start_evidence.map_or("nothing", |evidence| evidence.as_str());
                match change.lead_time_s {
                    Some(seconds) if change.skewed => {
                        considered.push(
                            Considered::no(
                                "lead time",
                                "skew",
                                format!("{seconds} s: a clock is wrong; left out of percentiles"),
                            )
                            .remedy("check the clocks of the machines that commit and deploy"),
                        );
                        format!("shipped by {} before it was made ({start})", change.deployment_id)
                    }
                    Some(seconds) => format!(
                        "shipped by {} after {} (from: {start})",
                        change.deployment_id,
                        human(Span::from_seconds(seconds))
                    ),
                    None => format!("shipped by {}, without a known start", change.deployment_id),
                }
            }
            Err(why) => {
                let (text, key, remedy) = not_shipped(why);
                considered.push(Considered { key, remedy, ..Considered::no("change", "changes", text) });
                format!("no change of this service: {text}")
            }
        };
        Explanation { subject: format!("commit {sha} of {repo} for {service}"), verdict, considered }
    }

    /// Explains an incident (or one of its records) that is at home in this task.
    pub fn explain_incident(&self, id: &IncidentId) -> Vec<Explanation> {
        let views = self.state.incidents.iter().map(|(_, view)| view);
        let own =
            views.filter(|view| (view.id == *id || view.members.contains(id)) && self.holds(&view.service));
        let mut seen = None;
        own.filter(|view| seen.replace(view.id.clone()).as_ref() != Some(&view.id))
            .map(|view| {
                let mut considered: Vec<Considered> = view
                    .members
                    .iter()
                    .map(|member| Considered::yes(format!("record {member}"), "one incident", "pooled"))
                    .collect();
                let verdict = self.state.verdicts.get(&(view.service.clone(), view.id.clone()));
                let blamed = verdict.and_then(|verdict| verdict.blamed.clone());
                let text = match &blamed {
                    Some((deployment, rule)) => {
                        let text = format!("deployment {deployment}");
                        considered.push(Considered::yes(text, rule.as_str(), "blamed").remedy(CORRECT));
                        format!("it blames deployment {deployment} ({rule})")
                    }
                    None if self.blamed_dependency(view).0.is_some() => {
                        let (deployment, _) = self.blamed_dependency(view);
                        let deployment = deployment.map_or_else(String::new, |id| id.to_string());
                        let text = format!("deployment {deployment}");
                        considered.push(
                            Considered::yes(text, "temporal", "of a direct dependency: blamed")
                                .key("blame_dependencies"),
                        );
                        format!("it blames deployment {deployment} of a dependency (temporal)")
                    }
                    None => {
                        let (detail, key, remedy) = self.why_not_blamed(&view.service, view);
                        considered.push(Considered {
                            key,
                            remedy,
                            ..Considered::no("blame", "temporal", detail)
                        });
                        "it blames no deployment of its service".to_owned()
                    }
                };
                let restore = match view.resolved_at {
                    Some(at) => format!("restored after {}", human(at.since(view.started_at))),
                    None => "not resolved".to_owned(),
                };
                Explanation {
                    subject: format!("incident {} of {}", view.id, view.service),
                    verdict: format!("{}; {restore}; {text}", view.status),
                    considered,
                }
            })
            .collect()
    }

    /// What adds to a scope's metric in [from, to): each fact with what it adds, and facts of the scope's that add
    /// nothing, with the reason.
    pub fn explain_metric(
        &self,
        scope: &Scope,
        metric: Metric,
        from: Timestamp,
        to: Timestamp,
    ) -> Vec<Considered> {
        let mut considered = Vec::new();
        for (_, published) in self.state.published.iter() {
            let at = match &published.row {
                Row::Deployment(row) => row.finished_at.unwrap_or(row.started_at),
                Row::Change(row) => row.deployed_at,
                Row::Incident(row) => row.resolved_at.unwrap_or(row.started_at),
                Row::PipelineRun(row) => match row.finished_at {
                    Some(at) => at,
                    None => continue,
                },
                Row::PullRequest(row) => match row.deployed_at {
                    Some(at) => at,
                    None => continue,
                },
                _ => continue,
            };
            let mine: Vec<Delta> = contributions(published, &self.catalog, &self.calendar, &self.definitions)
                .into_iter()
                .filter(|(key, _)| key.scope == *scope && key.metric == metric)
                .map(|(_, delta)| delta)
                .collect();
            let placed = match (&published.row, metric) {
                (Row::Deployment(row), Metric::RecoveryTime) => row.recovered_at.unwrap_or(at),
                (Row::Incident(row), Metric::TimeToDetect) => row.detected_at,
                _ => at,
            };
            if placed < from || placed >= to {
                continue;
            }
            let name = name_of(&published.row);
            for delta in &mine {
                considered.push(Considered::yes(name.clone(), metric.as_str(), describe(delta)));
            }
            if mine.is_empty()
                && self.in_scope(&published.row, scope, placed)
                && let Some((why, key)) = self.adds_nothing(&published.row, metric, published.failure_source)
            {
                considered.push(Considered { key, ..Considered::no(name, metric.as_str(), why) });
            }
        }
        considered
    }

    fn in_scope(&self, row: &Row, scope: &Scope, at: Timestamp) -> bool {
        let service = match row {
            Row::Deployment(row) => &row.service,
            Row::Change(row) => &row.service,
            Row::Incident(row) => &row.service,
            _ => return false,
        };
        self.catalog.scopes(service, at).contains(scope)
    }

    /// Why a fact of the right kind adds nothing to a metric.
    fn adds_nothing(
        &self,
        row: &Row,
        metric: Metric,
        failure_source: bool,
    ) -> Option<(String, Option<&'static str>)> {
        match (row, metric) {
            (
                Row::Deployment(row),
                Metric::DeploymentFrequency | Metric::ChangeFailRate | Metric::ReworkRate,
            ) => {
                if row.tier != EnvironmentTier::Production {
                    Some((
                        format!("{} is {}, not production", row.environment, row.tier),
                        Some("environments (catalog)"),
                    ))
                } else if row.drill {
                    Some(("a drill".to_owned(), None))
                } else if row.outcome != Outcome::Succeeded {
                    Some((format!("its outcome is {}", row.outcome), None))
                } else if metric.needs_failure_source() && !failure_source {
                    Some(("the service has no failure source".to_owned(), Some("failure_evidence_suffices")))
                } else {
                    None
                }
            }
            (Row::Change(row), Metric::ChangeLeadTime) => {
                let excluded =
                    row.author_kind.is_some_and(|kind| self.definitions.lead_time_exclude.contains(&kind));
                if self.definitions.is_devlake() {
                    Some(("the profile counts pull requests".to_owned(), Some("profile")))
                } else if row.skewed {
                    Some(("its lead time is negative: clock skew".to_owned(), None))
                } else if excluded {
                    Some(("its author is excluded".to_owned(), Some("lead_time.exclude")))
                } else {
                    Some(("its start is not known".to_owned(), Some("lead_time.start")))
                }
            }
            (Row::Incident(row), Metric::TimeToRestore) => {
                let why = match row.resolved_at {
                    None => "it is not resolved",
                    Some(_) if row.skewed => "it was resolved before it started: clock skew",
                    Some(_) => "it is not of production, or a drill",
                };
                Some((why.to_owned(), None))
            }
            _ => None,
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

fn name_of(row: &Row) -> String {
    match row {
        Row::Deployment(row) => format!("deployment {} of {}", row.deployment_id, row.service),
        Row::Change(row) => format!("commit {} of {}", row.commit_sha, row.service),
        Row::Incident(row) => format!("incident {} of {}", row.incident_id, row.service),
        Row::PullRequest(row) => format!("pull request {} of {}", row.number, row.repo),
        Row::PipelineRun(row) => format!("run {} attempt {} of {}", row.run_id, row.attempt, row.repo),
        _ => String::new(),
    }
}

fn describe(delta: &Delta) -> String {
    match delta.samples.first_key_value() {
        Some((seconds, _)) => human(Span::from_seconds(*seconds)),
        None if delta.denominator == 0 => "counts 1".to_owned(),
        None => format!("{} of {}", delta.numerator, delta.denominator),
    }
}

fn not_shipped(why: NotShipped) -> (&'static str, Option<&'static str>, Option<&'static str>) {
    match why {
        NotShipped::NoLabel => (
            "no succeeded production deployment of the service reaches it",
            None,
            Some("deploy it, or send the deployment's `sha`"),
        ),
        NotShipped::Merge => ("a merge commit is no change of its own", None, None),
        NotShipped::NotListed => ("its deployment lists its commits, and this is none of them", None, None),
        NotShipped::Swallowed => (
            "the first deployment of the service does not ship the history behind its head",
            Some("lead_time.first_deployment"),
            None,
        ),
        NotShipped::NotKnown => {
            ("it is only named as a parent", None, Some("import the repository's history"))
        }
        NotShipped::PathsUnknown => (
            "which paths it touches is not known",
            Some("services.repositories.paths (catalog)"),
            Some("import the history with --paths"),
        ),
        NotShipped::OtherPaths => {
            ("it touches none of the service's paths", Some("services.repositories.paths (catalog)"), None)
        }
    }
}
