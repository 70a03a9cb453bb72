//! Where `libchdb.so` lies.

use std::path::PathBuf;

use crate::{CHDB_VERSION, EngineError};

/// Environment variable with the path of the library; when it is set, no other place is tried.
pub const LIBRARY_ENV: &str = "STREAMGAUGE_LIBCHDB";

const LIBRARY_NAME: &str = "libchdb.so";

/// The library: `STREAMGAUGE_LIBCHDB`, else next to the executable, else
/// `$XDG_CACHE_HOME/streamgauge/chdb/<version>/` (`~/.cache/…` without that variable).
///
/// # Errors
/// [`EngineError::LibraryNotFound`] names the paths that were tried and the command that fetches it.
pub fn locate() -> Result<PathBuf, EngineError> {
    let tried = candidates();
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(EngineError::LibraryNotFound { tried }),
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os(LIBRARY_ENV).filter(|path| !path.is_empty()) {
        return vec![PathBuf::from(path)];
    }
    let mut candidates = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        candidates.push(executable.with_file_name(LIBRARY_NAME));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    if let Some(cache) = cache {
        candidates.push(cache.join("streamgauge/chdb").join(CHDB_VERSION).join(LIBRARY_NAME));
    }
    candidates
}
