//! Damaged deliveries, one source after the other: answered within a bounded time, with a bounded number of bytes.
//!
//! A plain run damages a few deliveries of each source and looks at the answers and their size. With
//! `STREAMGAUGE_FUZZ_SECONDS=n` (`cargo xtask fuzz n`) it spends so much processor time on each source, on as many threads
//! as there are cores, and time and memory are held to their limits, too. A case is known by its number: the same number
//! makes the same record. `cargo xtask fuzz` alone is the long run: it keeps what each source came to (`ledger`), and
//! goes on where it was cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "fuzz/damage.rs"]
mod damage;
#[path = "fuzz/ledger.rs"]
mod ledger;

use common::record;
use common::seeds::{DELIVERIES, answered};
use damage::{Case, damaged};
use ledger::{Ledger, Line};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use streamgauge_sources::{Outcome, SOURCES, privacy};

/// Cases of each source in a plain run.
const FEW: u64 = 40;
/// Events may be so many times as long as the record that told them: each repeats its repository and has an id.
const BYTES_PER_BYTE: usize = 64;
/// What the events of a small record may be long, in bytes.
const BYTES_AT_LEAST: usize = 256 * 1024;
/// What a small record may take of a processor, in a release build.
const TIME_AT_LEAST: Duration = Duration::from_millis(20);
/// What each megabyte of a record may take.
const TIME_PER_MEGABYTE: Duration = Duration::from_millis(400);
/// What the whole run may hold at any time, in KiB: the deliveries, and one record with its events.
const MEMORY_KIB: u64 = 1024 * 1024;

#[test]
fn every_source_answers_what_is_damaged_within_its_limits() {
    let long = std::env::var("STREAMGAUGE_FUZZ_SECONDS").ok().map(|text| {
        Duration::from_secs(text.parse().expect("STREAMGAUGE_FUZZ_SECONDS is a number of seconds"))
    });
    let ledger = Ledger::of_the_long_run();
    let todo = SOURCES.iter().map(|source| source.name);
    let todo = Mutex::new(todo.filter(|source| ledger.as_ref().is_none_or(|ledger| !ledger.has(source))));
    let broken = Mutex::new(Vec::new());
    let next = || todo.lock().unwrap().next();
    let work = || {
        while let Some(source) = next() {
            let line = match fuzzed(source, long) {
                Ok(line) => line,
                Err(what) => {
                    broken.lock().unwrap().push(what);
                    continue;
                }
            };
            if long.is_some() {
                println!("{line}");
            }
            if let Some(ledger) = &ledger {
                ledger.keep(&line);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    if long.is_some()
        && let Some(peak) = peak_memory_kib()
    {
        assert!(peak < MEMORY_KIB, "{peak} KiB were held at once; at most {MEMORY_KIB} may be");
    }
}

/// Damages deliveries of a source: a few, or for so long of this thread's time.
fn fuzzed(source: &'static str, long: Option<Duration>) -> Result<Line, String> {
    let begun = Clock::start();
    let mut line = Line { source, records: 0, slowest: Duration::ZERO, largest: 0, took: Duration::ZERO };
    while long.map_or(line.records < FEW, |long| line.took < long) {
        let case = damaged(source, line.records, &DELIVERIES);
        let (took, bytes) = held(&case, long.is_some()).map_err(|what| {
            let file = keep(&case, line.records);
            format!("{source} case {}: {what} (record kept in {file})", line.records)
        })?;
        line.slowest = line.slowest.max(took);
        line.largest = line.largest.max(bytes);
        line.records += 1;
        line.took = begun.elapsed();
    }
    Ok(line)
}

/// Takes people out of a case, as the gateway does before it is stored, and reads it; both are held to the limits. The
/// longer time of the two, and the bytes that it told.
fn held(case: &Case, timed: bool) -> Result<(Duration, usize), String> {
    let headers: Vec<(&str, &str)> =
        case.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let delivery = record(&case.source, &headers, &case.body);
    let length = case.body.len();
    let allowed = TIME_AT_LEAST + TIME_PER_MEGABYTE.mul_f64(length as f64 / 1e6);
    let allowed = if timed { allowed } else { Duration::MAX };

    let scrub = || {
        let mut stored = delivery.clone();
        privacy::scrub(&mut stored).map(|()| stored.body.len()).ok()
    };
    let (scrubbing, _) = within(allowed, "to take people out", scrub)?;
    let read = || answered(&case.source, &case.headers, &case.body);
    let (reading, outcome) = within(allowed, "to be read", read)?;

    let told = match &outcome {
        Outcome::Emit(events) => events.iter().map(|event| model::json::to_text(event).len()).sum(),
        Outcome::Drop(_) => 0,
        Outcome::Reject(rejection) => rejection.detail.len(),
    };
    let most = BYTES_AT_LEAST.max(length * BYTES_PER_BYTE);
    if told > most {
        return Err(format!("{length} bytes tell {told} bytes; at most {most} may be"));
    }
    Ok((scrubbing.max(reading), told))
}

/// What work comes to and how long it takes, unless it panics or takes longer than is allowed.
fn within<T>(allowed: Duration, what: &str, work: impl Fn() -> T) -> Result<(Duration, T), String> {
    let mut least = Duration::MAX;
    // Others use this machine, too: what is slow is slow again.
    for _ in 0..3 {
        let begun = Clock::start();
        let done = catch_unwind(AssertUnwindSafe(&work));
        least = least.min(begun.elapsed());
        let done = done.map_err(|_| format!("{what}, it panics, or the answer is wrong"))?;
        if least <= allowed {
            return Ok((least, done));
        }
    }
    Err(format!("{what}, it takes {least:?}; at most {allowed:?} may be"))
}

/// A record that broke a limit, kept to be looked at and read again.
fn keep(case: &Case, number: u64) -> String {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{}-{number}.body", case.source));
    std::fs::write(&file, &case.body).unwrap();
    format!("{}, with the headers {:?}", file.display(), case.headers)
}

/// The time that this thread had a processor, where the system tells; else the time that went by.
struct Clock {
    begun: Instant,
    on_processor: Option<Duration>,
}

impl Clock {
    fn start() -> Self {
        Self { begun: Instant::now(), on_processor: on_processor() }
    }

    fn elapsed(&self) -> Duration {
        match (self.on_processor, on_processor()) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => self.begun.elapsed(),
        }
    }
}

/// Source: Linux' documentation of `/proc/<pid>/schedstat`, whose first number is nanoseconds.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Source: Linux' documentation of `/proc/<pid>/status`, field `VmHWM`.
fn peak_memory_kib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}
