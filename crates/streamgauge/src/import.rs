//! History in: records are read one by one, go into the pipeline in batches, and are accounted for at the end.

pub mod events;
pub mod flags;
pub mod git;
pub mod lines;
pub mod remote;
mod summary;

pub use summary::Summary;

use crate::cli;
use crate::clickhouse::ANY_PORT;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, WRONG, wrong};
use crate::log::{RecordHash, record_hash};
use crate::output::Format;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model::raw::{DeadLetter, RawRecord};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// What a dead letter has for a source when a line was no record.
pub const WRAPPED: &str = "import";
/// Records of one transaction.
pub const BATCH_RECORDS: usize = 5_000;
/// Bytes of bodies of one transaction: with records at their largest, memory stays bounded too.
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;

/// Where an import puts what it reads.
pub trait Sink {
    /// Takes one record. When its time of receipt was stated it is a part of what the record says; else the
    /// same input read again is the same record.
    ///
    /// # Errors
    /// When the pipeline cannot go on (a full disk, the engine gone); never because of the record.
    fn record(&mut self, record: RawRecord, receipt_stated: bool) -> anyhow::Result<()>;
    /// Takes one piece of input that is no record.
    ///
    /// # Errors
    /// As [`Sink::record`].
    fn reject(&mut self, letter: DeadLetter) -> anyhow::Result<()>;
}

/// Fills transactions of a pipeline.
#[derive(Debug)]
pub struct Batcher<'a> {
    pipeline: &'a mut Pipeline,
    summary: Summary,
    records: Vec<(RecordHash, RawRecord)>,
    letters: Vec<DeadLetter>,
    bytes: usize,
    progress: ProgressBar,
}

impl<'a> Batcher<'a> {
    /// Begins an import that shows its progress on a bar.
    pub fn new(pipeline: &'a mut Pipeline, progress: ProgressBar) -> Self {
        let summary = Summary::default();
        Self { pipeline, summary, records: Vec::new(), letters: Vec::new(), bytes: 0, progress }
    }

    /// Processes what is left, brings every table up to date, and tells what came in.
    ///
    /// # Errors
    /// As [`Sink::record`].
    pub fn finish(mut self) -> anyhow::Result<Summary> {
        self.flush()?;
        self.progress.set_message("bringing the tables up to date");
        self.pipeline.settle()?;
        self.progress.finish_and_clear();
        Ok(self.summary)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let records = std::mem::take(&mut self.records);
        let letters = std::mem::take(&mut self.letters);
        self.bytes = 0;
        self.progress.inc(records.len() as u64);
        self.pipeline.ingest(records, letters, &mut self.summary)
    }

    fn flush_if_full(&mut self) -> anyhow::Result<()> {
        let full = self.records.len() + self.letters.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES;
        if full { self.flush() } else { Ok(()) }
    }
}

impl Sink for Batcher<'_> {
    fn record(&mut self, record: RawRecord, receipt_stated: bool) -> anyhow::Result<()> {
        self.bytes += record.body.len();
        self.records.push((record_hash(&record, receipt_stated), record));
        self.flush_if_full()
    }
    fn reject(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        self.bytes += letter.body.len();
        self.letters.push(letter);
        self.flush_if_full()
    }
}

/// A progress bar on a terminal, nothing elsewhere.
pub fn progress(quiet: bool, label: &str, total: Option<u64>) -> ProgressBar {
    let visible = !quiet && std::io::stderr().is_terminal();
    let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(total, target);
    let template = match total {
        Some(_) => "{prefix} [{bar:30}] {human_pos}/{human_len} records, {per_sec} {msg}",
        None => "{prefix} {spinner} {human_pos} records, {per_sec} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(label.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// The machine's clock: shell only, the core never reads it.
pub fn now() -> model::Timestamp {
    model::Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

/// `import`: reads every path into the data folder and tells what came in. Exit code 2 when a whole file was
/// rejected line by line: then it was not what it was taken for.
///
/// # Errors
/// Exit code 2 for input that cannot be opened; what the pipeline says.
pub fn run(
    command: &cli::Import,
    settings: &Settings,
    quiet: bool,
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let mut summaries = Vec::new();
    match command {
        cli::Import::Git(command) => {
            let options = git::Options {
                tags: command.tags.clone(),
                repo: command.repo.clone(),
                flags: command.flags.clone(),
            };
            // Every clone is opened before the first is read: a wrong path costs nothing.
            let open = |path: &PathBuf| git::History::open(path, &options);
            let histories = command.paths.iter().map(open).collect::<anyhow::Result<Vec<_>>>()?;
            let mut pipeline = Pipeline::open(settings, ANY_PORT)?;
            for history in histories {
                let name = history.name().to_string();
                pipeline.add_history(history.name())?;
                let with_paths = command.with_paths || pipeline.has_paths(history.name());
                let mut batcher = Batcher::new(&mut pipeline, progress(quiet, &name, Some(history.len())));
                history.read(with_paths, &mut batcher)?;
                summaries.push((name.clone(), batcher.finish()?));
                if history.tags() == 0 {
                    let remedy =
                        "tag releases (git tag v1.0.0), or import deployment events with `import events`";
                    writeln!(
                        std::io::stderr(),
                        "{name}: no tags, so no deployments are known of it ({remedy})"
                    )?;
                }
            }
        }
        cli::Import::Events { files } => {
            // A wrong path costs nothing: not even a data folder.
            let missing = |file: &&PathBuf| file.as_os_str() != "-" && !file.exists();
            if let Some(file) = files.iter().find(missing) {
                return Err(wrong(format!("{}: there is no such file", file.display())));
            }
            let mut pipeline = Pipeline::open(settings, ANY_PORT)?;
            for file in files {
                let name = file.display().to_string();
                let mut batcher = Batcher::new(&mut pipeline, progress(quiet, &name, None));
                let read = match events::import(file, &mut batcher) {
                    // Not all that was read is kept: the error alone is told.
                    Err(error) if batcher.pipeline.has_failed() => return Err(error),
                    read => read,
                };
                // What could be read of a file that breaks off counts, and is told before the error.
                summaries.push((name, batcher.finish()?));
                if read.is_err() {
                    write_summaries(&summaries, format, out)?;
                    out.flush()?;
                    read?;
                }
            }
        }
    }
    write_summaries(&summaries, format, out)?;
    let all_rejected =
        |(_, summary): &(String, Summary)| summary.records > 0 && summary.rejections() == summary.records;
    Ok(if summaries.iter().any(all_rejected) { WRONG } else { DONE })
}

fn write_summaries(
    summaries: &[(String, Summary)],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if format == Format::Json {
        let told = summaries.iter().map(|(name, summary)| {
            let mut json = summary.to_json();
            if let Some(fields) = json.as_object_mut() {
                fields.insert("from_input".to_owned(), name.as_str().into());
            }
            json
        });
        writeln!(out, "{:#}", serde_json::Value::Array(told.collect()))?;
        return Ok(());
    }
    for (name, summary) in summaries {
        writeln!(out, "{name}: {}", summary.text())?;
    }
    Ok(())
}
