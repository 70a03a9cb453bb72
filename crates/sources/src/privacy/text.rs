//! Texts: what stays of a name, of prose, and of a text with an address in it.

use super::{BOT, HUMAN};
use crate::{message, person};
use memchr::memchr2_iter;
use model::event::AuthorKind;
use std::borrow::Cow;

/// What stands for an address within a text.
const ADDRESS: &str = "[address]";

/// A name or address of GitHub, whose programs end in `[bot]`.
pub(super) fn by_suffix(name: &str) -> &'static str {
    if name.ends_with("[bot]") { BOT } else { HUMAN }
}

/// A name, an address, or both as git writes them (`Name <address>`), told by its words.
pub(super) fn by_words(name: &str) -> &'static str {
    let told = match (name.split_once('<'), name.split_once('@')) {
        (Some((name, _)), _) => name,
        // Of an address what stands before the host, and before the tag behind a plus sign.
        (None, Some(_)) => name.split(['@', '+']).next().unwrap_or_default(),
        (None, None) => name,
    };
    kind(person::by_name(told))
}

/// As [`by_words`]; Azure's build services are programs.
pub(super) fn of_azure(name: &str) -> &'static str {
    if crate::azure::kind_of(name) == AuthorKind::Bot { BOT } else { by_words(name) }
}

/// As [`by_words`]; the accounts under which workflows of Gitea and Forgejo act are programs.
pub(super) fn of_gitea(name: &str) -> &'static str {
    if crate::gitea::kind_of(name) == AuthorKind::Bot { BOT } else { by_words(name) }
}

/// Who began a sync: a token of a project is a program, an address and `admin` are people, and of other names
/// nobody can say.
pub(super) fn of_argocd(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("proj:") => "proj:",
        "admin" | HUMAN => HUMAN,
        _ if name.contains('@') => HUMAN,
        _ => "unknown",
    }
}

fn kind(kind: AuthorKind) -> &'static str {
    match kind {
        AuthorKind::Bot => BOT,
        AuthorKind::Human => HUMAN,
    }
}

/// What a source reads out of prose: that it is a merge's message, what it reverts, the word `hotfix`, and pages.
pub(super) fn essence(prose: &str) -> String {
    let merge = message::merge_form(prose).map(str::to_owned);
    let reverts = message::reverts(prose).into_iter().flatten();
    let reverts = reverts.map(|sha| format!("{} {sha}", message::REVERTS));
    let hotfix = message::is_hotfix(prose).map(|_| "hotfix".to_owned());
    let pages = message::pages(prose).map(|page| format!("{}{page}", message::PAGE));
    merge.into_iter().chain(reverts).chain(hotfix).chain(pages).collect::<Vec<_>>().join("\n")
}

/// The text without e-mail addresses, and without the account before the host of a URL, nor its password.
pub(super) fn without_addresses(text: &str) -> Cow<'_, str> {
    if sign(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, sign)) = sign(rest) {
        let (before, after) = (rest.get(..at).unwrap_or_default(), rest.get(at + sign..).unwrap_or_default());
        let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let local = before.bytes().rev().take_while(is_local).count();
        let lead = before.get(..before.len() - local).unwrap_or_default();
        let local = before.get(lead.len()..).unwrap_or_default();
        let host = host(after);
        let behind = after.get(host.len()..).unwrap_or_default();
        if let Some(scheme) = before_password(before) {
            kept.push_str(scheme);
            rest = after;
        } else if local.is_empty() || local == "git" || !is_host(host) {
            kept.push_str(rest.get(..at + sign).unwrap_or_default());
            rest = after;
        } else if lead.ends_with("://") {
            kept.push_str(lead);
            rest = after;
        } else if behind.starts_with('/') || is_path(behind) {
            // `account@host:path`, as SSH writes it.
            kept.push_str(rest.get(..at + sign + host.len()).unwrap_or_default());
            rest = behind;
        } else {
            kept.push_str(lead);
            kept.push_str(ADDRESS);
            rest = behind;
        }
    }
    kept.push_str(rest);
    if kept == text { Cow::Borrowed(text) } else { Cow::Owned(kept) }
}

