//! `git.mirror`: which repositories are mirrored, whence, how often, and what proves us there.

use super::file::{List, Origins};
use crate::import::remote::repository_name;
use model::{RepoName, Span};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Most repositories of all groups.
const MAX_REPOSITORIES: usize = 1_000;

/// `[git]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitFile {
    folder: Option<String>,
    mirror: BTreeMap<String, GroupFile>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GroupFile {
    repositories: List,
    authorization_file: Option<String>,
    ca_file: Option<String>,
    every: Option<String>,
}

/// What is mirrored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// Where the mirrors lie; `None`: with the data.
    pub folder: Option<PathBuf>,
    /// Repositories that are reached in the same way, by the group's name.
    pub groups: BTreeMap<String, Group>,
}

/// Repositories that are reached in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which, each once.
    pub remotes: Vec<Remote>,
    /// The file that holds the `Authorization` that the servers want, if any.
    pub authorization_file: Option<PathBuf>,
    /// Certificates of the authorities that `https://` servers are proved by (PEM); `None`: git's own choice.
    pub ca_file: Option<PathBuf>,
    /// The time between two fetches.
    pub every: Span,
}

/// A repository elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What its events are about.
    pub name: RepoName,
    /// Whence git fetches it.
    pub address: String,
}

/// Reads `[git]`.
///
/// # Errors
/// Exit code 2: values that are missing or not allowed, with their places.
pub fn mirrors(at: &Origins, file: GitFile) -> anyhow::Result<Option<Mirrors>> {
    let mut seen = BTreeSet::new();
    let mut groups = BTreeMap::new();
    for (name, group) in file.mirror {
        // A heading under which every setting is commented out.
        if group == GroupFile::default() {
            continue;
        }
        let key = |leaf: &str| format!("git.mirror.{name}.{leaf}");
        let place = key("repositories");
        let remotes = group.repositories.0.iter().map(|text| remote(at, &place, text));
        let remotes = remotes.collect::<anyhow::Result<Vec<_>>>()?;
        if remotes.is_empty() {
            return Err(at.error(&place, "names no repository, as in https://github.com/acme/checkout"));
        }
        for remote in &remotes {
            if !seen.insert(remote.name.clone()) {
                return Err(at.error(&place, format!("{} is mirrored twice", remote.name)));
            }
        }
        let every = match group.every {
            None => Span::from_minutes(10),
            Some(text) => super::span(at, &key("every"), &text)?,
        };
        if every < Span::from_minutes(1) || every > Span::from_hours(24) {
            return Err(at.error(&key("every"), "it lies between 1m and 24h"));
        }
        let authorization_file = group.authorization_file.map(PathBuf::from);
        groups.insert(
            name,
            Group { remotes, authorization_file, ca_file: group.ca_file.map(PathBuf::from), every },
        );
    }
    if seen.len() > MAX_REPOSITORIES {
        return Err(at.error("git.mirror", format!("{} are more than {MAX_REPOSITORIES}", seen.len())));
    }
    let folder = file.folder.map(PathBuf::from);
    Ok((!groups.is_empty()).then_some(Mirrors { folder, groups }))
}

/// An address in any of git's forms, with another name for it before a `=` where its own is not wanted.
fn remote(at: &Origins, key: &str, text: &str) -> anyhow::Result<Remote> {
    let (stated, address) = match text.split_once('=') {
        Some((name, address)) if is_name(name) => (Some(name.to_owned()), address),
        _ => (None, text),
    };
    if address.is_empty() || address.starts_with('-') || address.chars().any(char::is_control) {
        return Err(at.error(key, format!("{text:?} is no address, as in https://github.com/acme/checkout")));
    }
    let account = address.split_once("://").and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@'));
    if account.is_some_and(|(account, _)| account.contains(':')) {
        return Err(at.error(
            key,
            "an address holds a password: put it into the file that authorization_file names, or leave it to git's \
             credential helper",
        ));
    }
    let name = stated.or_else(|| repository_name(address)).filter(|name| is_name(name));
    let name = name.ok_or_else(|| {
        let what =
            format!("{address:?} does not say host/owner/name: write github.com/acme/checkout={address}");
        at.error(key, what)
    })?;
    Ok(Remote { name: RepoName::new(name), address: address.to_owned() })
}

/// Whether a text is `host/…/name`; it becomes a path under the mirrors' folder.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~+".contains(&byte);
        !part.is_empty() && !part.starts_with(['.', '-']) && part.bytes().all(plain)
    };
    text.contains('/') && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Remote> {
        remote(&Origins::default(), "git.mirror.a.repositories", text)
    }

    #[test]
    fn an_address_names_its_repository_or_is_given_a_name() {
        let of = |text: &str| read(text).map(|remote| (remote.name.to_string(), remote.address)).unwrap();
        let ssh = "git@github.com:acme/checkout.git";
        assert_eq!(of(ssh), ("github.com/acme/checkout".to_owned(), ssh.to_owned()));
        let file = "file:///srv/checkout.git";
        assert_eq!(
            of(&format!("github.com/acme/till={file}")),
            ("github.com/acme/till".to_owned(), file.to_owned())
        );
        // A `=` of the address is none of the name's.
        assert_eq!(of("https://git.example/a/b?x=y").0, "git.example/a/b");
    }

    #[test]
    fn what_git_could_take_for_an_option_or_a_path_of_its_own_is_refused() {
        for (text, says) in [
            ("--upload-pack=touch", "is no address"),
            ("../checkout", "does not say host/owner/name"),
            ("https://git.example/../../etc", "does not say host/owner/name"),
            ("https://me:secret@git.example/a/b", "holds a password"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("secret"), "{error}");
        }
    }
}
