//! `backfill`: history from a vendor's API, as raw records in the shape of its webhooks. `serve` asks in the same way, for
//! a short time back and again and again, where the configuration says how often: so what was lost on the way is told.

pub mod client;
mod cursor;
mod pull;

use crate::background::Background;
use crate::cli;
use crate::clickhouse::{ANY_PORT, ClickHouse};
use crate::config::Settings;
use crate::config::backfill::{Backfill, of, token};
use crate::durable::{Durable, IntoLog, IntoPipeline, IntoTopics, beside, pause};
use crate::engine::{Pipeline, lock};
use crate::failure::{DONE, FAILED, wrong};
use crate::import::{now, progress};
use crate::ownership::read_catalog;
use crate::run::stop_signal;
use crate::telemetry::pulls::Pulls;
use client::Client;
use cursor::Kept;
use gateway::RawLog;
use kafka::raw::RawSender;
use model::Span;
use pull::{Outcome, pull};
use sources::history::{History, Wanted};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How far back `serve` asks at first: as long as GitHub keeps its deliveries.
pub const HEALED: Span = Span::from_days(3);

/// The command `backfill`.
///
/// # Errors
/// Exit code 2: nothing is named, no token, a token that is not taken; an API that does not answer. Exit code 1 when
/// something was refused; the rest was told.
pub fn run(
    command: &cli::Backfill,
    settings: &Settings,
    quiet: bool,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let history = of(&command.vendor)?;
    let since = crate::config::parse_span(&command.since).filter(|since| *since > Span::from_seconds(0));
    let since = since.ok_or_else(|| {
        wrong(format!("--since {:?} is not a length of time (as in 12h, 180d)", command.since))
    })?;
    let mut backfill = settings.backfills.get(history.name).cloned().unwrap_or_default();
    if command.url.is_some() {
        backfill.url.clone_from(&command.url);
    }
    if command.token_file.is_some() {
        backfill.token_file.clone_from(&command.token_file);
    }
    if !command.only.is_empty() {
        backfill.only.clone_from(&command.only);
    }
    // What is wrong with these costs nothing: not even a data folder.
    let token = token(backfill.token_file.as_deref(), history.token_variable)?;
    let mut wanted = wanted(history, &backfill, since)?;
    let folder = beside(&settings.data, "backfill", settings.kafka.is_some());
    let ask = |wanted: &mut Wanted, sink: &mut dyn Durable, threads: Handle, stop: Arc<AtomicBool>| {
        let client = Client::new(&wanted.base, (history.headers)(&token), &backfill.tls, threads, stop)?;
        let path = Kept::path(&folder, history.name, wanted);
        let mut kept = Kept::open(path, wanted, history.overlap, history.begin, command.again)?;
        if kept.goes_on {
            let records = kept.cursor.records;
            let _ = writeln!(
                std::io::stderr(),
                "going on where it stopped, after {records} records (--again begins anew)"
            );
        }
        let bar = progress(quiet, history.name, None);
        let outcome = pull(history, wanted, &mut kept, &client, sink, &mut |records, why| {
            bar.inc(records);
            bar.set_message(why.to_owned());
        });
        bar.finish_and_clear();
        outcome
    };
    let outcome = match &settings.kafka {
        Some(brokers) => {
            let threads = ClickHouse::served(String::new())?;
            if wanted.only.is_empty() && history.needs_names {
                wanted.only = named_by(settings.catalog.as_deref(), settings, &wanted)?;
            }
            need_names(history, &wanted)?;
            let mut sink = IntoTopics(RawSender::new(brokers)?);
            ask(&mut wanted, &mut sink, threads.handle(), stop_signal(&threads))?
        }
        None => {
            let mut pipeline = Pipeline::open(settings, ANY_PORT)?;
            if wanted.only.is_empty() && history.needs_names {
                let repositories = lock(pipeline.topology()).catalog().repositories();
                wanted.only = names(repositories.iter().map(|repo| repo.as_str()), &wanted);
            }
            need_names(history, &wanted)?;
            let (threads, stop) = (pipeline.clickhouse().handle(), stop_signal(pipeline.clickhouse()));
            let mut sink = IntoPipeline::new(&mut pipeline);
            let outcome = ask(&mut wanted, &mut sink, threads, stop);
            let summary = sink.summary;
            pipeline.settle()?;
            writeln!(out, "{}", summary.text())?;
            outcome?
        }
    };
    tell(history, &outcome, &wanted, out)?;
    Ok(if outcome.refused.is_empty() { DONE } else { FAILED })
}

fn tell(history: &History, outcome: &Outcome, wanted: &Wanted, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{}: {} records by {} questions, since {}",
        history.name, outcome.records, outcome.questions, wanted.since
    )?;
    if outcome.healed > 0 {
        writeln!(out, "healed: {} deliveries that had failed", outcome.healed)?;
    }
    for (what, count) in &outcome.passed_over {
        writeln!(out, "passed over: {count} × {what}")?;
    }
    for refused in &outcome.refused {
        writeln!(std::io::stderr(), "refused: {refused}")?;
    }
    Ok(())
}

