//! What an import costs by stage, and that an in-order event costs the same whatever the window's length and the
//! history's size. Prints one JSON object for `cargo xtask bench`; `--rounds N` (default 3) sets how often each
//! import is repeated.
//!
//! Absolute figures are of one machine and one run. What is held to a limit is a ratio of two things that were
//! measured in turn in the same process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod gateway;
mod history;
mod import;
mod input;
mod kafka;
mod load;
mod memory;
mod tasks;
mod whole;
mod window;

use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// As the binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The word by which the bench calls itself: each import runs in a process of its own, so that one's memory is
/// not the other's.
const ALONE: &str = "--alone";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [ALONE, "import", case] => println!("{}", json!(import::measure(case))),
        [ALONE, "load", case] => println!("{}", json!(load::measure(case))),
        [ALONE, "window"] => println!("{}", window::measure()),
        [ALONE, "history"] => println!("{}", history::measure()),
        [ALONE, "history", days] => println!("{}", history::after(days)),
        [ALONE, "gateway"] => println!("{}", gateway::measure().unwrap_or(Value::Null)),
        [ALONE, "kafka"] => println!("{}", kafka::measure().unwrap_or(Value::Null)),
        [ALONE, "kafka", "end-to-end"] => println!("{}", kafka::whole().unwrap_or_default()),
        [] => report(3),
        ["--rounds", rounds] => report(rounds.parse().expect("--rounds takes a number")),
        _ => panic!("usage: bench [--rounds N]"),
    }
}

fn report(rounds: usize) {
    let mut rows = Vec::new();
    for case in input::CASES.iter().filter(|case| input::is_there(case)) {
        for kind in ["import", "load"] {
            eprintln!("measuring: {kind} of {case}, {rounds} rounds");
            let runs: Vec<Vec<Stage>> = (0..rounds.max(1))
                .map(|_| serde_json::from_value(alone(&[kind, case])).expect("stages"))
                .collect();
            rows.extend((0..runs[0].len()).map(|at| {
                let one = |value: fn(&Stage) -> f64| median(runs.iter().map(|run| value(&run[at])).collect());
                let seconds = one(|stage| stage.seconds);
                let stage = &runs[0][at];
                let mebibytes = |bytes: f64| (bytes > 0.0).then_some(bytes / f64::from(1 << 20));
                json!([
                    case,
                    stage.name,
                    stage.items,
                    seconds,
                    (stage.items as f64 / seconds).round() as u64,
                    mebibytes(one(|stage| stage.peak as f64)),
                ])
            }));
        }
    }
    eprintln!("measuring: windows, then a tenfold history");
    let (window, history) = (alone(&["window"]), alone(&["history"]));
    eprintln!("measuring: the stages on Kafka");
    let kafka = alone(&["kafka"]);
    eprintln!("measuring: the gateway");
    let gateway = alone(&["gateway"]);
    let import = json!({
        "title": "Import by stage (medians; peak: most memory while the stage ran, above what reading the input takes)",
        "columns": ["input", "stage", "records or rows", "seconds", "per second", "peak MiB"],
        "rows": rows,
    });
    let of = |key: &str| {
        // Without a broker there is nothing to tell of it.
        let measured =
            [&window, &history, &kafka, &gateway].into_iter().filter(|measured| !measured.is_null());
        measured
            .flat_map(|measured| measured[key].as_array().expect("a list").clone())
            .collect::<Vec<Value>>()
    };
    let tables: Vec<Value> = std::iter::once(import).chain(of("tables")).collect();
    println!("{:#}", json!({"tables": tables, "limits": of("limits")}));
}

/// Runs a part of the bench in a process of its own.
fn alone(args: &[&str]) -> Value {
    let own = std::env::current_exe().expect("the bench's own path");
    let output = Command::new(own)
        .arg(ALONE)
        .args(args)
        .stderr(Stdio::inherit())
        .output()
        .expect("the bench starts itself");
    assert!(output.status.success(), "`bench {}` failed ({})", args.join(" "), output.status);
    serde_json::from_slice(&output.stdout).expect("JSON of the bench itself")
}

/// What a stage took.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Stage {
    name: String,
    /// What went through it.
    items: usize,
    seconds: f64,
    /// Most bytes resident while it ran, above what was there at first; 0 where that cannot be known.
    peak: u64,
}

impl Stage {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds one call.
    fn time<T>(&mut self, base: u64, call: impl FnOnce() -> T) -> T {
        memory::reset_peak();
        let start = std::time::Instant::now();
        let result = call();
        self.seconds += start.elapsed().as_secs_f64();
        self.peak = self.peak.max(memory::peak().saturating_sub(base));
        result
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
