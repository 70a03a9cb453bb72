//! Raw events of a made-up organisation, and the tables that the embedded run makes of them.

use crate::views::VIEWS;
pub use crate::views::digest_query;
use generate::{Options, catalog_toml};
use model::raw::RawRecord;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An organisation with its folder.
pub struct Organisation {
    pub folder: tempfile::TempDir,
    pub records: Vec<RawRecord>,
    pub expected: String,
}

impl Organisation {
    /// Generates its records, and imports them embedded.
    pub fn new(services: u32, days: u32) -> Self {
        let options = Options { services, days, ..Options::default() };
        let folder = tempfile::tempdir().unwrap();
        import(folder.path(), &options);
        Self { expected: digests(folder.path()), folder, records: generate::generate(&options).collect() }
    }

    /// One whose records were told elsewhere; imports them embedded.
    pub fn of(catalog: &str, records: Vec<RawRecord>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
        let events: String = records.iter().map(line).collect();
        std::fs::write(folder.path().join("events.ndjson"), events).unwrap();
        import_events(folder.path());
        Self { expected: digests(folder.path()), folder, records }
    }

    /// The tables that the embedded run makes of the same records under a configuration of its own.
    pub fn embedded_with(&self, config: &str, data: &str) -> String {
        let file = format!("{data}.toml");
        std::fs::write(self.folder.path().join(&file), config).unwrap();
        let embedded = |arguments: &[&str]| {
            let common = ["--config", &file, "--catalog", "catalog.toml", "--data", data];
            let told = program(self.folder.path()).args(common).args(arguments).output().unwrap();
            assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
            String::from_utf8(told.stdout).unwrap()
        };
        embedded(&["import", "events", "events.ndjson"]);
        embedded(&["sql", &digest_query(), "--format", "TSV"])
    }

    /// How many tables are compared.
    pub fn tables(&self) -> usize {
        VIEWS.len()
    }

    /// How many rows they have.
    pub fn expected_rows(&self) -> u64 {
        let rows = |line: &str| line.split('\t').nth(2).unwrap().parse::<u64>().unwrap();
        self.expected.lines().map(rows).sum()
    }

    pub fn catalog(&self) -> PathBuf {
        self.folder.path().join("catalog.toml")
    }

    /// What differs between the tables that are expected and those of a database.
    pub fn difference(&self, found: &str) -> String {
        let expected: Vec<&str> = self.expected.lines().collect();
        let lines: Vec<String> = found
            .lines()
            .zip(&expected)
            .filter(|(found, expected)| found != *expected)
            .map(|(found, expected)| format!("embedded {expected} but Kafka {found}"))
            .collect();
        format!("{} of {} tables differ:\n{}", lines.len(), expected.len(), lines.join("\n"))
    }

    /// One view's rows, as the embedded run made them.
    pub fn rows(&self, view: &str) -> Vec<String> {
        let query = rows_query(view);
        let told = program(self.folder.path())
            .args(["--data", "embedded", "sql", &query, "--format", "TSV"])
            .output();
        String::from_utf8(told.unwrap().stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The views whose digests differ.
    pub fn differing(&self, found: &str) -> Vec<&'static str> {
        let pairs = found.lines().zip(self.expected.lines()).zip(VIEWS);
        pairs.filter(|((found, expected), _)| found != expected).map(|(_, view)| view).collect()
    }
}

/// Generates an organisation, and imports it into the data folder `embedded` of a folder.
pub fn import(folder: &Path, options: &Options) {
    std::fs::write(folder.join("catalog.toml"), catalog_toml(options)).unwrap();
    let events = folder.join("events.ndjson");
    let [services, teams, days] =
        [options.services, options.teams, options.days].map(|number| number.to_string());
    let generated = program(folder)
        .args(["generate", "--services", &services, "--teams", &teams, "--days", &days])
        .stdout(std::fs::File::create(&events).unwrap())
        .status()
        .unwrap();
    assert!(generated.success());
    import_events(folder);
}

/// Imports what lies in a folder into its data folder `embedded`.
fn import_events(folder: &Path) {
    let imported = program(folder)
        .args(["--catalog", "catalog.toml", "--data", "embedded", "import", "events", "events.ndjson"])
        .output()
        .unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
}

/// The digests of the tables of the data folder `embedded` of a folder.
fn digests(folder: &Path) -> String {
    let told = program(folder)
        .args(["--data", "embedded", "sql", &digest_query(), "--format", "TSV"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

/// A record as a line of an import: its body as it was delivered.
fn line(record: &RawRecord) -> String {
    let headers: BTreeMap<&str, &str> =
        record.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = std::str::from_utf8(&record.body).unwrap();
    let (source, received_at) = (&record.source, record.received_at);
    let line = json!({"source": source, "headers": headers, "body": body, "received_at": received_at});
    format!("{line}\n")
}

pub fn rows_query(view: &str) -> String {
    format!("SELECT * EXCEPT (rev, computed_at) FROM {view} ORDER BY ALL LIMIT 200000")
}

/// The program, in a folder, with nothing of the caller's environment that could change it.
pub fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    command.current_dir(folder).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// The same records in another order, each `copies` times; the same for the same seed.
pub fn shuffled(records: &[RawRecord], copies: usize, seed: u64) -> Vec<RawRecord> {
    let mut order: Vec<usize> = (0..records.len() * copies).map(|at| at % records.len()).collect();
    let mut random = Random(seed);
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at + 1));
    }
    order.into_iter().map(|at| records[at].clone()).collect()
}

/// A small generator of numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }
}
