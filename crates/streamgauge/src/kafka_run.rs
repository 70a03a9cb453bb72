//! `run` on Kafka: the stages of this process, until SIGTERM.

use crate::cli;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::copies;
use crate::durable::beside;
use crate::failure::{DONE, wrong};
use crate::folder::DataFolder;
use crate::migrate::migrated;
use crate::normalize::source_settings;
use crate::ownership::read_catalog;
use crate::run::{stop_signal, wait_until};
use crate::telemetry::endpoint::Endpoint;
use crate::telemetry::metrics::Watched;
use crate::telemetry::otlp::Exporter;
use anyhow::Context;
use axum::Router;
use kafka::catalog::{Follower, ReadCatalog, publish};
use kafka::outside::Catalogs;
use kafka::trace::Tracing;
use kafka::{KafkaSettings, Plan, Running, Stage};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs the stages.
///
/// # Errors
/// Exit code 2 for an unknown stage or a catalog with mistakes; brokers or a ClickHouse that cannot be reached at
/// the start. Later they are waited for.
pub fn run(command: &cli::Run, settings: &Settings, brokers: &KafkaSettings) -> anyhow::Result<u8> {
    if command.input.is_some() {
        return Err(wrong(
            "--input is for the embedded run; on Kafka records come from the topics raw.<source>",
        ));
    }
    run_until(stages(&command.stages)?, settings, brokers, || false)
}

/// Runs these stages until SIGTERM or until it is done, which is asked ten times a second.
///
/// # Errors
/// As [`run`].
pub fn run_until(
    stages: Vec<Stage>,
    settings: &Settings,
    brokers: &KafkaSettings,
    mut is_done: impl FnMut() -> bool,
) -> anyhow::Result<u8> {
    let loads = stages.contains(&Stage::Load);
    // One process owns the data folder; the engine in it is for the process that loads.
    let folder =
        (loads && settings.clickhouse.is_none()).then(|| DataFolder::own(&settings.data)).transpose()?;
    let url = settings.clickhouse.as_ref().map(|server| server.url.clone()).unwrap_or_default();
    let mut clickhouse = ClickHouse::served(url)?;
    // Heard from here on: whoever stops it while it starts gets an orderly end.
    let stop = stop_signal(&clickhouse);
    let (tracing, exporter) = tracing(settings, brokers, &clickhouse);
    let keeps = brokers.local_checkpoints
        && stages.iter().any(|stage| matches!(stage, Stage::Correlate | Stage::Aggregate));
    let named = brokers.is_named.then_some(brokers.instance.as_str());
    let embed = || match &folder {
        Some(folder) => {
            clickhouse.embed(folder.path(), settings.listen, Router::new())?;
            folder.announce(clickhouse.url())
        }
        None => Ok(()),
    };
    // The engine takes half a second to open: meanwhile the catalog is read, and the local checkpoints are opened.
    let local = std::thread::scope(|scope| {
        let embedding = scope.spawn(embed);
        publish_first(settings, brokers)?;
        let copies = || copies::open(&beside(&settings.data, "checkpoints", true), named);
        let local = keeps.then(copies).flatten();
        embedding.join().map_err(|_| anyhow::anyhow!("the thread that opens the engine has died"))??;
        anyhow::Ok(local)
    })?;
    let client = match &settings.clickhouse {
        Some(server) => {
            if loads {
                migrated(&clickhouse, server)?;
            }
            server.client().context("clickhouse.ssl")?
        }
        None => clickhouse.client(),
    };
    let plan = Plan {
        settings: brokers.clone(),
        definitions: settings.definitions.clone(),
        sources: source_settings(&settings.definitions, &settings.mappings),
        read_catalog: catalog_reader(settings),
        stages,
        warehouse: loads.then(|| (client, clickhouse.handle())),
        local,
    };
    let mut running = Running::start_traced(&plan, tracing)?;
    let names: Vec<&str> = plan.stages.iter().map(|stage| stage.as_str()).collect();
    writeln!(std::io::stderr(), "running {} on {} until Ctrl-C", names.join(", "), brokers.brokers)?;
    if folder.is_some() {
        writeln!(std::io::stderr(), "SQL is answered at {}", clickhouse.url())?;
    }
    let watched = Watched { stages: running.stats().to_vec(), definition: settings.definitions.hash() };
    let endpoint = settings.telemetry.and_then(|listen| serve(listen, watched, &clickhouse));
    wait_until(|| stop.load(Ordering::Relaxed) || is_done());
    running.stop();
    drop(endpoint);
    if let Some(exporter) = exporter {
        clickhouse.block_on(exporter.finish());
    }
    for stats in running.stats() {
        let counted = stats.snapshot();
        tracing::info!(
            stage = %stats.stage,
            records_in = counted.records_in,
            records_out = counted.records_out,
            dead_letters = counted.dead_letters,
            transactions = counted.transactions,
            failures = counted.failures,
            "stopped"
        );
    }
    Ok(DONE)
}

