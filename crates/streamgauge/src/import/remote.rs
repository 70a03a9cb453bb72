//! A repository's name, `host/owner/name`, from the address of its remote.

/// Reads an address in any of git's forms; `None` for a path on this machine.
///
/// Users, passwords, ports and a trailing `.git` say nothing about which repository it is.
pub fn repository_name(url: &str) -> Option<String> {
    let url = url.trim();
    let (host, path) = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?,
        // The scp form, host:path. One letter before the colon is a Windows drive.
        None => url.split_once(':').filter(|(host, _)| host.len() > 1 && !host.contains('/'))?,
    };
    let host = host.rsplit('@').next().unwrap_or(host);
    let host = host.split(':').next().unwrap_or(host).to_lowercase();
    let path = path.split(['?', '#']).next().unwrap_or(path).trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_matches('/');
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address_gives_one_name() {
        for url in [
            "https://github.com/acme/checkout",
            "https://github.com/acme/checkout.git/",
            "https://user:secret@GitHub.com:443/acme/checkout.git",
            "git@github.com:acme/checkout.git",
            "github.com:acme/checkout",
            "ssh://git@github.com:22/acme/checkout.git",
            "git://github.com/acme/checkout",
        ] {
            assert_eq!(repository_name(url).as_deref(), Some("github.com/acme/checkout"), "{url}");
        }
        assert_eq!(
            repository_name("git@gitlab.example.com:group/sub/name.git").as_deref(),
            Some("gitlab.example.com/group/sub/name")
        );
    }

    #[test]
    fn a_path_on_this_machine_names_nothing() {
        for url in [
            "/srv/git/checkout.git",
            "../checkout",
            "file:///srv/git/checkout",
            "C:\\git\\checkout",
            "",
            "./a:b",
        ] {
            assert_eq!(repository_name(url), None, "{url}");
        }
    }
}
