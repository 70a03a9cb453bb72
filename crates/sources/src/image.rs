//! References to container images: `registry/name:tag@digest`.
//!
//! Source: the OCI distribution specification and Docker's reference grammar. Docker Hub's images are named as
//! manifests write them, `nginx:1.27` and not `docker.io/library/nginx:1.27`: a push and a rollout then name
//! the same image alike.

use crate::node::is_full_sha;
use model::event::DeploymentEvent;
use model::{Sha, Text};

/// What a reference says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The name without tag and digest.
    pub(crate) name: String,
    /// The tag, where there is one.
    pub(crate) tag: Option<String>,
    /// The digest, as in `sha256:…`.
    pub(crate) digest: Option<String>,
}

impl Image {
    /// The name with its tag.
    pub(crate) fn tagged(&self) -> Option<String> {
        self.tag.as_ref().map(|tag| format!("{}:{tag}", self.name))
    }

    /// The last word of the name.
    pub(crate) fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Writes what the reference says into a deployment. The commit is left to the artifacts.
    pub(crate) fn fill(&self, deployment: &mut DeploymentEvent) {
        deployment.version = self.tag.as_ref().map(Text::new);
        deployment.image = self.tagged().map(Text::new);
        deployment.digest = self.digest.as_ref().map(Text::new);
    }
}

/// Reads a reference.
pub(crate) fn read(reference: &str) -> Image {
    let reference = reference.split_once("://").map_or(reference, |(_, rest)| rest);
    let (rest, digest) = reference.split_once('@').map_or((reference, None), |(rest, d)| (rest, digest(d)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let tag = tag.filter(|tag| !tag.is_empty()).map(str::to_owned);
    Image { name: familiar(name), tag, digest }
}

/// A digest in full, in lower case.
pub(crate) fn digest(text: &str) -> Option<String> {
    let (algorithm, hex) = text.split_once(':')?;
    let length = match algorithm {
        "sha256" => 64,
        "sha512" => 128,
        _ => return None,
    };
    let whole = hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| text.to_ascii_lowercase())
}

/// The name as manifests write it.
fn familiar(name: &str) -> String {
    let hosts = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"];
    let bare = hosts.iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    bare.strip_prefix("library/").unwrap_or(bare).to_owned()
}

/// The commit that a tag is, or ends in: `4f1c…`, `sha-4f1c…`, `main-4f1c…` with all its 40 digits, as
/// docker/metadata-action and others write them. Abbreviations are not resolved.
pub(crate) fn commit(tag: &str) -> Option<Sha> {
    let last = tag.rsplit(['-', '_', '.']).next()?;
    (last.len() == 40 && is_full_sha(last)).then(|| Sha::new(last))
}

/// The image that a workload is about: the only one, else the only one that is called like it.
pub(crate) fn of_workload(references: &[&str], called: &str) -> Option<Image> {
    let mut images: Vec<Image> = references.iter().map(|reference| read(reference)).collect();
    images.dedup();
    if images.len() > 1 {
        images.retain(|image| image.short() == called);
    }
    if images.len() == 1 { images.pop() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";

    #[test]
    fn a_reference_has_a_name_a_tag_and_a_digest() {
        let image = read(&format!("registry.example:5000/acme/shop:v1@sha256:{HEX}"));
        assert_eq!(image.tagged().as_deref(), Some("registry.example:5000/acme/shop:v1"));
        assert_eq!(image.digest, Some(format!("sha256:{HEX}")));
        assert_eq!(read("registry.example:5000/acme/shop").tag, None);
        assert_eq!(
            read("docker-pullable://docker.io/library/nginx:1.27").tagged().as_deref(),
            Some("nginx:1.27")
        );
        assert_eq!(read("acme/shop@sha256:ab").digest, None);
    }

    #[test]
    fn a_tag_may_be_a_commit_in_full() {
        let sha = "a67038ae2e9cb9b9b16423702f98b41e36601001";
        for tag in [sha.to_owned(), format!("sha-{sha}"), format!("main-{sha}")] {
            assert_eq!(commit(&tag), Some(Sha::new(sha)));
        }
        assert_eq!(commit("sha-a67038a"), None);
        assert_eq!(commit(&format!("sha256-{HEX}.sig")), None);
    }

    #[test]
    fn of_several_images_the_one_called_like_the_workload_is_meant() {
        let both = ["acme/shop:1", "envoyproxy/envoy:2"];
        assert_eq!(
            of_workload(&both, "shop").and_then(|image| image.tagged()).as_deref(),
            Some("acme/shop:1")
        );
        assert_eq!(of_workload(&both, "web"), None);
        assert_eq!(
            of_workload(&both[1..], "web").map(|image| image.name).as_deref(),
            Some("envoyproxy/envoy")
        );
    }
}
