//! The simulator: every stage of `crates/kafka`, as production runs it, on a simulated log with transactions, consumer
//! groups, several members, time, crashes, zombies and a table; one thread and one seeded generator, so that a seed is
//! a run, byte for byte.
//!
//! ```text
//! story ─ tells ─► log ◄─ outside ─ the stages (worker, task, ingest, load)
//!                   ▲        │ every call is a point at which others may come first, or death
//!                   └─ world ┴─► check: the oracle's tables, each event once, versions, checkpoints
//! ```
//!
//! What it does not hold: librdkafka itself, the network below a request, ClickHouse's own code. Those are held by the
//! tests on the real broker and the real engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

pub mod mutant;
pub mod run;

mod cast;
mod check;
mod disk;
mod groups;
mod log;
mod outside;
mod planted;
mod session;
mod store;
mod story;
mod transactions;
mod world;

pub use mutant::Mutant;
pub use run::{Run, run};
