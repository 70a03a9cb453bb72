//! Developer commands: `cargo xtask help` lists them.

mod bench;
mod chaos;
mod engine;
mod kafka;
mod lint;
mod measure;
mod process;
mod profile;

use anyhow::Result;
use process::{CI, beside, cargo, cargo_test, note, replace_with, run};
use std::process::ExitCode;

/// A command: its name, what it takes, what it does, and the function that does it.
struct Task {
    name: &'static str,
    takes: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<ExitCode>,
}

const TASKS: &[Task] = &[
    Task {
        name: "setup",
        takes: "",
        does: "fetch the ClickHouse engine (needs npm) and Apache Kafka (needs Java 17, Maven) once",
        run: |_| engine::fetch().and_then(|_| kafka::fetch()).map(|_| ExitCode::SUCCESS),
    },
    Task {
        name: "demo",
        takes: "[--once] [--data DIR]",
        does: "set up, build, import the bundled histories, show the DORA table",
        run: demo,
    },
    Task {
        name: "test",
        takes: "[ARGS of cargo test]",
        does: "set up, and run every test that the project has",
        run: test,
    },
    Task {
        name: "kafka",
        takes: "up|down [OPTIONS]",
        does: "a real Kafka in the background; `up` takes --brokers 1|3 and --secure",
        run: kafka::run,
    },
    Task {
        name: "law",
        takes: "",
        does: "50 services over 90 days, shuffled and told three times, in a release build: the same tables",
        run: |_| law(),
    },
    Task {
        name: "docs",
        takes: "",
        does: "write docs/sources.md anew from what the sources say of themselves",
        run: |_| docs(),
    },
    Task {
        name: "fuzz",
        takes: "[SECONDS | --again]",
        does: "damaged deliveries of every source: bounded time and memory; 600 s each, goes on where it was cut",
        run: fuzz,
    },
    Task {
        name: "sim",
        takes: "[--seeds N] [--seed S] [--trace] [--mutants]",
        does: "the stages on a simulated log, in a release build; --mutants plants faults, which must be caught",
        run: sim,
    },
    Task {
        name: "chaos",
        takes: "[--full] [--fault NAME] [--seed S]",
        does: "real faults on three brokers; --full plays each 5 times, goes on where it was cut, writes docs/chaos.md",
        run: chaos::run,
    },
    Task { name: "lint", takes: "", does: "rustfmt, clippy, rustdoc, cargo-deny", run: |_| lint::run() },
    Task {
        name: "bench",
        takes: "[ARGS of the bench]",
        does: "measure import by stage; writes target/bench/bench.json and bench.md",
        run: bench::run,
    },
    Task {
        name: "profile",
        takes: "",
        does: "where an event's time goes: a flame graph of the run from Kafka to ClickHouse (needs perf)",
        run: |_| profile::profile(),
    },
    Task {
        name: "measure",
        takes: "[NAME…] [--quick] [--again]",
        does: "the acceptance's figures at full size, each case once; writes docs/measurements.md",
        run: measure::run,
    },
    Task { name: "help", takes: "", does: "this list", run: |_| Ok(help()) },
];

/// What some tests read where it lies beside the project or further up; where it does not, they pass with a notice.
const OPTIONAL_INPUTS: &[(&str, &str)] = &[
    ("shared/payloads", "golden tests of the sources on the vendors' public webhook corpora"),
    ("shared/data/git-history", "tests on the full git histories of two public projects"),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = args.collect();
    let name = if matches!(name.as_str(), "-h" | "--help") { "help" } else { &name };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("xtask: no command {name:?}\n");
        help();
        return ExitCode::from(2);
    };
    if task.takes.is_empty() && !rest.is_empty() {
        eprintln!("xtask: {name} takes no arguments, but was given {rest:?}");
        return ExitCode::from(2);
    }
    match (task.run)(&rest) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> ExitCode {
    println!("usage: cargo xtask COMMAND\n");
    for task in TASKS {
        println!("  {:<37}{}", format!("{} {}", task.name, task.takes), task.does);
    }
    println!("\nexample: cargo xtask demo --once");
    ExitCode::SUCCESS
}

