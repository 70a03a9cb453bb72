//! `normalize`: what a source makes of a payload. Nothing is stored.

use crate::cli;
use crate::config::Settings;
use crate::failure::{DONE, WRONG, wrong};
use crate::import::lines::{self, Line};
use crate::import::now;
use anyhow::Context;
use model::raw::{MAX_BODY_BYTES, Origin, RawRecord};
use model::{Definitions, Text, Timestamp};
use sources::{Mappings, Outcome, SourceSettings};
use std::io::{Read, Write};

/// Writes events as JSON lines to `out`, and what was dropped or rejected to stderr. Exit code 2 when anything
/// was rejected.
///
/// # Errors
/// Exit code 2: an unknown source, a header that is none, a file that cannot be read.
pub fn run(command: &cli::Normalize, settings: &Settings, out: &mut impl Write) -> anyhow::Result<u8> {
    let settings = source_settings(&settings.definitions, &settings.mappings);
    check_source(&command.source, &settings.mappings)?;
    let headers = command.headers.iter().map(|text| header(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let received_at = match &command.received_at {
        None => now(),
        Some(text) => Timestamp::parse(text).map_err(|error| wrong(format!("--received-at: {error}")))?,
    };
    let name = command.file.display().to_string();
    let record = |body: Vec<u8>, offset| RawRecord {
        source: Text::new(&command.source),
        headers: headers.clone(),
        body,
        received_at,
        origin: Origin { topic: Text::new(&name), partition: 0, offset },
    };
    let mut rejected = false;
    let mut reader = lines::open(&command.file)?;
    if command.ndjson {
        lines::each(&mut *reader, &name, |number, line| {
            let place = format!("{name}:{number}: ");
            match line {
                Line::Whole(body) => {
                    rejected |= show(&record(body.to_vec(), number), &settings, &place, out)?;
                }
                Line::TooLong { bytes, .. } => {
                    rejected = true;
                    writeln!(std::io::stderr(), "{place}rejected: too_large: the line has {bytes} bytes")?;
                }
            }
            Ok(())
        })?;
    } else {
        let mut body = Vec::new();
        // One byte more than is read at all: the source then says that it is too large.
        reader
            .by_ref()
            .take(MAX_BODY_BYTES as u64 + 1)
            .read_to_end(&mut body)
            .with_context(|| name.clone())?;
        rejected = show(&record(body, 1), &settings, "", out)?;
    }
    Ok(if rejected { WRONG } else { DONE })
}

/// The settings of every source that the configuration decides.
pub fn source_settings(definitions: &Definitions, mappings: &Mappings) -> SourceSettings {
    SourceSettings {
        max_future: definitions.max_future,
        mappings: mappings.clone(),
        ..SourceSettings::default()
    }
}

fn show(
    record: &RawRecord,
    settings: &SourceSettings,
    place: &str,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    match sources::read(record, settings) {
        Outcome::Emit(events) => {
            for event in events {
                writeln!(out, "{}", model::json::to_value(&event))?;
            }
            Ok(false)
        }
        Outcome::Drop(reason) => {
            writeln!(std::io::stderr(), "{place}dropped: {reason}")?;
            Ok(false)
        }
        Outcome::Reject(rejection) => {
            writeln!(std::io::stderr(), "{place}rejected: {}: {}", rejection.reason, rejection.detail)?;
            Ok(true)
        }
    }
}

fn check_source(name: &str, mappings: &Mappings) -> anyhow::Result<()> {
    if mappings.knows(name) {
        return Ok(());
    }
    let known = mappings.all_names().collect::<Vec<_>>().join(", ");
    Err(wrong(format!("--source {name}: there is no such source (known: {known})")))
}

fn header(text: &str) -> anyhow::Result<(Text, String)> {
    let (key, value) = text
        .split_once(':')
        .ok_or_else(|| wrong(format!("--header {text:?}: not a header (write 'Name: value')")))?;
    Ok((Text::new(key.trim().to_lowercase()), value.trim().to_owned()))
}
