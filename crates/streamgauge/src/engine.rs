//! The embedded run: records go through the topology over the durable log, in transactions, and on into
//! ClickHouse. A crash at any moment, and the same command again, ends in the same tables.

use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::disk;
use crate::explain;
use crate::folder::DataFolder;
use crate::import::{BATCH_RECORDS, Summary, now};
use crate::loader::Loading;
use crate::log::{EventLog, Generation, LAYOUT, RecordHash, Transaction, record_hash};
use crate::normalize::source_settings;
use crate::ownership::Ownership;
use anyhow::Context;
use model::Definitions;
use model::raw::{DeadLetter, RawRecord};
use sources::SourceSettings;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use topology::{TaskId, Topology};

/// The tasks, shared with the explanations that other commands ask for.
pub type SharedTopology = Arc<Mutex<Topology>>;

/// The embedded pipeline; owns its data folder. Fields are dropped in order: the loader before its ClickHouse, and
/// the folder's lock last.
#[derive(Debug)]
pub struct Pipeline {
    topology: SharedTopology,
    definitions: Definitions,
    ownership: Ownership,
    loading: Loading,
    clickhouse: ClickHouse,
    log: EventLog,
    /// Whether something came in since every table was brought up to date.
    unsettled: bool,
    /// A transaction could not be written: the tasks may be ahead of the log, and nothing of theirs may reach it.
    failed: bool,
    _folder: DataFolder,
}

impl Pipeline {
    /// Opens a data folder and brings back what was there; what a crash or a changed definition left to do is done.
    ///
    /// # Errors
    /// Exit code 2 when the folder cannot be owned or the catalog has mistakes; a damaged log; no engine.
    pub fn open(settings: &Settings, listen: SocketAddr) -> anyhow::Result<Self> {
        let folder = DataFolder::own(&settings.data)?;
        Self::in_folder(folder, settings, listen)
    }

    /// As [`Pipeline::open`], in a folder that is owned already.
    ///
    /// # Errors
    /// As [`Pipeline::open`].
    pub fn in_folder(folder: DataFolder, settings: &Settings, listen: SocketAddr) -> anyhow::Result<Self> {
        let path = folder.path().to_owned();
        Self::started(folder, settings, listen).map_err(|error| disk::named(&path, error))
    }

    fn started(folder: DataFolder, settings: &Settings, listen: SocketAddr) -> anyhow::Result<Self> {
        let log = EventLog::open(folder.path())?;
        let (definitions, partitions) = definitions(&log, settings)?;
        let stored = Ownership::stored(&log)?;
        let wanted = stored.with_file(settings.catalog.as_deref())?;
        begin_generation_if_needed(&log, &folder, &definitions, partitions)?;
        let topology = restore(
            &log,
            &stored,
            &source_settings(&definitions, &settings.mappings),
            &definitions,
            partitions,
        )?;
        let topology = Arc::new(Mutex::new(topology));
        let clickhouse = ClickHouse::embedded(folder.path(), listen, explain::routes(topology.clone()))?;
        folder.announce(clickhouse.url())?;
        let loading = Loading::start(log.clone(), clickhouse.client(), clickhouse.handle())?;
        let ownership = stored;
        let (unsettled, failed, _folder) = (false, false, folder);
        let mut pipeline =
            Self { topology, definitions, ownership, loading, clickhouse, log, unsettled, failed, _folder };
        pipeline.apply(wanted)?;
        pipeline.catch_up()?;
        pipeline.loading.wait()?;
        Ok(pipeline)
    }

