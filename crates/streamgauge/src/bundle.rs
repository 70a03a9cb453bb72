//! Two real histories and their catalog, kept in the program so that `demo` needs no network.

use crate::import::{Sink, now};
use anyhow::Context;
use model::Text;
use model::raw::{Origin, RawRecord};
use std::io::BufRead;

/// A bundled history.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// The repository's name.
    pub repo: &'static str,
    /// How many records it holds.
    pub records: u64,
    bytes: &'static [u8],
}

/// Every bundled history. Their origin is told in `histories/ORIGIN.md`.
pub const HISTORIES: &[History] = &[
    History {
        repo: "github.com/argoproj/argo-cd",
        records: 15_954,
        bytes: include_bytes!("../histories/argo-cd.ndjson.zst"),
    },
    History {
        repo: "github.com/vectordotdev/vector",
        records: 15_161,
        bytes: include_bytes!("../histories/vector.ndjson.zst"),
    },
];

/// Who owns the two services of the demo.
pub const CATALOG: &str = include_str!("../histories/catalog.toml");

impl History {
    /// Hands every record of the history.
    ///
    /// # Errors
    /// What the sink says.
    pub fn read(&self, sink: &mut impl Sink) -> anyhow::Result<()> {
        let reader = std::io::BufReader::new(zstd::Decoder::new(self.bytes).context("bundled history")?);
        let at = now();
        let headers = vec![(Text::new("repo"), self.repo.to_owned())];
        for (line, offset) in reader.split(b'\n').zip(1..) {
            let origin = Origin { topic: Text::new(format!("git:{}", self.repo)), partition: 0, offset };
            let body = line.context("bundled history")?;
            let headers = headers.clone();
            sink.record(
                RawRecord { source: Text::new("git"), headers, body, received_at: at, origin },
                false,
            )?;
        }
        Ok(())
    }
}
