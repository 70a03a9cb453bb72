//! Mirrors of repositories: fetched by git itself, their commits told as records of the source `git`, the same that
//! `import git` makes of a clone. `serve` and `run` keep them up to date beside everything else, `mirror` alone.

pub mod git;
mod repository;

use crate::background::Background;
use crate::cli;
use crate::clickhouse::ClickHouse;
use crate::config::Settings;
use crate::config::mirror::{Group, Mirrors, Remote};
use crate::durable::{Durable, IntoLog, IntoPipeline, IntoTopics, beside, pause};
use crate::engine::Pipeline;
use crate::failure::{DONE, FAILED, wrong};
use crate::import::progress;
use crate::run::stop_signal;
use crate::telemetry::pulls::Pulls;
use gateway::RawLog;
use git::Git;
use indicatif::ProgressBar;
use kafka::raw::RawSender;
use repository::Mirror;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest time between two fetches of a repository that fails.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// The command `mirror`.
///
/// # Errors
/// Exit code 2 where nothing is to be mirrored or a file of credentials cannot be read; what the pipeline says. Exit code 1
/// when a repository could not be fetched; the others were.
pub fn run(
    command: &cli::Mirror,
    settings: &Settings,
    quiet: bool,
    out: &mut impl Write,
) -> anyhow::Result<u8> {
    let Some(mirrors) = &settings.mirrors else {
        return Err(wrong(
            "no repository is named: add [git.mirror.github] with repositories = [\"https://github.com/acme/checkout\"] \
             to the configuration",
        ));
    };
    match &settings.kafka {
        Some(brokers) => {
            let threads = ClickHouse::served(String::new())?;
            let stop = stop_signal(&threads);
            let mut round = Round::new(mirrors, settings, stop.clone())?;
            let mut sink = IntoTopics(RawSender::new(brokers)?);
            loop {
                let failed = round.all(&mut sink, quiet, out)?;
                if command.once || stop.load(Ordering::Relaxed) {
                    return Ok(if failed { FAILED } else { DONE });
                }
                round.wait(&stop);
            }
        }
        None => {
            let mut pipeline = Pipeline::open(settings, settings.listen)?;
            let stop = stop_signal(pipeline.clickhouse());
            let mut round = Round::new(mirrors, settings, stop.clone())?;
            loop {
                let mut sink = IntoPipeline::new(&mut pipeline);
                let failed = round.all(&mut sink, quiet, out)?;
                let summary = sink.summary;
                if summary.rejections() > 0 {
                    writeln!(std::io::stderr(), "{}", summary.text())?;
                }
                pipeline.settle()?;
                if command.once || stop.load(Ordering::Relaxed) {
                    return Ok(if failed { FAILED } else { DONE });
                }
                round.wait(&stop);
            }
        }
    }
}

/// Begins to keep mirrors up to date, in the background, where any are configured.
///
/// # Errors
/// Exit code 2: a file of credentials that cannot be read; no thread.
pub fn start(
    settings: &Settings,
    log: Arc<dyn RawLog>,
    threads: &ClickHouse,
    pulls: Arc<Pulls>,
) -> anyhow::Result<Option<Background>> {
    let Some(mirrors) = &settings.mirrors else { return Ok(None) };
    let stop = Arc::new(AtomicBool::new(false));
    let mut round = Round::new(mirrors, settings, stop.clone())?;
    round.pulls = pulls;
    let mut sink = IntoLog::new(log, threads.handle(), stop.clone());
    let told = stop.clone();
    let background = Background::start("mirror", stop, move || {
        while !told.load(Ordering::Relaxed) {
            round.due(&mut sink, &mut |name, refreshed| match refreshed {
                Ok(0) => {}
                Ok(commits) => tracing::info!(repository = name, commits, "mirrored"),
                Err(error) => tracing::warn!(repository = name, "not mirrored, tried again: {error:#}"),
            });
            round.wait(&told);
        }
    })?;
    Ok(Some(background))
}

/// When each repository is fetched next.
struct Round {
    folder: PathBuf,
    repositories: Vec<(Remote, Git, Duration)>,
    /// By the place in the list: when it is due, and how often it failed since it last did not.
    due: BTreeMap<usize, (Instant, u32)>,
    stop: Arc<AtomicBool>,
    pulls: Arc<Pulls>,
}

