//! The run on Kafka on the real broker and the real engine. Against the embedded run: the same events, the same
//! tables, however the work is shared, stopped, killed and started again. And what it takes: latency, memory, restore,
//! an analyst's query.
//!
//! `cargo xtask measure` runs them at the sizes of the acceptance and keeps the figures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod alone;
mod copied;
mod corrections;
mod crash;
mod delayed_end;
mod equality;
mod first_format;
mod generations;
mod latency;
mod measured;
mod memory;
mod organisation;
mod outputs;
mod query;
mod recovery;
mod restore;
mod retention;
mod stage;
#[path = "../support/topic.rs"]
mod topic;
#[path = "../support/views.rs"]
mod views;