/// Where spans go, and who sends them on.
fn tracing(
    settings: &Settings,
    brokers: &KafkaSettings,
    clickhouse: &ClickHouse,
) -> (Tracing, Option<Exporter>) {
    let Some(collector) = &settings.collector else { return (None, None) };
    let (queue, exporter) = Exporter::start(collector, &brokers.instance, &clickhouse.handle());
    (Some(Arc::new(queue)), Some(exporter))
}

/// Metrics and health. A run without them is better than none.
fn serve(listen: SocketAddr, watched: Watched, clickhouse: &ClickHouse) -> Option<Endpoint> {
    match Endpoint::start(listen, watched, &clickhouse.handle()) {
        Ok(endpoint) => {
            let _ =
                writeln!(std::io::stderr(), "metrics are answered at http://{}/metrics", endpoint.address());
            Some(endpoint)
        }
        Err(error) => {
            tracing::error!(
                address = %listen,
                %error,
                "there are no metrics and no /healthz and /readyz: telemetry.listen cannot be listened on; the run \
                 goes on; set another address, or none"
            );
            None
        }
    }
}

/// `catalog apply` on Kafka.
///
/// # Errors
/// When the brokers do not take it.
pub fn apply_catalog(brokers: &KafkaSettings, file: &str, text: &str) -> anyhow::Result<()> {
    publish(brokers, file, text).context("publishing the catalog")
}

/// How the texts of the catalog's topic are read.
pub fn catalog_reader(settings: &Settings) -> ReadCatalog {
    let definitions = settings.definitions.clone();
    Arc::new(move |file, text| read_catalog(file, text, &definitions).map_err(|error| format!("{error:#}")))
}

/// A catalog that the configuration names counts when none was published yet. Later ones come with
/// `catalog apply`: a process that is started with an older file must not bring it back.
fn publish_first(settings: &Settings, brokers: &KafkaSettings) -> anyhow::Result<()> {
    let Some(path) = &settings.catalog else { return Ok(()) };
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("catalog {file}: {error}")))?;
    read_catalog(&file, &text, &settings.definitions)?;
    let published = Follower::start(brokers, catalog_reader(settings))?.newest();
    if published.offset < 0 {
        apply_catalog(brokers, &file, &text)?;
    } else if *published.text != *text {
        tracing::warn!(
            "the catalog that counts differs from {file}; `streamgauge catalog apply {file}` makes this one count"
        );
    }
    Ok(())
}

/// The stages of these names; all of them where none is named.
///
/// # Errors
/// Exit code 2 for an unknown one.
pub fn stages(named: &[String]) -> anyhow::Result<Vec<Stage>> {
    if named.is_empty() {
        return Ok(Stage::ALL.to_vec());
    }
    let known = || Stage::ALL.map(Stage::as_str).join(", ");
    let mut stages = named
        .iter()
        .map(|name| {
            Stage::from_word(name).ok_or_else(|| wrong(format!("--stage {name:?} is not one of {}", known())))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    stages.sort_unstable();
    stages.dedup();
    Ok(stages)
}
