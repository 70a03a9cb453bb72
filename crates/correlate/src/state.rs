//! The tables of a correlation task. What vendors said is kept record by record; the rest is derived from it
//! and kept because deriving it anew with each event would cost the history.

use crate::corrections::Standing;
use crate::deployment::{Attempt, Chain, Rollout};
use crate::message::{IncidentView, Match};
use crate::quality::Signal;
use crate::records::Records;
use model::event::PullRequestEvent;
use model::event::{AuthorKind, CorrectionTarget, RecordOrder};
use model::fact::{FailureEvidence, Row, RowKey};
use model::lookup::{DerivedGroups, DerivedLookup, Lookup};
use model::packed::Packed;
use model::table::{DerivedTable, Table};
use model::{
    DeploymentId, Environment, HomeKey, IncidentId, RepoName, RunId, Scope, ServiceName, Sha, Text, Timestamp,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A real thing that several records may tell of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Thing {
    /// A commit of a repository.
    Commit(RepoName, Sha),
    /// A push, by source and id.
    Push(RepoName, Text, Text),
    /// A pull request.
    PullRequest(RepoName, u64),
    /// The reviews of a pull request.
    Reviews(RepoName, u64),
    /// An attempt of a pipeline run.
    Run(RepoName, RunId, u32),
    /// An attempt of a deployment.
    Attempt(ServiceName, DeploymentId),
    /// An incident's own records.
    Incident(IncidentId),
    /// Human corrections.
    Corrections,
    /// What an artifact was built from.
    Artifact(HomeKey),
    /// A flag's change, by source and id.
    Flag(Text, Text),
    /// A finding, by source and id.
    Scan(Text, Text),
    /// Events that wait for the catalog.
    Parked,
    /// The deliveries of a hook that were lost, by source and hook. They are few: an outage's.
    LostDeliveries(Text, Text),
    /// Renames and transfers of repositories.
    Renames,
}

/// The finish and the id by which deployments are ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// When it finished.
    pub finish: Timestamp,
    /// Its id.
    pub id: DeploymentId,
}

impl Rank {
    /// The smallest rank at an instant.
    pub fn at(finish: Timestamp) -> Self {
        Self { finish, id: DeploymentId::default() }
    }
}

/// A commit as all its records tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Told by its own event or by a push; else only named as somebody's parent.
    pub known: bool,
    /// A drill.
    pub drill: bool,
    /// Has several parents, or says that it is a merge.
    pub merge: bool,
    /// Its parents.
    pub parents: Vec<Sha>,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
    /// When it was written.
    pub authored_at: Option<Timestamp>,
    /// A person or a program.
    pub author_kind: Option<AuthorKind>,
    /// The paths that it touches.
    pub paths: Option<Vec<Text>>,
    /// The commits that it reverts.
    pub reverts: Vec<Sha>,
}

/// What blames a deployment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Blamer {
    /// A later deployment of the service.
    Deployment(DeploymentId),
    /// An incident.
    Incident(IncidentId),
}

/// What an incident concluded about a service's deployments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameVerdict {
    /// The deployment (of this home) that it blames, and by which rule.
    pub blamed: Option<(DeploymentId, FailureEvidence)>,
    /// The deployment that ended it.
    pub remedy: Option<DeploymentId>,
    /// What the incident's home was told of it, where that is another service's.
    pub told: Option<Told>,
}

/// A dependency's deployment that an incident blames, as the incident's home was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The home that was told: what is told to another must be taken back here.
    pub to: HomeKey,
    /// The incident's service.
    pub of: ServiceName,
    /// When the deployment finished.
    pub finish: Timestamp,
    /// Which.
    pub deployment: DeploymentId,
}

/// A deployment elsewhere that an incident names, as its home was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldBlame {
    /// The home that was told: what is told to another must be taken back here.
    pub to: HomeKey,
    /// The deployment's service.
    pub service: ServiceName,
    /// Which.
    pub deployment: DeploymentId,
    /// The incident as it was told.
    pub view: Arc<IncidentView>,
}

/// What an incident's names came to at its own home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Named {
    /// A deployment of its own service.
    Own(DeploymentId),
    /// A deployment of another service.
    Elsewhere(Match),
    /// A deployment that cannot fail: nobody is blamed.
    Unblamable(DeploymentId),
    /// Nothing that is known.
    Nothing,
}

