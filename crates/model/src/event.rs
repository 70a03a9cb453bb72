//! Canonical events: one record of something that happened, whatever vendor told it.
//!
//! The JSON form is `id`, `type`, `occurred_at`, `observed_at`, `source`, `repo` or `service`, and one object
//! named after the type. Unknown fields are errors that name them.

use crate::ids::{DeploymentId, Environment, IncidentId, RepoName, RunId, Sha, Text};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One canonical record of something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryEvent {
    /// Unique within its source. Copies with one id are records like any other.
    pub id: Text,
    /// Event time.
    pub occurred_at: Timestamp,
    /// When it reached us; imports of history take it from the history.
    pub observed_at: Timestamp,
    /// Who told it: `github`, `pagerduty`, `git`, …
    pub source: Text,
    /// The repository that it names.
    pub repo: Option<RepoName>,
    /// A hint to the service: a service's name, or an alias such as `pagerduty:PF9KMXH`. The catalog decides.
    pub service: Option<Text>,
    /// A game day or chaos experiment: kept as a fact, invisible to metrics.
    pub drill: Option<bool>,
    /// Told by an import of history: has no horizon.
    pub imported: Option<bool>,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is documented on the type it holds")]
pub enum EventBody {
    Commit(Commit),
    Push(Push),
    PullRequest(PullRequestEvent),
    Review(Review),
    Repository(RepositoryEvent),
    PipelineRun(PipelineRunEvent),
    TestRun(TestRun),
    CanaryAnalysis(CanaryAnalysis),
    Artifact(Artifact),
    Deployment(Box<DeploymentEvent>),
    Incident(Box<IncidentEvent>),
    SliSample(SliSample),
    FlagChange(FlagChangeEvent),
    Scan(ScanEvent),
    Maintenance(Maintenance),
    Correction(Correction),
    Ownership(Ownership),
    LostDelivery(LostDelivery),
}

impl EventBody {
    /// The type's name in JSON.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Push(_) => "push",
            Self::PullRequest(_) => "pull_request",
            Self::Review(_) => "review",
            Self::Repository(_) => "repository",
            Self::PipelineRun(_) => "pipeline_run",
            Self::TestRun(_) => "test_run",
            Self::CanaryAnalysis(_) => "canary_analysis",
            Self::Artifact(_) => "artifact",
            Self::Deployment(_) => "deployment",
            Self::Incident(_) => "incident",
            Self::SliSample(_) => "sli_sample",
            Self::FlagChange(_) => "flag_change",
            Self::Scan(_) => "scan",
            Self::Maintenance(_) => "maintenance",
            Self::Correction(_) => "correction",
            Self::Ownership(_) => "ownership",
            Self::LostDelivery(_) => "lost_delivery",
        }
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }
        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            /// Reads the word.
            pub fn from_word(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words!(
    /// Whether a person or a program did it; decided before names are dropped.
    AuthorKind {
        /// A person.
        Human = "human",
        /// A program.
        Bot = "bot",
    }
);
words!(
    /// What an environment is for. Only production counts for DORA.
    EnvironmentTier {
        /// What users use.
        Production = "production",
        /// The last step before production.
        Staging = "staging",
        /// Tests.
        Testing = "testing",
        /// Development and previews.
        Development = "development",
        /// Anything that no rule knows.
        Other = "other",
    }
);
words!(
    /// Where a pull request stands.
    PullRequestState {
        /// Open.
        Open = "open",
        /// Closed without a merge.
        Closed = "closed",
        /// Merged.
        Merged = "merged",
    }
);
words!(
    /// How a pull request was merged.
    MergeMethod {
        /// With a merge commit of both parents.
        Merge = "merge",
        /// As one new commit.
        Squash = "squash",
        /// As copies of its commits.
        Rebase = "rebase",
    }
);
words!(
    /// A review's verdict.
    ReviewState {
        /// Approved.
        Approved = "approved",
        /// Changes were asked for.
        ChangesRequested = "changes_requested",
        /// A comment.
        Commented = "commented",
    }
);
words!(
    /// Where a pipeline run stands.
    RunState {
        /// Waiting.
        Queued = "queued",
        /// Running.
        Running = "running",
        /// Ended well.
        Passed = "passed",
        /// Ended badly.
        Failed = "failed",
        /// Ended by hand.
        Cancelled = "cancelled",
    }
);
words!(
    /// Where a deployment attempt stands.
    DeploymentState {
        /// Asked for.
        Pending = "pending",
        /// Under way.
        Running = "running",
        /// Ended well.
        Succeeded = "succeeded",
        /// Ended badly.
        Failed = "failed",
        /// Ended by hand.
        Cancelled = "cancelled",
    }
);
words!(
    /// What set a deployment off. All but `manual` are automated.
    Trigger {
        /// A push.
        Push = "push",
        /// A merge.
        Merge = "merge",
        /// A timer.
        Schedule = "schedule",
        /// A controller (Argo CD, Flux, …).
        Controller = "controller",
        /// A person.
        Manual = "manual",
    }
);
words!(
    /// Where an incident stands.
    IncidentState {
        /// Open.
        Open = "open",
        /// Somebody is on it.
        Acknowledged = "acknowledged",
        /// Users are no longer hurt.
        Mitigated = "mitigated",
        /// Over.
        Resolved = "resolved",
    }
);
words!(
    /// An incident's severity: `sev1` is the worst.
    Severity {
        /// The worst.
        Sev1 = "sev1",
        /// Severe.
        Sev2 = "sev2",
        /// Moderate.
        Sev3 = "sev3",
        /// Minor.
        Sev4 = "sev4",
        /// Cosmetic.
        Sev5 = "sev5",
    }
);
words!(
    /// What caused an incident.
    Cause {
        /// A deployed change.
        Change = "change",
        /// A feature flag.
        Flag = "flag",
        /// Too much load, too few machines.
        Capacity = "capacity",
        /// Another service.
        Dependency = "dependency",
        /// An attack or a vulnerability.
        Security = "security",
        /// Something outside the organisation.
        External = "external",
        /// Not known.
        Unknown = "unknown",
    }
);
words!(
    /// What happened to a repository.
    RepositoryAction {
        /// It has a new name.
        Renamed = "renamed",
        /// It has a new owner.
        Transferred = "transferred",
        /// It was archived.
        Archived = "archived",
    }
);
words!(
    /// A canary step's verdict.
    Verdict {
        /// Go on.
        Passed = "passed",
        /// Go back.
        Failed = "failed",
        /// Not decided.
        Inconclusive = "inconclusive",
    }
);
words!(
    /// A maintenance window or a freeze.
    MaintenanceKind {
        /// Planned work.
        Maintenance = "maintenance",
        /// No deployments.
        Freeze = "freeze",
    }
);
words!(
    /// What a correction corrects.
    CorrectionTarget {
        /// A deployment.
        Deployment = "deployment",
        /// An incident.
        Incident = "incident",
    }
);

/// A commit. Its event happens when it is pushed or imported; `committed_at` is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its id.
    pub sha: Sha,
    /// Its parents; an empty list is a root, absent is unknown.
    pub parents: Option<Vec<Sha>>,
    /// When it was written.
    pub authored_at: Option<Timestamp>,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
    /// The paths that it touches.
    pub paths: Option<Vec<Text>>,
    /// The commits that its message says it reverts.
    pub reverts: Option<Vec<Sha>>,
    /// Whether it is a merge, where the parents do not tell.
    pub is_merge: Option<bool>,
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(rename_all = "snake_case")]
pub struct Push {
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: Text,
    /// Where the branch stood before.
    pub before: Option<Sha>,
    /// Where it stands now.
    pub after: Sha,
    /// What came, oldest first.
    pub commits: Vec<Sha>,
    /// Whether the branch is the repository's default.
    pub default_branch: Option<bool>,
    /// Whether history was rewritten: then only what lies within the push is a chain.
    pub forced: Option<bool>,
}

