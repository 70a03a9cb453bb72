//! What the long run came to: a file that a run which was cut goes on from, and the page that shows it. Both lie in
//! `docs`, so that what ran on several days adds up.

use serde_json::{Value, json};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use streamgauge_sources::SOURCES;

/// What a source came to: nothing broke a limit.
pub struct Line {
    pub source: &'static str,
    /// Damaged records that were read.
    pub records: u64,
    /// What the slowest took.
    pub slowest: Duration,
    /// Bytes of the most that one of them told.
    pub largest: usize,
    /// Processor time in all.
    pub took: Duration,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, records, slowest, largest, took } = self;
        write!(
            f,
            "{source}: {records} records in {} s, slowest {slowest:?}, most told {largest} bytes",
            took.as_secs()
        )
    }
}

/// The sources that the long run is done with.
pub struct Ledger {
    docs: PathBuf,
    commit: String,
    /// Threads write one after the other.
    writing: Mutex<()>,
}

impl Ledger {
    /// The project's, in a long run: `cargo xtask` says so by naming the commit.
    pub fn of_the_long_run() -> Option<Self> {
        let commit = std::env::var("STREAMGAUGE_COMMIT").ok()?;
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        Some(Self { docs, commit, writing: Mutex::new(()) })
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.docs.join("fuzz.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of an earlier run")).collect()
    }

    /// Whether a source is done.
    pub fn has(&self, source: &str) -> bool {
        self.lines().iter().any(|line| line["source"] == source)
    }

    /// Keeps what a source came to, and shows all.
    pub fn keep(&self, line: &Line) {
        let line = json!({
            "source": line.source, "records": line.records, "seconds": line.took.as_secs(),
            "slowest_ms": line.slowest.as_millis() as u64, "largest_bytes": line.largest, "commit": self.commit,
        });
        let _one = self.writing.lock().unwrap();
        let file = self.docs.join("fuzz.ndjson");
        let mut file = File::options().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
        std::fs::write(self.docs.join("fuzz.md"), self.page()).unwrap();
    }

    fn page(&self) -> String {
        let lines = self.lines();
        let mut page = format!(
            "# Fuzzing\n\nWritten by `cargo xtask fuzz`, which takes each source that has no line yet; `--again` begins \
             anew.\n\nReal deliveries of each of the {} sources, damaged: bytes and fields changed, cut, repeated and nested. \
             Of each record people are taken out, and it is read. Nothing may panic; a record may take {} ms of a \
             processor and {} ms for each megabyte, and tell {} times its bytes (256 KiB at least).\n\n\
             | source | records | processor s | slowest ms | most bytes told | at |\n|---|---|---|---|---|---|\n",
            SOURCES.len(),
            super::TIME_AT_LEAST.as_millis(),
            super::TIME_PER_MEGABYTE.as_millis(),
            super::BYTES_PER_BYTE,
        );
        for source in SOURCES {
            let Some(line) = lines.iter().find(|line| line["source"] == source.name) else {
                let _ = writeln!(page, "| `{}` | not run yet | | | | |", source.name);
                continue;
            };
            let number = |key: &str| line[key].as_u64().unwrap_or_default();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} | {} |",
                source.name,
                number("records"),
                number("seconds"),
                number("slowest_ms"),
                number("largest_bytes"),
                line["commit"].as_str().unwrap_or_default()
            );
        }
        page
    }
}
