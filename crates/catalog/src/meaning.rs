//! What a catalog means, without the text that said it: this is what its revision hashes.

use crate::dated::Dated;
use crate::environment::EnvironmentRule;
use crate::rename::Renames;
use crate::service::ServiceConfig;
use crate::target::Target;
use model::metric::Metric;
use model::{RepoName, ServiceName, TeamName, Text, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that a catalog says.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Meaning {
    pub organisation: Option<Text>,
    pub services: BTreeMap<ServiceName, Entry>,
    /// Which service an alias means, from when on.
    pub aliases: BTreeMap<Text, Dated<ServiceName>>,
    /// The group of a team, from when on.
    pub teams: BTreeMap<TeamName, Dated<Option<Text>>>,
    /// The parent of a group.
    pub groups: BTreeMap<Text, Option<Text>>,
    pub renames: Renames,
    pub environments: Vec<EnvironmentRule>,
    pub targets: BTreeMap<Text, BTreeMap<Metric, Target>>,
}

/// A declared service.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    pub config: Arc<ServiceConfig>,
    /// From when on each repository is its own: the earliest, where one is listed several times.
    pub claims: BTreeMap<RepoName, Timestamp>,
    pub teams: Dated<TeamName>,
    /// Line and column of its name. Not part of the meaning.
    #[serde(skip)]
    pub place: (usize, usize),
}