/// A commit in a pull request's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedCommit {
    /// Its id.
    pub sha: Sha,
    /// When it was committed.
    pub committed_at: Timestamp,
}

/// A pull request as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequestEvent {
    /// Its number in the repository.
    pub number: u64,
    /// Where it stands.
    pub state: PullRequestState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// The branch it comes from.
    pub head_ref: Text,
    /// The branch it goes to.
    pub base_ref: Text,
    /// Its last commit.
    pub head_sha: Sha,
    /// The commit that merged it. Forges fill this before the merge too: it counts for merged ones only.
    pub merge_commit_sha: Option<Sha>,
    /// How it was merged.
    pub merge_method: Option<MergeMethod>,
    /// Its commits.
    pub commits: Option<Vec<ListedCommit>>,
    /// Its labels.
    pub labels: Option<Vec<Text>>,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
}

/// A review of a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The pull request's number.
    pub number: u64,
    /// When it was given.
    pub submitted_at: Timestamp,
    /// Its verdict.
    pub state: ReviewState,
}

/// A repository was renamed, moved or archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryEvent {
    /// What happened.
    pub action: RepositoryAction,
    /// Its name before.
    pub from: Option<RepoName>,
}

/// One attempt of a pipeline run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineRunEvent {
    /// The run.
    pub run_id: RunId,
    /// The attempt, from 1: reruns share the run's id.
    pub attempt: u32,
    /// The workflow's name.
    pub workflow: Text,
    /// What it ran on.
    pub sha: Sha,
    /// The branch or tag.
    #[serde(rename = "ref")]
    pub reference: Option<Text>,
    /// Where it stands.
    pub state: RunState,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
}

