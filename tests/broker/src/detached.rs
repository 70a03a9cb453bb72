//! Brokers that go on after the process that started them.

use crate::node::END_LIMIT;
use crate::os;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// In the cluster's folder: the bootstrap addresses, then the number of each node's process.
const STATE: &str = "detached";

/// Brokers that were left running, found by their folder.
#[derive(Debug)]
pub struct Detached {
    folder: PathBuf,
    bootstrap: String,
    processes: Vec<u32>,
}

/// Leaves word of a cluster for [`Detached::find`].
pub fn write(folder: &Path, bootstrap: &str, processes: &[u32]) -> Result<()> {
    let mut text = format!("{bootstrap}\n");
    for process in processes {
        writeln!(text, "{process}")?;
    }
    os::write_private(&folder.join(STATE), &text)
}

impl Detached {
    /// The cluster of this folder, when at least one of its nodes runs.
    ///
    /// # Errors
    /// There is a word about it that cannot be read.
    pub fn find(folder: &Path) -> Result<Option<Self>> {
        let folder = std::path::absolute(folder)?;
        let path = folder.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = text.lines();
        let bootstrap = lines.next().unwrap_or_default().to_owned();
        let processes = lines.map(str::parse).collect::<Result<Vec<u32>, _>>();
        let processes = processes.with_context(|| format!("{} is damaged", path.display()))?;
        let found = Self { folder, bootstrap, processes };
        Ok((!found.running().is_empty()).then_some(found))
    }

    /// `bootstrap.servers`, as [`crate::Cluster::bootstrap`] said it.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How many nodes were started, and how many of them run.
    #[must_use]
    pub fn nodes(&self) -> (usize, usize) {
        (self.processes.len(), self.running().len())
    }

    /// Stops every node: SIGTERM, and SIGKILL for those that take longer than 2 s.
    ///
    /// # Errors
    /// A process cannot be signalled.
    pub fn stop(self) -> Result<()> {
        for process in self.running() {
            self.signal(process, "TERM")?;
            self.signal(process, "CONT")?;
        }
        let deadline = Instant::now() + END_LIMIT;
        while !self.running().is_empty() {
            if Instant::now() > deadline {
                self.running().into_iter().try_for_each(|process| self.signal(process, "KILL"))?;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::remove_file(self.folder.join(STATE)).context("cannot remove the cluster's state file")
    }

    /// A process that has ended meanwhile is no error.
    fn signal(&self, process: u32, name: &str) -> Result<()> {
        os::signal(process, name).or_else(|error| if self.is_own(process) { Err(error) } else { Ok(()) })
    }

    fn running(&self) -> Vec<u32> {
        self.processes.iter().copied().filter(|&process| self.is_own(process)).collect()
    }

    /// A number that another program got since does not count.
    fn is_own(&self, process: u32) -> bool {
        os::runs(process, &self.folder.display().to_string())
    }
}
