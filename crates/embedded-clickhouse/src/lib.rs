//! The ClickHouse engine in process, behind ClickHouse's HTTP interface.
//!
//! [`Engine`] loads `libchdb.so` at run time and runs statements one after another on a thread of its
//! own. [`Server`] puts ClickHouse's HTTP interface in front of it, so that the `clickhouse` crate, `curl`
//! and Grafana find what they know from a server.
//!
//! Both ends of a request go through a file of the data folder's spool: the body of an insert is read to
//! its end before the engine sees the statement, and a result is complete before its first byte is sent.
//! So memory stays bounded, an insert that was cut applies nothing, a status is never sent too early, and
//! a slow client never holds the engine.
//!
//! The C interface has calls for streams too. They are not used: a chunk of theirs is a document of its own, with
//! a header and a footer in every format that has them, and they would hold the engine, which runs one statement
//! at a time, until the slowest client has read its result.

mod body;
mod engine;
mod error;
mod ffi;
mod framing;
mod handler;
pub mod limits;
mod locate;
mod multipart;
mod native;
mod request;
mod response;
mod server;
mod spool;
mod sql;
mod status;
mod stdin;

pub use engine::{Engine, Outcome, QueryOptions, Statistics};
pub use error::{EngineError, Exception};
pub use locate::{LIBRARY_ENV, locate};
pub use server::{Server, ServerError};
pub use stdin::stdin;

/// The release of chDB (npm package `@chdb/lib-<platform>`) that this crate is tested with.
pub const CHDB_VERSION: &str = "26.5.3";
