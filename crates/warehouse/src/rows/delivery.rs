//! Rows of what was written, built and deployed.

use super::{sha, stored, word};
use model::fact::{Change, Deployment, PipelineRun, PullRequest};
use model::{DeploymentId, Environment, RepoName, RunId, ServiceName, TeamName, Text, Timestamp};
use std::collections::BTreeMap;

stored!(
    /// A logical deployment.
    DeploymentRow in "deployments_rows" by task {
        service: ServiceName,
        team: Option<TeamName>,
        repo: Option<RepoName>,
        environment: Environment,
        tier: Text,
        deployment_id: DeploymentId,
        rollout_id: Option<Text>,
        parts: u32,
        version: Option<Text>,
        commit_sha: Option<Text>,
        started_at: Timestamp,
        finished_at: Option<Timestamp>,
        outcome: Text,
        automated: Option<bool>,
        failed: Option<bool>,
        failure_evidence: Option<Text>,
        rolled_back: bool,
        is_rollback: bool,
        is_rework: bool,
        recovered_at: Option<Timestamp>,
        recovery_s: Option<i64>,
        impact_to_recovery_s: Option<i64>,
        changes: Option<u64>,
        labels: BTreeMap<Text, Text>,
        change_ref: Option<Text>,
        approved: Option<bool>,
        in_window: Option<bool>,
        canary_steps: Option<u32>,
        canary_promoted: Option<bool>,
        hotfix: bool,
        drill: bool,
        skewed: bool,
        source: Text,
    }
);

impl From<&Deployment> for DeploymentRow {
    fn from(fact: &Deployment) -> Self {
        Self {
            service: fact.service.clone(),
            team: fact.team.clone(),
            repo: fact.repo.clone(),
            environment: fact.environment.clone(),
            tier: word(fact.tier.as_str()),
            deployment_id: fact.deployment_id.clone(),
            rollout_id: fact.rollout_id.clone(),
            parts: fact.parts,
            version: fact.version.clone(),
            commit_sha: fact.commit_sha.as_ref().map(sha),
            started_at: fact.started_at,
            finished_at: fact.finished_at,
            outcome: word(fact.outcome.as_str()),
            automated: fact.automated,
            failed: fact.failed,
            failure_evidence: fact.failure_evidence.map(|evidence| word(evidence.as_str())),
            rolled_back: fact.rolled_back,
            is_rollback: fact.is_rollback,
            is_rework: fact.is_rework,
            recovered_at: fact.recovered_at,
            recovery_s: fact.recovery_s,
            impact_to_recovery_s: fact.impact_to_recovery_s,
            changes: fact.changes,
            labels: fact.labels.clone(),
            change_ref: fact.change_ref.clone(),
            approved: fact.approved,
            in_window: fact.in_window,
            canary_steps: fact.canary_steps,
            canary_promoted: fact.canary_promoted,
            hotfix: fact.hotfix,
            drill: fact.drill,
            skewed: fact.skewed,
            source: fact.source.clone(),
            ..Self::default()
        }
    }
}

stored!(
    /// A commit that reached production of a service.
    ChangeRow in "changes_rows" by task {
        service: ServiceName,
        team: Option<TeamName>,
        repo: RepoName,
        commit_sha: Text,
        authored_at: Option<Timestamp>,
        committed_at: Option<Timestamp>,
        deployment_id: DeploymentId,
        deployed_at: Timestamp,
        lead_time_s: Option<i64>,
        start_evidence: Option<Text>,
        author_kind: Option<Text>,
        skewed: bool,
        pull_request: Option<u64>,
        drill: bool,
        coding_s: Option<i64>,
        pickup_s: Option<i64>,
        review_s: Option<i64>,
        waiting_s: Option<i64>,
        deploying_s: Option<i64>,
    }
);

