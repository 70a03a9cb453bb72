//! What can go wrong with the engine, and ClickHouse's own exceptions.

use std::fmt;
use std::path::PathBuf;

/// Why the engine could not be opened or a statement could not be run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No `libchdb.so` at any of the places.
    #[error(
        "the ClickHouse engine (libchdb.so) was not found; looked at {}; fetch it with `cargo xtask setup`",
        list(.tried)
    )]
    LibraryNotFound {
        /// The paths that were tried, in order.
        tried: Vec<PathBuf>,
    },
    /// The file is there but can't be loaded.
    #[error("cannot load the ClickHouse engine from {}: {reason}; fetch it again with `cargo xtask setup`", path.display())]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// Another process, or another engine of this process, owns the data folder.
    #[error("the data folder {} is in use{}", data_dir.display(), owner(*pid))]
    InUse {
        /// The folder.
        data_dir: PathBuf,
        /// The process that holds it, when it is known.
        pid: Option<u32>,
    },
    /// This process has an engine open on another folder; there can be one at a time.
    #[error("this process has its ClickHouse engine open on {}", data_dir.display())]
    AlreadyOpen {
        /// The folder that is open.
        data_dir: PathBuf,
    },
    /// The engine reads `*?{}[]` in a path as a pattern, and takes UTF-8 only.
    #[error("the data folder {} has a character that ClickHouse cannot take in a path (one of * ? {{ }} [ ] or not UTF-8)", data_dir.display())]
    UnsupportedPath {
        /// The folder.
        data_dir: PathBuf,
    },
    /// The engine refused the folder: written by a newer release, damaged, or no permission.
    #[error("the ClickHouse engine cannot open the data folder {}", data_dir.display())]
    OpenFailed {
        /// The folder.
        data_dir: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// ClickHouse's answer to a statement.
    #[error(transparent)]
    Query(#[from] Exception),
    /// [`crate::limits::QUEUE_LENGTH`] statements are waiting.
    #[error("too many statements are waiting for the ClickHouse engine")]
    QueueFull,
    /// The engine was closed.
    #[error("the ClickHouse engine is closed")]
    Closed,
}

impl EngineError {
    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        EngineError::Io { what, path: path.into(), source }
    }

    /// The error as ClickHouse would report it.
    pub fn into_exception(self) -> Exception {
        match self {
            EngineError::Query(exception) => exception,
            EngineError::QueueFull => Exception::new(202, "TOO_MANY_SIMULTANEOUS_QUERIES", self.to_string()),
            EngineError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Exception::new(243, "NOT_ENOUGH_SPACE", self.to_string())
            }
            other => Exception::new(1001, "STD_EXCEPTION", other.to_string()),
        }
    }
}

/// An exception of ClickHouse: `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Exception {
    /// ClickHouse's error code.
    pub code: i32,
    /// The whole text, beginning with `Code:`, without a version.
    pub text: String,
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Exception {
    /// An exception of our own with the name of one of ClickHouse's.
    pub(crate) fn new(code: i32, name: &str, message: impl fmt::Display) -> Self {
        Exception { code, text: format!("Code: {code}. DB::Exception: {message}. ({name})") }
    }

    /// Reads the engine's text. The engine wraps some exceptions in themselves; one wrapping is enough.
    pub(crate) fn from_engine(text: &str, version: &str) -> Self {
        let mut text = text.trim();
        let Some(code) = code_of(text) else {
            return Exception::new(1001, "STD_EXCEPTION", text.trim_end_matches('.'));
        };
        let prefix = format!("Code: {code}. DB::Exception: ");
        let version = format!("(version {version})");
        while let Some(inner) = text.strip_prefix(&prefix).filter(|inner| inner.starts_with(&prefix)) {
            let Some(end) = inner.rfind(&version) else { break };
            text = inner.get(..end).unwrap_or(inner).trim_end();
        }
        Exception { code, text: text.to_owned() }
    }
}

fn code_of(text: &str) -> Option<i32> {
    text.strip_prefix("Code: ")?.split_once('.')?.0.parse().ok()
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn owner(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_that_wraps_itself_is_unwrapped() {
        let text = "Code: 73. DB::Exception: Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format Nope. \
                    (UNKNOWN_FORMAT) (version 26.5.1.1). (UNKNOWN_FORMAT) (version 26.5.1.1). (UNKNOWN_FORMAT)";
        let exception = Exception::from_engine(text, "26.5.1.1");
        assert_eq!(exception.code, 73);
        assert_eq!(exception.text, "Code: 73. DB::Exception: Unknown format Nope. (UNKNOWN_FORMAT)");
    }

    #[test]
    fn a_text_without_code_is_a_standard_exception() {
        assert_eq!(Exception::from_engine("No active streaming query", "1").code, 1001);
    }

    #[test]
    fn a_missing_library_is_one_error_with_the_paths_and_the_command() {
        let error =
            EngineError::LibraryNotFound { tried: vec!["/a/libchdb.so".into(), "/b/libchdb.so".into()] };
        assert_eq!(
            error.to_string(),
            "the ClickHouse engine (libchdb.so) was not found; looked at /a/libchdb.so, /b/libchdb.so; \
             fetch it with `cargo xtask setup`"
        );
    }
}
