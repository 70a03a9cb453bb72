//! `import git`: the whole commit graph behind the default branch and the tags of a local clone, as records of
//! the source `git`. Only facts leave the repository: no messages, no names, no addresses.

pub mod commit;

use super::flags::{self, FlagFile};
use super::remote::repository_name;
use super::{Sink, now};
use crate::failure::wrong;
use anyhow::Context;
use gix::bstr::{BStr, ByteSlice};
use gix::glob::wildmatch::Mode;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;
use gix::{ObjectId, Repository};
use model::raw::{Origin, RawRecord};
use model::{RepoName, Text};
use serde_json::json;
use std::path::Path;

/// Unpacked objects that are kept at hand, in bytes: each commit is read twice (for the order, for its facts).
const OBJECT_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// What is read of a repository.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which tags are deployments; `None`: all.
    pub tags: Option<String>,
    /// The repository's name, where the remote's is not wanted.
    pub repo: Option<String>,
    /// Files of flags whose history is read, too.
    pub flags: Vec<FlagFile>,
}

/// A repository, opened and checked, whose history can be read.
pub struct History {
    repository: Repository,
    name: RepoName,
    tags: Vec<Tag>,
    commits: Vec<ObjectId>,
    /// The environment of each change of a file of flags, and its record.
    flags: Vec<(String, serde_json::Value)>,
}

struct Tag {
    name: String,
    commit: ObjectId,
    /// The tagger's time; of a plain tag, the committer time of its commit. Unix seconds.
    tagged_at: i64,
}

