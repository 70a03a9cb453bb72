//! The data folder: one process owns it, of a format that this version reads.
//!
//! The owner holds an exclusive lock on `lock`, and says in `server.json` where it answers SQL; so `report`,
//! `sql` and `explain` work beside a running `demo`, `run` or `import`.

use crate::failure::wrong;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The format of the folder that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// How long one that owns a folder and does not answer yet may take to start, or one that ends to let go.
const STARTING: Duration = Duration::from_secs(3);
/// How often it is asked meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Where the process that owns a folder answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The process.
    pub pid: u32,
    /// Its SQL endpoint: ClickHouse's HTTP interface.
    pub url: String,
}

/// A data folder, owned until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Keeps the lock.
    _lock: File,
}

/// What a command that only reads finds.
#[derive(Debug)]
pub enum Access {
    /// Nobody owned the folder; now we do.
    Owned(DataFolder),
    /// Another process owns it and answers here.
    Served(Server),
}

impl DataFolder {
    /// Owns a folder, and makes it where there is none.
    ///
    /// # Errors
    /// Exit code 2: in use by another process, of a newer version, or a folder of something else.
    pub fn own(path: &Path) -> anyhow::Result<Self> {
        match Self::access(path, true)? {
            Access::Owned(folder) => Ok(folder),
            Access::Served(server) => Err(in_use(path, Some(server.pid))),
        }
    }

    /// Owns a folder, or finds who answers for it. With `create` a missing one is made.
    ///
    /// # Errors
    /// As [`DataFolder::own`]; also when the folder is in use by a process that does not answer within three
    /// seconds.
    pub fn access(path: &Path, create: bool) -> anyhow::Result<Access> {
        let shown = path.display();
        if !path.exists() {
            if !create {
                return Err(wrong(format!(
                    "data folder {shown}: there is none (import something first, as in `streamgauge import git .`, \
                     or give another with --data)"
                )));
            }
            std::fs::create_dir_all(path).with_context(|| format!("data folder {shown}: cannot be made"))?;
        }
        check_format(path)?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path.join("lock"))
            .with_context(|| format!("data folder {shown}: its lock cannot be opened"))?;
        let patience = Instant::now() + STARTING;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("data folder {shown}: cannot be locked"));
                }
            }
            let mut holder = String::new();
            let _ = lock.rewind().and_then(|()| lock.read_to_string(&mut holder));
            let holder = holder.trim().parse().ok();
            if let Some(server) =
                read_server(path).filter(|server| holder.is_none_or(|pid| pid == server.pid))
            {
                return Ok(Access::Served(server));
            }
            if Instant::now() >= patience {
                return Err(in_use(path, holder));
            }
            std::thread::sleep(ASK_AGAIN);
        }
        // What a process that was killed left behind.
        let _ = std::fs::remove_file(path.join("server.json"));
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        write_whole(&path.join("format"), format!("{FORMAT}\n").as_bytes())
            .with_context(|| format!("data folder {shown}: cannot be written"))?;
        Ok(Access::Owned(Self { path: path.to_owned(), _lock: lock }))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells other commands where we answer.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn announce(&self, url: &str) -> anyhow::Result<()> {
        let server = Server { pid: std::process::id(), url: url.to_owned() };
        let text = serde_json::to_string(&server)?;
        write_whole(&self.path.join("server.json"), text.as_bytes()).context("server.json")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join("server.json"));
    }
}

fn in_use(path: &Path, holder: Option<u32>) -> anyhow::Error {
    let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    wrong(format!(
        "data folder {} is in use by {holder} (wait for it, stop it, or give another folder with --data)",
        path.display()
    ))
}

fn read_server(path: &Path) -> Option<Server> {
    serde_json::from_slice(&std::fs::read(path.join("server.json")).ok()?).ok()
}

fn check_format(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    match std::fs::read_to_string(path.join("format")) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(format) if format <= FORMAT => Ok(()),
            Ok(format) => Err(wrong(format!(
                "data folder {shown} was written by a newer version (format {format}, this one reads up to {FORMAT}): \
                 use that version, or give another folder with --data"
            ))),
            Err(_) => Err(wrong(format!(
                "data folder {shown}: its file `format` holds {:?}, not a number",
                text.trim()
            ))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut entries =
                std::fs::read_dir(path).map_err(|error| wrong(format!("data folder {shown}: {error}")))?;
            let foreign = entries.find_map(|entry| entry.ok().filter(|entry| entry.file_name() != "lock"));
            match foreign {
                None => Ok(()),
                Some(entry) => Err(wrong(format!(
                    "{shown} is not a data folder of streamgauge (it holds {}): give an empty or a new folder with --data",
                    entry.file_name().to_string_lossy()
                ))),
            }
        }
        Err(error) => Err(wrong(format!("data folder {shown}: {error}"))),
    }
}

/// A reader sees the old content or the new one, never a part.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_error(result: anyhow::Result<impl std::fmt::Debug>, expect: &str) {
        let error = format!("{:#}", result.unwrap_err());
        assert!(error.contains(expect), "{error:?} does not say {expect:?}");
    }

    #[test]
    fn a_folder_has_one_owner_and_others_learn_who_it_is() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("data");
        check_error(DataFolder::access(&path, false), "there is none");
        let folder = DataFolder::own(&path).unwrap();
        check_error(DataFolder::own(&path), &format!("in use by process {}", std::process::id()));
        folder.announce("http://127.0.0.1:1").unwrap();
        assert!(
            matches!(DataFolder::access(&path, false).unwrap(), Access::Served(Server { url, .. }) if url.ends_with(":1"))
        );
        drop(folder);
        assert!(matches!(DataFolder::access(&path, false).unwrap(), Access::Owned(_)));
    }

    #[test]
    fn a_newer_or_a_foreign_folder_is_refused() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("format"), "2\n").unwrap();
        check_error(DataFolder::own(home.path()), "written by a newer version (format 2");
        std::fs::remove_file(home.path().join("format")).unwrap();
        std::fs::write(home.path().join("thesis.txt"), "").unwrap();
        check_error(DataFolder::own(home.path()), "it holds thesis.txt");
    }
}