    /// The ClickHouse that it loads.
    pub fn clickhouse(&self) -> &ClickHouse {
        &self.clickhouse
    }
    /// Whether a transaction could not be written or loaded.
    pub fn has_failed(&self) -> bool {
        self.failed
    }
    /// The tasks.
    pub fn topology(&self) -> &SharedTopology {
        &self.topology
    }
    /// Whose is what.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Processes records in one transaction. A record that is in the log already is passed over.
    ///
    /// # Errors
    /// When the log cannot be written or ClickHouse is gone; never because of a record.
    pub fn ingest(
        &mut self,
        records: Vec<(RecordHash, RawRecord)>,
        letters: Vec<DeadLetter>,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        letters.iter().for_each(|letter| summary.letter(letter));
        let mut transaction = Transaction { letters, ..Transaction::default() };
        let mut seen = BTreeSet::new();
        let answers = self.log.has_letters()?;
        {
            let mut topology = lock(&self.topology);
            for (hash, record) in records {
                if !seen.insert(hash) || self.log.knows(&hash)? {
                    summary.duplicate();
                    continue;
                }
                let processed = topology.process(&record);
                match (processed.dropped, processed.rejected) {
                    (_, Some(rejection)) => {
                        // Not logged: once its source or the record is mended, it may come again.
                        summary.rejected(rejection.reason.as_str(), &rejection.detail, &record.origin);
                        continue;
                    }
                    (Some(reason), None) => summary.dropped(reason.as_str()),
                    (None, None) => summary.emitted(processed.emitted as u64),
                }
                if answers {
                    transaction.taken.push(record_hash(&record, false));
                }
                transaction.records.push((hash, record));
            }
            topology.settle(false);
        }
        if transaction.records.is_empty() && transaction.letters.is_empty() && summary.rejections() == 0 {
            return Ok(());
        }
        transaction.position = self.log.next_sequence()? + transaction.records.len() as u64;
        self.commit(transaction, summary)?;
        Ok(())
    }

    /// Takes a dead letter away: its record was taken.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn forget_letter(&self, key: &RecordHash) -> anyhow::Result<()> {
        self.log.forget_letter(key)
    }

    /// Brings every table up to date and waits until it is loaded.
    ///
    /// # Errors
    /// When the log cannot be written or ClickHouse is gone.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        if self.unsettled {
            {
                let mut topology = lock(&self.topology);
                topology.settle(true);
                topology.punctuate(now());
            }
            let position = self.log.position()?;
            self.commit(Transaction { position, ..Transaction::default() }, &mut Summary::default())?;
            self.loading.wait()?;
            self.log.set_meta("settled", &true)?;
            self.unsettled = false;
        }
        self.loading.wait()
    }

    /// Makes another catalog the one that counts; facts and windows follow.
    ///
    /// # Errors
    /// Exit code 2 for a catalog with mistakes; as [`Pipeline::settle`].
    pub fn apply(&mut self, ownership: Ownership) -> anyhow::Result<()> {
        if ownership == self.ownership {
            return Ok(());
        }
        let catalog = ownership.catalog(&self.definitions)?;
        {
            let mut topology = lock(&self.topology);
            topology.set_catalog(Arc::new(catalog));
            topology.settle(false);
        }
        let position = self.log.position()?;
        let stored = Some(ownership.clone());
        self.commit(
            Transaction { position, ownership: stored, ..Transaction::default() },
            &mut Summary::default(),
        )?;
        self.ownership = ownership;
        self.settle()
    }

    /// A repository whose history is imported: unless the catalog claims it, it becomes a service for which
    /// rollback, revert and hotfix evidence is enough.
    ///
    /// # Errors
    /// As [`Pipeline::apply`].
    pub fn add_history(&mut self, repo: &model::RepoName) -> anyhow::Result<()> {
        let claimed = lock(&self.topology).catalog().repositories().contains(repo);
        if claimed { Ok(()) } else { self.apply(self.ownership.with_history(repo)) }
    }

    /// Whether a service of the repository owns only some of its paths.
    pub fn has_paths(&self, repo: &model::RepoName) -> bool {
        let topology = lock(&self.topology);
        let catalog = topology.catalog();
        catalog.all_services_of_repo(repo).iter().any(|service| catalog.service(service).has_paths(repo))
    }

    /// Processes what is in the raw log and not in the state: after a crash, or for a new generation.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        let (mut position, end) = (self.log.position()?, self.log.next_sequence()?);
        if position < end {
            tracing::info!(records = end - position, "processing the raw log");
        }
        let mut summary = Summary::default();
        let mut records = self.log.raw_from(position).peekable();
        let answers = self.log.has_letters()?;
        while records.peek().is_some() {
            let mut taken = Vec::new();
            {
                let mut topology = lock(&self.topology);
                for record in records.by_ref().take(BATCH_RECORDS) {
                    let record = record?;
                    let rejected = topology.process(&record).rejected.is_some();
                    if answers && !rejected {
                        taken.push(record_hash(&record, false));
                    }
                    position += 1;
                }
                topology.settle(false);
            }
            self.commit(Transaction { position, taken, ..Transaction::default() }, &mut summary)?;
        }
        // A crash between the last transaction and its settling leaves ranges that are owed.
        self.unsettled |= !self.log.is_settled()?;
        self.settle()
    }

    /// Ends the transaction: what the topology did, and what came in, become durable together.
    fn commit(&mut self, mut transaction: Transaction, summary: &mut Summary) -> anyhow::Result<u64> {
        let batch = lock(&self.topology).commit();
        for event in &batch.events {
            summary.saw(event.occurred_at, event.occurred_at);
        }
        transaction.letters.extend(batch.dead_letters);
        transaction.rows = batch.rows.into_iter().map(|(task, change)| (task.partition(), change)).collect();
        transaction.events = batch.events;
        transaction.state =
            batch.changelog.into_iter().map(|(task, entry)| (task.to_bytes().to_vec(), entry)).collect();
        transaction.definition = self.definitions.hash();
        transaction.computed_at = now();
        anyhow::ensure!(!self.failed, "an earlier transaction could not be written");
        let written = self.log.commit(transaction).and_then(|rev| self.loading.wake().map(|()| rev));
        self.failed = written.is_err();
        self.unsettled = true;
        written
    }
}

