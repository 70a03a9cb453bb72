//! Generations: what another configuration computes lies in a database of its own, beside the one that is read.
//!
//! The views of the first database are what everybody reads. Promoting a generation makes them show it, all at once:
//!
//! 1. Each view is replaced by one that shows whichever of the two generations the last row of `promotions` names.
//! 2. One row is inserted. This is the moment.
//! 3. Each view is replaced by one that shows the new generation and asks nobody.
//!
//! A crash in between leaves views of which each shows what `promotions` names; the same command again goes on.

use crate::error::{Answer, Error, Result};
use crate::migrate::{dry_run, is_unknown, pending};
use crate::schema::{Kind, objects};
use crate::target::{Database, Target};
use clickhouse::Client;
use model::Generation;
use serde::Deserialize;

/// The generations of a database.
pub struct Generations<'a> {
    client: &'a Client,
    base: &'a Database,
    target: &'a Target,
}

/// A generation that has tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub generation: Generation,
    /// Its database.
    pub database: Database,
    /// The hash of the definitions that made it; `None`: it holds nothing.
    pub definition: Option<String>,
    /// Whether the views show it.
    pub live: bool,
}

/// What [`Generations::promote`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// What the views showed before.
    pub before: Generation,
    /// What they show now.
    pub now: Generation,
}

#[derive(clickhouse::Row, Deserialize)]
struct Pointer {
    promotion: u64,
    generation: u32,
}

impl<'a> Generations<'a> {
    /// Of the database that everybody reads. The client has no database set.
    pub fn new(client: &'a Client, base: &'a Database, target: &'a Target) -> Self {
        Self { client, base, target }
    }

    /// The generation that the views show.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn live(&self) -> Result<Generation> {
        Ok(self.pointer().await?.1)
    }

    /// The last promotion's number and its generation; 0 and the first where there is none.
    fn pointer(&self) -> Answer<'_, (u64, Generation)> {
        Box::pin(async move {
            let query = format!(
                "SELECT promotion, generation FROM {}.promotions ORDER BY promotion DESC, promoted_at DESC LIMIT 1",
                self.base
            );
            match self.client.query(&query).fetch_optional::<Pointer>().await {
                Ok(row) => Ok(row.map_or((0, Generation::FIRST), |row| {
                    (row.promotion, Generation::new(row.generation).unwrap_or_default())
                })),
                Err(error) if is_unknown(&error) => Ok((0, Generation::FIRST)),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// Every generation that has a database, in order.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn known(&self) -> Answer<'_, Vec<Known>> {
        Box::pin(async move {
            let live = self.live().await?;
            let prefix = format!("{}_g", self.base);
            let names: Vec<String> = self
                .client
                .query("SELECT name FROM system.databases WHERE name = ? OR startsWith(name, ?)")
                .bind(self.base.as_str())
                .bind(&prefix)
                .fetch_all()
                .await?;
            let mut generations: Vec<Generation> = names
                .iter()
                .filter_map(|name| match name.strip_prefix(&prefix) {
                    Some(number) => {
                        number.parse().ok().and_then(Generation::new).filter(|one| !one.is_first())
                    }
                    None => Some(Generation::FIRST),
                })
                .collect();
            generations.sort_unstable();
            let mut known = Vec::new();
            for generation in generations {
                let database = self.base.of(generation);
                let query =
                    format!("SELECT value FROM {database}.definitions_rows FINAL WHERE key = 'definition'");
                let definition = match self.client.query(&query).fetch_optional::<String>().await {
                    Ok(definition) => definition,
                    Err(error) if is_unknown(&error) => None,
                    Err(error) => return Err(error.into()),
                };
                known.push(Known { generation, database, definition, live: generation == live });
            }
            Ok(known)
        })
    }

    /// Makes the views show a generation, from one moment on.
    ///
    /// # Errors
    /// [`Error::NoGeneration`] when it has no tables, or those of an older version; [`Error::Query`]: the views
    /// show one of the two then, all of them the same.
    pub async fn promote(&self, generation: Generation) -> Result<Promotion> {
        let database = self.base.of(generation);
        let missing = pending(self.client, &database).await?;
        if !missing.is_empty() {
            return Err(Error::NoGeneration { generation, database: database.to_string() });
        }
        let (last, before) = self.pointer().await?;
        for statement in self.statements(last, before, generation) {
            self.run(&statement).await?;
        }
        Ok(Promotion { before, now: generation })
    }

    /// What makes the views show a generation, in order, where they show `before` by promotion number `last` (0: by
    /// none). Whatever the number of them that ran, all views show the same generation.
    pub fn statements(&self, last: u64, before: Generation, generation: Generation) -> Vec<String> {
        let mut statements = Vec::new();
        if before != generation {
            if last == 0 {
                statements.push(self.names(1, before));
            }
            statements.extend(self.views(|view| view.either(self, before, generation)));
            statements.push(self.names(last.max(1) + 1, generation));
        }
        statements.extend(self.views(|view| view.only(self, generation)));
        statements
    }

    /// The row that says which generation is shown.
    fn names(&self, promotion: u64, generation: Generation) -> String {
        // On a cluster the row has reached its shard when the server answers.
        format!(
            "INSERT INTO {}.promotions (promotion, generation, promoted_at) SETTINGS distributed_foreground_insert = 1\n\
             SELECT {promotion}, {generation}, now64(3, 'UTC')",
            self.base
        )
    }

    /// Makes every view show the generation that is live: after a promotion that was cut off, and after a migration,
    /// which makes them show the first.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn repoint(&self) -> Result<Generation> {
        let live = self.live().await?;
        for view in self.views(|view| view.only(self, live)) {
            self.run(&view).await?;
        }
        Ok(live)
    }

    /// Takes a generation's rows away: its database, or of the first, in which the views lie, all rows. It can be
    /// given again.
    ///
    /// # Errors
    /// [`Error::Live`] for the one that is read; [`Error::Query`].
    pub async fn drop(&self, generation: Generation) -> Result<()> {
        if self.repoint().await? == generation {
            return Err(Error::Live { generation });
        }
        let on_cluster = self.on_cluster();
        if !generation.is_first() {
            let database = self.base.of(generation);
            return self.run(&format!("DROP DATABASE IF EXISTS {database}{on_cluster} SYNC")).await;
        }
        for object in objects(self.base, self.target) {
            if object.is_loaded() && object.kind == Kind::Storage {
                self.run(&format!("TRUNCATE TABLE IF EXISTS {}.{}{on_cluster}", self.base, object.name))
                    .await?;
            }
        }
        Ok(())
    }

    fn on_cluster(&self) -> String {
        match self.target {
            Target::Cluster(name) => format!(" ON CLUSTER '{}'", name.as_str()),
            Target::Embedded | Target::Server => String::new(),
        }
    }

    fn views(&self, statement: impl Fn(&View) -> String) -> Vec<String> {
        let mut views: Vec<View> = Vec::new();
        for made in dry_run(self.base, self.target) {
            let Some(view) = View::read(&made.sql, self.base) else { continue };
            // A later migration's view stands for an earlier one's.
            views.retain(|known| known.name != view.name);
            views.push(view);
        }
        views.iter().map(statement).collect()
    }

    fn run<'s>(&'s self, sql: &'s str) -> Answer<'s, ()> {
        Box::pin(async move {
            tracing::debug!(sql, "generations");
            Ok(self.client.query_raw(sql).execute().await?)
        })
    }
}

