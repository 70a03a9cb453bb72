//! What the sources of code forges share: one delivery about one repository.

use crate::node::Node;
use crate::{MAX_NAME_BYTES, Refusal};
use model::event::DeliveryEvent;
use model::{EventBody, RepoName, Text, Timestamp};
use std::collections::BTreeSet;

/// One delivery, opened.
pub(crate) struct Delivery<'a> {
    pub(crate) body: Node<'a>,
    pub(crate) repo: RepoName,
    pub(crate) received_at: Timestamp,
}

impl<'a> Delivery<'a> {
    /// Opens a delivery. Each of its events repeats the repository, so a long name would be written as many times
    /// as a push has commits: it is refused before any is made.
    pub(crate) fn new(body: Node<'a>, repo: RepoName, received_at: Timestamp) -> Result<Self, Refusal> {
        crate::bounded("repo", repo.as_str(), MAX_NAME_BYTES)?;
        Ok(Self { body, repo, received_at })
    }

    /// An event of this repository; `about` tells it from the repository's others.
    pub(crate) fn event(
        &self,
        source: &str,
        about: &str,
        occurred_at: Timestamp,
        body: EventBody,
    ) -> DeliveryEvent {
        let id = format!("{}:{about}", self.repo);
        let mut event = crate::record::event(source, id, occurred_at, self.received_at, body);
        event.repo = Some(self.repo.clone());
        event
    }
}

/// A word of a payload as part of a counted reason: only what is short and plain is repeated, so that nobody
/// can fill the counters with words of their own.
pub(crate) fn word(text: &str) -> &str {
    let plain = text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { text } else { "other" }
}

/// What a commit added, removed and modified, sorted. Unknown when none of the three lists is there.
pub(crate) fn paths(node: &Node<'_>) -> Result<Option<Vec<Text>>, Refusal> {
    let mut paths: Option<BTreeSet<&str>> = None;
    for list in ["added", "removed", "modified"] {
        if let Some(found) = node.maybe_texts(list)? {
            paths.get_or_insert_default().extend(found);
        }
    }
    Ok(paths.map(|paths| paths.into_iter().map(Text::new).collect()))
}

/// The host of a web address, with its port, without the account; `None` when the text is no such address.
pub(crate) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_port_and_loses_its_account() {
        assert_eq!(host("https://me:secret@git.example:8443/a?b"), Some("git.example:8443"));
        assert_eq!(host("git.example"), None);
    }
}
