//! The command line.

mod ask;
mod backfill;
mod background;
mod bundle;
mod check;
mod cli;
mod clickhouse;
mod compare;
mod config;
mod copies;
mod correct;
mod demo;
mod discover;
mod disk;
mod dlq;
mod durable;
mod engine;
mod explain;
mod failure;
mod folder;
mod generate;
mod import;
mod kafka_run;
mod loader;
mod log;
mod migrate;
mod mirror;
mod normalize;
mod output;
mod ownership;
mod replay;
mod report;
mod run;
mod serve;
mod shell;
mod sli;
mod sql;
mod telemetry;
mod topics;

use clap::Parser;
use cli::{Cli, Command};
use config::Settings;
use output::Format;
use std::io::Write;
use std::process::ExitCode;

/// State is millions of small pieces that come and go: see the dependency's line in `Cargo.toml`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => failure::report(&error),
    }
}

fn execute(cli: &Cli) -> anyhow::Result<u8> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    // These two read no configuration: a mistake in it must not keep them from working.
    match &cli.command {
        Command::Completions { shell } => shell::completions(*shell, &mut out),
        Command::Man { out: folder } => shell::man(folder.as_deref(), &mut out)?,
        command => {
            let code = execute_configured(cli, command, &mut out)?;
            out.flush()?;
            return Ok(code);
        }
    }
    out.flush()?;
    Ok(failure::DONE)
}

fn execute_configured(cli: &Cli, command: &Command, out: &mut impl Write) -> anyhow::Result<u8> {
    let mut settings = Settings::load(cli.global.config.as_deref())?;
    if let Some(data) = &cli.global.data {
        settings.data.clone_from(data);
    }
    if let Some(catalog) = &cli.global.catalog {
        settings.catalog = Some(catalog.clone());
    }
    let verbosity = if cli.global.quiet { -1 } else { i8::try_from(cli.global.verbose).unwrap_or(i8::MAX) };
    telemetry::start(settings.log_format, verbosity);
    let format = || Format::read(cli.global.format.as_deref());
    match command {
        Command::Demo { once } => demo::run(*once, &settings, cli.global.quiet, format()?, out),
        Command::Import(command) => import::run(command, &settings, cli.global.quiet, format()?, out),
        Command::Normalize(command) => normalize::run(command, &settings, out),
        Command::Report(command) => report::run(command, &settings, format()?, out),
        Command::Explain(command) => explain::run(command, &settings, format()?, out),
        Command::Sql { query } => sql::run(query, cli.global.format.as_deref(), &settings, out),
        Command::Catalog(command) => ownership::run(command, &settings, format()?, out),
        Command::Discover(command) => {
            discover::run(command, cli.global.catalog.as_deref(), &settings, format()?, out)
        }
        Command::Correct(command) => correct::run(command, &settings, format()?, out),
        Command::Generate(command) => generate::run(command, &settings, out),
        Command::Run(command) => match &settings.kafka {
            Some(brokers) => kafka_run::run(command, &settings, brokers),
            None => run::run(command, &settings),
        },
        Command::Serve => serve::run(&settings),
        Command::Backfill(command) => backfill::run(command, &settings, cli.global.quiet, out),
        Command::Mirror(command) => mirror::run(command, &settings, cli.global.quiet, out),
        Command::Topics(command) => topics::run(command, &settings, format()?, out),
        Command::Replay(command) => replay::run(command, &settings, cli.global.quiet, format()?, out),
        Command::Compare(command) => compare::run(command, &settings, format()?, out),
        Command::Dlq(command) => dlq::run(command, &settings, format()?, out),
        Command::Check(command) => check::run(command, &settings, format()?, out),
        Command::Migrate(command) => migrate::run(command, &settings, out),
        Command::Completions { .. } | Command::Man { .. } => Ok(failure::DONE),
    }
}
