//! Loads the outbox into ClickHouse on a thread of its own, beside the computation.
//!
//! An entry leaves the outbox only after ClickHouse has acknowledged it. One that was loaded and not removed, as
//! after a crash, is loaded again; its `rev` makes that change nothing.

use crate::disk;
use crate::log::{EventLog, Outbox};
use anyhow::{Context, anyhow};
use model::Text;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::runtime::Handle;
use warehouse::{Client, Limits, Loader, Stamp};

enum Job {
    /// There is something in the outbox.
    Load,
    /// Answer when everything before is loaded.
    Barrier(Sender<()>),
}

/// The thread.
#[derive(Debug)]
pub struct Loading {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Loading {
    /// Starts it; what a crash left in the outbox is loaded first.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(log: EventLog, client: Client, handle: Handle) -> anyhow::Result<Self> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("loader".to_owned())
            .spawn(move || work(&log, client, &handle, &queue))
            .context("no thread can be started")?;
        let mut loading = Self { jobs: Some(jobs), thread: Some(thread) };
        loading.send(Job::Load)?;
        Ok(loading)
    }

    /// Tells it that the outbox has grown.
    ///
    /// # Errors
    /// Why it stopped.
    pub fn wake(&mut self) -> anyhow::Result<()> {
        self.send(Job::Load)
    }

    /// Waits until everything is loaded.
    ///
    /// # Errors
    /// Why it stopped.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let (done, wait) = channel();
        self.send(Job::Barrier(done))?;
        wait.recv().or_else(|_| self.why())
    }

    fn send(&mut self, job: Job) -> anyhow::Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { self.why() }
    }

    /// The thread has ended: its error is ours.
    fn why(&mut self) -> anyhow::Result<()> {
        self.jobs = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(anyhow!("the loader has stopped")),
        }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(log: &EventLog, client: Client, handle: &Handle, queue: &Receiver<Job>) -> anyhow::Result<()> {
    let mut loader = Loader::new(client, Limits::default());
    while let Ok(job) = queue.recv() {
        match job {
            Job::Load => drain(log, &mut loader, handle)?,
            Job::Barrier(done) => {
                let _ = done.send(());
            }
        }
    }
    Ok(())
}

fn drain(log: &EventLog, loader: &mut Loader, handle: &Handle) -> anyhow::Result<()> {
    while let Some((key, entry)) = log.next_outbox(None)? {
        let loaded = handle.block_on(load(loader, &entry)).map_err(anyhow::Error::new);
        loaded.map_err(|error| disk::named(log.folder(), error)).context("loading into ClickHouse")?;
        log.acknowledge(&[key])?;
    }
    Ok(())
}

async fn load(loader: &mut Loader, entry: &Outbox) -> warehouse::Result<()> {
    let definition = Text::new(&entry.definition);
    let stamp = |task| Stamp { task, rev: entry.rev, computed_at: entry.computed_at };
    for (task, change) in &entry.rows {
        loader.push(change, stamp(*task), &definition);
        loader.flush_full().await?;
    }
    for event in &entry.events {
        // The archive is no task's.
        loader.push_event(event, stamp(0));
        loader.flush_full().await?;
    }
    loader.flush().await?;
    Ok(())
}
