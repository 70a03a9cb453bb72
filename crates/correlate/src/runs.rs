//! Pipeline runs: each attempt is a run; a workflow that failed and later passed on a commit is flaky there.

use crate::merge::{final_run_began, last};
use crate::state::{Flaky, Rank, Thing};
use crate::task::Correlator;
use model::event::{PipelineRunEvent, RunState};
use model::fact::{PipelineRun, Row, RowKey};
use model::metric::{ContributionKey, Delta, Metric};
use model::{Calendar, DeliveryEvent, EventBody, RepoName, RunId, Scope, Sha, Text};
use std::collections::BTreeSet;

fn body(event: &DeliveryEvent) -> Option<&PipelineRunEvent> {
    match &event.body {
        EventBody::PipelineRun(body) => Some(body),
        _ => None,
    }
}

impl Correlator {
    /// Marks the runs on a commit: when they were deployed may be another time now.
    pub(crate) fn mark_runs_on(&mut self, repo: &RepoName, sha: &Sha) {
        let on = self.state.runs_on.of(&(repo.clone(), sha.clone()));
        self.dirty.runs.extend(on.map(|((run, attempt), _)| (repo.clone(), run.clone(), *attempt)));
    }

    pub(crate) fn settle_runs(&mut self) {
        for (repo, run_id, attempt) in std::mem::take(&mut self.dirty.runs) {
            let key = RowKey::PipelineRun(repo.clone(), run_id.clone(), attempt);
            let old = match self.state.row(&key) {
                Some(Row::PipelineRun(run)) => Some((run.workflow, run.commit_sha)),
                _ => None,
            };
            let new = self.run_fact(&repo, &run_id, attempt);
            if let Some((workflow, sha)) = old {
                self.state.runs_on.remove(&((repo.clone(), sha.clone()), (run_id.clone(), attempt)));
                self.dirty.flaky.insert((repo.clone(), workflow, sha));
            }
            let mut scopes = Vec::new();
            if let Some(run) = &new {
                let on = ((repo.clone(), run.commit_sha.clone()), (run_id.clone(), attempt));
                self.state.runs_on.put(on, run.workflow.clone());
                self.dirty.flaky.insert((repo.clone(), run.workflow.clone(), run.commit_sha.clone()));
                scopes.push(Scope::new(format!("repo:{repo}")));
            }
            self.signal_run(&repo, &run_id, attempt, new.as_ref());
            self.publish(key, new.map(|run| Row::PipelineRun(Box::new(run))), scopes, false);
        }
        self.settle_flaky();
    }

    fn run_fact(&self, repo: &RepoName, run_id: &RunId, attempt: u32) -> Option<PipelineRun> {
        let thing = Thing::Run(repo.clone(), run_id.clone(), attempt);
        let records: Vec<DeliveryEvent> = self.state.records.of(&thing).collect();
        let state = last(&records, |event| Some(body(event)?.state))?;
        let ended = matches!(state, RunState::Passed | RunState::Failed | RunState::Cancelled);
        let started_at = last(&records, |event| body(event)?.started_at);
        let finished_at = last(&records, |event| body(event)?.finished_at)
            .or_else(|| final_run_began(&records, |event| Some(body(event)?.state)))
            .filter(|_| ended);
        let commit_sha = last(&records, |event| Some(body(event)?.sha.clone()))?;
        let duration = started_at.zip(finished_at).map(|(from, to)| to.since(from));
        let deployed = self
            .catalog
            .all_services_of_repo(repo)
            .iter()
            .filter_map(|service| {
                let label = self.state.label(service, repo, &commit_sha)?;
                (!self.swallowed(service, &label, &commit_sha)).then_some(label)
            })
            .min();
        let to_deploy = started_at.zip(deployed).map(|(from, Rank { finish, .. })| finish.since(from));
        Some(PipelineRun {
            repo: repo.clone(),
            run_id: run_id.clone(),
            attempt,
            workflow: last(&records, |event| Some(body(event)?.workflow.clone()))?,
            commit_sha,
            state,
            started_at,
            finished_at,
            duration_s: duration.map(|span| span.seconds()),
            // A run after the deployment (a nightly, say) waited for none.
            start_to_deploy_s: to_deploy.filter(|span| !span.is_negative()).map(|span| span.seconds()),
            skewed: duration.is_some_and(|span| span.is_negative()),
            drill: records.iter().any(|record| record.is_drill()),
            source: last(&records, |event| Some(event.source.clone()))?,
        })
    }

    fn settle_flaky(&mut self) {
        for key in std::mem::take(&mut self.dirty.flaky) {
            let new = self.flaky_on(&key.0, &key.1, &key.2);
            let old = self.state.flaky.get(&key).cloned();
            self.signal_flaky(&key, new.as_ref());
            if old == new {
                continue;
            }
            if let Some(old) = &old {
                self.contribute_flaky(&key.0, old, -1);
                self.state.flaky.remove(&key);
            }
            if let Some(new) = new {
                self.contribute_flaky(&key.0, &new, 1);
                self.state.flaky.put(key, new);
            }
        }
    }

    /// Failed and later passed, over the finished runs of a workflow on a commit, in order of their finish.
    pub(crate) fn flaky_on(&self, repo: &RepoName, workflow: &Text, sha: &Sha) -> Option<Flaky> {
        let on = self.state.runs_on.of(&(repo.clone(), sha.clone()));
        let mut ended: BTreeSet<_> = BTreeSet::new();
        for ((run, attempt), _) in on.filter(|(_, name)| *name == workflow) {
            let key = RowKey::PipelineRun(repo.clone(), run.clone(), *attempt);
            if let Some(Row::PipelineRun(fact)) = self.state.row(&key)
                && let (Some(at), RunState::Passed | RunState::Failed, false) =
                    (fact.finished_at, fact.state, fact.drill)
            {
                ended.insert((at, run.clone(), *attempt, fact.state == RunState::Passed));
            }
        }
        let (at, ..) = ended.last()?.clone();
        let first_failure = ended.iter().position(|(.., passed)| !passed);
        let since = first_failure.and_then(|first| ended.iter().skip(first).find(|(.., passed)| *passed));
        let since = since.map(|(at, ..)| *at);
        Some(Flaky { at, flaky: since.is_some(), since })
    }

    /// Adds (or, −1, takes away) what a workflow's state on a commit contributes.
    pub(crate) fn contribute_flaky(&mut self, repo: &RepoName, flaky: &Flaky, times: i64) {
        let scopes = crate::contribute::scopes_of_repo(&self.catalog, repo, flaky.at);
        for scope in scopes {
            let key = ContributionKey {
                scope,
                metric: Metric::FlakyRate,
                hour: Calendar::hour(flaky.at),
                day: self.calendar.day(flaky.at),
            };
            self.add(key, &Delta::rate(flaky.flaky), times);
        }
    }
}
