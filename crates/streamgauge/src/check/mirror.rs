//! Mirrored repositories: whether git reaches each, with what proves us there. Nothing is fetched.

use super::Findings;
use crate::config::Settings;
use crate::config::mirror::{Group, Remote};
use crate::mirror::git::Git;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one server may take to name its branches.
const WITHIN: Duration = Duration::from_secs(20);
/// How long all of them may take together.
const ALL_WITHIN: Duration = Duration::from_secs(120);
/// How many are asked at once.
const AT_ONCE: usize = 8;

/// Asks for the branches of every repository.
pub fn check(settings: &Settings, findings: &mut Findings) {
    let Some(mirrors) = &settings.mirrors else { return };
    let remotes: Vec<(&str, &Group, &Remote)> = mirrors
        .groups
        .iter()
        .flat_map(|(name, group)| group.remotes.iter().map(move |remote| (name.as_str(), group, remote)))
        .collect();
    let reached = ask(&remotes);
    let mut late = 0;
    for (place, (group, settings, remote)) in remotes.iter().enumerate() {
        let what = format!("mirror {}", remote.name);
        match reached.get(&place) {
            Some(Ok(0)) => findings.ok(what, "git reaches it; it has no branch yet"),
            Some(Ok(1)) => findings.ok(what, "git reaches it: 1 branch"),
            Some(Ok(branches)) => findings.ok(what, format!("git reaches it: {branches} branches")),
            Some(Err(error)) => {
                let said = format!("{error:#}");
                findings.problem(what, said.as_str(), remedy(group, settings, &said));
            }
            None => late += 1,
        }
    }
    if late > 0 {
        let says = format!("{late} of {} were not tried within {} s", remotes.len(), ALL_WITHIN.as_secs());
        findings.warning("mirrors", says, "mend those that take long, and check again");
    }
}

/// How many branches each has, by its place; those that the time did not reach are not there.
fn ask(remotes: &[(&str, &Group, &Remote)]) -> BTreeMap<usize, anyhow::Result<usize>> {
    let (queue, reached) = (Mutex::new(remotes.iter().enumerate()), Mutex::new(BTreeMap::new()));
    let until = Instant::now() + ALL_WITHIN;
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(remotes.len()) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((place, (_, group, remote))) = next.filter(|_| Instant::now() < until) else {
                        return;
                    };
                    let git = Git::new(group, &remote.address, Arc::default());
                    let branches = git.and_then(|git| git.branches(&remote.address, WITHIN));
                    reached.lock().unwrap_or_else(PoisonError::into_inner).insert(place, branches);
                }
            });
        }
    });
    reached.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What mends it, by git's words.
fn remedy(group: &str, settings: &Group, said: &str) -> String {
    let key = format!("git.mirror.{group}");
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if says(&["git is not there"]) {
        return "install git, or mirror nothing".to_owned();
    }
    if says(&["authorization_file"]) {
        return format!("put the header into that file, or correct {key}.authorization_file");
    }
    if says(&["certificate", "SSL"]) {
        return format!(
            "set {key}.ca_file to the certificate (PEM) of the authority that signed the server's"
        );
    }
    if says(&["Permission denied (", "Host key verification failed"]) {
        return "give this user an SSH key that the server knows, and the server's key in known_hosts"
            .to_owned();
    }
    if says(&[
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "error: 401",
        "error: 403",
    ]) {
        return match &settings.authorization_file {
            Some(file) => format!("put a header that may read it into {}", file.display()),
            None => format!("set {key}.authorization_file to a file with a header that may read it"),
        };
    }
    if says(&["not found", "does not exist", "does not appear to be a git repository", "error: 404"]) {
        return format!(
            "correct it in {key}.repositories; a server also denies what the credentials may not see"
        );
    }
    format!("correct it in {key}.repositories, or let this machine reach the server")
}
