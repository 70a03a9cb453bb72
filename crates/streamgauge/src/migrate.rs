//! `migrate`: the tables of ClickHouse, made or brought up to date; or the SQL for it, and for who may do what.

use crate::cli;
use crate::clickhouse::{ANY_PORT, ClickHouse};
use crate::config::Settings;
use crate::config::connections::ClickHouseServer;
use crate::failure::{DONE, wrong};
use crate::folder::{Access, DataFolder};
use anyhow::{Context, anyhow};
use axum::Router;
use std::io::Write;
use warehouse::{Client, Database, MigrationReport, Target, dry_run, grants, migrate};

/// Migrates, or prints.
///
/// # Errors
/// Exit code 2 for a name that cannot be a user's and for grants in the embedded engine; a server that does not
/// answer or refuses.
pub fn run(command: &cli::Migrate, settings: &Settings, out: &mut impl Write) -> anyhow::Result<u8> {
    let (database, target) = match &settings.clickhouse {
        Some(server) => (server.database.clone(), server.target.clone()),
        None => (Database::default(), Target::Embedded),
    };
    // The tables of a later generation, and the views that everybody reads.
    let databases: Vec<Database> = match &settings.clickhouse {
        Some(server) if server.base != server.database => vec![server.base.clone(), database],
        _ => vec![database],
    };
    if let Some(user) = &command.grants {
        if target == Target::Embedded {
            return Err(wrong(
                "the embedded engine has no users: --grants is for a server (set clickhouse.url)",
            ));
        }
        let user = Database::new(user).map_err(|_| {
            wrong(format!(
                "--grants {user:?} is no user's name: letters, digits and underscores, and no digit first"
            ))
        })?;
        for database in &databases {
            out.write_all(grants(&user, database, &target).as_bytes())?;
        }
        return Ok(DONE);
    }
    if command.dry_run {
        for statement in databases.iter().flat_map(|database| dry_run(database, &target)) {
            writeln!(out, "-- {:03} {}\n{};\n", statement.version, statement.name, statement.sql)?;
        }
        return Ok(DONE);
    }
    let (place, report) = match &settings.clickhouse {
        Some(server) => at_server(server)?,
        None => in_folder(settings)?,
    };
    if report.applied.is_empty() {
        writeln!(out, "{place}: up to date (version {})", report.version)?;
    }
    for (version, name) in &report.applied {
        writeln!(out, "{place}: migration {version} ({name}) ran")?;
    }
    Ok(DONE)
}

fn at_server(server: &ClickHouseServer) -> anyhow::Result<(String, MigrationReport)> {
    let place = format!("{}, database {}", server.url, server.database);
    let clickhouse = ClickHouse::served(server.url.clone())?;
    Ok((place, migrated(&clickhouse, server)?))
}

/// Brings a server's tables up to date: those of the configuration's generation, and the views that everybody reads.
///
/// # Errors
/// When it does not answer, or refuses.
pub fn migrated(clickhouse: &ClickHouse, server: &ClickHouseServer) -> anyhow::Result<MigrationReport> {
    let client = server.bare_client().context("clickhouse.ssl")?;
    let migrated = async {
        if server.base != server.database {
            migrate(&client, &server.base, &server.target).await?;
        }
        migrate(&client, &server.database, &server.target).await
    };
    clickhouse
        .block_on(migrated)
        .map_err(|error| {
            let error = anyhow::Error::from(error);
            let said = format!("{error:#}");
            https::remedy(&said, "clickhouse.ssl").map_or(error, |remedy| anyhow!("{said}: {remedy}"))
        })
        .with_context(|| format!("the tables of ClickHouse at {} cannot be made", server.url))
}

/// Whoever owns the folder answers for its engine; else we open it.
fn in_folder(settings: &Settings) -> anyhow::Result<(String, MigrationReport)> {
    let place = format!("data folder {}", settings.data.display());
    let migrated = |clickhouse: &ClickHouse, client: &Client| {
        clickhouse
            .block_on(migrate(client, &Database::default(), &Target::Embedded))
            .with_context(|| format!("the tables in {place} cannot be made"))
    };
    let report = match DataFolder::access(&settings.data, true)? {
        Access::Served(server) => {
            let clickhouse = ClickHouse::served(server.url)?;
            migrated(&clickhouse, &warehouse::client(clickhouse.url()))?
        }
        Access::Owned(folder) => {
            let clickhouse = ClickHouse::opened(folder.path(), ANY_PORT, Router::new())?;
            migrated(&clickhouse, &warehouse::client(clickhouse.url()))?
        }
    };
    Ok((place, report))
}
