//! The run on Kafka against the embedded run, on the real broker and the real engine: the same events, the same
//! tables, however the work is shared, stopped, killed and started again.
//!
//! `STREAMGAUGE_FULL=1` runs the sizes of the acceptance (`cargo xtask full`); each finished case is kept in
//! `target/full`, so that the command goes on where it was stopped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod crash;
mod equality;
mod organisation;
mod outputs;
mod stage;
