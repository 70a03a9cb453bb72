//! Runs the stages on Kafka: a consumer group each, a task for each partition, a transaction for each batch.
//!
//! ```text
//! raw.<source> ─ ingest ─► events ─ correlate ─► facts ─────────────────┐
//!                            ▲ messages ┘ └► contributions ─ aggregate ─► metrics ─┴─ load ─► ClickHouse
//! ```
//!
//! A task is a stage and a partition. Its state is its changelog; its transaction holds outputs, changelog,
//! checkpoint and input offsets. `checkpoint.rs` says how a task begins, `task.rs` how it works, `worker.rs` how
//! a process follows its group, `outside.rs` what all of them need of Kafka and of time.

pub mod acknowledged;
pub mod acls;
pub mod admin;
pub mod catalog;
pub mod checkpoint;
pub mod client;
pub mod connection;
pub mod dlq;
pub mod error;
pub mod generation;
pub mod health;
pub mod ingest;
pub mod lag;
pub mod load;
pub mod local;
pub mod member;
pub mod out;
pub mod outside;
pub mod pace;
pub mod probe;
pub mod raw;
pub mod registry;
pub mod run;
pub mod session;
pub mod settings;
pub mod stage;
pub mod stats;
pub mod task;
pub mod topics;
pub mod trace;
pub mod wire;
pub mod worker;

mod changelog;
mod contact;
mod kept;
mod lane;
mod log;
mod remedy;
mod restore;
mod standby;

pub use error::Error;
pub use run::{Plan, Running};
pub use settings::KafkaSettings;
pub use stats::{Snapshot, StageStats, Status};
pub use topics::{Stage, Topics};

use model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
