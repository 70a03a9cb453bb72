//! Repositories by their address: `https://host/owner/name.git`, `git@host:owner/name.git`, `host/owner/name`.

use model::RepoName;

/// The repository as host/owner/name, where the text is the address of one.
pub(crate) fn of_url(url: &str) -> Option<RepoName> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    // The user before the host is no part of the name.
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest).replacen(':', "/", 1);
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix(".git").unwrap_or(rest);
    let parts: Vec<&str> = rest.split('/').collect();
    let host = parts.first()?.contains('.');
    (host && parts.len() >= 3 && parts.iter().all(|part| !part.is_empty())).then(|| RepoName::new(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_from_each_form_of_its_address() {
        for url in
            ["https://github.com/acme/shop.git", "git@github.com:acme/shop.git", "github.com/acme/shop/"]
        {
            assert_eq!(of_url(url), Some(RepoName::new("github.com/acme/shop")), "{url}");
        }
        assert_eq!(of_url("https://git.example/a/b/c"), Some(RepoName::new("git.example/a/b/c")));
        assert_eq!(of_url("acme/shop"), None);
    }
}
