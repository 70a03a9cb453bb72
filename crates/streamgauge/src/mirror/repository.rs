//! The mirror of one repository: a bare folder that git fetches into, and in it, as refs under `refs/told`, how far its
//! commits were told. A commit is told once it is durable, parents before children, and again only after a crash.

use super::git::Git;
use crate::config::mirror::Remote;
use crate::durable::Durable;
use crate::import::git::commit;
use crate::import::now;
use anyhow::Context;
use gix::ObjectId;
use indicatif::ProgressBar;
use model::Text;
use model::raw::{Origin, RawRecord};
use std::path::{Path, PathBuf};

/// Records of one write.
const CHUNK_RECORDS: usize = 500;
/// Bytes of bodies of one write.
const CHUNK_BYTES: usize = 8 << 20;
/// Where what was told ends, while it is being told.
const TOLD_SO_FAR: &str = "refs/told-so-far";

/// A mirror.
#[derive(Debug)]
pub struct Mirror<'a> {
    remote: &'a Remote,
    folder: PathBuf,
}

impl<'a> Mirror<'a> {
    /// Of a repository, under the folder of all mirrors.
    pub fn new(remote: &'a Remote, mirrors: &Path) -> Self {
        let folder = mirrors.join(format!("{}.git", remote.name));
        Self { remote, folder }
    }

    /// Fetches what is new and tells its commits. Gives how many there were.
    ///
    /// # Errors
    /// The folder cannot be written, git fails, or the records are not taken; the next time goes on from there.
    pub fn refresh(&self, git: &Git, sink: &mut dyn Durable, progress: &ProgressBar) -> anyhow::Result<u64> {
        if !self.folder.join("HEAD").exists() {
            std::fs::create_dir_all(&self.folder)
                .with_context(|| format!("{}: cannot be made", self.folder.display()))?;
            git.run(&self.folder, &["init", "--quiet", "--bare", "--template="], "")?;
        }
        let branches = "+refs/heads/*:refs/heads/*";
        let tags = "+refs/tags/*:refs/tags/*";
        let quiet = ["--quiet", "--no-write-fetch-head", "--prune", "--filter=blob:none"];
        git.fetch(&self.folder, &[&["fetch"], &quiet[..], &["origin", branches, tags]].concat())?;
        self.tell(git, sink, progress)
    }

    /// Tells what was fetched and not told.
    fn tell(&self, git: &Git, sink: &mut dyn Durable, progress: &ProgressBar) -> anyhow::Result<u64> {
        let heads = ["--glob=refs/heads", "--glob=refs/tags"];
        let not_told = ["--not", "--glob=refs/told", "--glob=refs/told-so-far*"];
        let list = [&["rev-list", "--topo-order", "--reverse"][..], &heads, &not_told].concat();
        let found = git.run(&self.folder, &list, "")?;
        let ids = found.lines().map(|line| ObjectId::from_hex(line.as_bytes()));
        let ids = ids.collect::<Result<Vec<_>, _>>().context("git rev-list: an id is none")?;
        if !ids.is_empty() {
            let repository = gix::open(&self.folder).context("the mirror cannot be read")?;
            progress.set_length(ids.len() as u64);
            let mut records = Vec::new();
            let mut bytes = 0;
            for (id, number) in ids.iter().zip(1..) {
                let record = self.record(&repository, *id, number)?;
                bytes += record.body.len();
                records.push(record);
                if records.len() >= CHUNK_RECORDS || bytes >= CHUNK_BYTES || number == ids.len() as u64 {
                    progress.inc(records.len() as u64);
                    sink.put(std::mem::take(&mut records))?;
                    bytes = 0;
                    // Parents come first: whatever this commit has behind it was told.
                    git.run(&self.folder, &["update-ref", TOLD_SO_FAR, &id.to_string()], "")?;
                }
            }
        }
        self.mark_told(git)?;
        Ok(ids.len() as u64)
    }

    fn record(&self, repository: &gix::Repository, id: ObjectId, number: u64) -> anyhow::Result<RawRecord> {
        let line = commit::line(repository, id, true).with_context(|| format!("commit {id}"))?;
        let topic = Text::new(format!("mirror:{}", self.remote.name));
        Ok(RawRecord {
            source: Text::new("git"),
            headers: vec![(Text::new("repo"), self.remote.name.as_str().to_owned())],
            body: line.to_string().into_bytes(),
            received_at: now(),
            origin: Origin { topic, partition: 0, offset: number },
        })
    }

    /// Makes the refs of what was told those that are there now. Those that are gone go first, for `a` may have become
    /// `a/b`.
    fn mark_told(&self, git: &Git) -> anyhow::Result<()> {
        let of = |space: &[&str]| {
            let form = ["for-each-ref", "--format=%(objectname) %(refname)"];
            git.run(&self.folder, &[&form[..], space].concat(), "")
        };
        let there = of(&["refs/heads", "refs/tags"])?;
        let told = of(&["refs/told"])?;
        let now: Vec<(&str, String)> = there
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(id, name)| Some((id, format!("refs/told/{}", name.strip_prefix("refs/")?))))
            .collect();
        let kept: std::collections::BTreeSet<&str> = now.iter().map(|(_, name)| name.as_str()).collect();
        let gone =
            told.lines().filter_map(|line| line.split_once(' ')).filter(|(_, name)| !kept.contains(name));
        let deletes: String = gone.map(|(_, name)| format!("delete {name}\n")).collect();
        let updates: String = now.iter().map(|(id, name)| format!("update {name} {id}\n")).collect();
        for input in [deletes, updates] {
            if !input.is_empty() {
                git.run(&self.folder, &["update-ref", "--stdin"], &input)?;
            }
        }
        git.run(&self.folder, &["update-ref", "-d", TOLD_SO_FAR], "")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
