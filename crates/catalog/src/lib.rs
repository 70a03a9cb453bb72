//! Ownership: which service an event belongs to, and who owns that service when.
//!
//! A [`Catalog`] is read from TOML (`schemas/config/catalog.schema.json` describes it), never changes, and has a
//! revision: the hash of what it means. Every mistake in the text is a [`Diagnostic`] with file, line, column and
//! remedy. [`backstage`] and [`codeowners`] read what organisations already have, and propose entries.

mod catalog;
mod check;
mod dated;
mod declared;
mod diagnostic;
mod document;
mod duration;
mod environment;
mod glob;
mod meaning;
mod owner;
mod rename;
mod service;
mod target;

pub use catalog::Catalog;
pub use diagnostic::Diagnostic;
pub use environment::EnvironmentRule;
pub use glob::{GlobError, PathGlob};
pub use owner::Owner;
pub use rename::Rename;
pub use service::ServiceConfig;
pub use target::Target;

/// Every table of the catalog's TOML with the keys that it takes: what the JSON Schema must describe.
pub const TABLES: &[(&str, &[&str])] = declared::TABLES;