/// The history's name and how much it holds.
impl History {
    /// Opens a clone and finds everything behind its default branch and its tags.
    ///
    /// # Errors
    /// Exit code 2 when the path holds no repository, a shallow one, or one without commits.
    pub fn open(path: &Path, options: &Options) -> anyhow::Result<Self> {
        let mut repository = open(path)?;
        repository.object_cache_size(OBJECT_CACHE_BYTES);
        let name = match &options.repo {
            Some(name) => RepoName::new(name),
            None => RepoName::new(name_of(&repository, path)),
        };
        let tags = tags(&repository, options.tags.as_deref())
            .with_context(|| format!("{}: reading the tags", path.display()))?;
        let branch = default_branch(&repository);
        let tips: Vec<ObjectId> = branch.into_iter().chain(tags.iter().map(|tag| tag.commit)).collect();
        if tips.is_empty() {
            return Err(wrong(format!("{}: the repository has no commits yet", path.display())));
        }
        let walk =
            repository.rev_walk(tips).sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst)).all();
        let commits =
            walk.and_then(|walk| walk.map(|info| info.map(|info| info.id)).collect::<Result<Vec<_>, _>>());
        let mut commits = commits.with_context(|| {
            let path = path.display();
            format!("{path}: the history is incomplete or damaged (`git -C {path} fsck` says where)")
        })?;
        // Parents before children: what follows then only adds.
        commits.reverse();
        let mut changes = Vec::new();
        for file in &options.flags {
            let found = flags::records(&repository, branch, file)
                .with_context(|| format!("{}: {}", path.display(), file.path))?;
            changes.extend(found.into_iter().map(|record| (file.environment.clone(), record)));
        }
        Ok(Self { repository, name, tags, commits, flags: changes })
    }

    /// The repository's name, as in `github.com/acme/checkout`.
    pub fn name(&self) -> &RepoName {
        &self.name
    }
    /// How many tags there are: without any, nothing was deployed as far as the history tells.
    pub fn tags(&self) -> usize {
        self.tags.len()
    }
    /// How many records there will be.
    pub fn len(&self) -> u64 {
        (self.commits.len() + self.tags.len() + self.flags.len()) as u64
    }

    /// Hands every commit, parents before children, then every tag by its time, then the changes of flags.
    ///
    /// # Errors
    /// An object that cannot be read, and what the sink says.
    pub fn read(&self, with_paths: bool, sink: &mut impl Sink) -> anyhow::Result<()> {
        let headers = vec![(Text::new("repo"), self.name.as_str().to_owned())];
        let at = now();
        let topic = Text::new(format!("git:{}", self.name));
        let mut offset = 0;
        let mut put = |source: &str, environment: Option<&str>, body: &serde_json::Value| {
            offset += 1;
            let origin = Origin { topic: topic.clone(), partition: 0, offset };
            let body = body.to_string().into_bytes();
            let mut headers = headers.clone();
            headers.extend(environment.map(|name| (Text::new("environment"), name.to_owned())));
            sink.record(
                RawRecord { source: Text::new(source), headers, body, received_at: at, origin },
                false,
            )
        };
        for id in &self.commits {
            let commit = commit::line(&self.repository, *id, with_paths)
                .with_context(|| format!("{}: commit {id}", self.name))?;
            put("git", None, &commit)?;
        }
        for tag in &self.tags {
            let tag = json!({
                "type": "tag",
                "name": tag.name,
                "sha": tag.commit.to_string(),
                "tagged_at": tag.tagged_at,
            });
            put("git", None, &tag)?;
        }
        for (environment, change) in &self.flags {
            put("flagd", Some(environment), change)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("name", &self.name)
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

fn open(path: &Path) -> anyhow::Result<Repository> {
    let shown = path.display();
    if !path.exists() {
        return Err(wrong(format!("{shown}: there is no such folder")));
    }
    // Inside a working tree its repository is meant, as with git itself.
    let repository = gix::discover(path).map_err(|error| {
        tracing::debug!(%error, "opening the repository");
        wrong(format!("{shown}: not a git repository (give the path of a local clone)"))
    })?;
    if repository.is_shallow().unwrap_or(false) {
        return Err(wrong(format!(
            "{shown}: a shallow clone, its history is cut off (run `git -C {shown} fetch --unshallow --tags` first)"
        )));
    }
    Ok(repository)
}

/// `host/owner/name` of the remote `origin`, else of the only or default remote, else `local/<folder>`.
fn name_of(repository: &Repository, path: &Path) -> String {
    use gix::remote::Direction;
    let origin = repository.try_find_remote("origin");
    let remote = origin.or_else(|| repository.find_default_remote(Direction::Fetch)).and_then(Result::ok);
    let url = remote.and_then(|remote| remote.url(Direction::Fetch).map(|url| url.to_bstring().to_string()));
    if let Some(name) = url.as_deref().and_then(repository_name) {
        return name;
    }
    let folder = repository.workdir().unwrap_or_else(|| repository.git_dir());
    let folder = folder.canonicalize().or_else(|_| path.canonicalize()).unwrap_or_else(|_| path.to_owned());
    let folder = folder.file_name().map_or_else(|| "repository".into(), std::ffi::OsStr::to_string_lossy);
    format!("local/{}", folder.strip_suffix(".git").unwrap_or(&folder))
}

/// What `origin/HEAD` points to, else what HEAD does; `None` in a repository without commits.
fn default_branch(repository: &Repository) -> Option<ObjectId> {
    let of = |name: &str| {
        let mut reference = repository.try_find_reference(name).ok().flatten()?;
        reference.peel_to_commit().ok().map(|commit| commit.id)
    };
    of("refs/remotes/origin/HEAD").or_else(|| repository.head_commit().ok().map(|commit| commit.id))
}

/// Every tag of a commit that the pattern takes, by (time, name).
fn tags(repository: &Repository, pattern: Option<&str>) -> anyhow::Result<Vec<Tag>> {
    let mut tags = Vec::new();
    for reference in repository.references()?.tags()? {
        let mut reference = reference.map_err(|error| anyhow::anyhow!("{error}"))?;
        let name = reference.name().as_bstr().to_str_lossy().trim_start_matches("refs/tags/").to_owned();
        let wanted = |pattern: &str| {
            gix::glob::wildmatch(BStr::new(pattern), BStr::new(&name), Mode::NO_MATCH_SLASH_LITERAL)
        };
        if !pattern.is_none_or(wanted) {
            continue;
        }
        let target = reference.follow_to_object()?;
        let stated = target.object()?.try_into_tag().ok().and_then(|tag| {
            let seconds = tag.tagger().ok().flatten().map(|tagger| tagger.seconds());
            seconds.filter(|seconds| *seconds > 0)
        });
        let Ok(commit) = reference.peel_to_commit() else {
            tracing::info!(tag = name, "passed over: it does not point to a commit");
            continue;
        };
        let tagged_at = match stated {
            Some(seconds) => seconds,
            None => commit.time()?.seconds,
        };
        tags.push(Tag { name, commit: commit.id, tagged_at });
    }
    tags.sort_by(|a, b| (a.tagged_at, &a.name).cmp(&(b.tagged_at, &b.name)));
    Ok(tags)
}

#[cfg(test)]
mod tests;
