//! One commit of a git history as a line of the source `git`. Only facts leave the repository: no messages, no names, no
//! addresses.

use gix::bstr::{BStr, ByteSlice};
use gix::{ObjectId, Repository};
use serde_json::{Value, json};

/// What a commit says: its parents, both of its times, what it reverts, and with `with_paths` what it touches.
///
/// # Errors
/// An object that cannot be read.
pub fn line(repository: &Repository, id: ObjectId, with_paths: bool) -> anyhow::Result<Value> {
    let object = repository.find_commit(id)?;
    let commit = object.decode()?;
    let author = commit.author()?;
    let parents: Vec<ObjectId> = commit.parents().collect();
    let mut line = json!({
        "type": "commit",
        "sha": id.to_string(),
        "parents": parents.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "authored_at": author.seconds(),
        "committed_at": commit.committer()?.seconds(),
        "author_kind": if is_bot(author.name, author.email) { "bot" } else { "human" },
    });
    let reverts = reverts(commit.message);
    if let Some(fields) = line.as_object_mut() {
        if !reverts.is_empty() {
            fields.insert("reverts".to_owned(), json!(reverts));
        }
        if with_paths {
            let paths = touched(repository, commit.tree(), parents.first().copied())?;
            fields.insert("dirs".to_owned(), json!(paths));
        }
    }
    Ok(line)
}

/// The paths that differ from the first parent (of a root: all).
fn touched(repository: &Repository, tree: ObjectId, parent: Option<ObjectId>) -> anyhow::Result<Vec<String>> {
    let empty = repository.empty_tree();
    let before = match parent {
        Some(parent) => repository.find_commit(parent)?.tree()?,
        None => empty,
    };
    let after = repository.find_tree(tree)?;
    let mut recorder = gix::diff::tree::Recorder::default();
    gix::diff::tree(
        gix::objs::TreeRefIter::from_bytes(&before.data, repository.object_hash()),
        gix::objs::TreeRefIter::from_bytes(&after.data, repository.object_hash()),
        gix::diff::tree::State::default(),
        &repository.objects,
        &mut recorder,
    )?;
    use gix::diff::tree::recorder::Change;
    let file = |change: &Change| match change {
        Change::Addition { entry_mode, path, .. }
        | Change::Deletion { entry_mode, path, .. }
        | Change::Modification { entry_mode, path, .. } => {
            (!entry_mode.is_tree()).then(|| path.to_str_lossy().into_owned())
        }
    };
    let mut paths: Vec<String> = recorder.records.iter().filter_map(file).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// Forges mark the accounts of programs with `[bot]` at the end of the name and of the address's first part.
pub fn is_bot(name: &BStr, email: &BStr) -> bool {
    name.trim().ends_with(b"[bot]") || email.split_str("@").next().unwrap_or_default().ends_with(b"[bot]")
}

/// The commits that a message says it reverts, in the form that `git revert` writes.
pub fn reverts(message: &[u8]) -> Vec<String> {
    const FORM: &[u8] = b"This reverts commit";
    let sha = |at: usize| {
        let rest = message.get(at + FORM.len()..)?;
        let rest = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\n"))?.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let sha = (7..=64).contains(&digits).then(|| rest.get(..digits)).flatten()?;
        Some(sha.to_str_lossy().to_lowercase())
    };
    message.find_iter(FORM).filter_map(sha).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_what_it_reverts() {
        let sha = "a67038ae2e9cb9b9b16423702f98b41e36601001";
        let message = format!("Revert \"x\"\n\nThis reverts commit {sha}.\nThis reverts commit 80ad02d, too");
        assert_eq!(reverts(message.as_bytes()), [sha, "80ad02d"]);
        assert!(reverts(b"This reverts commits of last week").is_empty());
    }

    #[test]
    fn a_bot_is_known_by_its_name_or_address() {
        let bot = |name: &str, email: &str| is_bot(BStr::new(name), BStr::new(email));
        assert!(bot("dependabot[bot]", "x@example.com"));
        assert!(bot("Renovate", "29139614+renovate[bot]@users.noreply.github.com"));
        assert!(!bot("Ada", "ada@example.com"));
    }
}
