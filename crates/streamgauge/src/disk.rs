//! A full disk, by its name: stores and engines say only that a write failed, or that one failed earlier.

use std::io::{ErrorKind, Write};
use std::path::Path;

/// What to do.
const REMEDY: &str =
    "the disk is full (make room and give the same command again: nothing is lost or counted twice)";
/// The name of ClickHouse's error 243: an insert or a merge cannot reserve the room that it may need.
const ENGINE_SAYS: &str = "(NOT_ENOUGH_SPACE)";
/// What a disk that is not full takes.
const PROBE_BYTES: usize = 1024 * 1024;

/// Whether an error of the system says that there is no room.
pub fn says_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The error of a full disk.
pub fn full() -> anyhow::Error {
    anyhow::anyhow!(REMEDY)
}

/// An error of something that writes to a folder: named, where the disk has no room right now.
pub fn named(folder: &Path, error: anyhow::Error) -> anyhow::Error {
    let says = |text: &str| error.chain().any(|cause| cause.to_string().contains(text));
    // ClickHouse asks for more than one file takes: there may be room for that.
    let is_full = || says(ENGINE_SAYS) || has_no_room(folder);
    if !says(REMEDY) && is_full() { error.context(REMEDY) } else { error }
}

/// Whether the disk of a folder has no room, found by writing to it.
pub fn has_no_room(folder: &Path) -> bool {
    let path = folder.join("probe");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&path)?;
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    };
    let written = write();
    let _ = std::fs::remove_file(&path);
    written.is_err_and(|error| says_full(error.kind()))
}
