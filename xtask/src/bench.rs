//! Runs the bench, keeps what it measured, and shows it as tables.
//!
//! The bench (an example of `streamgauge-tests`) prints one JSON object on stdout:
//! `{"tables": [{"title", "columns": [text], "rows": [[value]]}], "limits": [{"name", "value", "limit"}]}`.
//! A value above its limit fails the command.

use crate::process::{cargo, folder_of, note, program, run as run_command, target_folder, typed};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fmt::Write;
use std::process::{ExitCode, Stdio};

/// Measures, writes `target/bench/bench.json` and `bench.md`, and prints the latter.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let mut command = program(&build()?);
    command.args(args).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start `{}`", typed(&command)))?;
    ensure!(output.status.success(), "`{}` failed ({})", typed(&command), output.status);
    let measured: Value =
        serde_json::from_slice(&output.stdout).context("what the bench printed on stdout is not JSON")?;
    let (markdown, exceeded) = markdown(&measured);
    let folder = folder_of("bench")?;
    for (name, content) in [("bench.json", output.stdout.as_slice()), ("bench.md", markdown.as_bytes())] {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print!("{markdown}");
    note(&format!("written to {}", folder.display()));
    for name in &exceeded {
        note(&format!("above its limit: {name}"));
    }
    Ok(if exceeded.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the bench; where it is.
pub fn build() -> Result<String> {
    run_command(&mut cargo(&["build", "--release", "--workspace", "--example", "bench"]))?;
    Ok(target_folder().join("release/examples/bench").display().to_string())
}

/// The tables in Markdown, and the names of the limits that were exceeded.
fn markdown(measured: &Value) -> (String, Vec<String>) {
    let mut text = String::new();
    for table in list(measured.get("tables")) {
        let columns: Vec<String> = list(table.get("columns")).iter().map(cell).collect();
        let rows =
            list(table.get("rows")).iter().map(|row| list(Some(row)).iter().map(cell).collect()).collect();
        push_table(&mut text, &table.get("title").map(cell).unwrap_or_default(), &columns, rows);
    }
    let limits = list(measured.get("limits"));
    let mut exceeded = Vec::new();
    let rows: Vec<Vec<String>> = limits
        .iter()
        .map(|row| {
            let field = |key: &str| row.get(key).unwrap_or(&Value::Null);
            // A value that is no number cannot be within a limit.
            let within =
                field("value").as_f64().zip(field("limit").as_f64()).is_some_and(|(v, most)| v <= most);
            if !within {
                exceeded.push(cell(field("name")));
            }
            let verdict = if within { "ok" } else { "exceeded" };
            vec![cell(field("name")), cell(field("value")), cell(field("limit")), verdict.to_owned()]
        })
        .collect();
    if !rows.is_empty() {
        let columns = ["what", "measured", "at most", ""].map(str::to_owned);
        push_table(&mut text, "Limits", &columns, rows);
    }
    (text, exceeded)
}

/// A table in Markdown under a heading.
pub fn push_table(text: &mut String, title: &str, columns: &[String], rows: Vec<Vec<String>>) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let _ = write!(text, "### {title}\n\n{}", line(columns));
    text.push_str(&line(&vec!["---".to_owned(); columns.len()]));
    for row in rows {
        text.push_str(&line(&row));
    }
    text.push('\n');
}

/// The elements of a list; of anything else none.
pub fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A value as people read it: thousands grouped, fractions with two digits.
pub fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => grouped(whole),
            None => number.as_f64().map(|number| format!("{number:.2}")).unwrap_or_default(),
        },
        other => other.to_string(),
    }
}

fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_above_its_limit_is_named_and_the_table_shows_it() {
        let measured = serde_json::json!({
            "tables": [{"title": "Import", "columns": ["stage", "events/s"], "rows": [["ingest", 1234567]]}],
            "limits": [
                {"name": "90d to 24h", "value": 1.1, "limit": 1.2},
                {"name": "10 times the history", "value": 1.31, "limit": 1.2},
            ],
        });
        let (text, exceeded) = markdown(&measured);
        assert_eq!(exceeded, ["10 times the history"]);
        assert!(text.contains("| ingest | 1,234,567 |"), "{text}");
        assert!(text.contains("| 10 times the history | 1.31 | 1.20 | exceeded |"), "{text}");
    }
}
