//! The real Apache Kafka for developers and tests: fetched once from Maven Central into the user's cache, started
//! as one or three `KRaft` nodes (each broker and controller) on free loopback ports, and gone when the value that
//! stands for it is dropped, or when the process that holds it dies.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use streamgauge_test_broker::{Cluster, Settings, is_available};
//! if !is_available() {
//!     return Ok(()); // it has printed what is missing
//! }
//! let cluster = Cluster::start("target/some-test".as_ref(), &Settings::plain(3))?;
//! println!("bootstrap.servers={}", cluster.bootstrap());
//! cluster.kill(2)?;
//! cluster.restart(2)?;
//! # Ok(())
//! # }
//! ```
//!
//! Needs Java 17 or newer, Maven for the first time, and `openssl` for the secure variant.

mod cluster;
mod detached;
mod installation;
mod maven;
mod node;
mod os;
mod ports;
mod properties;
mod proxy;
mod security;
mod tool;

pub use cluster::{Cluster, Settings};
pub use detached::Detached;
pub use installation::{available, fetch};
pub use proxy::{Fault, Proxy};
pub use security::{Security, User};
pub use tool::Tool;

/// The release of Apache Kafka that is fetched and started.
pub const VERSION: &str = "4.1.0";

/// Whether brokers can be started here; when not, a notice on stderr says why and how to mend it.
#[must_use]
pub fn is_available() -> bool {
    available().inspect_err(|why| eprintln!("skipped: no Kafka broker, because {why}")).is_ok()
}
