//! Whether a person or a program did something. This is all that is ever kept of an account.

use crate::Refusal;
use crate::node::Node;
use model::event::AuthorKind;

/// The kind of a forge account (`{login, type}`) at a path, as GitHub documents it.
pub(crate) fn account(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(account) = node.maybe_object(path)? else { return Ok(None) };
    if account.maybe_text("login")?.is_some_and(is_bot) {
        return Ok(Some(AuthorKind::Bot));
    }
    Ok(match account.maybe_text("type")? {
        Some("Bot") => Some(AuthorKind::Bot),
        Some("User") => Some(AuthorKind::Human),
        _ => None,
    })
}

/// The kind of a commit's author (`{name, email, username}`) at a path. GitHub gives commits of its apps a
/// name and a username that end in `[bot]`.
pub(crate) fn commit_author(node: &Node<'_>, path: &str) -> Result<Option<AuthorKind>, Refusal> {
    let Some(author) = node.maybe_object(path)? else { return Ok(None) };
    for field in ["username", "name"] {
        if author.maybe_text(field)?.is_some_and(is_bot) {
            return Ok(Some(AuthorKind::Bot));
        }
    }
    Ok(Some(AuthorKind::Human))
}

fn is_bot(name: &str) -> bool {
    name.ends_with("[bot]")
}
