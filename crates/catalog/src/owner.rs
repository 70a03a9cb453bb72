//! The answer to "whose is this?".

use model::{RepoName, ServiceName, Text};

/// Who owns an event (semantics, section 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This service.
    Service(ServiceName),
    /// Only a repository is named, and several services live in it: parked.
    Ambiguous {
        /// The repository.
        repo: RepoName,
        /// Its services, sorted.
        services: Vec<ServiceName>,
    },
    /// Only an alias is named, and nobody claims it: parked.
    Unclaimed {
        /// The alias.
        alias: Text,
    },
    /// Neither a service nor a repository is named: parked.
    Unnamed,
}
