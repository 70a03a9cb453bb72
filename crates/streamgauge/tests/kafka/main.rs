//! The run on Kafka against the embedded run, on the real broker and the real engine: the same events, the same
//! tables, however the work is shared, stopped, killed and started again.
//!
//! `STREAMGAUGE_FULL=1 cargo test --release -p streamgauge --test kafka` runs them at full size.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod crash;
mod delayed_end;
mod equality;
mod organisation;
mod outputs;
mod stage;
#[path = "../support/views.rs"]
mod views;
