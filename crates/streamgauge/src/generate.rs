//! `generate`: a deterministic organisation's raw vendor events on stdout, or in their topics.

use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, wrong};
use crate::import::events::write_line;
use generate::{Options, catalog_toml};
use kafka::raw::RawSender;
use model::raw::RawRecord;
use std::io::Write;
use std::time::{Duration, Instant};

/// Writes the records as NDJSON, or the organisation's catalog.
///
/// # Errors
/// Exit code 2 for an organisation of nothing; what stdout says.
pub fn run(command: &cli::Generate, settings: &Settings, out: &mut impl Write) -> anyhow::Result<u8> {
    if command.services == 0 || command.teams == 0 || command.days == 0 {
        return Err(wrong("--services, --teams and --days must be at least 1"));
    }
    let options = Options {
        services: command.services,
        teams: command.teams,
        days: command.days,
        seed: command.seed,
        ..Options::default()
    };
    if command.print_catalog {
        out.write_all(catalog_toml(&options).as_bytes())?;
        return Ok(DONE);
    }
    let records = generate::generate(&options);
    if !command.to_kafka {
        return paced(
            records,
            command.rate,
            |record| Ok(writeln!(out, "{}", write_line(&record))?),
            |_| Ok(()),
        );
    }
    let Some(brokers) = &settings.kafka else {
        return Err(wrong("--to-kafka needs brokers: set kafka.brokers or STREAMGAUGE__KAFKA__BROKERS"));
    };
    let sender = RawSender::new(brokers)?;
    paced(records, command.rate, |record| Ok(sender.send(&record)?), |wait| Ok(sender.serve(wait)))?;
    sender.finish()?;
    Ok(DONE)
}

/// Hands records on, no faster than `rate` a second.
fn paced(
    records: impl Iterator<Item = RawRecord>,
    rate: Option<f64>,
    mut send: impl FnMut(RawRecord) -> anyhow::Result<()>,
    mut wait: impl FnMut(Duration) -> anyhow::Result<()>,
) -> anyhow::Result<u8> {
    let started = Instant::now();
    for (record, number) in records.zip(1_u32..) {
        send(record)?;
        if let Some(rate) = rate {
            let due = f64::from(number) / rate;
            let ahead = due - started.elapsed().as_secs_f64();
            if ahead > 0.0 {
                wait(Duration::ZERO)?;
                std::thread::sleep(Duration::from_secs_f64(ahead));
            }
        }
    }
    Ok(DONE)
}
