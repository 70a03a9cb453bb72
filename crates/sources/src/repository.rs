//! Repositories by their address.

use model::RepoName;

/// A repository as host/owner/name, from the address of its pages or of its clones: `https://…`, `ssh://…`,
/// `git@host:owner/name.git`, `host/owner/name`. What is no address of a repository is `None`.
///
/// Whoever names a repository by an address names it like the forge itself, so two forges' clones are brought
/// into the form of their pages: Bitbucket Data Center's `/scm/`, and Azure DevOps' several hosts.
pub(crate) fn of_url(url: &str) -> Option<RepoName> {
    let url = url.trim();
    let (host, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            let host = authority.rsplit('@').next()?;
            // The port of SSH is not that of the pages, which name the repository.
            let web = matches!(scheme, "http" | "https");
            (if web { host } else { host.split(':').next()? }, path)
        }
        None => match url.split_once(':') {
            Some((account, path)) => (account.rsplit('@').next()?, path),
            None => url.split_once('/').filter(|(host, _)| host.contains('.'))?,
        },
    };
    let path = path.split(['?', '#']).next()?.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let host = host.to_ascii_lowercase();
    let parts: Vec<&str> = path.split('/').collect();
    let whole = parts.len() >= 2 && parts.iter().all(|part| !part.is_empty());
    if !whole || host.is_empty() || format!("{host}{path}").chars().any(char::is_whitespace) {
        return None;
    }
    if let Some(azure) = azure(&host, &parts) {
        return Some(azure);
    }
    Some(match parts.as_slice() {
        [.., "scm", project, name] => RepoName::new(format!("{host}/{project}/{name}")),
        _ => RepoName::new(format!("{host}/{path}")),
    })
}

/// `dev.azure.com/organisation/project/name`, from any address of a repository of Azure DevOps.
fn azure(host: &str, parts: &[&str]) -> Option<RepoName> {
    let organisation_of_host = host.strip_suffix(".visualstudio.com");
    if let ("ssh.dev.azure.com" | "vs-ssh.visualstudio.com", ["v3", organisation, project, name]) =
        (host, parts)
    {
        return Some(RepoName::new(format!("dev.azure.com/{organisation}/{project}/{name}")));
    }
    let at = parts.iter().position(|part| *part == "_git")?;
    let (before, name) = (parts.get(..at)?, parts.get(at + 1)?);
    let (organisation, rest) = match (organisation_of_host, before.split_first()) {
        (Some(organisation), _) => (organisation, before),
        (None, Some((organisation, rest))) if host == "dev.azure.com" => (*organisation, rest),
        // A server of one's own: collection, project.
        _ => {
            let path: Vec<&str> = before.iter().copied().chain([*name]).collect();
            return Some(RepoName::new(format!("{host}/{}", path.join("/"))));
        }
    };
    // A project whose repository has its name is left out of addresses, and so is the only collection.
    let project = rest.iter().rfind(|part| **part != "DefaultCollection").unwrap_or(name);
    Some(RepoName::new(format!("dev.azure.com/{organisation}/{project}/{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_repository_becomes_host_owner_and_name() {
        let name = |url| of_url(url).map(|repo| repo.to_string());
        for url in [
            "https://github.com/acme/shop.git",
            "https://GitHub.com/acme/shop/",
            "https://token@github.com/acme/shop",
            "git@github.com:acme/shop.git",
            "ssh://git@github.com:22/acme/shop.git",
            "git://github.com/acme/shop",
            "github.com/acme/shop/",
        ] {
            assert_eq!(name(url).as_deref(), Some("github.com/acme/shop"), "{url}");
        }
        let nested = name("https://git.example:8443/a/b/c.git");
        assert_eq!(nested.as_deref(), Some("git.example:8443/a/b/c"));
        for url in [
            "",
            "shop",
            "/srv/git/shop.git",
            "https://github.com",
            "https://github.com/acme",
            "github.com/acme",
            "acme/shop/x",
            "é:",
        ] {
            assert_eq!(name(url), None, "{url}");
        }
    }

    #[test]
    fn a_clone_is_named_like_the_pages_of_its_forge() {
        let name = |url| of_url(url).map(|repo| repo.to_string());
        for url in [
            "https://git.example/scm/pay/shop.git",
            "https://git.example/stash/scm/pay/shop.git",
            "ssh://git@git.example:7999/pay/shop.git",
        ] {
            assert_eq!(name(url).as_deref(), Some("git.example/pay/shop"), "{url}");
        }
        for url in [
            "https://dev.azure.com/acme/Retail/_git/shop",
            "https://acme@dev.azure.com/acme/Retail/_git/shop",
            "https://acme.visualstudio.com/DefaultCollection/Retail/_git/shop",
            "git@ssh.dev.azure.com:v3/acme/Retail/shop",
        ] {
            assert_eq!(name(url).as_deref(), Some("dev.azure.com/acme/Retail/shop"), "{url}");
        }
        let short = name("https://dev.azure.com/acme/_git/shop");
        assert_eq!(short.as_deref(), Some("dev.azure.com/acme/shop/shop"));
        let own = name("https://tfs.example:8080/tfs/Web/Retail/_git/shop");
        assert_eq!(own.as_deref(), Some("tfs.example:8080/tfs/Web/Retail/shop"));
    }
}
