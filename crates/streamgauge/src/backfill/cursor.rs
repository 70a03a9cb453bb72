//! How far the asking came: the questions that are open, in a file that is replaced whole once their predecessors' records
//! are durable. It holds no token and nobody's name.

use anyhow::Context;
use model::{Span, Timestamp, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sources::history::{Question, Wanted};
use std::path::{Path, PathBuf};

/// The format that this version writes and reads.
const VERSION: u32 = 1;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    version: u32,
    /// From when on this asking asks, and until when: the time at which it began; in RFC 3339.
    since: String,
    until: String,
    /// From when on this asking and those before it have asked.
    covers: String,
    /// Whether every question was answered.
    pub finished: bool,
    /// The questions that are open, the next last.
    pub open: Vec<Question>,
    /// Records that were written, over all attempts of this asking.
    pub records: u64,
    /// What was refused: the next asking begins with it.
    pub refused: Vec<Question>,
}

/// A cursor, and its file.
#[derive(Debug)]
pub struct Kept {
    /// What is in it.
    pub cursor: Cursor,
    path: PathBuf,
    /// Whether an earlier attempt was not finished.
    pub goes_on: bool,
}

impl Kept {
    /// Where the cursor of what is wanted lies: another address, or other names, have another one.
    pub fn path(folder: &Path, vendor: &str, wanted: &Wanted) -> PathBuf {
        let what = format!("{}\n{}", wanted.base, wanted.only.join("\n"));
        let digest = hex::lower(Sha256::digest(what).get(..6).unwrap_or_default());
        folder.join(format!("{vendor}-{digest}.json"))
    }

    /// Goes on where an earlier attempt stopped; after one that was finished only what came since is asked for, and a
    /// little of what was before, unless more is wanted than it asked for.
    ///
    /// # Errors
    /// A file that cannot be read, or that another version wrote.
    pub fn open(
        path: PathBuf,
        wanted: &mut Wanted,
        overlap: Span,
        begin: fn(&Wanted) -> Vec<Question>,
        anew: bool,
    ) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        let before = match std::fs::read(&path) {
            Ok(bytes) if !anew => Some(
                serde_json::from_slice(&bytes)
                    .ok()
                    .filter(|cursor: &Cursor| cursor.version == VERSION)
                    .with_context(|| {
                        format!("{shown}: no cursor of this version; remove it to begin anew")
                    })?,
            ),
            Ok(_) => None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).context(shown),
        };
        let mut covers = wanted.since;
        let mut refused = Vec::new();
        if let Some(cursor) = before {
            let until = Timestamp::parse(&cursor.until)?;
            if !cursor.finished {
                (wanted.since, wanted.until) = (Timestamp::parse(&cursor.since)?, until);
                return Ok(Self { cursor, path, goes_on: true });
            }
            let covered = Timestamp::parse(&cursor.covers)?;
            // A minute: `--since 30d` of today is later than that of yesterday, and clocks are set.
            if wanted.since >= covered.minus(Span::from_minutes(1)) {
                covers = covered;
                wanted.since = wanted.since.max(until.minus(overlap));
                refused = cursor.refused;
            }
        }
        let mut open = begin(wanted);
        open.reverse();
        open.extend(refused);
        let cursor = Cursor {
            version: VERSION,
            since: wanted.since.to_string(),
            until: wanted.until.to_string(),
            covers: covers.to_string(),
            finished: false,
            open,
            records: 0,
            refused: Vec::new(),
        };
        Ok(Self { cursor, path, goes_on: false })
    }

    /// Writes the file; a reader sees the old one or the new one.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self) -> anyhow::Result<()> {
        let write = || {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let draft = self.path.with_extension("new");
            std::fs::write(&draft, serde_json::to_vec(&self.cursor)?)?;
            std::fs::rename(&draft, &self.path)
        };
        write().with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(since: &str, until: &str) -> Wanted {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let (base, only) = ("https://api.example".to_owned(), vec!["acme/checkout".to_owned()]);
        Wanted { base, since: at(since), until: at(until), only }
    }

    fn begin(wanted: &Wanted) -> Vec<Question> {
        let of = |url: &str| Question { url: format!("{url} {}", wanted.since), ..Question::default() };
        vec![of("first"), of("second")]
    }

    #[test]
    fn the_same_again_goes_on_and_once_finished_asks_for_what_came_since() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = wanted("2025-01-01T00:00:00Z", "2025-01-31T00:00:00Z");
        let path = Kept::path(folder.path(), "github", &first);
        let open = |wanted: &mut Wanted, anew| {
            Kept::open(path.clone(), wanted, Span::from_hours(24), begin, anew).unwrap()
        };
        let mut kept = open(&mut first, false);
        assert!(!kept.goes_on);
        assert_eq!(kept.cursor.open.pop().unwrap().url, "first 2025-01-01T00:00:00Z");
        kept.save().unwrap();

        // A day later: what was open is, for the time that was wanted then.
        let mut later = wanted("2025-01-02T00:00:00Z", "2025-02-01T00:00:00Z");
        let mut kept = open(&mut later, false);
        assert!(kept.goes_on && later == first);
        assert_eq!(kept.cursor.open.pop().unwrap().url, "second 2025-01-01T00:00:00Z");
        kept.cursor.finished = true;
        kept.save().unwrap();

        // Twice: what an asking for a day has asked is not all that was.
        for (until, expect) in [("2025-02-01", "2025-01-30"), ("2025-02-02", "2025-01-31")] {
            let mut later = wanted("2025-01-02T00:00:00Z", &format!("{until}T00:00:00Z"));
            let mut kept = open(&mut later, false);
            assert!(!kept.goes_on);
            assert_eq!(later.since.to_string(), format!("{expect}T00:00:00Z"));
            // What was refused is asked first.
            assert_eq!(kept.cursor.open.len(), if until == "2025-02-01" { 2 } else { 3 });
            kept.cursor.finished = true;
            kept.cursor.refused = kept.cursor.open.pop().into_iter().collect();
            kept.save().unwrap();
        }
        // More than was asked for, or all of it anew.
        for (since, anew) in [("2024-12-01T00:00:00Z", false), ("2025-01-02T00:00:00Z", true)] {
            let mut more = wanted(since, "2025-02-01T00:00:00Z");
            open(&mut more, anew);
            assert_eq!(more.since.to_string(), since);
        }
    }
}
