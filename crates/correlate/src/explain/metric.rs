//! What counted for a metric, fact by fact, and what did not.

use super::commit::HISTORY;
use super::{Considered, human};
use crate::contribute::contributions;
use crate::ship::NotShipped;
use crate::state::{Published, Rank};
use crate::task::Correlator;
use model::event::EnvironmentTier;
use model::fact::{Deployment, Outcome, Row};
use model::metric::{Delta, Metric};
use model::{RepoName, Scope, Sha, Span, Timestamp};

impl Correlator {
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
            let published = published.open();
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
            let mine: Vec<Delta> =
                contributions(&published, &self.catalog, &self.calendar, &self.definitions)
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
                && self.in_scope(&published, scope, placed)
                && let Some((why, key)) = self.adds_nothing(&published.row, metric, published.failure_source)
            {
                considered.push(Considered { key, ..Considered::no(&name, metric.as_str(), why) });
            }
            if let (Row::Deployment(row), Metric::ChangeLeadTime) = (&published.row, metric)
                && self.in_scope(&published, scope, placed)
                && let Some(untold) = self.untold_changes(row)
            {
                considered.push(untold);
            }
        }
        considered
    }

    /// Changes that a deployment ships, or would ship, and that are not counted: nobody told of them, or it is the
    /// service's first.
    fn untold_changes(&self, row: &Deployment) -> Option<Considered> {
        let rollout = self.state.rollouts.get(&(row.service.clone(), row.deployment_id.clone()))?;
        let name = format!("changes of deployment {} of {}", row.deployment_id, row.service);
        let metric = Metric::ChangeLeadTime.as_str();
        if rollout.succeeded() && rollout.head.is_none() && rollout.listed.is_none() {
            let why = match &rollout.commit_sha {
                Some(sha) => format!("its commit {sha} is not known in a repository of the service"),
                None => "no commit of it is known".to_owned(),
            };
            let row = Considered::no(name, metric, format!("{why}: what it ships is not counted"));
            return Some(row.key("services.repositories (catalog)").remedy(HISTORY));
        }
        let rank = Rank { finish: rollout.finished?, id: row.deployment_id.clone() };
        let from = (row.service.clone(), rank.clone(), RepoName::default(), Sha::new(""));
        let held = self.state.held.range(from..);
        let held = held.take_while(|((s, r, ..), ())| *s == row.service && *r == rank);
        let swallowed = held.filter(|((service, _, repo, sha), ())| {
            self.ship(service, repo, sha) == Err(NotShipped::Swallowed)
        });
        let count = swallowed.count();
        let detail = format!(
            "it is the service's first with a known head: {count} commits behind that are not counted"
        );
        (count > 0)
            .then(|| Considered::no(name, metric, detail).key("lead_time.first_deployment").remedy(HISTORY))
    }

    fn in_scope(&self, published: &Published, scope: &Scope, at: Timestamp) -> bool {
        let service = match &published.row {
            Row::Deployment(row) => &row.service,
            Row::Change(row) => &row.service,
            Row::Incident(row) => &row.service,
            _ => return false,
        };
        published.extra_scopes.contains(scope) || self.catalog.scopes(service, at).contains(scope)
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