/// What stands before the account, where a URL has an account with a password before its at sign: vendors send clone URLs
/// with tokens in them.
fn before_password(before: &str) -> Option<&str> {
    let (_, account) = before.rsplit_once("://")?;
    let ends = |letter: char| letter.is_whitespace() || "/?#\"'<>,;".contains(letter);
    let has_password = account.contains(':') && !account.contains(ends);
    has_password.then(|| before.strip_suffix(account)).flatten()
}

/// Where the first at sign is, and how long it is: URLs write `%40`.
fn sign(text: &str) -> Option<(usize, usize)> {
    // Both in one pass: texts are of anybody, and one of at signs alone must not be read to its end for each of them.
    let bytes = text.as_bytes();
    memchr2_iter(b'@', b'%', bytes).find_map(|at| match bytes.get(at..)? {
        [b'@', ..] => Some((at, 1)),
        [b'%', b'4', b'0', ..] => Some((at, 3)),
        _ => None,
    })
}

fn host(after: &str) -> &str {
    let length =
        after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b".-".contains(byte)).count();
    after.get(..length).unwrap_or_default().trim_end_matches(['.', '-'])
}

fn is_host(host: &str) -> bool {
    let top = host.rsplit_once('.').map_or("", |(_, top)| top);
    top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_path(behind: &str) -> bool {
    behind.strip_prefix(':').is_some_and(|path| path.starts_with(|first: char| !first.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_and_what_looks_like_them_stays() {
        for (text, kept) in [
            ("jane.doe+x@mail.acme.com", "[address]"),
            ("<jane@acme.com>, <joe@acme.com>.", "<[address]>, <[address]>."),
            ("jane%40acme.com", "[address]"),
            ("https://jane@bitbucket.org/acme/shop.git", "https://bitbucket.org/acme/shop.git"),
            ("git@github.com:acme/shop.git", "git@github.com:acme/shop.git"),
            ("https://bot:ghp_0a1b@github.com/acme/shop", "https://github.com/acme/shop"),
            (
                "see https://git:t!@gitlab:8443/acme and a@acme.com",
                "see https://gitlab:8443/acme and [address]",
            ),
            ("jdbc:postgresql://app:p@db.acme.com:5432/shop", "jdbc:postgresql://db.acme.com:5432/shop"),
            ("http://a.acme.com:80/x@acme.com", "http://a.acme.com:80/[address]"),
            ("ssh://git@github.com/acme/shop", "ssh://git@github.com/acme/shop"),
            (
                "acme/shop/.github/workflows/a.yml@refs/heads/main",
                "acme/shop/.github/workflows/a.yml@refs/heads/main",
            ),
            ("ghcr.io/acme/shop@sha256:0a", "ghcr.io/acme/shop@sha256:0a"),
            ("pkg:npm/%40acme/shop@1.2.3", "pkg:npm/%40acme/shop@1.2.3"),
            ("é@é", "é@é"),
            ("@", "@"),
        ] {
            assert_eq!(without_addresses(text), kept, "{text}");
        }
    }

    #[test]
    fn a_name_is_read_like_its_word() {
        for name in ["Renovate Bot <r@acme.com>", "project_7_bot_1@noreply.acme.com", "x[bot]"] {
            assert_eq!(by_words(name), BOT, "{name}");
        }
        for name in ["Jane <bot@acme.com>", "jane@acme.bot", "Jane"] {
            assert_eq!(by_words(name), HUMAN, "{name}");
        }
        for word in [BOT, HUMAN] {
            assert_eq!(by_words(word), word);
            assert_eq!(by_suffix(word), word);
        }
    }
}