/// What a rollback says: `by` restored an earlier version over `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// The occurrence whose version it restored.
    pub restored: Rank,
    /// The deployment right after that one.
    pub failed: Rank,
    /// Those between.
    pub rolled_back: Vec<Rank>,
}

/// A pull request as all its records tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Merged field by field.
    pub merged: PullRequestEvent,
    /// The first review (strictly before the merge).
    pub first_reviewed_at: Option<Timestamp>,
}

/// How a pull request knows a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PullRole {
    /// It was merged by it.
    Merge,
    /// Its last commit.
    Head,
    /// In its list.
    Listed,
}

/// A row as it was last published, with what else decided its contributions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The row.
    pub row: Row,
    /// Scopes that the catalog does not give: the repository, deployment labels.
    pub extra_scopes: Vec<Scope>,
    /// Whether the service's failures can be seen.
    pub failure_source: bool,
}

/// Whether a workflow failed and later passed on a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaky {
    /// The last run that passed or failed.
    pub at: Timestamp,
    /// Failed and later passed.
    pub flaky: bool,
    /// When it first passed after a failure.
    pub since: Option<Timestamp>,
}

/// (service, repository, revert, reverted).
pub type RevertPair = (ServiceName, RepoName, Sha, Sha);
/// (service, blamed, blamer, repository, revert, reverted).
pub type RevertBlame = (ServiceName, DeploymentId, DeploymentId, RepoName, Sha, Sha);
/// (service, incident, the incident's service, the task that told).
pub type ForeignBlame = (ServiceName, IncidentId, ServiceName, u32);

