//! `generate`: a deterministic organisation's raw vendor events on stdout.

use crate::cli;
use crate::failure::{DONE, wrong};
use crate::import::events::write_line;
use generate::{Options, catalog_toml};
use std::io::Write;

/// Writes the records as NDJSON, or the organisation's catalog.
///
/// # Errors
/// Exit code 2 for an organisation of nothing; what stdout says.
pub fn run(command: &cli::Generate, out: &mut impl Write) -> anyhow::Result<u8> {
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
    let started = std::time::Instant::now();
    for (record, number) in generate::generate(&options).zip(1_u32..) {
        writeln!(out, "{}", write_line(&record))?;
        if let Some(rate) = command.rate {
            let due = f64::from(number) / rate;
            let ahead = due - started.elapsed().as_secs_f64();
            if ahead > 0.0 {
                out.flush()?;
                std::thread::sleep(std::time::Duration::from_secs_f64(ahead));
            }
        }
    }
    Ok(DONE)
}
