//! What a commit message's form says: which commits it reverts, and whether it is a merge.

use model::Sha;

/// What `git revert` and the forges' revert buttons write before the commit id.
pub(crate) const REVERTS: &str = "This reverts commit";

/// How the forges and git itself begin the message of a merge commit.
const MERGES: [&str; 6] = [
    "Merge pull request #",
    "Merge branch '",
    "Merge branches '",
    "Merge remote-tracking branch '",
    "Merge tag '",
    "Merge commit '",
];

/// The commits that a message says it reverts, in its order.
pub(crate) fn reverts(message: &str) -> Option<Vec<Sha>> {
    let sha = |(at, form): (usize, &str)| {
        let rest = message.get(at + form.len()..)?;
        let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        (7..=64).contains(&digits).then(|| rest.get(..digits).map(Sha::new)).flatten()
    };
    let found: Vec<Sha> = message.match_indices(REVERTS).filter_map(sha).collect();
    (!found.is_empty()).then_some(found)
}

/// `true` when the message has the form of a merge commit's; else nothing is known.
pub(crate) fn is_merge(message: &str) -> Option<bool> {
    merge_form(message).map(|_| true)
}

/// How a merge commit's message begins, where this is one.
pub(crate) fn merge_form(message: &str) -> Option<&'static str> {
    MERGES.into_iter().find(|form| message.starts_with(form))
}

/// `true` when a branch, a label or a title has the word `hotfix`; else nothing is known.
pub(crate) fn is_hotfix(text: &str) -> Option<bool> {
    let mut words = text.split(|letter: char| !letter.is_alphabetic());
    words.any(|word| word.eq_ignore_ascii_case("hotfix")).then_some(true)
}

/// What the address of an incident at PagerDuty begins with, behind the account's own name.
pub(crate) const PAGE: &str = "pagerduty.com/incidents/";

/// The incidents at PagerDuty whose addresses a text holds: tickets name the page that they follow.
pub(crate) fn pages(text: &str) -> impl Iterator<Item = &str> {
    text.split(PAGE).skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest.get(..end).filter(|id| !id.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_names_its_commit_and_not_the_merge_parent() {
        let sha = "a67038ae2e9cb9b9b16423702f98b41e36601001";
        let merge = format!("Revert \"x\"\n\nThis reverts commit {sha}, reversing\nchanges made to {sha}.");
        assert_eq!(reverts(&merge), Some(vec![Sha::new(sha)]));
        assert_eq!(reverts("This reverts commit\n a67038a."), Some(vec![Sha::new("a67038a")]));
        assert_eq!(reverts("This reverts commits of last week"), None);
        assert_eq!(reverts("This reverts commit é"), None);
    }

    #[test]
    fn the_word_hotfix_is_a_word_and_not_a_part_of_one() {
        assert_eq!(is_hotfix("hotfix/login"), Some(true));
        assert_eq!(is_hotfix("release-2-Hotfix-1"), Some(true));
        assert_eq!(is_hotfix("nohotfixes"), None);
    }
}