/// The tasks; a panic in another thread leaves them as they were committed.
pub fn lock(topology: &SharedTopology) -> MutexGuard<'_, Topology> {
    topology.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The definitions and partitions of the configuration, where one was given; else those of the folder, so that
/// `report` after `import --config …` shows the same numbers.
fn definitions(log: &EventLog, settings: &Settings) -> anyhow::Result<(Definitions, u32)> {
    let stored: Option<Definitions> = log.meta("definitions")?;
    let generation: Option<Generation> = log.meta("generation")?;
    match (stored, generation) {
        (Some(stored), Some(generation)) if !settings.stated && generation.partitions > 0 => {
            Ok((stored, generation.partitions))
        }
        (Some(stored), _) if !settings.stated => Ok((stored, settings.partitions)),
        _ => Ok((settings.definitions.clone(), settings.partitions)),
    }
}

fn begin_generation_if_needed(
    log: &EventLog,
    folder: &DataFolder,
    definitions: &Definitions,
    partitions: u32,
) -> anyhow::Result<()> {
    let wanted = Generation { layout: LAYOUT, definition: definitions.hash(), partitions };
    let there: Option<Generation> = log.meta("generation")?;
    let tables = folder.path().join("clickhouse");
    // Tables that somebody removed are made again, too.
    let lost = log.position()? > 0 && !tables.exists();
    if there.as_ref() == Some(&wanted) && !lost {
        return Ok(());
    }
    if there.is_some() && log.next_sequence()? > 0 {
        tracing::warn!("the definitions changed: every number is computed anew from the raw log");
    }
    log.begin_generation(&Generation::default())?;
    if tables.exists() {
        std::fs::remove_dir_all(&tables)
            .with_context(|| format!("{} cannot be removed", tables.display()))?;
    }
    log.set_meta("definitions", definitions)?;
    log.begin_generation(&wanted)
}

fn restore(
    log: &EventLog,
    ownership: &Ownership,
    sources: &SourceSettings,
    definitions: &Definitions,
    partitions: u32,
) -> anyhow::Result<Topology> {
    let catalog = Arc::new(ownership.catalog(definitions)?);
    let mut topology = Topology::new(definitions.clone(), catalog, partitions);
    topology.set_source_settings(sources.clone());
    for entry in log.state() {
        let (task, entry) = entry?;
        let task =
            TaskId::from_bytes(&task).context("the state names a task that this version does not have")?;
        topology.restore(task, &entry)?;
    }
    topology.restored();
    Ok(topology)
}
