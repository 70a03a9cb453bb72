//! `dlq`: rejected records, listed, shown, and given to the pipeline again: those on the brokers where some are
//! configured, else those of the data folder.

mod brokers;
mod folder;

use crate::cli;
use crate::config::{Settings, parse_span};
use crate::failure::wrong;
use crate::import::now;
use crate::output::{Align, Cell, Format, Table};
use kafka::dlq::Filter;
use model::Timestamp;
use model::raw::DeadLetter;
use serde_json::json;
use std::io::Write;

/// Longest text of a detail in a table for people, in characters.
const SHOWN_DETAIL: usize = 100;

/// Lists, shows or replays.
///
/// # Errors
/// Exit code 2 for wrong use; brokers or a folder that cannot be read.
pub fn run(
    command: &cli::Dlq,
    settings: &Settings,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    match (&settings.kafka, command) {
        (Some(brokers), cli::Dlq::List(list)) => {
            brokers::list(brokers, &filter(&list.filter)?, list.limit, format, out)
        }
        (Some(brokers), cli::Dlq::Show { id }) => brokers::show(brokers, id, format, out),
        (Some(brokers), cli::Dlq::Replay(replay)) => {
            brokers::replay(brokers, replay, &chosen(replay)?, format, out)
        }
        (None, cli::Dlq::List(list)) => {
            folder::list(settings, &filter(&list.filter)?, list.limit, format, out)
        }
        (None, cli::Dlq::Show { id }) => folder::show(settings, id, format, out),
        (None, cli::Dlq::Replay(replay)) => folder::replay(settings, replay, &chosen(replay)?, format, out),
    }
}

fn filter(given: &cli::DlqFilter) -> anyhow::Result<Filter> {
    Ok(Filter {
        reason: given.reason.clone(),
        source: given.source.clone(),
        topic: given.topic.clone(),
        since: given.since.as_deref().map(since).transpose()?,
    })
}

/// The filter of a replay, which must choose something.
fn chosen(replay: &cli::DlqReplay) -> anyhow::Result<Filter> {
    let filter = filter(&replay.filter)?;
    match (replay.ids.is_empty(), filter == Filter::default()) {
        (true, true) if !replay.all => Err(wrong(
            "which? give letters (PARTITION:OFFSET, as `dlq list` shows them), a filter such as --reason, or --all",
        )),
        (false, false) => Err(wrong("letters and a filter are both given: give one of them")),
        _ => Ok(filter),
    }
}

/// A time, or how long ago.
fn since(text: &str) -> anyhow::Result<Timestamp> {
    if let Some(span) = parse_span(text) {
        return Ok(Timestamp::from_micros(now().micros() - span.seconds() * 1_000_000));
    }
    Timestamp::parse(text).map_err(|error| {
        wrong(format!(
            "--since {text:?} is neither a time (RFC 3339) nor a length of time such as 2d: {error}"
        ))
    })
}

/// A letter with the name by which it is shown and replayed.
struct Named<'a> {
    id: String,
    at: Option<Timestamp>,
    letter: &'a DeadLetter,
}

fn columns() -> Vec<(&'static str, Align)> {
    let mut columns = ["id", "at", "reason", "source", "from"].map(|name| (name, Align::Left)).to_vec();
    columns.push(("bytes", Align::Right));
    columns.push(("detail", Align::Left));
    columns
}

fn row(named: &Named<'_>) -> Vec<Cell> {
    let Named { id, at, letter } = named;
    let detail = letter.detail.replace('\n', " ");
    let short = match detail.char_indices().nth(SHOWN_DETAIL) {
        Some((end, _)) => format!("{}…", detail.get(..end).unwrap_or_default()),
        None => detail.clone(),
    };
    vec![
        Cell::text(id.as_str()),
        Cell::optional(at.map(|at| at.to_string())),
        Cell::text(letter.reason.as_str()),
        Cell::text(letter.source.as_str()),
        Cell::text(place(letter)),
        Cell::count(letter.body_bytes),
        Cell::new(short, detail),
    ]
}

/// Where the record was first, as in `raw.github:0:17`.
fn place(letter: &DeadLetter) -> String {
    let origin = &letter.origin;
    format!("{}:{}:{}", origin.topic, origin.partition, origin.offset)
}

/// Writes a whole letter: for people its headers, an empty line and its body.
fn write_whole(named: &Named<'_>, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let Named { id, at, letter } = named;
    let kept = letter.body.len() as u64;
    if format == Format::Table {
        let mut line = |name: &str, value: &str| writeln!(out, "{name}: {value}");
        line("id", id)?;
        if let Some(at) = at {
            line("at", &at.to_string())?;
        }
        line("reason", letter.reason.as_str())?;
        line("detail", &letter.detail)?;
        line("source", letter.source.as_str())?;
        line("from", &place(letter))?;
        line("received at", &letter.received_at.to_string())?;
        for (key, value) in &letter.headers {
            line(&format!("header {key}"), value)?;
        }
        let cut =
            if kept < letter.body_bytes { format!(", of which {kept} are kept") } else { String::new() };
        line("bytes", &format!("{}{cut}", letter.body_bytes))?;
        writeln!(out)?;
        out.write_all(&letter.body)?;
        writeln!(out)?;
        return Ok(());
    }
    let headers: serde_json::Map<String, serde_json::Value> =
        letter.headers.iter().map(|(key, value)| (key.to_string(), json!(value))).collect();
    let whole = json!({
        "id": id,
        "at": at.map(|at| at.to_string()),
        "reason": letter.reason,
        "detail": letter.detail,
        "source": letter.source,
        "topic": letter.origin.topic,
        "partition": letter.origin.partition,
        "offset": letter.origin.offset,
        "received_at": letter.received_at.to_string(),
        "headers": headers,
        "bytes": letter.body_bytes,
        "kept_bytes": kept,
        "body": String::from_utf8_lossy(&letter.body),
    });
    writeln!(out, "{whole:#}")?;
    Ok(())
}

/// What became of each letter of a replay.
struct Outcomes {
    table: Table,
    refused: bool,
}

impl Outcomes {
    fn new() -> Self {
        let columns = ["id", "reason", "from", "result"].map(|name| (name, Align::Left));
        Self { table: Table::new(&columns), refused: false }
    }
    fn add(&mut self, id: &str, letter: &DeadLetter, result: String, refused: bool) {
        self.refused |= refused;
        self.table.row(vec![
            Cell::text(id),
            Cell::text(letter.reason.as_str()),
            Cell::text(place(letter)),
            Cell::text(result),
        ]);
    }
}
