//! Facts: what correlation concludes from events. One per real thing, updated in place.

pub use crate::dimension::{DefinitionDimension, ScopeDimension, ServiceDimension, TeamDimension};
use crate::event::{
    AuthorKind, Cause, EnvironmentTier, IncidentState, PullRequestState, RunState, Severity, words,
};
use crate::ids::{
    DeploymentId, Environment, IncidentId, RepoName, RunId, Scope, ServiceName, Sha, TeamName, Text,
};
use crate::metric::{DoraStep, Pane, PaneKey, StepKey};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

words!(
    /// How a logical deployment ended, over the attempts that count.
    Outcome {
        /// An attempt is not finished.
        Running = "running",
        /// All succeeded.
        Succeeded = "succeeded",
        /// Some succeeded, or a part serves.
        Partial = "partial",
        /// None succeeded and none serves.
        Failed = "failed",
        /// All were cancelled.
        Cancelled = "cancelled",
    }
);

words!(
    /// Why a deployment counts as failed, strongest first (semantics, section 5).
    FailureEvidence {
        /// A correction says so, or says not.
        Manual = "manual",
        /// An incident names it.
        Explicit = "explicit",
        /// An earlier version was deployed again.
        Rollback = "rollback",
        /// A later deployment ships the revert of one of its commits.
        Reverted = "reverted",
        /// A later deployment is marked as a hotfix.
        Hotfix = "hotfix",
        /// An incident started soon after it.
        Temporal = "temporal",
    }
);

words!(
    /// What a lead time started from.
    StartEvidence {
        /// The commit's committer time.
        Commit = "commit",
        /// The earliest commit of the squashed or rebased pull request.
        PrFirstCommit = "pr_first_commit",
        /// The commit's author time.
        Authored = "authored",
        /// The pull request's opening.
        PrOpened = "pr_opened",
        /// The pull request's merge.
        PrMerged = "pr_merged",
    }
);

/// A logical deployment of a service to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The service.
    pub service: ServiceName,
    /// Its team when the deployment finished (while it runs: when it started).
    pub team: Option<TeamName>,
    /// The repository that it names, else its service's first.
    pub repo: Option<RepoName>,
    /// The environment's name.
    pub environment: Environment,
    /// The environment's tier.
    pub tier: EnvironmentTier,
    /// The id of its smallest part by (started, id).
    pub deployment_id: DeploymentId,
    /// The vendor's rollout, where one was named.
    pub rollout_id: Option<Text>,
    /// How many parts count.
    pub parts: u32,
    /// The version.
    pub version: Option<Text>,
    /// The commit: the artifact's, else its own.
    pub commit_sha: Option<Sha>,
    /// When it started.
    pub started_at: Timestamp,
    /// When the last attempt that counts finished; `None` while running.
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
    /// Set off without a person; `None` where nobody said.
    pub automated: Option<bool>,
    /// Whether it failed in production; `None` where it cannot (not production, not serving, a drill).
    pub failed: Option<bool>,
    /// The strongest evidence.
    pub failure_evidence: Option<FailureEvidence>,
    /// Whether a rollback took it away without blaming it.
    pub rolled_back: bool,
    /// Whether it is itself a rollback.
    pub is_rollback: bool,
    /// Whether it counts as rework.
    pub is_rework: bool,
    /// When the failure was over.
    pub recovered_at: Option<Timestamp>,
    /// From its finish to its recovery, in whole seconds.
    pub recovery_s: Option<i64>,
    /// From the incident's start to its recovery, in whole seconds.
    pub impact_to_recovery_s: Option<i64>,
    /// How many changes it ships; `None` where that cannot be known.
    pub changes: Option<u64>,
    /// Labels.
    pub labels: BTreeMap<Text, Text>,
    /// The ticket.
    pub change_ref: Option<Text>,
    /// Whether it was approved.
    pub approved: Option<bool>,
    /// Whether it was inside its change window.
    pub in_window: Option<bool>,
    /// How many canary steps it has.
    pub canary_steps: Option<u32>,
    /// Whether the canary was promoted.
    pub canary_promoted: Option<bool>,
    /// Marked as a hotfix.
    pub hotfix: bool,
    /// A drill.
    pub drill: bool,
    /// Whether its recovery lies before its finish.
    pub skewed: bool,
    /// Who told it.
    pub source: Text,
}