/// Everything that a correlation task knows.
#[derive(Debug, Default)]
pub struct State {
    /// What was told, record by record.
    pub records: Records,
    /// Commits.
    pub nodes: DerivedLookup<(RepoName, Sha), Node>,
    /// Parent → child.
    pub children: DerivedGroups<(RepoName, Sha), Sha, ()>,
    /// Commit → pushes (source, id) that list it or end in it.
    pub pushed_in: DerivedGroups<(RepoName, Sha), (Text, Text), ()>,
    /// Reverted commit → its reverts.
    pub reverted_by: DerivedGroups<(RepoName, Sha), Sha, ()>,
    /// Attempts.
    pub attempts: DerivedLookup<(ServiceName, DeploymentId), Box<Attempt>>,
    /// Attempts in the order in which they are grouped.
    pub chains: DerivedTable<(ServiceName, Environment, Chain, Timestamp, DeploymentId), ()>,
    /// Attempt → the logical deployment that it belongs to.
    pub rollout_of: DerivedLookup<(ServiceName, DeploymentId), DeploymentId>,
    /// Deployment id → the services that have it.
    pub bearers: DerivedTable<(Text, ServiceName), ()>,
    /// Logical deployments.
    pub rollouts: Table<(ServiceName, DeploymentId), Rollout>,
    /// Production deployments that succeeded, per environment.
    pub succeeded: DerivedTable<(ServiceName, Environment, Rank), Option<Text>>,
    /// The same by immutable version.
    pub by_version: DerivedTable<(ServiceName, Environment, Text, Rank), ()>,
    /// Production deployments that succeeded or are partial.
    pub serving: DerivedTable<(ServiceName, Rank), ()>,
    /// Production deployments that succeeded and have a known head.
    pub headed: DerivedTable<(ServiceName, Rank), ()>,
    /// Stated commit, head or version → logical deployments.
    pub by_name: DerivedTable<(ServiceName, Text, DeploymentId), ()>,
    /// Commits whose being known matters to a logical deployment.
    pub awaited: DerivedGroups<Sha, (ServiceName, DeploymentId), ()>,
    /// Heads of deployments that label.
    pub heads: DerivedGroups<(ServiceName, RepoName, Sha), Rank, ()>,
    /// Commits that deployments list.
    pub listed: DerivedGroups<(ServiceName, RepoName, Sha), Rank, ()>,
    /// The earliest deployment whose head reaches a commit.
    pub reach: DerivedLookup<(ServiceName, RepoName, Sha), Rank>,
    /// Label → the commits that bear it.
    pub held: DerivedTable<(ServiceName, Rank, RepoName, Sha), ()>,
    /// The deployment that a change is counted under.
    pub counted: Lookup<(ServiceName, RepoName, Sha), DeploymentId>,
    /// How many changes a deployment ships.
    pub shipped: Lookup<(ServiceName, DeploymentId), u64>,
    /// What the rollbacks said.
    pub rollbacks: Table<(ServiceName, Environment, Rank), Rollback>,
    /// Deployment → the rollbacks that failed it (true) or rolled it back (false).
    pub rollback_marks: Table<(ServiceName, Environment, Rank, Rank), bool>,
    /// Blamed deployment, rule, blamer.
    pub blames: Table<(ServiceName, DeploymentId, FailureEvidence, Blamer), ()>,
    /// Blaming deployment, rule, blamed.
    pub blamed_by: Table<(ServiceName, DeploymentId, FailureEvidence, DeploymentId), ()>,
    /// Pairs (revert, reverted) that blame: (service, repo, revert, reverted) → (blamed, blamer).
    pub revert_pairs: Table<RevertPair, (DeploymentId, DeploymentId)>,
    /// The same by deployments: (service, blamed, blamer, repo, revert, reverted).
    pub revert_blames: Table<RevertBlame, ()>,
    /// Hotfix deployment → the deployment that it mends.
    pub hotfix_pairs: Table<(ServiceName, Environment, Rank), DeploymentId>,
    /// Incidents that concern this task's homes.
    pub incidents: Table<(HomeKey, IncidentId), Arc<IncidentView>>,
    /// Incident → the homes of this task that know it.
    pub incident_home: Table<(IncidentId, HomeKey), ()>,
    /// The incidents of a service by their start, and those of its dependants.
    pub incidents_at: Table<(ServiceName, Timestamp, IncidentId), ()>,
    /// Incidents by a name or a remedy that they state.
    pub incidents_naming: Table<(ServiceName, Text, IncidentId), ()>,
    /// What incidents concluded, per service.
    pub verdicts: Table<(ServiceName, IncidentId), BlameVerdict>,
    /// What the names of a service's incidents came to.
    pub named: Table<(IncidentId, ServiceName), Named>,
    /// Of those, the deployments elsewhere, as their homes were told.
    pub told_blames: Table<(IncidentId, ServiceName), ToldBlame>,
    /// Deployments of dependencies that incidents blame: (incident, its service, the dependency, the task that told).
    pub blamed_elsewhere: Table<(IncidentId, ServiceName, ServiceName, u32), (Timestamp, DeploymentId)>,
    /// Deployments that incidents of other services name.
    pub foreign_blames: Table<ForeignBlame, (DeploymentId, Arc<IncidentView>)>,
    /// Remedy → incidents.
    pub remedies: Table<(ServiceName, DeploymentId, IncidentId), ()>,
    /// Own incidents of a service: what makes its failures visible.
    pub failure_sources: Table<(ServiceName, IncidentId), ()>,
    /// The corrections that stand, by what they target.
    pub corrections: Table<(CorrectionTarget, Text), Vec<Standing>>,
    /// Every correction's records by its id.
    pub corrections_by_id: Table<(Text, RecordOrder), ()>,
    /// Correction → the corrections that undo it.
    pub undoers: Table<(Text, Text), ()>,
    /// Questions that this task answers: id → asking task → the last answer.
    pub questions: Table<(DeploymentId, u32), Option<Vec<Match>>>,
    /// Answers to this task's questions.
    pub answers: Table<(DeploymentId, u32), Vec<Match>>,
    /// Incidents of this task that ask.
    pub asking: Table<(DeploymentId, IncidentId), ()>,
    /// Pull requests.
    pub pulls: DerivedLookup<(RepoName, u64), Pull>,
    /// Commit → pull requests.
    pub pulls_of: DerivedGroups<(RepoName, Sha), (PullRole, u64), ()>,
    /// Runs by what they ran on.
    pub runs_on: DerivedGroups<(RepoName, Sha), (RunId, u32), Text>,
    /// Workflows on commits.
    pub flaky: DerivedLookup<(RepoName, Text, Sha), Flaky>,
    /// Artifacts that a home waits for: artifact, service, deployment.
    pub artifact_users: DerivedTable<(HomeKey, ServiceName, DeploymentId), ()>,
    /// Their commits, as the index told.
    pub artifacts: Table<HomeKey, Sha>,
    /// Artifacts that each home of this task waits for.
    pub subscriptions: Table<(HomeKey, HomeKey), ()>,
    /// The index: who wants to know.
    pub subscribers: Table<(HomeKey, HomeKey), Option<Sha>>,
    /// The pool: links between incidents' records, both ways.
    pub links: Table<(IncidentId, IncidentId), u32>,
    /// The pool: each record's links as last seen.
    pub links_of: Table<IncidentId, Vec<IncidentId>>,
    /// The pool: each record's incident.
    pub pooled: Table<IncidentId, IncidentId>,
    /// The pool: what each home was told.
    pub told: Table<(IncidentId, HomeKey), Arc<IncidentView>>,
    /// Changes of production flags of a service, in order of time, by source and event.
    pub flags_at: Table<(ServiceName, Timestamp, Text, Text), Text>,
    /// Signals that several things may raise: (signal, subject, since, case).
    pub cases: Table<(Text, Text, Timestamp, Text), Signal>,
    /// Rows as they were last published.
    pub published: Lookup<RowKey, Packed<Published>>,
    /// Rows of dimensions as they were last told.
    pub dimensions: Table<RowKey, Row>,
}

