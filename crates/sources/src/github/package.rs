//! Packages: images pushed to GitHub's container registry (ghcr.io), as artifacts.
//!
//! Source: GitHub's documentation, "Webhook events and payloads", `registry_package`. No live payload seen.
//!
//! The commit is the image's label `org.opencontainers.image.revision`, which the event repeats, else the tag
//! where it is one. What the event calls `target_oid` is the head of a branch, not what was built.

use crate::facts::Facts;
use crate::node::{Node, is_full_sha};
use crate::{Refusal, image, record};
use model::event::{Artifact, DeliveryEvent};
use model::{EventBody, Sha, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "GitHub's webhooks of packages: images pushed to ghcr.io as artifacts (as in `github`)",
    emits: "artifact",
    drops: "*_not_used artifact_without_commit artifact_without_digest package_not_container \
        package_without_version",
    times: "`updated_at` and `created_at` of the version: RFC 3339 in UTC.",
    set_up: &[
        "Organisation or repository settings, Webhooks: the event Registry packages; the webhook of `github` may \
          have it, too.",
    ],
    seen: None,
    limits: &[
        "The commit is known by the image's label `org.opencontainers.image.revision`, else by a tag that is one.",
        "What else GitHub sends here is read as in `github`.",
    ],
};

/// The source of artifacts that a package tells.
const SOURCE: &str = "ghcr";

/// A package was published or changed, told by `package` or by `registry_package`.
pub(super) fn read(
    body: &Node<'_>,
    name: &str,
    received_at: Timestamp,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    match body.text("action")? {
        "published" | "updated" => {}
        _ => return Err(Refusal::drop("package_action_not_used")),
    }
    let package = body.object(name)?;
    let kind = package.first_text(&["package_type", "ecosystem"])?.unwrap_or_default();
    if !kind.eq_ignore_ascii_case("container") {
        return Err(Refusal::drop("package_not_container"));
    }
    let Some(version) = package.maybe_object("package_version")? else {
        return Err(Refusal::drop("package_without_version"));
    };
    let tag = version.maybe_text("container_metadata.tag.name")?;
    let label = version.maybe_text("container_metadata.labels.revision")?;
    let label = label.filter(|revision| is_full_sha(revision)).map(Sha::new);
    let Some(sha) = label.or_else(|| tag.and_then(image::commit)) else {
        return Err(Refusal::drop("artifact_without_commit"));
    };
    let digests = ["container_metadata.tag.digest", "container_metadata.manifest.digest", "version"];
    let mut digest = None;
    for path in digests {
        digest = digest.or(version.maybe_text(path)?.and_then(image::digest));
    }
    // `ghcr.io/acme/shop:` with nothing behind it is what an untagged version has.
    let url = version.maybe_text("package_url")?.filter(|url| !url.ends_with(':'));
    let named = url.map(image::read).filter(|image| image.tag.is_some()).and_then(|image| image.tagged());
    let Some(about) = digest.clone().or(named.clone()) else {
        return Err(Refusal::drop("artifact_without_digest"));
    };
    let at = match version.maybe_time("updated_at")? {
        Some(at) => at,
        None => match version.maybe_time("created_at")? {
            Some(at) => at,
            None => package.time("updated_at")?,
        },
    };
    let artifact =
        Artifact { digest: digest.map(Text::new), image: named.map(Text::new), sha, built_at: None };
    let id = format!("ghcr:{about}:{}", tag.unwrap_or_default());
    let mut event = record::event(SOURCE, id, at, received_at, EventBody::Artifact(artifact));
    if body.has("repository") {
        event.repo = Some(super::repository(body)?);
    }
    Ok(vec![event])
}
