//! What the records of the running transaction may have changed. Empty between transactions.

use crate::deployment::Chain;
use crate::state::{Rank, Thing};
use model::event::RecordOrder;
use model::{DeploymentId, Environment, HomeKey, IncidentId, RepoName, RunId, ServiceName, Sha, Text};
use std::collections::{BTreeMap, BTreeSet};

/// Marks, one set per layer. Sets are ordered: iteration order is the same whatever the order of arrival.
#[derive(Debug, Default)]
pub struct Dirty {
    pub things: BTreeSet<Thing>,
    /// Chains to regroup, each with the logical deployments that it had.
    pub chains: BTreeMap<(ServiceName, Environment, Chain), BTreeSet<DeploymentId>>,
    pub rollouts: BTreeSet<(ServiceName, DeploymentId)>,
    /// Environments whose rollbacks are to be looked at, from a rank on.
    pub sweeps: BTreeMap<(ServiceName, Environment), BTreeSet<Rank>>,
    pub hotfixes: BTreeSet<(ServiceName, Environment, Rank)>,
    /// Commits whose label, content or deployment changed.
    pub commits: BTreeSet<(ServiceName, RepoName, Sha)>,
    pub revert_pairs: BTreeSet<(RepoName, Sha, Sha)>,
    pub blames: BTreeSet<(ServiceName, IncidentId)>,
    pub deployments: BTreeSet<(ServiceName, DeploymentId)>,
    pub incidents: BTreeSet<(HomeKey, IncidentId)>,
    pub pulls: BTreeSet<(RepoName, u64)>,
    pub runs: BTreeSet<(RepoName, RunId, u32)>,
    pub flaky: BTreeSet<(RepoName, Text, Sha)>,
    pub pool: BTreeSet<IncidentId>,
    /// Artifacts that a home may have begun, or ceased, to wait for.
    pub subscriptions: BTreeSet<(HomeKey, HomeKey)>,
    /// Events that wait for the catalog.
    pub parked: BTreeSet<RecordOrder>,
    pub corrections: BTreeSet<RecordOrder>,
    /// Whether a rename or a catalog came in.
    pub renames: bool,
    pub questions: BTreeSet<DeploymentId>,
    /// Services whose own incidents came or went, and whether there were any before: only that makes their failures
    /// visible.
    pub failure_sources: BTreeMap<ServiceName, bool>,
}

impl Dirty {
    pub fn sweep(&mut self, service: &ServiceName, environment: &Environment, rank: Rank) {
        self.sweeps.entry((service.clone(), environment.clone())).or_default().insert(rank);
    }
}
