//! Real faults on the real broker, the real engine and real processes: nothing lost, nothing double, whatever breaks.
//!
//! A plain run of the tests plays the selection, small. `cargo xtask chaos --full` plays every fault several times at
//! full size, goes on where it was cut, and writes `docs/chaos.md`. A run that fails names its seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod door;
mod faults;
mod ground;
mod guarantees;
mod ledger;
#[allow(dead_code, reason = "it is shared")]
#[path = "../kafka/organisation.rs"]
mod organisation;
#[path = "../kafka/outputs.rs"]
mod outputs;
mod scene;
#[path = "../support/topic.rs"]
mod topic;
mod twin;
mod verdict;
#[path = "../support/views.rs"]
mod views;

use catalog::Catalog;
use faults::{FAULTS, Fault, Play};
use ground::Ground;
use ledger::{Ledger, Line, RUNS};
use model::Definitions;
use organisation::{Organisation, Random};
use scene::Scene;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use verdict::Verdict;

/// What is to be run, as `cargo xtask chaos` says it.
struct Wanted {
    full: bool,
    /// Only this fault.
    fault: Option<String>,
    /// The seed of the first run.
    seed: u64,
    /// Whether earlier runs are forgotten.
    again: bool,
    /// When no more runs begin.
    until: Option<Instant>,
    /// Where the logs of runs that failed are kept.
    folder: PathBuf,
}

impl Wanted {
    fn read() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let folder = std::env::var_os("STREAMGAUGE_CHAOS_FOLDER").map(PathBuf::from);
        Self {
            full: std::env::var_os("STREAMGAUGE_CHAOS_FULL").is_some(),
            fault: std::env::var("STREAMGAUGE_CHAOS_FAULT").ok(),
            seed: number("STREAMGAUGE_CHAOS_SEED").unwrap_or(u64::from(std::process::id())),
            again: std::env::var_os("STREAMGAUGE_CHAOS_AGAIN").is_some(),
            until: number("STREAMGAUGE_CHAOS_MINUTES").map(|n| Instant::now() + Duration::from_secs(60 * n)),
            folder: folder.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos")),
        }
    }

    fn faults(&self) -> Vec<&'static Fault> {
        let wanted = |fault: &&Fault| match &self.fault {
            Some(name) => fault.name == name,
            None => self.full || fault.selected,
        };
        FAULTS.iter().filter(wanted).collect()
    }
}

/// What every run is held against.
struct Stage {
    ground: Ground,
    organisation: Organisation,
    catalog: Catalog,
    oracle: twin::Tables,
}

impl Stage {
    fn set() -> Option<Self> {
        let ground = Ground::start()?;
        let organisation = Organisation::new(6, 20);
        let text = std::fs::read_to_string(organisation.catalog()).unwrap();
        let catalog = Catalog::from_toml("catalog.toml", &text, &Definitions::default()).unwrap();
        let oracle = twin::expected(&organisation.records, &text);
        Some(Self { ground, organisation, catalog, oracle })
    }

    /// Plays a fault once.
    fn play(&self, fault: &'static Fault, seed: u64, wanted: &Wanted) -> Line {
        let started = Instant::now();
        let mut notes = Vec::new();
        let played = catch_unwind(AssertUnwindSafe(|| match fault.play {
            Play::Kafka(strike) => self.scene(fault, strike, seed, wanted, false, &mut notes),
            Play::Proxied(strike) => self.scene(fault, strike, seed, wanted, true, &mut notes),
            Play::Embedded(strike) => strike(&self.organisation, &mut Random(seed), wanted.full),
        }));
        let (struck, Verdict { lost, double, wrong }) = played.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            (
                0,
                Verdict {
                    wrong: vec![format!("a panic: {}", text.unwrap_or_default())],
                    ..Verdict::default()
                },
            )
        });
        self.ground.heal();
        let seconds = started.elapsed().as_secs();
        Line { fault: fault.name, seed, struck, lost, double, wrong, notes, seconds }
    }

    fn scene(
        &self,
        fault: &Fault,
        strike: fn(&mut Scene<'_>) -> u64,
        seed: u64,
        wanted: &Wanted,
        proxied: bool,
        notes: &mut Vec<String>,
    ) -> (u64, Verdict) {
        let name = format!("{}_{seed}", fault.name.replace('-', "_"));
        let mut scene = Scene::new(&self.ground, &self.organisation, &name, seed, wanted.full, proxied);
        let played = catch_unwind(AssertUnwindSafe(|| {
            let struck = strike(&mut scene);
            (struck, verdict::of(&mut scene, &self.catalog, &self.oracle))
        }));
        notes.append(&mut scene.notes);
        if played.as_ref().map_or(true, |(_, verdict)| !verdict.wrong.is_empty()) {
            scene.keep_logs(&wanted.folder.join("logs"));
        }
        scene.clear();
        played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn tell(line: &Line) {
    let Line { fault, seed, struck, lost, double, wrong, notes, seconds } = line;
    let result = if wrong.is_empty() { "holds" } else { "FAILED" };
    eprintln!(
        "{fault}, seed {seed}: struck {struck} times, {lost} lost, {double} double, {result} ({seconds} s)"
    );
    notes.iter().for_each(|note| eprintln!("  {note}"));
    wrong.iter().for_each(|wrong| eprintln!("  WRONG: {wrong}"));
}

#[test]
fn whatever_breaks_nothing_is_lost_and_nothing_is_double() {
    let wanted = Wanted::read();
    let faults = wanted.faults();
    assert!(
        !faults.is_empty(),
        "no fault of that name: {:?}",
        FAULTS.iter().map(|f| f.name).collect::<Vec<_>>()
    );
    let Some(stage) = Stage::set() else { return };
    let ledger = Ledger::open();
    if wanted.full && wanted.again {
        faults.iter().for_each(|fault| ledger.forget(fault.name));
    }
    let mut failed = Vec::new();
    // Every fault once, then every fault again: a run that is cut has some of all.
    for run in 1..=if wanted.full { RUNS } else { 1 } {
        for fault in &faults {
            if wanted.full && ledger.runs(fault.name) >= run {
                continue;
            }
            if wanted.until.is_some_and(|until| Instant::now() >= until) {
                break;
            }
            let line = stage.play(fault, wanted.seed + run as u64 - 1, &wanted);
            tell(&line);
            if !line.wrong.is_empty() {
                failed.push(format!("{} with seed {}", line.fault, line.seed));
            }
            if wanted.full {
                ledger.keep(&line);
                ledger.show();
            }
        }
    }
    assert!(failed.is_empty(), "what must hold did not under {}", failed.join(", "));
}
