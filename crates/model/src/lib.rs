//! Events, facts, metrics, identifiers and time: the words that every stage shares. No I/O, no clock.

pub mod avro;
pub mod base64;
pub mod definitions;
pub mod dimension;
pub mod event;
pub mod fact;
pub mod generation;
pub mod hex;
pub mod ids;
pub mod journal;
pub mod json;
pub mod lookup;
pub mod metric;
pub mod packed;
pub mod raw;
pub mod table;
pub mod time;

pub use definitions::Definitions;
pub use event::{DeliveryEvent, EventBody, RecordOrder};
pub use generation::Generation;
pub use ids::{
    DeploymentId, Environment, HomeKey, IncidentId, RepoName, RunId, Scope, ServiceName, Sha, TeamName, Text,
};
pub use time::{Calendar, Day, Hour, Span, Timestamp};