/// One test's result within a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRun {
    /// The run.
    pub run_id: RunId,
    /// The suite's name.
    pub suite: Text,
    /// The test's name.
    pub name: Text,
    /// Its result.
    pub state: RunState,
    /// How long it took, in whole seconds.
    pub duration_s: Option<i64>,
}

/// A canary step's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryAnalysis {
    /// The rollout.
    pub rollout_id: Text,
    /// The step, from 1.
    pub step: u32,
    /// The score, 0 to 100.
    pub score: Option<i64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What an image or a digest was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// The content's digest, as in `sha256:…`.
    pub digest: Option<Text>,
    /// The image's name with its tag.
    pub image: Option<Text>,
    /// The commit that it was built from.
    pub sha: Sha,
    /// When it was built.
    pub built_at: Option<Timestamp>,
}

/// One attempt of a deployment (or of a part of one).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentEvent {
    /// Unique per service.
    pub deployment_id: DeploymentId,
    /// The rollout that it is a part of.
    pub rollout_id: Option<Text>,
    /// The target (cluster, region, …) that it went to.
    pub part: Option<Text>,
    /// The environment.
    pub environment: Environment,
    /// The environment's tier, where the vendor says it.
    pub tier: Option<EnvironmentTier>,
    /// The version.
    pub version: Option<Text>,
    /// The commit.
    pub sha: Option<Sha>,
    /// The artifact's digest.
    pub digest: Option<Text>,
    /// The image with its tag.
    pub image: Option<Text>,
    /// Where it stands.
    pub state: DeploymentState,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it finished.
    pub finished_at: Option<Timestamp>,
    /// What set it off.
    pub trigger: Option<Trigger>,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
    /// The commits that it says it ships.
    pub commits: Option<Vec<Sha>>,
    /// Whether it is marked as a hotfix.
    pub hotfix: Option<bool>,
    /// Whether this part serves although the rollout failed.
    pub serving: Option<bool>,
    /// Labels, at most 16.
    pub labels: Option<BTreeMap<Text, Text>>,
    /// The ticket.
    pub change_ref: Option<Text>,
    /// Whether it was approved.
    pub approved: Option<bool>,
    /// Whether it was inside its change window.
    pub in_window: Option<bool>,
    /// Its canary.
    pub canary: Option<Canary>,
}

/// A deployment's canary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// How many steps it has.
    pub steps: u32,
    /// Whether it was promoted; absent: whether it succeeded.
    pub promoted: Option<bool>,
}

/// What an incident says it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// A deployment.
    pub deployment_id: Option<DeploymentId>,
    /// A version.
    pub version: Option<Text>,
    /// A commit.
    pub sha: Option<Sha>,
}

/// What ended an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remedy {
    /// A deployment.
    pub deployment_id: Option<DeploymentId>,
    /// A commit.
    pub sha: Option<Sha>,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentEvent {
    /// Unique everywhere.
    pub incident_id: IncidentId,
    /// Where it stands.
    pub state: IncidentState,
    /// How bad it is; absent is unknown.
    pub severity: Option<Severity>,
    /// Where it hurts; absent is production.
    pub tier: Option<EnvironmentTier>,
    /// When users were first hurt.
    pub started_at: Option<Timestamp>,
    /// When it was noticed.
    pub detected_at: Option<Timestamp>,
    /// When users were no longer hurt.
    pub mitigated_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// What caused it.
    pub cause: Option<Cause>,
    /// What it says it came from.
    pub names: Option<Names>,
    /// What ended it.
    pub remedy: Option<Remedy>,
    /// Other records of the same incident.
    pub links: Option<Vec<IncidentId>>,
}

