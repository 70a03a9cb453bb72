//! Files that hold a body or a result between a client and the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::EngineError;

/// The folder of the spool, inside the data folder.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    next: Arc<AtomicU64>,
}

impl Spool {
    /// Makes the folder and clears what an earlier process left there.
    pub fn open(data_dir: &Path) -> Result<Spool, EngineError> {
        let folder = data_dir.join("spool");
        std::fs::create_dir_all(&folder).map_err(|e| EngineError::io("cannot make", &folder, e))?;
        let left = std::fs::read_dir(&folder).map_err(|e| EngineError::io("cannot read", &folder, e))?;
        for file in left.flatten() {
            std::fs::remove_file(file.path())
                .map_err(|e| EngineError::io("cannot remove", file.path(), e))?;
        }
        Ok(Spool { folder, next: Arc::default() })
    }

    /// A path that nothing else has. The file is removed when the value is dropped.
    pub fn file(&self) -> SpoolFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        SpoolFile { path: self.folder.join(number.to_string()) }
    }
}

/// One file of the spool, which may not exist yet.
#[derive(Debug)]
pub struct SpoolFile {
    path: PathBuf,
}

impl SpoolFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as a string literal of SQL.
    pub fn literal(&self) -> String {
        crate::sql::literal(&self.path.to_string_lossy())
    }
}

impl Drop for SpoolFile {
    fn drop(&mut self) {
        // A file that was never made is as good as one that was removed; the next start clears the rest.
        let _ = std::fs::remove_file(&self.path);
    }
}
