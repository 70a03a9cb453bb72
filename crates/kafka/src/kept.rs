//! The local checkpoint of a task that runs: where it is, and what each transaction adds.

use crate::checkpoint::CATALOG_KEY;
use crate::local::{Delta, LocalCheckpoints, Mark};
use crate::stats::StageStats;
use model::Timestamp;
use model::table::{Change, ChangelogEntry};

/// Where a task's local copy is once everything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is written no further.
    No,
    /// The task is new, and its first transaction begins the copy.
    FromNow,
    /// Every record of the changelog before this offset is in it.
    UpTo(i64),
}

/// What a transaction did to its changelog.
pub struct Committed {
    /// The changed entries.
    pub changes: Vec<Change>,
    /// The catalog, where a newer one counts.
    pub catalog: Option<Vec<u8>>,
    /// Where its checkpoint lies.
    pub checkpoint_at: Option<i64>,
    /// When it was over.
    pub at: Timestamp,
}

impl Kept {
    /// Has what was committed written to the copy.
    pub fn go_on(
        self,
        local: Option<&dyn LocalCheckpoints>,
        copy: &str,
        committed: Committed,
        stats: &StageStats,
        task: &str,
    ) -> Self {
        let from = match self {
            Self::No => return Self::No,
            Self::FromNow => None,
            Self::UpTo(offset) => Some(offset),
        };
        let (Some(local), Some(offset)) = (local, committed.checkpoint_at) else { return Self::No };
        let entry = |Change { key, value, .. }| ChangelogEntry { key, value };
        let catalog =
            committed.catalog.map(|record| ChangelogEntry { key: CATALOG_KEY.to_vec(), value: Some(record) });
        let changes = committed.changes.into_iter().map(entry).chain(catalog).collect();
        let delta = Delta { from, changes, mark: Mark { offset, at: committed.at } };
        match local.write(copy, delta) {
            Ok(()) => Self::UpTo(offset),
            Err(given_up) => {
                stats.given_up(task, &given_up);
                Self::No
            }
        }
    }
}
