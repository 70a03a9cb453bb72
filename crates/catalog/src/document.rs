//! TOML with places: tables whose fields are read by type, where every mistake is a diagnostic and reading goes on.

use crate::diagnostic::{Diagnostic, did_you_mean};
use model::{Text, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// More mistakes than anybody reads at once are not collected.
const MAX_DIAGNOSTICS: usize = 200;

/// A value and where it stands in the text.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub value: T,
    /// Byte offset.
    pub at: usize,
}

/// What is wrong so far, and the way from an offset to a line and a column.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line but the first begins.
    lines: Vec<usize>,
    found: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let lines = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { file, text, lines, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: usize, message: impl Into<String>, remedy: impl Into<String>) {
        if self.found.len() < MAX_DIAGNOSTICS {
            let (line, column) = self.place(at);
            let (message, remedy) = (message.into(), remedy.into());
            self.found.push(Diagnostic { file: self.file.to_owned(), line, column, message, remedy });
        }
    }

    /// Line and column of a byte offset, from 1, in characters.
    pub(crate) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let before = self.text.get(start..at.min(self.text.len())).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }

    /// The value, or everything that is wrong in the order of the text.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, Vec<Diagnostic>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort();
        self.found.dedup();
        Err(self.found)
    }
}

/// Parses a document; syntax errors end the reading.
pub(crate) fn parse<'a>(findings: &mut Findings<'a>, text: &'a str) -> Option<Spanned<DeTable<'a>>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let remedy = if error.message().contains("duplicate") {
            "keep one of the two"
        } else {
            "this line or the one before is not TOML: look at quotes, brackets and equals signs"
        };
        findings.add(at, error.message(), remedy);
    }
    errors.is_empty().then_some(table)
}

/// One table of the document, its fields by name.
pub(crate) struct Table<'t> {
    /// What it is, for messages: `services`.
    what: &'static str,
    /// Where it begins.
    pub at: usize,
    fields: BTreeMap<&'t str, &'t Spanned<DeValue<'t>>>,
}

impl<'t> Table<'t> {
    /// The fields of a table. A key that is not known is reported with the nearest one that is.
    pub(crate) fn new(
        findings: &mut Findings<'_>,
        what: &'static str,
        known: &[&str],
        table: &'t DeTable<'t>,
        at: usize,
    ) -> Self {
        let mut fields = BTreeMap::new();
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                fields.insert(name, value);
                continue;
            }
            let place = if what.is_empty() { "the catalog".to_owned() } else { format!("[{what}]") };
            let remedy =
                did_you_mean(name, known.iter().copied(), || format!("known here: {}", known.join(", ")));
            findings.add(key.span().start, format!("unknown key \"{name}\" in {place}"), remedy);
        }
        Self { what, at, fields }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.fields.get(key).copied()
    }

    /// A text; an empty one is a mistake.
    pub(crate) fn text(&self, findings: &mut Findings<'_>, key: &str) -> Option<Placed<Text>> {
        let value = self.get(key)?;
        text_of(findings, key, value)
    }

    /// A text that must be there.
    pub(crate) fn required(&self, findings: &mut Findings<'_>, key: &str) -> Option<Placed<Text>> {
        if self.get(key).is_none() {
            let message = format!("[{}] without \"{key}\"", self.what);
            findings.add(self.at, message, format!("add {key} = \"…\""));
        }
        self.text(findings, key)
    }

    /// A list of texts; a single text is a list of one.
    pub(crate) fn texts(&self, findings: &mut Findings<'_>, key: &str) -> Vec<Placed<Text>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        items(value).into_iter().filter_map(|item| text_of(findings, key, item)).collect()
    }

    /// The items of a list; a single value is a list of one.
    pub(crate) fn list(&self, key: &str) -> Vec<&'t Spanned<DeValue<'t>>> {
        self.get(key).map(items).unwrap_or_default()
    }

    pub(crate) fn flag(&self, findings: &mut Findings<'_>, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            findings.add(
                value.span().start,
                format!("\"{key}\" is no truth value"),
                "write true or false, without quotes",
            );
        }
        flag
    }

    /// The entries of a table, in the order of the text.
    pub(crate) fn entries(
        &self,
        findings: &mut Findings<'_>,
        key: &str,
    ) -> Vec<(Placed<Text>, &'t Spanned<DeValue<'t>>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            findings.add(
                value.span().start,
                format!("\"{key}\" is no table"),
                format!("write {key} = {{ name = \"value\" }}"),
            );
            return Vec::new();
        };
        entries(table)
    }

    /// An instant; absent is `None`, and so is one that was reported.
    pub(crate) fn time(
        &self,
        findings: &mut Findings<'_>,
        key: &str,
        zone: &model::Calendar,
    ) -> Option<Placed<Timestamp>> {
        let value = self.get(key)?;
        let at = value.span().start;
        let text: Cow<'_, str> = match value.get_ref() {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Datetime(time) => time.to_string().into(),
            _ => {
                findings.add(at, format!("\"{key}\" is no time"), TIME_REMEDY);
                return None;
            }
        };
        match instant(&text, zone) {
            Ok(value) => Some(Placed { value, at }),
            Err(error) => {
                findings.add(at, error.to_string(), TIME_REMEDY);
                None
            }
        }
    }
}

const TIME_REMEDY: &str =
    "write a day as in \"2026-01-31\", or a time with its offset as in \"2026-01-31T09:30:00Z\"";

/// A time with an offset, or a day, which begins at midnight of the reporting zone.
fn instant(text: &str, zone: &model::Calendar) -> Result<Timestamp, model::time::TimeError> {
    let time = Timestamp::parse(text);
    if time.is_ok() || text.contains([':', 'T', 't', ' ']) {
        return time;
    }
    match Timestamp::parse(&format!("{text}T00:00:00Z")) {
        Ok(midnight) => Ok(zone.day_start(model::Day(midnight.seconds().div_euclid(86_400)))),
        Err(_) => time,
    }
}

/// The entries of a table, in the order of the text.
pub(crate) fn entries<'t>(table: &'t DeTable<'t>) -> Vec<(Placed<Text>, &'t Spanned<DeValue<'t>>)> {
    let placed =
        |key: &Spanned<Cow<'_, str>>| Placed { value: Text::new(key.get_ref()), at: key.span().start };
    let mut entries: Vec<_> = table.iter().map(|(key, value)| (placed(key), value)).collect();
    entries.sort_by_key(|(key, _)| key.at);
    entries
}

/// A text; an empty one, one with control characters, and anything else is a mistake.
pub(crate) fn text_of(
    findings: &mut Findings<'_>,
    key: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<Placed<Text>> {
    let Range { start, .. } = value.span();
    let Some(text) = value.get_ref().as_str() else {
        let found = value.get_ref().type_str();
        findings.add(start, format!("\"{key}\" is no text but {found}"), "put the value in quotes");
        return None;
    };
    if text.trim().is_empty() || text.trim() != text || text.contains(char::is_control) {
        let message = format!("\"{key}\" is empty, or has blanks around it or control characters");
        findings.add(start, message, "write a name, or leave the key out");
        return None;
    }
    Some(Placed { value: Text::new(text), at: start })
}

fn items<'t>(value: &'t Spanned<DeValue<'t>>) -> Vec<&'t Spanned<DeValue<'t>>> {
    match value.get_ref().as_array() {
        Some(list) => list.iter().collect(),
        None => vec![value],
    }
}
