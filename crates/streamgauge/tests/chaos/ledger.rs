//! What the runs came to: a file that a run which was cut goes on from, and the page that shows it. Both lie in `docs`, so
//! that what was played on several days adds up.

use crate::faults::FAULTS;
use crate::guarantees::project;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// Runs of each fault.
pub const RUNS: usize = 5;

/// What a run came to.
pub struct Line {
    pub fault: &'static str,
    pub seed: u64,
    /// How often the fault struck.
    pub struck: u64,
    pub lost: u64,
    pub double: u64,
    pub wrong: Vec<String>,
    pub notes: Vec<String>,
    pub seconds: u64,
}

/// The runs at full size.
pub struct Ledger {
    file: PathBuf,
}

impl Ledger {
    /// The project's.
    pub fn open() -> Self {
        Self { file: project().join("docs/chaos.ndjson") }
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of an earlier run")).collect()
    }

    /// How many runs a fault has.
    pub fn runs(&self, fault: &str) -> usize {
        self.lines().iter().filter(|line| line["fault"] == fault).count()
    }

    /// Forgets the runs of a fault.
    pub fn forget(&self, fault: &str) {
        let kept = self.lines().into_iter().filter(|line| line["fault"] != fault);
        let text: String = kept.map(|line| format!("{line}\n")).collect();
        std::fs::write(&self.file, text).unwrap();
    }

    /// Keeps a run.
    pub fn keep(&self, line: &Line) {
        let Line { fault, seed, struck, lost, double, wrong, notes, seconds } = line;
        let line = json!({
            "fault": fault, "seed": seed, "struck": struck, "lost": lost, "double": double, "wrong": wrong,
            "notes": notes, "seconds": seconds,
            "commit": std::env::var("STREAMGAUGE_COMMIT").unwrap_or_default(),
        });
        let mut file = File::options().create(true).append(true).open(&self.file).unwrap();
        writeln!(file, "{line}").unwrap();
    }

    /// Writes the page with every fault.
    pub fn show(&self) {
        std::fs::write(project().join("docs/chaos.md"), self.page()).unwrap();
    }

    fn page(&self) -> String {
        let lines = self.lines();
        let mut page = format!(
            "# Chaos\n\nWritten by `cargo xtask chaos --full`, which runs a fault until it has {RUNS} runs; `--again` runs \
             anew.\n\nReal faults on the real broker: Apache Kafka {} on three nodes (replication 3, `min.insync.replicas` \
             2), two or three processes of `streamgauge run`, the ClickHouse engine behind its HTTP interface, and a \
             generated organisation as load while the faults strike. Then nothing goes wrong any more, and once all rests \
             there must be: the tables of an undisturbed embedded run (every column of {} views), the rows that the \
             independent oracle computes from the raw records, each event once in each of its homes under \
             `read_committed`, rising versions of every row, and checkpoints without a hole. *Lost* and *double* count \
             what is not so.\n\n| fault | what happens | runs | struck | lost | double | result | at |\n\
             |---|---|---|---|---|---|---|---|\n",
            test_broker::VERSION,
            crate::views::VIEWS.len(),
        );
        for fault in FAULTS {
            let runs: Vec<&Value> = lines.iter().filter(|line| line["fault"] == fault.name).collect();
            let sum = |key: &str| runs.iter().filter_map(|run| run[key].as_u64()).sum::<u64>();
            let failed =
                runs.iter().filter(|run| run["wrong"].as_array().is_some_and(|w| !w.is_empty())).count();
            let result = match (runs.len(), failed) {
                (0, _) => "not run yet".to_owned(),
                (_, 0) => "holds".to_owned(),
                (_, failed) => format!("**{failed} failed**"),
            };
            let mut commits: Vec<&str> = runs.iter().filter_map(|run| run["commit"].as_str()).collect();
            commits.sort_unstable();
            commits.dedup();
            let _ = writeln!(
                page,
                "| `{}` | {} | {} | {} | {} | {} | {result} | {} |",
                fault.name,
                fault.what,
                runs.len(),
                sum("struck"),
                sum("lost"),
                sum("double"),
                commits.join(", ")
            );
        }
        page.push_str(
            "\nNot played: a full disk under a local checkpoint (a test of its own mounts a small one), and, because \
             there is nothing to break yet, more partitions of the topics between the stages (there is no procedure for \
             it: a stage refuses to start).\n",
        );
        page
    }
}
