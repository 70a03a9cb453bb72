//! The real histories of `shared/data`, where they are.

use flate2::read::GzDecoder;
use model::raw::{Origin, RawRecord};
use model::{Text, Timestamp};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// A real history as raw records of the source `git`; `None`, with a printed notice, where it is absent.
pub fn read(name: &str, repo: &str) -> Option<Vec<RawRecord>> {
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/git-history");
    let path = shared.join(format!("{name}.ndjson.gz"));
    let Ok(file) = std::fs::File::open(&path) else {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    };
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let records = lines.enumerate().map(|(index, line)| RawRecord {
        source: Text::new("git"),
        headers: vec![(Text::new("repo"), repo.to_owned())],
        body: line.unwrap().into_bytes(),
        received_at: Timestamp::from_seconds(1_790_000_000).unwrap(),
        origin: Origin { topic: Text::new(name), partition: 0, offset: index as u64 + 1 },
    });
    Some(records.collect())
}
