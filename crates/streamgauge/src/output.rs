//! Results on stdout: one table, written for people, as JSON, CSV or Markdown.

use crate::failure::wrong;
use serde_json::Value;
use std::io::Write;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for people.
    Table,
    /// An array of objects.
    Json,
    /// Comma-separated values with a header.
    Csv,
    /// A Markdown table.
    Markdown,
}

impl Format {
    /// Reads the word of `--format`.
    ///
    /// # Errors
    /// Exit code 2 with the words that are known.
    pub fn read(word: Option<&str>) -> anyhow::Result<Self> {
        match word {
            None | Some("table") => Ok(Self::Table),
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("markdown") => Ok(Self::Markdown),
            Some(other) => Err(wrong(format!(
                "--format {other} is not known here (use table, json, csv or markdown; \
                 ClickHouse's own formats are known to `streamgauge sql`)"
            ))),
        }
    }
}

/// One value: as people read it, and as programs do.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    value: Value,
}

impl Cell {
    /// A value with a text of its own for people.
    pub fn new(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { text: text.into(), value: value.into() }
    }
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { value: Value::String(text.clone()), text }
    }
    /// A whole number.
    pub fn count(count: u64) -> Self {
        Self { text: count.to_string(), value: Value::from(count) }
    }
    /// Nothing: a dash for people, null for programs.
    pub fn none() -> Self {
        Self { text: "–".to_owned(), value: Value::Null }
    }
    /// A text, or nothing.
    pub fn optional(text: Option<impl Into<String>>) -> Self {
        text.map_or_else(Self::none, Self::text)
    }
}

/// A result: named columns and rows.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

/// On which side of its column a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Left, as words do.
    Left,
    /// Right, as numbers do.
    Right,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }
    /// One more row; its cells are those of the columns, in order.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }
    /// The table without some of its columns.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let kept = |(name, _): &(&str, Align)| !names.contains(name);
        let keep: Vec<bool> = self.columns.iter().map(kept).collect();
        let row = |row: &Vec<Cell>| {
            row.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell.clone()).collect()
        };
        Self {
            columns: self.columns.iter().filter(|column| kept(column)).copied().collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }
    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// The rows as JSON objects.
    pub fn to_json(&self) -> Value {
        let object = |row: &Vec<Cell>| {
            let fields = self.columns.iter().zip(row);
            Value::Object(fields.map(|((name, _), cell)| ((*name).to_owned(), cell.value.clone())).collect())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }
    /// Writes the table.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, format: Format, out: &mut impl Write) -> std::io::Result<()> {
        match format {
            Format::Json => writeln!(out, "{:#}", self.to_json()),
            Format::Csv => self.write_csv(out),
            Format::Markdown => self.write_aligned(out, true),
            Format::Table => self.write_aligned(out, false),
        }
    }

    fn write_csv(&self, out: &mut impl Write) -> std::io::Result<()> {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| csv_field(name)).collect();
        writeln!(out, "{}", names.join(","))?;
        for row in &self.rows {
            let fields: Vec<String> = row.iter().map(|cell| csv_value(&cell.value)).collect();
            writeln!(out, "{}", fields.join(","))?;
        }
        Ok(())
    }

    fn write_aligned(&self, out: &mut impl Write, markdown: bool) -> std::io::Result<()> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = (String, Align)>| {
            let padded: Vec<String> =
                cells.zip(&widths).map(|((text, align), width)| pad(&text, *width, align)).collect();
            if markdown {
                format!("| {} |", padded.join(" | "))
            } else {
                padded.join("  ").trim_end().to_owned()
            }
        };
        writeln!(
            out,
            "{}",
            line(&mut self.columns.iter().map(|(name, align)| ((*name).to_owned(), *align)))
        )?;
        let rules = self.columns.iter().zip(&widths).map(|((_, align), width)| {
            let rule = if markdown { "-" } else { "─" }.repeat(*width);
            match (markdown, align) {
                (true, Align::Right) => (rule.replacen('-', "", 1) + ":", Align::Left),
                _ => (rule, Align::Left),
            }
        });
        writeln!(out, "{}", line(&mut rules.collect::<Vec<_>>().into_iter()))?;
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).map(|(cell, (_, align))| (cell.text.clone(), *align));
            writeln!(out, "{}", line(&mut cells.collect::<Vec<_>>().into_iter()))?;
        }
        Ok(())
    }
}

fn pad(text: &str, width: usize, align: Align) -> String {
    let space = " ".repeat(width.saturating_sub(text.chars().count()));
    match align {
        Align::Left => format!("{text}{space}"),
        Align::Right => format!("{space}{text}"),
    }
}

fn csv_value(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => csv_field(text),
        other => csv_field(&other.to_string()),
    }
}

fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

/// A length of time for people: its two largest units, as in `2d 4h`.
pub fn duration(seconds: i64) -> String {
    let sign = if seconds < 0 { "−" } else { "" };
    let mut rest = seconds.unsigned_abs();
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 || (unit == "s" && parts.is_empty()) {
            parts.push(format!("{count}{unit}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    format!("{sign}{}", parts.join(" "))
}

/// A rate from 0 to 1 for people, in per cent.
pub fn rate(rate: f64) -> String {
    format!("{:.1} %", rate * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("metric", Align::Left), ("samples", Align::Right)]);
        table.row(vec![Cell::text("rework, rate"), Cell::count(7)]);
        table.row(vec![Cell::none(), Cell::count(1200)]);
        table
    }

    fn check(format: Format, expect: &str) {
        let mut out = Vec::new();
        table().write(format, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn a_table_is_aligned_for_people_and_exact_for_programs() {
        check(
            Format::Table,
            "metric        samples\n────────────  ───────\nrework, rate        7\n–                1200\n",
        );
        check(Format::Csv, "metric,samples\n\"rework, rate\",7\n,1200\n");
        check(
            Format::Markdown,
            "| metric       | samples |\n| ------------ | ------: |\n| rework, rate |       7 |\n| –            |    1200 |\n",
        );
        assert_eq!(
            table().to_json().to_string(),
            r#"[{"metric":"rework, rate","samples":7},{"metric":null,"samples":1200}]"#
        );
    }

    #[test]
    fn a_duration_shows_its_two_largest_units() {
        let shown = [0, 59, 61, 3_600, 3_601, 187_200, -90].map(duration);
        assert_eq!(shown, ["0s", "59s", "1m 1s", "1h", "1h", "2d 4h", "−1m 30s"]);
    }
}
