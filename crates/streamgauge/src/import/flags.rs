//! `import git --flags`: the history of a file of flags (flagd's) on the default branch, as records of the source `flagd`.
//! Of a flag its state, its default variant and a hash of the rest leave the repository: rules may name people.

use crate::failure::wrong;
use anyhow::Context;
use gix::{ObjectId, Repository};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// Longest file of flags that is read, in bytes.
const MAX_FILE_BYTES: usize = 4 << 20;

/// A file of flags, and the environment that is served by it: `flags/production.json=production`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagFile {
    /// Its path in the repository.
    pub path: String,
    /// The environment.
    pub environment: String,
}

impl FromStr for FlagFile {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, environment) = text.split_once('=').unwrap_or((text, "production"));
        let path = path.trim_start_matches("./");
        if path.is_empty() || path.starts_with('/') || environment.is_empty() {
            return Err(
                "a path in the repository is expected, and its environment, as in flags.json=staging"
                    .to_owned(),
            );
        }
        Ok(Self { path: path.to_owned(), environment: environment.to_owned() })
    }
}

/// A record for each commit on the branch's own line that changed the file, oldest first.
///
/// # Errors
/// Exit code 2 where no commit has the file; an object that cannot be read.
pub fn records(
    repository: &Repository,
    tip: Option<ObjectId>,
    file: &FlagFile,
) -> anyhow::Result<Vec<Value>> {
    let mut line = Vec::new();
    let mut next = tip;
    while let Some(id) = next {
        let commit = repository.find_commit(id)?;
        let entry = commit.tree()?.lookup_entry_by_path(&file.path)?;
        line.push((id, commit.time()?.seconds, entry.map(|entry| entry.object_id())));
        next = commit.parent_ids().next().map(|parent| parent.detach());
    }
    let mut records = Vec::new();
    let (mut blob, mut before) = (None, Value::Null);
    for (id, committed_at, now) in line.into_iter().rev() {
        if now == blob {
            continue;
        }
        let after = match now {
            Some(object) => flags(&repository.find_object(object)?.data)
                .with_context(|| format!("{}: commit {id}", file.path))
                .unwrap_or_else(|error| {
                    // flagd keeps what it had when it cannot read its file.
                    tracing::warn!("passed over: {error:#}");
                    before.clone()
                }),
            None => Value::Null,
        };
        records.push(json!({
            "commit": id.to_string(),
            "committed_at": committed_at,
            "file": file.path,
            "before": before,
            "after": after,
        }));
        (blob, before) = (now, after);
    }
    if records.is_empty() {
        return Err(wrong(format!("--flags: no commit of the default branch has a file {}", file.path)));
    }
    Ok(records)
}

/// What is kept of a file.
fn flags(text: &[u8]) -> anyhow::Result<Value> {
    anyhow::ensure!(text.len() <= MAX_FILE_BYTES, "the file has more than {MAX_FILE_BYTES} bytes");
    let file: Value = serde_json::from_slice(text).context("the file is not JSON")?;
    let flags = file.get("flags").and_then(Value::as_object).context("the file has no `flags`")?;
    let kept = |(name, flag): (&String, &Value)| {
        let rest = flag.as_object().into_iter().flatten();
        let rest: Map<String, Value> = rest
            .filter(|(key, _)| !["state", "defaultVariant"].contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let hash = model::hex::lower(&Sha256::digest(Value::Object(rest).to_string()));
        let flag = json!({
            "state": flag.get("state"),
            "defaultVariant": flag.get("defaultVariant"),
            "definition": hash,
        });
        (name.clone(), flag)
    };
    Ok(json!({ "flags": flags.iter().map(kept).collect::<Map<_, _>>() }))
}