impl From<&Change> for ChangeRow {
    fn from(fact: &Change) -> Self {
        Self {
            service: fact.service.clone(),
            team: fact.team.clone(),
            repo: fact.repo.clone(),
            commit_sha: sha(&fact.commit_sha),
            authored_at: fact.authored_at,
            committed_at: fact.committed_at,
            deployment_id: fact.deployment_id.clone(),
            deployed_at: fact.deployed_at,
            lead_time_s: fact.lead_time_s,
            start_evidence: fact.start_evidence.map(|evidence| word(evidence.as_str())),
            author_kind: fact.author_kind.map(|kind| word(kind.as_str())),
            skewed: fact.skewed,
            pull_request: fact.pull_request,
            drill: fact.drill,
            coding_s: fact.coding_s,
            pickup_s: fact.pickup_s,
            review_s: fact.review_s,
            waiting_s: fact.waiting_s,
            deploying_s: fact.deploying_s,
            ..Self::default()
        }
    }
}

stored!(
    /// A pull request.
    PullRequestRow in "pull_requests_rows" by task {
        repo: RepoName,
        number: u64,
        state: Text,
        first_commit_at: Option<Timestamp>,
        opened_at: Timestamp,
        first_reviewed_at: Option<Timestamp>,
        merged_at: Option<Timestamp>,
        merge_commit_sha: Option<Text>,
        service: Option<ServiceName>,
        deployment_id: Option<DeploymentId>,
        deployed_at: Option<Timestamp>,
        coding_s: Option<i64>,
        pickup_s: Option<i64>,
        review_s: Option<i64>,
        waiting_s: Option<i64>,
        deploying_s: Option<i64>,
        lead_time_s: Option<i64>,
        skewed: bool,
        author_kind: Option<Text>,
    }
);

impl From<&PullRequest> for PullRequestRow {
    fn from(fact: &PullRequest) -> Self {
        Self {
            repo: fact.repo.clone(),
            number: fact.number,
            state: word(fact.state.as_str()),
            first_commit_at: fact.first_commit_at,
            opened_at: fact.opened_at,
            first_reviewed_at: fact.first_reviewed_at,
            merged_at: fact.merged_at,
            merge_commit_sha: fact.merge_commit_sha.as_ref().map(sha),
            service: fact.service.clone(),
            deployment_id: fact.deployment_id.clone(),
            deployed_at: fact.deployed_at,
            coding_s: fact.coding_s,
            pickup_s: fact.pickup_s,
            review_s: fact.review_s,
            waiting_s: fact.waiting_s,
            deploying_s: fact.deploying_s,
            lead_time_s: fact.lead_time_s,
            skewed: fact.skewed,
            author_kind: fact.author_kind.map(|kind| word(kind.as_str())),
            ..Self::default()
        }
    }
}

stored!(
    /// One attempt of a pipeline run.
    PipelineRunRow in "pipeline_runs_rows" by task {
        repo: RepoName,
        run_id: RunId,
        attempt: u32,
        workflow: Text,
        commit_sha: Text,
        state: Text,
        started_at: Option<Timestamp>,
        finished_at: Option<Timestamp>,
        duration_s: Option<i64>,
        start_to_deploy_s: Option<i64>,
        skewed: bool,
        drill: bool,
        source: Text,
    }
);

impl From<&PipelineRun> for PipelineRunRow {
    fn from(fact: &PipelineRun) -> Self {
        Self {
            repo: fact.repo.clone(),
            run_id: fact.run_id.clone(),
            attempt: fact.attempt,
            workflow: fact.workflow.clone(),
            commit_sha: sha(&fact.commit_sha),
            state: word(fact.state.as_str()),
            started_at: fact.started_at,
            finished_at: fact.finished_at,
            duration_s: fact.duration_s,
            start_to_deploy_s: fact.start_to_deploy_s,
            skewed: fact.skewed,
            drill: fact.drill,
            source: fact.source.clone(),
            ..Self::default()
        }
    }
}
