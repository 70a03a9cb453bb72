//! Docker Hub's webhooks: pushed images as artifacts.
//!
//! Source: Docker's documentation, "Docker Hub webhooks". No live payload seen.
//!
//! The payload has neither digest nor labels, so that a push tells its commit only where the tag is one, in full
//! (`4f1c…`, `sha-4f1c…`, `main-4f1c…`); any other push is dropped. `pushed_at` is in Unix seconds, in old
//! payloads as `1.417566161e+09`.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, image, record};
use model::event::{Artifact, DeliveryEvent};
use model::raw::RawRecord;
use model::{EventBody, Text};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Docker Hub's webhooks: pushed images as artifacts",
    emits: "artifact",
    drops: "artifact_without_commit",
    times: "`push_data.pushed_at`: Unix seconds, in old payloads as a float.",
    set_up: &["Repository, Webhooks: the hook's URL with a token in it; Docker Hub signs nothing."],
    seen: None,
    limits: &["No digest and no labels: only a tag that is a full commit id tells the commit."],
};

/// The source's name on its events.
const SOURCE: &str = "dockerhub";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let pushed = body.object("push_data")?;
    let repository = body.text("repository.repo_name")?;
    let tag = pushed.text("tag")?;
    let Some(sha) = image::commit(tag) else { return Err(Refusal::drop("artifact_without_commit")) };
    let at = pushed.unix_time("pushed_at")?;
    let named = image::read(&format!("{repository}:{tag}")).tagged();
    let id = format!("dockerhub:{repository}:{tag}");
    let artifact = Artifact { digest: None, image: named.map(Text::new), sha, built_at: None };
    Ok(vec![record::event(SOURCE, id, at, raw.received_at, EventBody::Artifact(artifact))])
}
