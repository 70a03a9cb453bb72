//! Package URLs (`pkg:type/namespace/name@version?qualifiers#subpath`), as far as artifacts need them.
//!
//! Source: the purl specification. CDEvents names artifacts by them.

use crate::encoding::percent_decode;
use crate::node::is_full_sha;
use model::Sha;

/// What an artifact's identifier says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ArtifactName {
    /// The package's name, without its namespace.
    pub(crate) name: Option<String>,
    /// The version as it is written: a version, a digest, a commit.
    pub(crate) version: Option<String>,
    /// The content's digest, as in `sha256:…`.
    pub(crate) digest: Option<String>,
    /// The image's name with its tag.
    pub(crate) image: Option<String>,
    /// The commit, where the version is one in full.
    pub(crate) sha: Option<Sha>,
}

/// Reads an artifact's identifier: a purl, or a bare digest. Anything else is a version as it stands.
pub(crate) fn read(text: &str) -> ArtifactName {
    let Some(rest) = text.strip_prefix("pkg:") else {
        return versioned(None, text.to_owned());
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let (path, version) = rest.rsplit_once('@').map_or((rest, None), |(path, version)| (path, Some(version)));
    let name = path.rsplit('/').next().map(decoded).filter(|name| !name.is_empty());
    let mut artifact = match version.map(decoded).filter(|version| !version.is_empty()) {
        Some(version) => versioned(name, version),
        None => ArtifactName { name, ..ArtifactName::default() },
    };
    let qualifier = |key: &str| {
        let mut pairs = qualifiers.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(found, _)| *found == key)
            .map(|(_, value)| decoded(value))
            .filter(|value| !value.is_empty())
    };
    if let (Some(repository), Some(tag)) = (qualifier("repository_url"), qualifier("tag")) {
        artifact.image = Some(format!("{repository}:{tag}"));
    }
    artifact
}

fn versioned(name: Option<String>, version: String) -> ArtifactName {
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest = match version.split_once(':') {
        Some(("sha256", rest)) if hex(rest, 64) => Some(version.to_ascii_lowercase()),
        Some(("sha512", rest)) if hex(rest, 128) => Some(version.to_ascii_lowercase()),
        None if hex(&version, 64) => Some(format!("sha256:{}", version.to_ascii_lowercase())),
        _ => None,
    };
    let sha = (digest.is_none() && is_full_sha(&version)).then(|| Sha::new(&version));
    ArtifactName { name, version: Some(version), digest, image: None, sha }
}

fn decoded(text: &str) -> String {
    String::from_utf8_lossy(&percent_decode(text.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purl_tells_digest_image_and_commit() {
        let hex = "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";
        let image = read(&format!("pkg:oci/myapp@sha256%3A{hex}?repository_url=mycr.io/myapp&tag=v1"));
        assert_eq!(image.name.as_deref(), Some("myapp"));
        assert_eq!(image.digest, Some(format!("sha256:{hex}")));
        assert_eq!(image.image.as_deref(), Some("mycr.io/myapp:v1"));
        assert_eq!(read(hex).digest, Some(format!("sha256:{hex}")));
        let source = read("pkg:github/acme/shop@a67038ae2e9cb9b9b16423702f98b41e36601001");
        assert_eq!(source.sha, Some(Sha::new("a67038ae2e9cb9b9b16423702f98b41e36601001")));
        assert_eq!(read("pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c").digest, None);
    }
}