/// A view as the migrations make it, taken apart.
struct View {
    name: String,
    /// Up to the end of its columns.
    head: String,
    /// Its query.
    body: String,
    /// What is said of it.
    comment: String,
    columns: String,
}

impl View {
    /// Takes a statement apart; `None`: it makes no view.
    fn read(sql: &str, base: &Database) -> Option<Self> {
        let object = crate::schema::object(sql, base).filter(|object| object.kind == Kind::View)?;
        let (head, rest) = sql.split_once("\n)\nAS")?;
        let (body, comment) = rest.rsplit_once("\nCOMMENT ")?;
        let columns: Vec<String> = object.columns.iter().map(|(name, _)| format!("`{name}`")).collect();
        Some(Self {
            name: object.name,
            head: format!("{head}\n)"),
            body: body.trim().to_owned(),
            comment: format!("COMMENT {comment}"),
            columns: columns.join(", "),
        })
    }

    /// What reads a generation.
    fn reads(&self, of: &Generations<'_>, generation: Generation) -> String {
        if generation.is_first() {
            format!("SELECT {} FROM (\n{}\n)", self.columns, self.body)
        } else {
            format!("SELECT {} FROM {}.{} AS shown", self.columns, of.base.of(generation), self.name)
        }
    }

    /// The view that shows one generation: the first as the migrations make it.
    fn only(&self, of: &Generations<'_>, generation: Generation) -> String {
        let query = if generation.is_first() { self.body.clone() } else { self.reads(of, generation) };
        format!("{}\nAS {query}\n{}", self.head, self.comment)
    }

    /// The view that shows whichever of two generations was promoted last.
    fn either(&self, of: &Generations<'_>, one: Generation, other: Generation) -> String {
        let base = of.base;
        let promoted = |generation: Generation| {
            format!(
                "{} WHERE (SELECT argMax(generation, (promotion, promoted_at)) FROM {base}.promotions) = {generation}",
                self.reads(of, generation)
            )
        };
        format!("{}\nAS {}\nUNION ALL\n{}\n{}", self.head, promoted(one), promoted(other), self.comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_view_is_taken_apart_and_the_first_generation_is_shown_as_the_migrations_do() {
        let (client, base) = (Client::default(), Database::default());
        for target in [Target::Server, Target::cluster("dora").unwrap()] {
            let of = Generations::new(&client, &base, &target);
            let squeezed = |sql: &str| sql.split_whitespace().collect::<Vec<_>>().join(" ");
            // By the first line, which names it: the last that is made stays.
            let by_name = |views: Vec<String>| -> BTreeMap<String, String> {
                let named = |sql: &String| (sql.lines().next().unwrap().to_owned(), squeezed(sql));
                views.iter().map(named).collect()
            };
            let made = dry_run(&base, &target).into_iter().map(|one| one.sql);
            let made = made.filter(|sql| sql.starts_with("CREATE OR REPLACE VIEW")).collect();
            let only = of.views(|view| view.only(&of, Generation::FIRST));
            let (views, made) = (only.len(), by_name(made));
            assert!(made.len() > 15);
            assert_eq!((views, by_name(only)), (made.len(), made));
        }
    }
}
