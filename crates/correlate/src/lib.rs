//! Events to facts, incrementally, with retractions (semantics, sections 3 to 6).
//!
//! A task keeps what was told, record by record, and derives everything else from it. [`Correlator::process`]
//! only files a record and marks what it may change; [`Correlator::settle`] derives the marked things anew,
//! layer by layer (things → rollouts → labels → evidence → facts), and publishes what differs. So the order in
//! which records arrive cannot reach a result: each layer is a function of the one below.

pub mod contribute;
pub mod deployment;
pub mod message;
pub mod state;

mod blame;
mod blame_elsewhere;
mod catalog_change;
mod corrections;
mod devlake;
mod dimensions;
mod dirty;
mod evidence;
pub mod explain;
mod fact;
mod graph;
mod index;
mod lost;
mod merge;
mod pool;
mod pulls;
mod quality;
mod questions;
mod records;
mod renames;
mod rollouts;
mod route;
mod runs;
mod ship;
mod task;

pub use message::{Address, Envelope, Message};
pub use renames::RENAMES;
pub use route::{Route, partition_of, route};
pub use task::{Correlator, Emitted};
