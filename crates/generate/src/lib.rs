//! A deterministic organisation's raw vendor events, for load tests and try-outs.
//!
//! [`generate`] tells what GitHub, PagerDuty, Alertmanager, a CDEvents sender and the organisation's own tools
//! would have delivered, in the order in which it would have arrived; [`catalog_toml`] says who owns what.
//! Both are functions of their [`Options`]: the same options give the same bytes, and no clock is read.
//!
//! What a service and day has on average, weekends and bursts included: three commits, one production
//! deployment, twenty records of 1 to 2 KB. Of the rollouts some fail and are tried again, some hurt users and
//! are rolled back, mended or reverted; some incidents have other causes; a record in thirty is late, and one in
//! two hundred comes twice.

mod body;
mod canonical;
mod catalog;
mod cdevents;
mod github;
mod organisation;
mod pager;
mod random;
mod repository;
mod rollout;
mod steady;

pub use catalog::{catalog_toml, steady_catalog_toml};
pub use steady::steady;

use model::raw::{Origin, RawRecord};
use model::{Span, Text, Timestamp};
use organisation::Organisation;
use repository::Simulation;
use std::sync::Arc;

/// Which organisation, and how long it is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many services there are. Of each ten, three share a repository.
    pub services: u32,
    /// How many teams own them; at least one, at most one for each service.
    pub teams: u32,
    /// How many days are told. What is under way at the end stays so.
    pub days: u32,
    /// Another seed, another history.
    pub seed: u64,
    /// When the first day starts.
    pub start: Timestamp,
}

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

impl Default for Options {
    fn default() -> Self {
        Self { services: 10, teams: 3, days: 90, seed: 1, start: START }
    }
}

/// Every record of the organisation, in the order of `received_at`.
///
/// The records of one day are made at a time: memory is bounded by the organisation, not by its history.
/// `origin` counts the records from 1 in the topic `generated`.
pub fn generate(options: &Options) -> impl Iterator<Item = RawRecord> + Send + use<> {
    let organisation = Arc::new(Organisation::new(options));
    let repositories = organisation.repositories.iter().enumerate();
    let mut repositories: Vec<Simulation> = repositories
        .map(|(number, repository)| Simulation::new(&organisation, number, repository, options.seed))
        .collect();
    let start = options.start;
    let days = (0..options.days).map(move |day| start.plus(Span::from_days(i64::from(day))));
    let records = days.flat_map(move |day| {
        let mut records: Vec<RawRecord> =
            repositories.iter_mut().flat_map(|repository| repository.day(day)).collect();
        // Stable: at one time a repository's records stay in their order, and the repositories in theirs.
        records.sort_by_key(|record| record.received_at);
        records
    });
    numbered(records)
}

/// Records with their places in the topic `generated`.
fn numbered(records: impl Iterator<Item = RawRecord> + Send) -> impl Iterator<Item = RawRecord> + Send {
    records.zip(1..).map(|(mut record, offset)| {
        record.origin = Origin { topic: Text::new("generated"), partition: 0, offset };
        record
    })
}