// Numbers that are missing were tables which are derived now; none is used again.
model::stateful!(State {
    1 => records,
    9 => rollouts,
    20 => shipped,
    21 => rollbacks,
    22 => rollback_marks,
    23 => blames,
    24 => blamed_by,
    25 => revert_pairs,
    26 => hotfix_pairs,
    27 => incidents,
    28 => incidents_at,
    29 => incidents_naming,
    30 => verdicts,
    31 => named,
    32 => foreign_blames,
    33 => remedies,
    34 => failure_sources,
    35 => questions,
    36 => answers,
    37 => asking,
    43 => artifacts,
    44 => subscribers,
    45 => links,
    46 => links_of,
    47 => pooled,
    48 => told,
    49 => published,
    51 => revert_blames,
    52 => subscriptions,
    53 => incident_home,
    54 => counted,
    55 => blamed_elsewhere,
    56 => corrections,
    57 => flags_at,
    58 => cases,
    59 => dimensions,
    60 => corrections_by_id,
    61 => undoers,
    62 => told_blames,
} derived {
    nodes,
    children,
    pushed_in,
    reverted_by,
    attempts,
    chains,
    rollout_of,
    succeeded,
    by_version,
    serving,
    headed,
    by_name,
    awaited,
    heads,
    listed,
    reach,
    held,
    pulls,
    pulls_of,
    runs_on,
    flaky,
    artifact_users,
    bearers,
});

impl State {
    /// A row as it was last published.
    pub fn row(&self, key: &RowKey) -> Option<Row> {
        self.published.get(key).map(|published| published.open().row)
    }

    /// The label of a commit: the earliest deployment that reaches or lists it.
    pub fn label(&self, service: &ServiceName, repo: &RepoName, sha: &Sha) -> Option<Rank> {
        let reach = self.reach.get(&(service.clone(), repo.clone(), sha.clone()));
        let listed = self.least_listed(service, repo, sha);
        match (reach, listed) {
            (Some(reach), Some(listed)) => Some(reach.clone().min(listed)),
            (reach, listed) => reach.cloned().or(listed),
        }
    }

    fn least_listed(&self, service: &ServiceName, repo: &RepoName, sha: &Sha) -> Option<Rank> {
        let (rank, ()) = self.listed.of(&(service.clone(), repo.clone(), sha.clone())).next()?;
        Some(rank.clone())
    }

    /// The first deployment of a service: the earliest succeeded production one with a known head.
    pub fn first_deployment(&self, service: &ServiceName) -> Option<&Rank> {
        let from = (service.clone(), Rank::at(Timestamp::MIN));
        self.headed.range(from..).next().filter(|((s, _), ())| s == service).map(|((_, rank), ())| rank)
    }
}
