//! Ownership: which service an event belongs to, and who owns that service when.
//!
//! A [`Catalog`] is read from TOML (`schemas/config/catalog.schema.json` describes it), never changes, and has a
//! revision: the hash of what it means. Every mistake in the text is a [`Diagnostic`] with file, line, column and
//! remedy; [`lint`] tells what is valid and most likely not meant. [`backstage`] and [`codeowners`] read what
//! organisations already have, and propose entries; [`mod@discover`] proposes what events and such files say and the catalog
//! does not.
//!
//! ```
//! # use streamgauge_catalog::{Catalog, Owner};
//! # use model::{Definitions, Timestamp};
//! let text = r#"
//!     [[teams]]
//!     name = "payments"
//!     [[services]]
//!     name = "checkout"
//!     team = "payments"
//!     repositories = ["github.com/acme/checkout"]
//!     aliases = ["pagerduty:PF9KMXH"]
//! "#;
//! let catalog = Catalog::from_toml("catalog.toml", text, &Definitions::default()).unwrap();
//! let paged = catalog.owner(None, Some(&"pagerduty:PF9KMXH".into()), Timestamp::MIN);
//! assert_eq!(paged, Owner::Service("checkout".into()));
//! ```

pub mod backstage;
mod catalog;
mod check;
pub mod codeowners;
mod dated;
mod declared;
mod diagnostic;
pub mod discover;
mod document;
mod duration;
mod entry;
mod environment;
mod glob;
mod lint;
mod meaning;
mod owner;
mod rename;
mod service;
mod target;

pub use catalog::Catalog;
pub use diagnostic::Diagnostic;
pub use entry::{CatalogEntry, GroupEntry, ServiceEntry, TeamEntry, to_toml};
pub use environment::EnvironmentRule;
pub use glob::{GlobError, PathGlob};
pub use lint::lint;
pub use owner::Owner;
pub use rename::Rename;
pub use service::ServiceConfig;
pub use target::Target;

/// Every table of the catalog's TOML with the keys that it takes: what the JSON Schema must describe.
pub const TABLES: &[(&str, &[&str])] = declared::TABLES;