/// Becomes the demo, so that Ctrl-C and the exit code are the binary's own.
fn demo(args: &[String]) -> Result<ExitCode> {
    note("building streamgauge for a look; for your own data: cargo build --release");
    let mut build = cargo(&["build", "--package", "streamgauge"]);
    beside(build.args(locked()), engine::fetch)?;
    replace_with(
        cargo(&["run", "--quiet", "--package", "streamgauge"]).args(locked()).args(["--", "demo"]).args(args),
    )
}

/// A test that a plain run of the tests makes with a smaller organisation.
fn law() -> Result<ExitCode> {
    engine::fetch()?;
    run(cargo_test("law", true)
        .args(locked())
        .args(["--", "--nocapture", "an_organisation_shuffled_and_told_three_times"])
        .env("STREAMGAUGE_LAW_SIZE", "50,90"))?;
    Ok(ExitCode::SUCCESS)
}

/// The test that finds a stale page writes it when it is asked to.
fn docs() -> Result<ExitCode> {
    run(cargo_test("docs", false)
        .args(locked())
        .args(["--quiet", "the_page_of_sources"])
        .env("UPDATE_GOLDEN", "1"))?;
    Ok(ExitCode::SUCCESS)
}

/// A test that a plain run of the tests makes with a few records of each source.
/// So many seconds of each source; with none the long run, which keeps what each source came to in `docs`.
fn fuzz(args: &[String]) -> Result<ExitCode> {
    const WRITTEN: [&str; 2] = ["docs/fuzz.md", "docs/fuzz.ndjson"];
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let seconds = match words[..] {
        [] | ["--again"] => None,
        [seconds] if seconds.parse::<u64>().is_ok_and(|seconds| seconds > 0) => Some(seconds),
        _ => anyhow::bail!("expected --again or a number of seconds for each source, found {args:?}"),
    };
    if words == ["--again"] {
        std::fs::write(process::project_root().join(WRITTEN[1]), "")?;
    }
    let mut command = cargo_test("fuzz", true);
    command.args(locked()).args(["--", "--nocapture"]);
    command.env("STREAMGAUGE_FUZZ_SECONDS", seconds.unwrap_or("600"));
    if seconds.is_none() {
        command.env("STREAMGAUGE_COMMIT", measure::commit(&WRITTEN)?);
    }
    run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// A program of its own: the simulator links the stages, which this one does not.
fn sim(args: &[String]) -> Result<ExitCode> {
    replace_with(
        cargo(&["run", "--quiet", "--release", "--package", "streamgauge-sim"])
            .args(locked())
            .arg("--")
            .args(args),
    )
}

/// The notices come first: what a test run ends with is the test runner's own summary.
fn test(args: &[String]) -> Result<ExitCode> {
    if engine::is_available() {
        engine::fetch()?;
    } else {
        note(
            "skipped: tests of the ClickHouse engine, because xtask/engine.toml pins none for this platform",
        );
    }
    kafka::fetch()?;
    for (path, tests) in OPTIONAL_INPUTS {
        if !process::project_root().ancestors().any(|folder| folder.join(path).is_dir()) {
            note(&format!("skipped: {tests}, because there is no folder {path} beside the project"));
        }
    }
    // cargo lets `--workspace` win over a package that is named.
    let one = args.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package"));
    let mut command = cargo(&["test", "--no-fail-fast"]);
    run(command.args((!one).then_some("--workspace")).args(locked()).args(args))?;
    Ok(ExitCode::SUCCESS)
}

/// On a build machine a Cargo.lock that is behind the manifests is an error, not an edit.
pub fn locked() -> Option<&'static str> {
    std::env::var_os(CI).map(|_| "--locked")
}
