//! Runs the measurements at the sizes of the acceptance, and shows what they came to as one table.
//!
//! Each is a module of the test binary `kafka` of `streamgauge`, which appends a JSON line to the file that
//! `STREAMGAUGE_MEASURE` names for each case: `{"measure", "case", "ran", "figures": [[name, value, unit]], "limit",
//! "within", "commit", "cores"}`. A case that has a line is passed over, so a run that was cut goes on where it
//! stopped.

use crate::bench::{cell, list, push_table};
use crate::process::{cargo_test, folder_of, note, program, project_root, run as run_command};
use crate::{engine, kafka, locked};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// What is measured: the module of the tests, and what its figures are about.
const MEASURES: [(&str, &str); 6] = [
    ("equality", "Embedded and on Kafka: the same tables"),
    ("crash", "Killed under load: the same tables"),
    ("latency", "Raw record to its fact's row, visible in ClickHouse"),
    ("memory", "Resident memory and state of a large organisation"),
    ("restore", "Restart after a clean stop, and a standby that takes over"),
    ("query", "An analyst's queries of a loaded year"),
];
const TABLE: &str = "docs/measurements.md";
/// What the table is made of: beside it, so that what was measured on several days adds up.
const RESULTS: &str = "docs/measurements.ndjson";

struct Options {
    names: Vec<&'static str>,
    quick: bool,
    again: bool,
}

/// Measures what is named and has no result yet (everything by default), and writes the table.
pub fn run(args: &[String]) -> Result<ExitCode> {
    let options = options(args)?;
    let folder = folder_of("measure")?;
    let file = if options.quick { folder.join("quick.ndjson") } else { project_root().join(RESULTS) };
    if options.quick || options.again {
        forget(&file, &options.names)?;
    }
    engine::fetch()?;
    kafka::fetch()?;
    let commit = commit(&[TABLE, RESULTS])?;
    let mut failed = Vec::new();
    for name in &options.names {
        note(&format!("measuring: {name}"));
        if let Err(error) = measure(name, &file, &commit, options.quick) {
            note(&format!("{error:#}"));
            failed.push(*name);
        }
    }
    let lines = read(&file)?;
    for name in options.names.iter().filter(|name| !lines.iter().any(|line| is_of(line, name))) {
        // A broker or an engine that cannot be had is no failure of a test.
        note(&format!("no result: {name}"));
        failed.push(name);
    }
    let markdown = markdown(&lines);
    print!("{markdown}");
    let table = if options.quick { folder.join("quick.md") } else { project_root().join(TABLE) };
    if let Some(parent) = table.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&table, markdown).with_context(|| format!("cannot write {}", table.display()))?;
    note(&format!("written to {}", table.display()));
    let exceeded =
        lines.iter().filter(|line| options.names.iter().any(|name| is_of(line, name)) && !within(line));
    let exceeded = exceeded.inspect(|line| note(&format!("not within its limit: {}", title(line)))).count();
    // Small sizes show that the commands work; what they measure says nothing of the limits.
    let is_well = failed.is_empty() && (options.quick || exceeded == 0);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { names: Vec::new(), quick: false, again: false };
    for arg in args {
        match (arg.as_str(), MEASURES.iter().find(|(name, _)| name == arg)) {
            ("--quick", _) => options.quick = true,
            ("--again", _) => options.again = true,
            (_, Some((name, _))) => options.names.push(name),
            _ => bail!(
                "{arg:?} is neither --quick, --again nor one of {}",
                MEASURES.map(|(name, _)| name).join(", ")
            ),
        }
    }
    if options.names.is_empty() {
        options.names = MEASURES.iter().map(|(name, _)| *name).collect();
    }
    Ok(options)
}

fn measure(name: &str, file: &Path, commit: &str, quick: bool) -> Result<()> {
    let mut command = cargo_test("kafka", true);
    // Path and colons: a part of another test's name is not meant.
    command.args(locked()).args(["--", "--nocapture", "--test-threads=1"]).arg(format!("{name}::"));
    command.env("STREAMGAUGE_MEASURE", file).env("STREAMGAUGE_COMMIT", commit);
    if !quick {
        command.env("STREAMGAUGE_FULL", "1");
    }
    run_command(&mut command)
}