/// What a vendor is asked for, from so long ago on.
///
/// # Errors
/// Exit code 2: no address, or one that is none.
pub fn wanted(history: &History, backfill: &Backfill, since: Span) -> anyhow::Result<Wanted> {
    let url = backfill.url.as_deref().or(history.url).ok_or_else(|| {
        wrong(format!("--url is missing: where {} answers, as in https://acme.atlassian.net", history.name))
    })?;
    let until = now();
    let base = client::base(url, history.root)?;
    Ok(Wanted { base, since: until.minus(since), until, only: backfill.only.clone() })
}

fn need_names(history: &History, wanted: &Wanted) -> anyhow::Result<()> {
    if !history.needs_names || !wanted.only.is_empty() {
        return Ok(());
    }
    Err(wrong(format!(
        "the catalog names nothing at {}: give --only NAME for each {}",
        wanted.base, history.thing
    )))
}

/// What the catalog's file names, where nothing else does.
fn named_by(catalog: Option<&Path>, settings: &Settings, wanted: &Wanted) -> anyhow::Result<Vec<String>> {
    let Some(path) = catalog else { return Ok(Vec::new()) };
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("catalog {file}: {error}")))?;
    let catalog = read_catalog(&file, &text, &settings.definitions)?;
    Ok(names(catalog.repositories().iter().map(|repo| repo.as_str()), wanted))
}

/// The vendor's names of repositories of its host.
fn names<'a>(repositories: impl Iterator<Item = &'a str>, wanted: &Wanted) -> Vec<String> {
    let host = wanted.base.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host = if host == "api.github.com" { "github.com" } else { host };
    let name = |repo: &str| repo.strip_prefix(host)?.strip_prefix('/').map(str::to_owned);
    repositories.filter_map(name).collect()
}

/// The sources of what `serve` asks for.
pub fn asked_sources(settings: &Settings) -> impl Iterator<Item = &'static str> {
    let asked = settings.backfills.iter().filter(|(_, backfill)| backfill.every.is_some());
    asked.filter_map(|(vendor, _)| of(vendor).ok()).flat_map(|history| history.sources.iter().copied())
}

/// A vendor that is asked again and again.
struct Asked {
    history: &'static History,
    backfill: Backfill,
    token: String,
    every: Duration,
    due: Instant,
}

/// Begins to ask for what was lost, in the background, where the configuration says how often.
///
/// # Errors
/// Exit code 2: a token that is not there, an address that is none; no thread.
pub fn start(
    settings: &Settings,
    log: Arc<dyn RawLog>,
    threads: &ClickHouse,
    pulls: Arc<Pulls>,
) -> anyhow::Result<Option<Background>> {
    let mut asked = Vec::new();
    for (vendor, backfill) in &settings.backfills {
        let Some(every) = backfill.every else { continue };
        let history = of(vendor)?;
        let token = token(backfill.token_file.as_deref(), history.token_variable)?;
        wanted(history, backfill, HEALED)?;
        let every = Duration::from_secs(u64::try_from(every.seconds()).unwrap_or_default());
        asked.push(Asked { history, backfill: backfill.clone(), token, every, due: Instant::now() });
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let folder = beside(&settings.data, "backfill", settings.kafka.is_some());
    let (told, threads) = (stop.clone(), threads.handle());
    let mut sink = IntoLog::new(log, threads.clone(), stop.clone());
    let background = Background::start("backfill", stop, move || {
        while !told.load(Ordering::Relaxed) {
            for asked in &mut asked {
                if asked.due > Instant::now() {
                    continue;
                }
                let outcome = round(asked, &folder, &mut sink, threads.clone(), told.clone());
                if told.load(Ordering::Relaxed) {
                    return;
                }
                count(asked.history.name, &outcome, &pulls);
                asked.due = Instant::now() + asked.every;
            }
            let next = asked.iter().map(|asked| asked.due).min().unwrap_or_else(Instant::now);
            pause(next.saturating_duration_since(Instant::now()), &told);
        }
    })?;
    Ok(Some(background))
}

fn round(
    asked: &Asked,
    folder: &Path,
    sink: &mut dyn Durable,
    threads: Handle,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Outcome> {
    let Asked { history, backfill, token, .. } = asked;
    let mut wanted = wanted(history, backfill, HEALED)?;
    let client = Client::new(&wanted.base, (history.headers)(token), &backfill.tls, threads, stop)?;
    let path = Kept::path(folder, &format!("{}-serve", history.name), &wanted);
    let mut kept = Kept::open(path, &mut wanted, history.overlap, history.begin, false)?;
    pull(history, &wanted, &mut kept, &client, sink, &mut |_, why| {
        if !why.is_empty() {
            tracing::info!(vendor = history.name, "backfill: {why}");
        }
    })
}

fn count(vendor: &str, outcome: &anyhow::Result<Outcome>, pulls: &Pulls) {
    let puller = format!("backfill:{vendor}");
    match outcome {
        Ok(outcome) => {
            pulls.count(&puller, Some(outcome.records));
            pulls.heal(&puller, outcome.healed);
            if outcome.healed > 0 {
                tracing::warn!(vendor, deliveries = outcome.healed, "deliveries had failed and are healed");
            }
            for refused in &outcome.refused {
                tracing::error!(vendor, "backfill is refused: {refused}");
            }
        }
        Err(error) => {
            pulls.count(&puller, None);
            tracing::warn!(vendor, "backfill goes on later: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests;
