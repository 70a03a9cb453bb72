//! Where the time of an event goes: the bench's end-to-end run under `perf`, drawn as a flame graph.
//!
//! `perf` comes with the system. The drawing is inferno's, installed into `target/tools` once, at the version below: it is a
//! tool and no dependency, because nothing that is built here links it.

use crate::process::{cargo, folder_of, note, program, run, succeeds, target_folder};
use crate::{bench, engine, kafka};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const INFERNO: &str = "0.12.8";
/// Samples a second of each thread that runs: a prime, so that nothing periodic hides behind it.
const HERTZ: &str = "197";
/// Functions that the table lists.
const LISTED: usize = 25;

/// Profiles, and writes `target/profile/flame.svg` and `profile.md`.
pub fn profile() -> Result<ExitCode> {
    if !succeeds(program("perf").arg("--version")) {
        bail!("`perf` is not installed: it is in the package linux-perf (Debian) or linux-tools (Ubuntu)");
    }
    engine::fetch()?;
    kafka::fetch()?;
    let tools = inferno()?;
    let bench = bench::build()?;
    let folder = folder_of("profile")?;
    let samples = folder.join("perf.data");
    note("profiling: 50 services and 90 days of raw records, from Kafka to ClickHouse");
    run(program("perf")
        .args(["record", "--quiet", "--event", "cpu-clock", "--freq", HERTZ, "--call-graph", "dwarf,8192"])
        .arg("--output")
        .arg(&samples)
        .arg("--")
        .arg(&bench)
        .args(["--alone", "kafka", "end-to-end"])
        .stdout(Stdio::null()))?;
    let (script, folded, drawn) = (folder.join("script"), folder.join("folded"), folder.join("flame.svg"));
    // Inlined functions would take an hour to look up.
    into(program("perf").args(["script", "--no-inline", "--input"]).arg(&samples), &script)?;
    into(program(&tool(&tools, "inferno-collapse-perf")).arg(&script), &folded)?;
    into(
        program(&tool(&tools, "inferno-flamegraph"))
            .args(["--title", "One organisation, from Kafka to ClickHouse", "--minwidth", "0.3"])
            .arg(&folded),
        &drawn,
    )?;
    let text =
        std::fs::read_to_string(&folded).with_context(|| format!("cannot read {}", folded.display()))?;
    let markdown = tables(&text);
    std::fs::write(folder.join("profile.md"), &markdown)?;
    for large in [samples, script] {
        std::fs::remove_file(&large).with_context(|| format!("cannot remove {}", large.display()))?;
    }
    print!("{markdown}");
    note(&format!("drawn to {}", drawn.display()));
    Ok(ExitCode::SUCCESS)
}

/// Where inferno's programs are.
fn inferno() -> Result<PathBuf> {
    let root = target_folder().join("tools").join(format!("inferno-{INFERNO}"));
    let programs = root.join("bin");
    if !programs.is_dir() {
        note(&format!("installing inferno {INFERNO}, once"));
        run(cargo(&["install", "--locked", "inferno", "--version", INFERNO, "--root"]).arg(&root))?;
    }
    Ok(programs)
}

fn tool(tools: &Path, name: &str) -> String {
    tools.join(name).display().to_string()
}

/// Runs a command whose results go into a file.
fn into(command: &mut Command, file: &Path) -> Result<()> {
    let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    run(command.stdout(out).stderr(Stdio::null()))
}

/// Shares of the samples by thread, and by the function that ran, of lines such as `thread;outer;inner 12`.
fn tables(folded: &str) -> String {
    let (mut threads, mut functions, mut all) = (BTreeMap::new(), BTreeMap::new(), 0_u64);
    for line in folded.lines() {
        let Some((stack, count)) = line.rsplit_once(' ') else { continue };
        let Ok(count) = count.parse::<u64>() else { continue };
        let thread = stack.split(';').next().unwrap_or_default();
        let function = stack.rsplit(';').next().unwrap_or_default();
        *threads.entry(thread.to_owned()).or_insert(0) += count;
        *functions.entry((function.to_owned(), thread.to_owned())).or_insert(0) += count;
        all += count;
    }
    let mut text = String::from("| thread | of all samples |\n|---|---|\n");
    for (thread, count) in largest(threads) {
        let _ = writeln!(text, "| `{thread}` | {} |", share(count, all));
    }
    text.push_str("\n| function | thread | of all samples |\n|---|---|---|\n");
    for ((function, thread), count) in largest(functions) {
        let _ = writeln!(text, "| `{}` | `{thread}` | {} |", function.replace('|', "\\|"), share(count, all));
    }
    text
}

fn largest<K: Ord>(counts: BTreeMap<K, u64>) -> impl Iterator<Item = (K, u64)> {
    let mut counts: Vec<(K, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(LISTED)
}

fn share(count: u64, all: u64) -> String {
    format!("{:.1} %", count as f64 * 100.0 / all.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_samples_and_the_largest_comes_first() {
        let text = tables("load;a;b 1\ncorrelate;a;hash 6\ncorrelate;a 3\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "| `correlate` | 90.0 % |");
        assert_eq!(lines[3], "| `load` | 10.0 % |");
        assert_eq!(lines[7], "| `hash` | `correlate` | 60.0 % |");
    }
}
