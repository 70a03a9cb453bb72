//! What stands behind the address: the embedded engine, a single server or a cluster.

use crate::error::{Error, Result};
use model::Generation;
use std::fmt;

/// A database's name, checked: it is written into SQL as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database(String);

impl Database {
    /// Takes a name of letters, digits and underscores that does not begin with a digit.
    ///
    /// # Errors
    /// [`Error::Name`] for any other text.
    pub fn new(name: &str) -> Result<Self> {
        identifier("database", name).map(Self)
    }
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The database of a generation, where this is the one that everybody reads: this one, or `…_g2` and so on.
    #[must_use]
    pub fn of(&self, generation: Generation) -> Self {
        if generation.is_first() { self.clone() } else { Self(format!("{}_g{generation}", self.0)) }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self("streamgauge".to_owned())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands behind the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The engine in this process.
    Embedded,
    /// One server.
    Server,
    /// A cluster: replicated tables under distributed ones.
    Cluster(
        /// Its name in the servers' configuration; make it with [`Target::cluster`].
        ClusterName,
    ),
}

/// A cluster's name, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Target {
    /// A cluster by its name in the servers' configuration.
    ///
    /// # Errors
    /// [`Error::Name`] for what is no name.
    pub fn cluster(name: &str) -> Result<Self> {
        identifier("cluster", name).map(|name| Self::Cluster(ClusterName(name)))
    }
}

fn identifier(what: &'static str, name: &str) -> Result<String> {
    let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if word && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()) {
        Ok(name.to_owned())
    } else {
        Err(Error::Name { what, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_carry_sql_is_refused() {
        assert_eq!(Database::new("dora_2026").unwrap().as_str(), "dora_2026");
        for name in ["", "1a", "a b", "a;drop", "a`", "a.b", "ä"] {
            assert!(Database::new(name).is_err(), "{name:?}");
            assert!(Target::cluster(name).is_err(), "{name:?}");
        }
    }
}