/// Good and total events of a service level over a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliSample {
    /// The objective's name.
    pub slo: Text,
    /// Good events.
    pub good: u64,
    /// All events.
    pub total: u64,
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
    /// The endpoint.
    pub endpoint: Option<Text>,
}

/// A feature flag was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlagChangeEvent {
    /// The flag's key.
    pub flag: Text,
    /// What was done.
    pub action: Text,
    /// Where.
    pub environment: Environment,
    /// The value before.
    pub from: Option<Text>,
    /// The value after.
    pub to: Option<Text>,
}

/// A security finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanEvent {
    /// Who found it.
    pub scanner: Text,
    /// What was found.
    pub finding: Text,
    /// How bad it is.
    pub severity: Text,
    /// Where it stands.
    pub state: Text,
    /// In which commit.
    pub sha: Option<Sha>,
    /// In which artifact.
    pub digest: Option<Text>,
}

/// A maintenance window or a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// The window.
    pub window_id: Text,
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
    /// Which of the two.
    pub kind: MaintenanceKind,
}

/// What a correction sets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionSet {
    /// Deployment: whether it failed.
    pub failed: Option<bool>,
    /// Deployment: its tier.
    pub tier: Option<EnvironmentTier>,
    /// Deployment: whether it was cancelled.
    pub cancelled: Option<bool>,
    /// Incident: its cause.
    pub cause: Option<Cause>,
    /// Incident: its severity.
    pub severity: Option<Severity>,
    /// Incident: the deployment that it came from, in place of its names.
    pub deployment_id: Option<DeploymentId>,
    /// Incident: the incident that this is a record of.
    pub duplicate_of: Option<IncidentId>,
}

/// A human correction. It overrides what vendors say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// A deployment or an incident.
    pub target: CorrectionTarget,
    /// Which.
    pub target_id: Text,
    /// What it sets; empty when it only undoes.
    pub set: CorrectionSet,
    /// Why.
    pub reason: Text,
    /// The correction that this takes away.
    pub undoes: Option<Text>,
}

/// An ownership fact told by a vendor; the catalog decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    /// The service.
    pub service: Text,
    /// Its team.
    pub team: Option<Text>,
    /// From when on.
    pub valid_from: Option<Timestamp>,
}

/// A delivery of a vendor's hook that the vendor says failed. What was in it is told by records of its own, if it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostDelivery {
    /// The hook, as in `github.com/acme/shop/hooks/7`.
    pub hook: Text,
    /// The vendor's id of the delivery; attempts of one delivery share it.
    pub delivery_id: Text,
    /// What it was to tell; the vendor's own word, as in `push`.
    pub event: Option<Text>,
    /// What the vendor was answered.
    pub answer: Option<Text>,
    /// Whether it was told later: by a later attempt, or because the vendor was asked for it. Absent is not yet.
    pub healed: Option<bool>,
}

/// The place of a record among the records of one thing: the last one that says a thing wins.
///
/// Source: design, "the one law": (`occurred_at`, `observed_at`, source, id, content hash).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordOrder {
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it reached us.
    pub observed_at: Timestamp,
    /// Who told it.
    pub source: Text,
    /// Its id.
    pub id: Text,
    /// SHA-256 of the event's JSON with sorted keys and no spaces.
    pub hash: [u8; 32],
}

impl RecordOrder {
    /// A bound that no record lies before.
    pub fn least() -> Self {
        Self {
            occurred_at: Timestamp::from_micros(i64::MIN),
            observed_at: Timestamp::from_micros(i64::MIN),
            source: Text::default(),
            id: Text::default(),
            hash: [0; 32],
        }
    }
}

impl DeliveryEvent {
    /// The record's place among the records of its thing.
    pub fn order(&self) -> RecordOrder {
        RecordOrder {
            occurred_at: self.occurred_at,
            observed_at: self.observed_at,
            source: self.source.clone(),
            id: self.id.clone(),
            hash: self.content_hash(),
        }
    }

    /// SHA-256 of the event's JSON with sorted keys, no spaces, and no nulls.
    pub fn content_hash(&self) -> [u8; 32] {
        Sha256::digest(crate::json::to_text(self).as_bytes()).into()
    }

    /// Whether the record is marked as a drill.
    pub fn is_drill(&self) -> bool {
        self.drill == Some(true)
    }
}
