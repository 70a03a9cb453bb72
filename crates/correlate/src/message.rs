//! What travels between correlation tasks: events to their homes, and what one home has to tell another.

use model::event::{Cause, EnvironmentTier, IncidentState, Names, Remedy, Severity};
use model::{DeliveryEvent, DeploymentId, HomeKey, IncidentId, RepoName, ServiceName, Sha, Text, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Address {
    /// To the task that holds this key.
    Home(HomeKey),
    /// To every task: rare records that concern whoever they concern (corrections, questions).
    All,
    /// To the task of this number: an answer to a question.
    Task(u32),
}

/// A message with its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Where it goes.
    pub to: Address,
    /// What it says.
    pub message: Message,
}

/// What a correlation task reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// A canonical event.
    Event(Arc<DeliveryEvent>),
    /// From the incident pool: an incident as it stands, for a home that it concerns.
    Incident {
        /// The home that it concerns.
        home: HomeKey,
        /// Which incident.
        id: IncidentId,
        /// As it stands; `None`: it no longer concerns that home.
        view: Option<Arc<IncidentView>>,
    },
    /// From a home to an artifact's index: tell us this artifact's commit from now on (or no longer).
    Subscribe {
        /// The artifact.
        artifact: HomeKey,
        /// Who asks.
        home: HomeKey,
        /// From now on, or no longer.
        on: bool,
    },
    /// From an artifact's index to a home.
    Artifact {
        /// The home that asked.
        home: HomeKey,
        /// The artifact.
        artifact: HomeKey,
        /// Its commit, where known.
        sha: Option<Sha>,
    },
    /// From an incident's home to every task: which services have a deployment of this id?
    Ask {
        /// The id.
        id: DeploymentId,
        /// The task that asks.
        task: u32,
        /// From now on, or no longer.
        on: bool,
    },
    /// The answer of one task: its services that have it.
    Answer {
        /// The id.
        id: DeploymentId,
        /// The task that answers.
        task: u32,
        /// What it has.
        matches: Vec<Match>,
    },
    /// From a dependency's home to an incident's: it blames this deployment there (`None`: no longer).
    Blamed {
        /// The incident.
        id: IncidentId,
        /// The incident's service.
        of: ServiceName,
        /// The dependency.
        service: ServiceName,
        /// The task that tells.
        from: u32,
        /// When the deployment finished, and which.
        deployment: Option<(Timestamp, DeploymentId)>,
    },
    /// From an incident's home to a deployment's: this incident names that deployment (`None`: no longer).
    Blame {
        /// The incident.
        id: IncidentId,
        /// The incident's service.
        of: ServiceName,
        /// The deployment's service.
        service: ServiceName,
        /// The task that tells.
        from: u32,
        /// The deployment and the incident.
        blame: Option<(DeploymentId, Arc<IncidentView>)>,
    },
}

/// A deployment that bears an id that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Match {
    /// Its service.
    pub service: ServiceName,
    /// The logical deployment that it belongs to.
    pub deployment: DeploymentId,
    /// Whether it can fail: in production, serving, no drill.
    pub can_fail: bool,
    /// Whether a correction says that it did not fail.
    pub cleared: bool,
}

/// An incident: its pooled records merged, with defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// Its id.
    pub id: IncidentId,
    /// Its records' ids.
    pub members: Vec<IncidentId>,
    /// The service.
    pub service: ServiceName,
    /// The repository that it names.
    pub repo: Option<RepoName>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Where it hurts.
    pub tier: EnvironmentTier,
    /// Where it stands.
    pub status: IncidentState,
    /// When it started (by default: when it was detected).
    pub started_at: Timestamp,
    /// When it was detected (by default: when it started, else when its first record occurred).
    pub detected_at: Timestamp,
    /// Whether both were stated.
    pub detection_stated: bool,
    /// When users were no longer hurt.
    pub mitigated_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// What caused it.
    pub cause: Option<Cause>,
    /// What it says it came from; a correction's deployment stands in its place.
    pub names: Names,
    /// What ended it.
    pub remedy: Option<Remedy>,
    /// A drill.
    pub drill: bool,
    /// Who told it.
    pub source: Text,
}

impl IncidentView {
    /// Whether it names anything.
    pub fn has_names(&self) -> bool {
        self.names.deployment_id.is_some() || self.names.version.is_some() || self.names.sha.is_some()
    }
}
