//! Figures of the acceptance, one JSON line for each case, as `cargo xtask measure` keeps them: a case that has a line
//! is not run again. A plain run of the tests keeps nothing and runs every case small.

use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Whether the sizes of the acceptance are asked for.
pub fn full() -> bool {
    std::env::var_os("STREAMGAUGE_FULL").is_some()
}

/// One of two: at full size, or small.
pub fn sized<T>(full_size: T, small: T) -> T {
    if full() { full_size } else { small }
}

/// What a case came to.
pub struct Measured {
    /// What was run, with its sizes.
    pub ran: String,
    /// Name, number and unit of each figure; the last of the words may be empty.
    pub figures: Vec<(&'static str, Value, &'static str)>,
    /// What is asked for, in words; empty where nothing is.
    pub limit: &'static str,
    /// Whether it holds.
    pub within: bool,
}

/// The cases of one name.
pub struct Measure {
    name: &'static str,
    file: Option<PathBuf>,
}

impl Measure {
    pub fn new(name: &'static str) -> Self {
        Self { name, file: std::env::var_os("STREAMGAUGE_MEASURE").map(PathBuf::from) }
    }

    /// Whether a case has no line yet.
    pub fn is_due(&self, case: &str) -> bool {
        let kept = self.file.as_ref().map(|file| std::fs::read_to_string(file).unwrap_or_default());
        let is_kept = |line: &str| {
            let line: Value = serde_json::from_str(line).expect("a line of an earlier run");
            line["measure"] == self.name && line["case"] == case
        };
        !kept.unwrap_or_default().lines().any(is_kept)
    }

    /// Runs a case unless it has a line, and keeps what it came to. A case that panics keeps nothing.
    pub fn case(&self, case: &str, run: impl FnOnce() -> Measured) {
        if !self.is_due(case) {
            return;
        }
        let Measured { ran, figures, limit, within } = run();
        let said: Vec<String> =
            figures.iter().map(|(name, value, unit)| format!("{name} {value} {unit}")).collect();
        eprintln!("{}, {case}: {ran}: {} (limit: {limit})", self.name, said.join(", "));
        let Some(file) = &self.file else { return };
        let line = json!({
            "measure": self.name,
            "case": case,
            "ran": ran,
            "figures": figures,
            "limit": limit,
            "within": within,
            "commit": std::env::var("STREAMGAUGE_COMMIT").unwrap_or_default(),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
        });
        let mut file = File::options().create(true).append(true).open(file).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The value below or at which a share of them lies (nearest rank); they are sorted.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// With so many digits after the point: more would only look exact.
pub fn rounded(number: f64, digits: i32) -> Value {
    if digits == 0 {
        return json!(number.round() as i64);
    }
    let scale = 10_f64.powi(digits);
    json!((number * scale).round() / scale)
}
