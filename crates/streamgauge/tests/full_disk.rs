//! A disk that fills up during an import, as a small file system in memory: the error says so, and with room the same
//! command ends in the same tables.
//!
//! Needs the ClickHouse engine, and a mount namespace (root, or user namespaces); without them it says that it was
//! passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{TABLES, assert_same, engine_is_there, ok, rows_of, tables};
use std::path::Path;
use std::process::{Command, Output};

/// Becomes root of its own mounts: by a user namespace, or as root itself.
const WAYS: [&[&str]; 2] = [&["--mount", "--map-root-user"], &["--mount"]];

fn unshare(way: &[&str], folder: &Path, script: &str) -> std::io::Result<Output> {
    Command::new("unshare").args(way).args(["sh", "-ec", script]).current_dir(folder).output()
}

/// How a file system can be mounted that nobody else sees; `None`, with a notice, where that cannot be done.
fn way(folder: &Path) -> Option<&'static [&'static str]> {
    let works = |way: &&[&str]| {
        unshare(way, folder, "mount -t tmpfs -o size=1m none disk")
            .is_ok_and(|output| output.status.success())
    };
    let found = WAYS.into_iter().find(works);
    if found.is_none() {
        eprintln!("passed over: no file system can be mounted here (needs `unshare --mount` and tmpfs)");
    }
    found
}

#[test]
fn a_full_disk_is_named_and_with_room_the_same_import_ends_in_the_same_tables() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("disk")).unwrap();
    let Some(way) = way(folder) else { return };
    let generate = ["generate", "--services", "6", "--seed", "3"];
    let events = ok(folder, &[&generate[..], &["--days", "60"]].concat());
    std::fs::write(folder.join("events.ndjson"), events).unwrap();
    std::fs::write(folder.join("catalog.toml"), ok(folder, &[&generate[..], &["--print-catalog"]].concat()))
        .unwrap();
    let import = ["import", "events", "--catalog", "catalog.toml", "events.ndjson", "--data"];
    ok(folder, &[&import[..], &["roomy"]].concat());
    let expected = tables(folder, "roomy");

    // The first size is too small for the first transaction, the second for a later one or for ClickHouse.
    for megabytes in [6, 24] {
        let streamgauge = env!("CARGO_BIN_EXE_streamgauge");
        let again = format!("{streamgauge} {} disk/data", import.join(" "));
        let queries: String = TABLES
            .iter()
            .map(|table| format!("{streamgauge} sql --data disk/data '{}' > {table}.tsv\n", rows_of(table)))
            .collect();
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m none disk\n\
             code=0; {again} 2> full.txt || code=$?; echo $code\n\
             mount -o remount,size=2g disk\n\
             {again} > /dev/null\n{queries}"
        );
        let output = unshare(way, folder, &script).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "with {megabytes} MB: {error}");
        let said = std::fs::read_to_string(folder.join("full.txt")).unwrap();
        let first = String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned);
        assert_eq!(first.as_deref(), Some("1"), "exit code with {megabytes} MB: {said}");
        assert!(said.contains("the disk is full"), "with {megabytes} MB: {said}");
        assert_eq!(said.lines().count(), 1, "with {megabytes} MB: {said}");
        let found = TABLES
            .map(|table| (table, std::fs::read_to_string(folder.join(format!("{table}.tsv"))).unwrap()));
        assert_same(&expected, &found);
    }
}
