//! `run`: the embedded pipeline, durable, until Ctrl-C or SIGTERM. Records come as NDJSON on stdin or in a file.

use crate::cli;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::engine::Pipeline;
use crate::failure::{DONE, wrong};
use crate::import::{BATCH_BYTES, BATCH_RECORDS, Sink, Summary, events};
use crate::log::{RecordHash, record_hash};
use crate::mirror;
use crate::serve::FolderLog;
use crate::telemetry::pulls::Pulls;
use anyhow::{Context, anyhow};
use gateway::Acknowledge;
use model::raw::{DeadLetter, RawRecord};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// How long a record may wait for its transaction.
const COMMIT_EVERY: Duration = Duration::from_millis(500);
/// How long the input may be quiet before late corrections are written, too.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// How often late corrections are written while the input is busy.
const CORRECT_EVERY: Duration = Duration::from_secs(5);
/// How often the end of the process is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What comes in.
pub enum Input {
    /// A record, and who waits for it.
    Record(Box<RawRecord>, RecordHash, Option<Acknowledge>),
    /// What is no record.
    Letter(Box<DeadLetter>),
}

/// Hands what the reading thread finds to the pipeline; the queue's length is its limit.
struct Queue(SyncSender<Input>);

impl Queue {
    fn put(&self, input: Input) -> anyhow::Result<()> {
        self.0.send(input).map_err(|_| anyhow!("the pipeline has stopped"))
    }
}

impl Sink for Queue {
    fn record(&mut self, record: RawRecord, receipt_stated: bool) -> anyhow::Result<()> {
        let hash = record_hash(&record, receipt_stated);
        self.put(Input::Record(Box::new(record), hash, None))
    }
    fn reject(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        self.put(Input::Letter(Box::new(letter)))
    }
}

/// `run`.
///
/// # Errors
/// As [`Pipeline::open`]; a full disk.
pub fn run(command: &cli::Run, settings: &Settings) -> anyhow::Result<u8> {
    if !command.stages.is_empty() {
        return Err(wrong("--stage is for Kafka: set kafka.brokers or STREAMGAUGE__KAFKA__BROKERS"));
    }
    let mut pipeline = Pipeline::open(settings, settings.listen)?;
    let stop = stop_signal(pipeline.clickhouse());
    writeln!(std::io::stderr(), "SQL is answered at {} until Ctrl-C", pipeline.clickhouse().url())?;
    let (queue, input) = sync_channel(2 * BATCH_RECORDS);
    // It holds the queue open: a mirror goes on when the input has ended.
    let log = Arc::new(FolderLog(queue.clone()));
    let mirroring = mirror::start(settings, log, pipeline.clickhouse(), Arc::new(Pulls::default()))?;
    let file = command.input.clone().unwrap_or_else(|| PathBuf::from("-"));
    std::thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            if let Err(error) = events::import(&file, &mut Queue(queue)) {
                tracing::error!("input: {error:#}");
            }
        })
        .context("no thread can be started")?;
    let followed = follow(&mut pipeline, &input, &stop);
    drop(input);
    drop(mirroring);
    let summary = followed?;
    writeln!(std::io::stderr(), "{}", summary.text())?;
    Ok(DONE)
}

/// What waits for its transaction.
#[derive(Default)]
struct Batch {
    records: Vec<(RecordHash, RawRecord)>,
    letters: Vec<DeadLetter>,
    waiting: Vec<Acknowledge>,
    bytes: usize,
}

impl Batch {
    fn take(&mut self, input: Input) {
        match input {
            Input::Record(record, hash, acknowledge) => {
                self.bytes += record.body.len();
                self.records.push((hash, *record));
                self.waiting.extend(acknowledge);
            }
            Input::Letter(letter) => self.letters.push(*letter),
        }
    }

    fn len(&self) -> usize {
        self.records.len() + self.letters.len()
    }
    fn is_full(&self) -> bool {
        self.len() >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    /// Writes it in one transaction; then, and only then, whoever waits is told.
    fn commit(self, pipeline: &mut Pipeline, summary: &mut Summary) -> anyhow::Result<()> {
        let written = pipeline.ingest(self.records, self.letters, summary);
        for acknowledge in self.waiting {
            // Whoever waited may have gone away.
            let _ = acknowledge.send(written.as_ref().map(|_| ()).map_err(|error| format!("{error:#}")));
        }
        written
    }
}

/// Processes what comes in until it is told to stop, or until the input ends and everything is written.
///
/// # Errors
/// When the log cannot be written or ClickHouse is gone.
pub fn follow(
    pipeline: &mut Pipeline,
    input: &Receiver<Input>,
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    let mut batch = Batch::default();
    let (mut committed, mut corrected, mut heard) = (Instant::now(), Instant::now(), Instant::now());
    let mut ended = false;
    while !stop.load(Ordering::Relaxed) {
        match if ended { Err(RecvTimeoutError::Timeout) } else { input.recv_timeout(LOOK_EVERY) } {
            Ok(first) => {
                batch.take(first);
                // What came while the last transaction was written shares the next one.
                while !batch.is_full()
                    && let Ok(next) = input.try_recv()
                {
                    batch.take(next);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                ended = true;
                tracing::info!("the input has ended; SQL is still answered");
            }
            Err(RecvTimeoutError::Timeout) if ended => std::thread::sleep(LOOK_EVERY),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let due = ended || !batch.waiting.is_empty() || committed.elapsed() >= COMMIT_EVERY;
        if batch.is_full() || (batch.len() > 0 && due) {
            std::mem::take(&mut batch).commit(pipeline, &mut summary)?;
            committed = Instant::now();
            heard = Instant::now();
        }
        if ended || heard.elapsed() >= IDLE_AFTER || corrected.elapsed() >= CORRECT_EVERY {
            pipeline.settle()?;
            corrected = Instant::now();
        }
    }
    batch.commit(pipeline, &mut summary)?;
    pipeline.settle()?;
    Ok(summary)
}

/// Becomes true with Ctrl-C or SIGTERM.
pub fn stop_signal(clickhouse: &ClickHouse) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    clickhouse.handle().spawn(async move {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            match signal(SignalKind::terminate()) {
                Ok(mut terminate) => {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = tokio::signal::ctrl_c() => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "SIGTERM cannot be heard");
                    let _ = tokio::signal::ctrl_c().await;
                }
            }
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
        told.store(true, Ordering::Relaxed);
    });
    stop
}

/// Waits until it is true.
pub fn wait_for(stop: &AtomicBool) {
    wait_until(|| stop.load(Ordering::Relaxed));
}

/// Asks again and again until the answer is yes.
pub fn wait_until(mut ended: impl FnMut() -> bool) {
    while !ended() {
        std::thread::sleep(LOOK_EVERY);
    }
}
