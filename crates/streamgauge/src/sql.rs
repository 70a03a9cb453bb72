//! `sql`: the query as it is, to the embedded engine; any of ClickHouse's formats comes back as it is.

use crate::ask::Asked;
use crate::config::Settings;
use crate::failure::{DONE, wrong};
use anyhow::Context;
use std::io::{IsTerminal, Read, Write};

/// Formats of the other commands, in ClickHouse's words.
const OURS: &[(&str, &str)] = &[
    ("table", "PrettyCompactMonoBlock"),
    ("json", "JSON"),
    ("csv", "CSVWithNames"),
    ("markdown", "Markdown"),
];

/// Runs a query and writes its result.
///
/// # Errors
/// What ClickHouse says of the query, with its code (exit code 2).
pub fn run(
    query: &str,
    format: Option<&str>,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut text = query.to_owned();
    if query == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text).context("stdin")?;
    }
    let text = text.trim().trim_end_matches(';');
    if text.is_empty() {
        return Err(wrong("the query is empty (try: streamgauge sql 'SHOW TABLES')"));
    }
    let default =
        if std::io::stdout().is_terminal() { "PrettyCompactMonoBlock" } else { "TabSeparatedWithNames" };
    let format = format.map_or(default, |word| {
        OURS.iter().find(|(ours, _)| *ours == word).map_or(word, |(_, format)| format)
    });
    let asked = Asked::open(settings)?;
    let clickhouse = asked.clickhouse();
    let mut bytes = clickhouse.reader().raw(text, format)?;
    loop {
        let chunk = clickhouse.block_on(bytes.next()).map_err(|error| {
            let text = error.to_string();
            wrong(text.strip_prefix("bad response: ").unwrap_or(&text))
        })?;
        let Some(chunk) = chunk else { return Ok(DONE) };
        out.write_all(&chunk)?;
    }
}
