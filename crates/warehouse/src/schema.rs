//! The tables and views as the migrations make them, read from the migrations themselves.

use crate::migrate::dry_run;
use crate::target::{Database, Target};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table that holds rows.
    Storage,
    /// A cluster's table over the storage of its shards.
    Distributed,
    /// What analysts read.
    View,
}

/// A table or a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name, without the database.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its columns in order: name and type.
    pub columns: Vec<(String, String)>,
    /// The engine's name, without arguments.
    pub engine: String,
    /// The sorting key as ClickHouse shows it; empty where there is none.
    pub sorting_key: String,
}

impl Object {
    /// Whether rows of the pipeline are inserted into it (on a cluster: through it, into its storage).
    pub fn is_loaded(&self) -> bool {
        self.kind != Kind::View && self.name.trim_end_matches("_local").ends_with("_rows")
    }
}

/// Every table and view that the migrations make, in their order.
pub fn objects(database: &Database, target: &Target) -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for statement in dry_run(database, target) {
        let Some(mut object) = object(&statement.sql, database) else { continue };
        if object.kind == Kind::Distributed {
            let storage = format!("{}_local", object.name);
            object.columns = objects
                .iter()
                .find(|known| known.name == storage)
                .map_or_else(Vec::new, |known| known.columns.clone());
        }
        objects.retain(|known| known.name != object.name);
        objects.push(object);
    }
    objects
}

/// Reads one statement; `None` when it makes no table and no view.
pub(crate) fn object(sql: &str, database: &Database) -> Option<Object> {
    let head = sql.lines().next()?;
    let (is_view, rest) = match head.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
        Some(rest) => (false, rest),
        None => (true, head.strip_prefix("CREATE OR REPLACE VIEW ")?),
    };
    let name = rest.split(' ').next()?.strip_prefix(&format!("{database}."))?.to_owned();
    let value = |key: &str| sql.lines().find_map(|line| line.strip_prefix(key));
    let engine = value("ENGINE = ").map_or("View", |text| text.split('(').next().unwrap_or(text)).to_owned();
    let kind = match engine.as_str() {
        _ if is_view => Kind::View,
        "Distributed" => Kind::Distributed,
        _ => Kind::Storage,
    };
    let key = value("ORDER BY ").map_or("", |text| text.trim_start_matches('(').trim_end_matches(')'));
    let columns = sql
        .lines()
        .skip_while(|line| *line != "(")
        .skip(1)
        .take_while(|line| *line != ")")
        .filter_map(column)
        .collect();
    Some(Object { name, kind, columns, engine, sorting_key: key.replace('`', "") })
}

/// A line such as `    team String COMMENT '…' CODEC(ZSTD(1)),`.
fn column(line: &str) -> Option<(String, String)> {
    let (declared, _) = line.trim().split_once(" COMMENT '")?;
    let (name, kind) = declared.split_once(' ')?;
    Some((name.trim_matches('`').to_owned(), kind.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_statement_that_makes_something_is_understood() {
        let database = Database::default();
        for target in [Target::Server, Target::cluster("dora").unwrap()] {
            let objects = objects(&database, &target);
            let makes = |statement: &crate::Statement| {
                statement.sql.starts_with("CREATE") && !statement.sql.starts_with("CREATE DATABASE")
            };
            // A view that a later migration makes anew is one.
            let made: BTreeSet<String> = dry_run(&database, &target)
                .iter()
                .filter(|one| makes(one))
                .filter_map(|one| one.sql.lines().next().map(str::to_owned))
                .collect();
            assert_eq!(objects.len(), made.len());
            for object in &objects {
                assert!(object.columns.len() > 2, "{object:?}");
                assert_eq!(object.sorting_key.is_empty(), object.kind != Kind::Storage, "{object:?}");
            }
            assert_eq!(objects.iter().filter(|one| one.is_loaded() && one.kind == Kind::Storage).count(), 16);
        }
    }
}