impl Round {
    fn new(mirrors: &Mirrors, settings: &Settings, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let mut repositories = Vec::new();
        for Group { remotes, every, .. } in mirrors.groups.values() {
            let every = Duration::from_secs(u64::try_from(every.seconds()).unwrap_or_default());
            repositories.extend(remotes.iter().map(|remote| (remote.clone(), every)));
        }
        let group = |remote: &Remote| mirrors.groups.values().find(|group| group.remotes.contains(remote));
        let opened = repositories.into_iter().filter_map(|(remote, every)| {
            let git = Git::new(group(&remote)?, &remote.address, stop.clone());
            Some(git.map(|git| (remote, git, every)))
        });
        let repositories = opened.collect::<anyhow::Result<Vec<_>>>()?;
        let now = Instant::now();
        let due = (0..repositories.len()).map(|place| (place, (now, 0))).collect();
        let beside = || beside(&settings.data, "mirror", settings.kafka.is_some());
        let folder = mirrors.folder.clone().unwrap_or_else(beside);
        Ok(Self { folder, repositories, due, stop, pulls: Arc::default() })
    }

    /// Fetches every repository that is due.
    fn due(&mut self, sink: &mut dyn Durable, told: &mut dyn FnMut(&str, &anyhow::Result<u64>)) {
        for (place, (remote, git, every)) in self.repositories.iter().enumerate() {
            let Some((at, failures)) = self.due.get(&place).copied() else { continue };
            if at > Instant::now() || self.stop.load(Ordering::Relaxed) {
                continue;
            }
            let refreshed = Mirror::new(remote, &self.folder).refresh(git, sink, &ProgressBar::hidden());
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.pulls.count(&format!("mirror:{}", remote.name), refreshed.as_ref().ok().copied());
            told(remote.name.as_str(), &refreshed);
            let failures = if refreshed.is_ok() { 0 } else { (failures + 1).min(16) };
            let wait = every.saturating_mul(1 << failures).min(LONGEST_WAIT.max(*every));
            self.due.insert(place, (Instant::now() + wait, failures));
        }
    }

    /// Fetches every repository now, and says of each what became of it.
    fn all(&mut self, sink: &mut dyn Durable, quiet: bool, out: &mut impl Write) -> anyhow::Result<bool> {
        let mut failed = false;
        for (place, (remote, git, every)) in self.repositories.iter().enumerate() {
            let bar = progress(quiet, remote.name.as_str(), None);
            let refreshed = Mirror::new(remote, &self.folder).refresh(git, sink, &bar);
            bar.finish_and_clear();
            match refreshed {
                Ok(commits) => writeln!(out, "{}: {commits} new commits", remote.name)?,
                Err(error) => {
                    failed = true;
                    writeln!(std::io::stderr(), "{}: not mirrored: {error:#}", remote.name)?;
                }
            }
            self.due.insert(place, (Instant::now() + *every, 0));
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        out.flush()?;
        Ok(failed)
    }

    /// Sleeps until the next repository is due.
    fn wait(&self, stop: &AtomicBool) {
        let next = self.due.values().map(|(at, _)| *at).min();
        if let Some(next) = next {
            pause(next.saturating_duration_since(Instant::now()), stop);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Kept;

    #[test]
    fn in_the_background_one_repository_that_is_not_there_does_not_keep_the_others_from_being_told() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let output = std::process::Command::new("git")
                .current_dir(folder.path())
                .args([
                    "-c",
                    "user.name=Ada",
                    "-c",
                    "user.email=ada@example.com",
                    "-c",
                    "commit.gpgsign=false",
                ])
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        git(&["init", "-q", "-b", "main", "origin"]);
        git(&["-C", "origin", "commit", "-q", "--allow-empty", "-m", "Work"]);
        let text = format!(
            "data = {:?}\n[git.mirror.a]\nrepositories = [\"a.example/a/nowhere=file:///nowhere\", \
             \"a.example/a/origin=file://{}/origin\"]\n",
            folder.path().join("data"),
            folder.path().display()
        );
        let settings = Settings::read("s.toml", &text, BTreeMap::new()).unwrap();
        let (log, pulls) = (Arc::new(Kept::default()), Arc::new(Pulls::default()));
        let threads = ClickHouse::served(String::new()).unwrap();
        let background = start(&settings, log.clone(), &threads, pulls.clone()).unwrap().unwrap();
        let shown = || {
            let mut out = crate::telemetry::exposition::Exposition::default();
            pulls.expose(&mut out);
            out.into_text()
        };
        let until = Instant::now() + Duration::from_secs(60);
        while !shown().contains("records_total{puller=\"mirror:a.example/a/origin\"} 1\n") {
            assert!(Instant::now() < until, "{}", shown());
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(background);
        assert!(shown().contains("failures_total{puller=\"mirror:a.example/a/nowhere\"} 1\n"), "{}", shown());
        assert_eq!(log.0.lock().unwrap().len(), 1);
        assert!(folder.path().join("data/mirror/a.example/a/origin.git/HEAD").exists());
    }
}