/// A commit that reached production of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The service.
    pub service: ServiceName,
    /// Its team when the deployment finished.
    pub team: Option<TeamName>,
    /// The repository.
    pub repo: RepoName,
    /// The commit.
    pub commit_sha: Sha,
    /// When it was written.
    pub authored_at: Option<Timestamp>,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
    /// The deployment that shipped it.
    pub deployment_id: DeploymentId,
    /// When that finished.
    pub deployed_at: Timestamp,
    /// From the start to the deployment's finish, in whole seconds; negative when skewed.
    pub lead_time_s: Option<i64>,
    /// What it started from.
    pub start_evidence: Option<StartEvidence>,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
    /// Whether the lead time is negative; then it is in no sample.
    pub skewed: bool,
    /// Its record is a drill; then it is in no sample either.
    pub drill: bool,
    /// The pull request that brought it.
    pub pull_request: Option<u64>,
    /// First commit to pull request opened.
    pub coding_s: Option<i64>,
    /// Opened to first review.
    pub pickup_s: Option<i64>,
    /// First review to merge.
    pub review_s: Option<i64>,
    /// Merged to deployment started.
    pub waiting_s: Option<i64>,
    /// Deployment started to finished.
    pub deploying_s: Option<i64>,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// The repository.
    pub repo: RepoName,
    /// Its number.
    pub number: u64,
    /// Where it stands.
    pub state: PullRequestState,
    /// The earliest of its commits.
    pub first_commit_at: Option<Timestamp>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The first review before the merge.
    pub first_reviewed_at: Option<Timestamp>,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
    /// The commit that merged it.
    pub merge_commit_sha: Option<Sha>,
    /// The service whose deployment shipped it first.
    pub service: Option<ServiceName>,
    /// The deployment that shipped it.
    pub deployment_id: Option<DeploymentId>,
    /// When that finished.
    pub deployed_at: Option<Timestamp>,
    /// First commit to opened.
    pub coding_s: Option<i64>,
    /// Opened to first review.
    pub pickup_s: Option<i64>,
    /// First review to merge.
    pub review_s: Option<i64>,
    /// Merged to deployment started.
    pub waiting_s: Option<i64>,
    /// Deployment started to finished.
    pub deploying_s: Option<i64>,
    /// First commit to deployed.
    pub lead_time_s: Option<i64>,
    /// Whether any stage is negative.
    pub skewed: bool,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
}

/// An incident: its records, those of its alerts and tickets, as one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// The service.
    pub service: ServiceName,
    /// Its team when it was resolved (while it is open: when it started).
    pub team: Option<TeamName>,
    /// Its id.
    pub incident_id: IncidentId,
    /// Its records' ids, its own among them.
    pub members: Vec<IncidentId>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Where it hurts.
    pub tier: EnvironmentTier,
    /// Where it stands.
    pub status: IncidentState,
    /// When users were first hurt (by default: when it was detected).
    pub started_at: Timestamp,
    /// When it was noticed.
    pub detected_at: Timestamp,
    /// Whether both of these were stated.
    pub detection_stated: bool,
    /// When users were no longer hurt.
    pub mitigated_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// Started to resolved, in whole seconds.
    pub time_to_restore_s: Option<i64>,
    /// Started to detected, in whole seconds, where both were stated.
    pub time_to_detect_s: Option<i64>,
    /// What caused it.
    pub cause: Option<Cause>,
    /// The deployment that it blames.
    pub deployment_id: Option<DeploymentId>,
    /// By which rule.
    pub failure_evidence: Option<FailureEvidence>,
    /// A negative time to restore or detect.
    pub skewed: bool,
    /// A drill.
    pub drill: bool,
    /// Who told it.
    pub source: Text,
}

/// One attempt of a pipeline run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PipelineRun {
    /// The repository.
    pub repo: RepoName,
    /// The run.
    pub run_id: RunId,
    /// The attempt.
    pub attempt: u32,
    /// The workflow's name.
    pub workflow: Text,
    /// What it ran on.
    pub commit_sha: Sha,
    /// Where it stands.
    pub state: RunState,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// Started to finished, in whole seconds.
    pub duration_s: Option<i64>,
    /// Started to the finish of the first deployment that shipped its commit, in whole seconds.
    pub start_to_deploy_s: Option<i64>,
    /// A negative duration.
    pub skewed: bool,
    /// A drill.
    pub drill: bool,
    /// Who told it.
    pub source: Text,
}

/// A feature flag was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagChange {
    /// The event's source.
    pub source: Text,
    /// The event's id.
    pub event_id: Text,
    /// The service, where the flag is claimed.
    pub service: Option<ServiceName>,
    /// The flag's key.
    pub flag: Text,
    /// What was done.
    pub action: Text,
    /// Where.
    pub environment: Environment,
    /// When.
    pub changed_at: Timestamp,
    /// The value before.
    pub from: Option<Text>,
    /// The value after.
    pub to: Option<Text>,
}

/// A security finding, as it was last told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The event's source.
    pub source: Text,
    /// The event's id.
    pub event_id: Text,
    /// The service or the repository's first service.
    pub service: Option<ServiceName>,
    /// The repository.
    pub repo: Option<RepoName>,
    /// Who found it.
    pub scanner: Text,
    /// What was found.
    pub finding: Text,
    /// How bad it is.
    pub severity: Text,
    /// Where it stands.
    pub state: Text,
    /// In which commit.
    pub commit_sha: Option<Sha>,
    /// In which artifact.
    pub digest: Option<Text>,
    /// When it was told.
    pub scanned_at: Timestamp,
}