/// Removes the results of these names.
fn forget(file: &Path, names: &[&str]) -> Result<()> {
    let kept: Vec<Value> =
        read(file)?.into_iter().filter(|line| !names.iter().any(|name| is_of(line, name))).collect();
    let text: String = kept.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn read(file: &Path) -> Result<Vec<Value>> {
    let text = if file.exists() { std::fs::read_to_string(file)? } else { String::new() };
    let line = |line| {
        serde_json::from_str(line).with_context(|| {
            format!(
                "{}: {line:?} is no result (remove the line, or the file to measure anew)",
                file.display()
            )
        })
    };
    text.lines().map(line).collect()
}

/// The commit that is measured; with a plus when the working copy differs from it in more than the files that are written.
pub fn commit(written: &[&str]) -> Result<String> {
    let git = |args: &[&str]| -> Result<String> {
        let output = program("git").args(args).output().context("cannot start `git`")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let others: Vec<String> = written.iter().map(|file| format!(":!{file}")).collect();
    let mut status = vec!["status", "--porcelain", "--untracked-files=no", "--", "."];
    status.extend(others.iter().map(String::as_str));
    let changed = git(&status)?;
    Ok(git(&["rev-parse", "--short", "HEAD"])? + if changed.is_empty() { "" } else { "+" })
}

fn is_of(line: &Value, name: &str) -> bool {
    line.get("measure").and_then(Value::as_str) == Some(name)
}

fn within(line: &Value) -> bool {
    line.get("within").and_then(Value::as_bool) == Some(true)
}

fn field(line: &Value, name: &str) -> String {
    line.get(name).map(cell).unwrap_or_default()
}

fn title(line: &Value) -> String {
    format!("{}, {}", field(line, "measure"), field(line, "case"))
}

fn markdown(lines: &[Value]) -> String {
    let mut text = format!(
        "# Measurements\n\nWritten by `cargo xtask measure`, which runs a case that has no result yet; `--again` runs \
         all anew.\nStreamgauge {}, a release build; Apache Kafka {} (one broker), the ClickHouse engine and the load \
         on the same cores.\n\n",
        env!("CARGO_PKG_VERSION"),
        test_broker::VERSION,
    );
    for (name, about) in MEASURES {
        let rows: Vec<Vec<String>> = lines
            .iter()
            .filter(|line| is_of(line, name))
            .map(|line| {
                let figure = |figure: &Value| {
                    let words: Vec<String> = list(Some(figure)).iter().map(cell).collect();
                    words.join(" ").trim_end().to_owned()
                };
                let figures: Vec<String> = list(line.get("figures")).iter().map(figure).collect();
                let verdict = if within(line) { "holds" } else { "**exceeded**" };
                vec![
                    field(line, "case"),
                    field(line, "ran"),
                    figures.join("; "),
                    field(line, "limit"),
                    verdict.to_owned(),
                    format!("{}, {} cores", field(line, "commit"), field(line, "cores")),
                ]
            })
            .collect();
        if !rows.is_empty() {
            let columns = ["case", "run", "result", "limit", "", "at"].map(str::to_owned);
            push_table(&mut text, &format!("{about} (`{name}`)"), &columns, rows);
        }
    }
    let _ = writeln!(
        text,
        "A process that is counted is `streamgauge run`; the broker's memory is not in its own."
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(case: &str, within: bool) -> Value {
        serde_json::json!({
            "measure": "latency", "case": case, "ran": "120000 records", "figures": [["p99", 0.42, "s"], ["rows", 1234, ""]],
            "limit": "p99 at most 1 s", "within": within, "commit": "abc", "cores": 2,
        })
    }

    #[test]
    fn a_case_is_a_row_with_its_figures_and_its_verdict() {
        let text = markdown(&[line("one", true), line("two", false)]);
        let row =
            "| one | 120000 records | p99 0.42 s; rows 1,234 | p99 at most 1 s | holds | abc, 2 cores |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| two |") && text.contains("| **exceeded** |"), "{text}");
    }

    #[test]
    fn what_is_measured_again_is_forgotten_and_the_rest_is_kept() {
        let file = std::env::temp_dir().join(format!("streamgauge-measure-{}.ndjson", std::process::id()));
        let mut other = line("one", true);
        other["measure"] = "query".into();
        std::fs::write(&file, format!("{}\n{other}\n", line("one", true))).unwrap();
        forget(&file, &["latency"]).unwrap();
        assert_eq!(read(&file).unwrap(), [other]);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn each_name_is_a_module_of_the_tests_that_measures_it() {
        for (name, _) in MEASURES {
            let module = project_root().join(format!("crates/streamgauge/tests/kafka/{name}.rs"));
            let text = std::fs::read_to_string(&module).unwrap();
            assert!(text.contains(&format!("Measure::new(\"{name}\")")), "{}", module.display());
        }
    }

    #[test]
    fn names_and_options_come_in_any_order_and_others_are_refused() {
        let given =
            |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let some = given(&["--quick", "query", "latency"]).unwrap();
        assert_eq!((some.names, some.quick, some.again), (vec!["query", "latency"], true, false));
        assert_eq!(given(&[]).unwrap().names.len(), MEASURES.len());
        assert!(given(&["latenzy"]).is_err());
    }
}
