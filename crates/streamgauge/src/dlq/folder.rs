//! Dead letters of the embedded run, in its data folder.

use super::{Named, Outcomes, columns, row, write_whole};
use crate::cli;
use crate::clickhouse::ANY_PORT;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, FAILED, wrong};
use crate::folder::{Access, DataFolder};
use crate::import::events::read_line;
use crate::import::lines::Line;
use crate::import::{Summary, WRAPPED};
use crate::log::{EventLog, RecordHash, record_hash};
use crate::output::{Format, Table};
use anyhow::anyhow;
use kafka::dlq::Filter;
use model::hex;
use model::raw::{DeadLetter, RawRecord};
use std::io::Write;

/// Hexadecimal digits of a letter's key by which it is shown.
const SHOWN_DIGITS: usize = 12;

type Keyed = (RecordHash, DeadLetter);

/// The newest letters that are wanted, oldest first.
pub fn list(
    settings: &Settings,
    filter: &Filter,
    limit: usize,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let found = letters(&own(settings)?, filter)?;
    let mut table = Table::new(&columns());
    for (key, letter) in found.iter().skip(found.len().saturating_sub(limit)) {
        table.row(row(&named(key, letter)));
    }
    table.write(format, out)?;
    Ok(DONE)
}

/// One letter, whole.
pub fn show(settings: &Settings, id: &str, format: Format, out: &mut impl Write) -> anyhow::Result<u8> {
    let all = letters(&own(settings)?, &Filter::default())?;
    let (key, letter) = find(&all, id)?;
    write_whole(&named(key, letter), format, out)?;
    Ok(DONE)
}

/// Gives records to the pipeline again. A letter whose record is taken now is gone.
pub fn replay(
    settings: &Settings,
    command: &cli::DlqReplay,
    filter: &Filter,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let folder = own(settings)?;
    let all = letters(&folder, filter)?;
    let wanted: Vec<&Keyed> = if command.ids.is_empty() {
        all.iter().take(command.limit.unwrap_or(usize::MAX)).collect()
    } else {
        command.ids.iter().map(|id| find(&all, id)).collect::<anyhow::Result<_>>()?
    };
    let mut outcomes = Outcomes::new();
    if command.dry_run {
        for (key, letter) in wanted {
            match record(letter) {
                Ok(record) => {
                    let result =
                        format!("{} bytes would be read again by {}", record.body.len(), record.source);
                    outcomes.add(&short(key), letter, result, false);
                }
                Err(reason) => outcomes.add(&short(key), letter, reason, true),
            }
        }
    } else {
        let mut pipeline = Pipeline::in_folder(folder, settings, ANY_PORT)?;
        for (key, letter) in wanted {
            let (result, refused) = again(&mut pipeline, key, letter)?;
            outcomes.add(&short(key), letter, result, refused);
        }
        pipeline.settle()?;
    }
    outcomes.table.write(format, out)?;
    Ok(if outcomes.refused { FAILED } else { DONE })
}

fn again(pipeline: &mut Pipeline, key: &RecordHash, letter: &DeadLetter) -> anyhow::Result<(String, bool)> {
    let record = match record(letter) {
        Ok(record) => record,
        Err(reason) => return Ok((reason, true)),
    };
    let mut summary = Summary::default();
    pipeline.ingest(vec![(record_hash(&record, false), record)], Vec::new(), &mut summary)?;
    if let Some((reason, rejected)) = summary.rejected.first_key_value() {
        let example = rejected.examples.first().map(String::as_str).unwrap_or_default();
        return Ok((format!("rejected again: {reason}: {example}"), true));
    }
    pipeline.forget_letter(key)?;
    let dropped = summary.dropped.keys().next();
    Ok((
        match dropped {
            Some(reason) => format!("read: it tells nothing that is used ({reason})"),
            None if summary.already_there > 0 => "it was there already".to_owned(),
            None => format!("read: {} events", summary.events),
        },
        false,
    ))
}

/// The record of a letter, or why there is none.
fn record(letter: &DeadLetter) -> Result<RawRecord, String> {
    if (letter.body.len() as u64) < letter.body_bytes {
        let (kept, bytes) = (letter.body.len(), letter.body_bytes);
        return Err(format!("the letter keeps {kept} of its {bytes} bytes: import its file again"));
    }
    // A line that was no record is read as a line again.
    if letter.source.as_str() == WRAPPED {
        return read_line(Line::Whole(&letter.body), letter.origin.clone(), letter.received_at)
            .map(|(record, _)| record)
            .map_err(|again| format!("rejected again: {}: {}", again.reason, again.detail));
    }
    Ok(RawRecord {
        source: letter.source.clone(),
        headers: letter.headers.clone(),
        body: letter.body.clone(),
        received_at: letter.received_at,
        origin: letter.origin.clone(),
    })
}

fn own(settings: &Settings) -> anyhow::Result<DataFolder> {
    match DataFolder::access(&settings.data, false)? {
        Access::Owned(folder) => Ok(folder),
        Access::Served(server) => Err(wrong(format!(
            "data folder {} is in use by process {}: its dead letters can be read when that has ended",
            settings.data.display(),
            server.pid
        ))),
    }
}

/// The letters that are wanted, in the order in which they were received.
fn letters(folder: &DataFolder, filter: &Filter) -> anyhow::Result<Vec<Keyed>> {
    let log = EventLog::open(folder.path())?;
    let mut found = Vec::new();
    for entry in log.letters() {
        let (key, letter) = entry?;
        if filter.takes(&letter) && filter.since.is_none_or(|since| letter.received_at >= since) {
            found.push((key, letter));
        }
    }
    found.sort_by(|(a_key, a), (b_key, b)| {
        (a.received_at, &a.origin, a_key).cmp(&(b.received_at, &b.origin, b_key))
    });
    Ok(found)
}

fn find<'a>(all: &'a [Keyed], id: &str) -> anyhow::Result<&'a Keyed> {
    let mut found = all.iter().filter(|(key, _)| hex::lower(key).starts_with(&id.to_lowercase()));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(wrong(format!("{id:?} begins the names of several letters: give more digits")))
        }
        (None, _) => Err(anyhow!("there is no letter {id:?}: `streamgauge dlq list` shows them")),
    }
}

fn named<'a>(key: &RecordHash, letter: &'a DeadLetter) -> Named<'a> {
    Named { id: short(key), at: Some(letter.received_at), letter }
}

fn short(key: &RecordHash) -> String {
    hex::lower(key).get(..SHOWN_DIGITS).unwrap_or_default().to_owned()
}
