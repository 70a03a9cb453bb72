//! Running the program in a folder of its own.
#![allow(dead_code, reason = "each file of tests takes what it needs")]

pub mod prometheus;
pub mod run;

use assert_cmd::Command;
use serde_json::Value;
use std::path::Path;

/// The tables that no order, copy, crash or partition may reach.
pub const TABLES: [&str; 6] =
    ["deployments", "changes", "pull_requests", "incidents", "pipeline_runs", "dora_steps"];

/// Whether the ClickHouse engine is there; says so where it is not.
pub fn engine_is_there() -> bool {
    let there = embedded_clickhouse::locate().is_ok();
    if !there {
        eprintln!("passed over: the ClickHouse engine is not there (cargo xtask setup)");
    }
    there
}

/// Runs a command that must end well; gives what it printed.
pub fn ok(folder: &Path, arguments: &[&str]) -> String {
    let (code, out, error) = run(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {error}");
    out
}

/// As [`ok`], as JSON.
pub fn json(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(folder, &[arguments, &["--format", "json"]].concat())).unwrap()
}

/// Runs git as nobody in particular, with nobody's settings; it must end well.
pub fn git(folder: &Path, arguments: &[&str]) {
    let output = std::process::Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The query of a table's rows, revisions aside, in the order of their columns.
pub fn rows_of(table: &str) -> String {
    format!("SELECT * EXCEPT (rev, computed_at) FROM {table} ORDER BY ALL FORMAT TSV")
}

/// What the tables of a data folder hold, revisions aside.
pub fn tables(folder: &Path, data: &str) -> Vec<(&'static str, String)> {
    TABLES.map(|table| (table, ok(folder, &["sql", "--data", data, &rows_of(table)]))).to_vec()
}

/// Whether two folders hold the same tables; the first row that differs is named.
pub fn assert_same(expected: &[(&str, String)], found: &[(&str, String)]) {
    for ((table, expected), (_, found)) in expected.iter().zip(found) {
        let pairs = expected.lines().zip(found.lines());
        let differs = pairs.enumerate().find(|(_, (expected, found))| expected != found);
        assert!(differs.is_none(), "{table} differs at row {differs:?}");
        let count = |text: &str| text.lines().count();
        assert_eq!(count(expected), count(found), "rows of {table}");
    }
}

/// The program, with nothing of the caller's environment that could change it.
pub fn streamgauge(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("streamgauge").unwrap();
    command.current_dir(folder).env_remove("RUST_LOG");
    command
}

/// Runs it; gives exit code, stdout and stderr.
pub fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    run_with(folder, arguments, b"")
}

/// Runs it with an input.
pub fn run_with(folder: &Path, arguments: &[&str], input: &[u8]) -> (i32, String, String) {
    let output = streamgauge(folder).args(arguments).write_stdin(input).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
