//! Images pushed to ECR. The event carries no labels of the image: a push tells its commit only where the tag is
//! one, in full.

use super::Context;
use crate::node::Node;
use crate::{Refusal, image};
use model::event::{Artifact, DeliveryEvent};
use model::{EventBody, Text};

/// EventBridge's `ECR Image Action`.
pub(super) fn read(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let detail = body.object("detail")?;
    if detail.text("action-type")? != "PUSH" || detail.text("result")? != "SUCCESS" {
        return Err(Refusal::drop("image_action_not_used"));
    }
    let tag = detail.maybe_text("image-tag")?;
    let Some((tag, sha)) = tag.and_then(|tag| Some((tag, image::commit(tag)?))) else {
        return Err(Refusal::drop("artifact_without_commit"));
    };
    let (account, region) = (body.text("account")?, body.text("region")?);
    let repository = detail.text("repository-name")?;
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let named = format!("{account}.dkr.ecr.{region}.{suffix}/{repository}:{tag}");
    let digest = detail.maybe_text("image-digest")?.and_then(image::digest);
    let artifact =
        Artifact { digest: digest.map(Text::new), image: Some(Text::new(&named)), sha, built_at: None };
    let id = format!("aws_ecr:{named}");
    Ok(vec![context.event("aws_ecr", &id, body.time("time")?, EventBody::Artifact(artifact))])
}
