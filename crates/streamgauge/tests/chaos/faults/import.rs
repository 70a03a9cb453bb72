//! An import that is killed, and given again.

use crate::organisation::{Organisation, Random, program};
use crate::verdict::Verdict;
use crate::views::digest_query;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Moments of one run at full size, and in the selection.
const MOMENTS: (u64, u64) = (10, 3);

fn import(organisation: &Organisation, data: &str) -> Command {
    let mut command = program(organisation.folder.path());
    command.args(["--catalog", "catalog.toml", "--data", data, "import", "events", "events.ndjson"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Killed at random moments of the time that it takes undisturbed, each in a folder of its own.
pub fn killed(organisation: &Organisation, random: &mut Random, full: bool) -> (u64, Verdict) {
    let moments = if full { MOMENTS.0 } else { MOMENTS.1 };
    let mut verdict = Verdict::default();
    let folder = |name: &str| organisation.folder.path().join(name);
    let started = Instant::now();
    assert!(import(organisation, "calm").status().unwrap().success());
    let takes_ms = started.elapsed().as_millis() as usize;
    std::fs::remove_dir_all(folder("calm")).unwrap();
    for moment in 0..moments {
        let data = format!("killed-{moment}");
        let after = Duration::from_millis(random.below(takes_ms) as u64);
        let mut child = import(organisation, &data).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        let again = import(organisation, &data).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&again.stderr);
        if !again.status.success() {
            verdict.wrong.push(format!("killed after {after:?}, the import given again fails: {said}"));
        }
        let digest = ["--data", &data, "sql", &digest_query(), "--format", "TSV"];
        let told = program(organisation.folder.path()).args(digest).output().unwrap();
        let found = String::from_utf8_lossy(&told.stdout);
        if found != organisation.expected {
            verdict.lost += 1;
            verdict.wrong.push(format!("killed after {after:?}: {}", organisation.difference(&found)));
        }
        std::fs::remove_dir_all(folder(&data)).unwrap();
    }
    (moments, verdict)
}
