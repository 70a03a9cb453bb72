//! Where whoever asks for records on its own account puts them: each call returns once they are durable, so that the asker
//! may then forget that it owes them.

use crate::engine::Pipeline;
use crate::import::Summary;
use crate::log::record_hash;
use anyhow::bail;
use gateway::RawLog;
use kafka::raw::RawSender;
use model::raw::RawRecord;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long the log may take to acknowledge.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// How often records are given to a log that refuses them, and the first and the longest wait between.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// How often the end of the process is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Takes records, and returns once they are durable.
pub trait Durable {
    /// Writes records.
    ///
    /// # Errors
    /// They are not durable, or not all: they must come again, which changes nothing.
    fn put(&mut self, records: Vec<RawRecord>) -> anyhow::Result<()>;
}

/// The pipeline of a data folder that this process owns.
#[derive(Debug)]
pub struct IntoPipeline<'a> {
    pipeline: &'a mut Pipeline,
    /// What came in.
    pub summary: Summary,
}

impl<'a> IntoPipeline<'a> {
    /// Begins with nothing.
    pub fn new(pipeline: &'a mut Pipeline) -> Self {
        Self { pipeline, summary: Summary::default() }
    }
}

impl Durable for IntoPipeline<'_> {
    fn put(&mut self, records: Vec<RawRecord>) -> anyhow::Result<()> {
        let records = records.into_iter().map(|record| (record_hash(&record, false), record)).collect();
        self.pipeline.ingest(records, Vec::new(), &mut self.summary)
    }
}

/// The topics of Kafka.
pub struct IntoTopics(pub RawSender);

impl Durable for IntoTopics {
    fn put(&mut self, records: Vec<RawRecord>) -> anyhow::Result<()> {
        for record in &records {
            self.0.send(record)?;
        }
        Ok(self.0.finish()?)
    }
}

/// The log of a running `serve` or `run`.
pub struct IntoLog {
    log: Arc<dyn RawLog>,
    threads: Handle,
    stop: Arc<AtomicBool>,
}

impl IntoLog {
    /// Gives up once `stop` is true.
    pub fn new(log: Arc<dyn RawLog>, threads: Handle, stop: Arc<AtomicBool>) -> Self {
        Self { log, threads, stop }
    }

    /// Waits for one acknowledgement.
    fn answer(&self, mut told: oneshot::Receiver<Result<(), String>>) -> Result<(), String> {
        let until = Instant::now() + ACKNOWLEDGED_WITHIN;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            match self.threads.block_on(async { tokio::time::timeout(LOOK_EVERY, &mut told).await }) {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => return Err("it does not say what became of a record".to_owned()),
                Err(_) => {}
            }
        }
        Err("it does not acknowledge".to_owned())
    }
}

impl Durable for IntoLog {
    fn put(&mut self, mut records: Vec<RawRecord>) -> anyhow::Result<()> {
        let mut wait = FIRST_WAIT;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let sent: Vec<_> = std::mem::take(&mut records)
                .into_iter()
                .map(|record| {
                    let (acknowledge, told) = oneshot::channel();
                    self.log.append(record.clone(), acknowledge);
                    (record, told)
                })
                .collect();
            for (record, told) in sent {
                if let Err(error) = self.answer(told) {
                    last = error;
                    records.push(record);
                }
            }
            if records.is_empty() {
                return Ok(());
            }
            pause(wait, &self.stop);
            if self.stop.load(Ordering::Relaxed) {
                bail!("stopped while {} records were not acknowledged", records.len());
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        bail!("the log takes no records: {last}")
    }
}

/// Sleeps, until it is told to stop at the latest.
pub fn pause(long: Duration, stop: &AtomicBool) {
    let until = Instant::now() + long;
    while !stop.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}

/// Where an asker keeps how far it is: with the data that its records go to, so that both go together. On Kafka no process
/// owns a data folder, and it lies beside it.
pub fn beside(data: &Path, name: &str, on_kafka: bool) -> PathBuf {
    if on_kafka {
        let mut beside = data.as_os_str().to_owned();
        beside.push(format!(".{name}"));
        return PathBuf::from(beside);
    }
    data.join(name)
}

/// A log that keeps everything.
#[cfg(test)]
#[derive(Default)]
pub struct Kept(pub std::sync::Mutex<Vec<RawRecord>>);

#[cfg(test)]
impl RawLog for Kept {
    fn append(&self, record: RawRecord, acknowledge: gateway::Acknowledge) {
        self.0.lock().unwrap().push(record);
        let _ = acknowledge.send(Ok(()));
    }
    fn unready(&self) -> Option<String> {
        None
    }
}
