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

/// The kind by the name of an account or of a commit's author, where a forge tells nothing but that.
///
/// A program is what has the word `bot` last (`renovate-bot`, `Renovate Bot`, `dependabot[bot]`), and what
/// GitLab makes for access tokens and services: `project_7_bot_…`, `group_7_bot_…`, `service_account_…`.
pub(crate) fn by_name(name: &str) -> AuthorKind {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let token = matches!(words.as_slice(), ["project" | "group", _, "bot", ..] | ["service", "account", ..]);
    if token || words.last() == Some(&"bot") { AuthorKind::Bot } else { AuthorKind::Human }
}

fn is_bot(name: &str) -> bool {
    name.ends_with("[bot]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_a_program_from_a_person() {
        for name in [
            "dependabot[bot]",
            "renovate-bot",
            "Renovate Bot",
            "project_7_bot_0a1b",
            "service_account_group_1_a",
        ] {
            assert_eq!(by_name(name), AuthorKind::Bot, "{name}");
        }
        for name in ["Jane Abbot", "bot-lover", "jane", "", "project manager"] {
            assert_eq!(by_name(name), AuthorKind::Human, "{name}");
        }
    }
}