/// An event that waits for the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// The event's source.
    pub source: Text,
    /// The event's id.
    pub event_id: Text,
    /// Its content hash in hexadecimal.
    pub hash: Text,
    /// Its type.
    pub event_type: Text,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Why it waits.
    pub reason: Text,
    /// The name, alias or repository that nobody claims.
    pub claim: Option<Text>,
    /// The event itself as JSON.
    pub body: String,
}

/// A data-quality finding (semantics, section 10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataQuality {
    /// Which signal: `clock_skew`, `unknown_head`, `unowned_service`, …
    pub signal: Text,
    /// What it is about: a service, a deployment, a commit, a source.
    pub subject: Text,
    /// The service.
    pub service: Option<ServiceName>,
    /// When it was first true.
    pub since: Timestamp,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// A row of a table, present.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is documented on the type it holds")]
pub enum Row {
    Deployment(Box<Deployment>),
    Change(Box<Change>),
    PullRequest(Box<PullRequest>),
    Incident(Box<Incident>),
    PipelineRun(Box<PipelineRun>),
    FlagChange(Box<FlagChange>),
    Scan(Box<Scan>),
    ParkedEvent(Box<ParkedEvent>),
    DataQuality(Box<DataQuality>),
    Step(Box<DoraStep>),
    Pane(Box<Pane>),
    Service(Box<ServiceDimension>),
    Team(Box<TeamDimension>),
    Scope(Box<ScopeDimension>),
    Definition(Box<DefinitionDimension>),
}

/// What names a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RowKey {
    /// By service and deployment.
    Deployment(ServiceName, DeploymentId),
    /// By service, repository and commit.
    Change(ServiceName, RepoName, Sha),
    /// By repository and number.
    PullRequest(RepoName, u64),
    /// By id.
    Incident(IncidentId),
    /// By repository, run and attempt.
    PipelineRun(RepoName, RunId, u32),
    /// By source and event.
    FlagChange(Text, Text),
    /// By source and event.
    Scan(Text, Text),
    /// By source, event and hash.
    ParkedEvent(Text, Text, Text),
    /// By signal and subject.
    DataQuality(Text, Text),
    /// By scope, metric, window and end.
    Step(StepKey),
    /// By scope, metric, grain and start.
    Pane(PaneKey),
    /// By name.
    Service(ServiceName),
    /// By name.
    Team(TeamName),
    /// By scope.
    Scope(Scope),
    /// By key.
    Definition(Text),
}

impl Row {
    /// What names the row.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Deployment(row) => RowKey::Deployment(row.service.clone(), row.deployment_id.clone()),
            Self::Change(row) => {
                RowKey::Change(row.service.clone(), row.repo.clone(), row.commit_sha.clone())
            }
            Self::PullRequest(row) => RowKey::PullRequest(row.repo.clone(), row.number),
            Self::Incident(row) => RowKey::Incident(row.incident_id.clone()),
            Self::PipelineRun(row) => RowKey::PipelineRun(row.repo.clone(), row.run_id.clone(), row.attempt),
            Self::FlagChange(row) => RowKey::FlagChange(row.source.clone(), row.event_id.clone()),
            Self::Scan(row) => RowKey::Scan(row.source.clone(), row.event_id.clone()),
            Self::ParkedEvent(row) => {
                RowKey::ParkedEvent(row.source.clone(), row.event_id.clone(), row.hash.clone())
            }
            Self::DataQuality(row) => RowKey::DataQuality(row.signal.clone(), row.subject.clone()),
            Self::Step(row) => RowKey::Step(StepKey {
                scope: row.scope.clone(),
                metric: row.metric,
                window: row.window,
                as_of: row.as_of,
            }),
            Self::Pane(row) => RowKey::Pane(PaneKey {
                scope: row.scope.clone(),
                metric: row.metric,
                grain: row.grain,
                start: row.start,
            }),
            Self::Service(row) => RowKey::Service(row.service.clone()),
            Self::Team(row) => RowKey::Team(row.team.clone()),
            Self::Scope(row) => RowKey::Scope(row.scope.clone()),
            Self::Definition(row) => RowKey::Definition(row.key.clone()),
        }
    }
}

/// A change of a table: a row is there, or is no longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RowChange {
    /// The row is there, as follows.
    Upsert(Row),
    /// The row should no longer exist.
    Delete(RowKey),
}

/// Changes of tables that one transaction made and that lie together: of one scope and metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RowChanges {
    /// The changes, each row once.
    pub rows: Vec<RowChange>,
}

impl RowChange {
    /// What names the row.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Upsert(row) => row.key(),
            Self::Delete(key) => key.clone(),
        }
    }
}
