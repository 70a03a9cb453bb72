//! Deployments of CodeDeploy, and versions of Lambda functions.

use super::Context;
use crate::node::Node;
use crate::{Refusal, environment, image, record};
use model::event::{DeliveryEvent, DeploymentEvent, DeploymentState};
use model::{EventBody, Text, Timestamp};
use model::{base64, hex};

/// A deployment of CodeDeploy has a new state.
pub(super) fn codedeploy(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let detail = body.object("detail")?;
    let state = match detail.text("state")? {
        // READY: the new instances of a blue-green deployment wait for the traffic.
        "START" | "READY" => DeploymentState::Running,
        "SUCCESS" => DeploymentState::Succeeded,
        "FAILURE" => DeploymentState::Failed,
        "STOP" => DeploymentState::Cancelled,
        other => return Err(detail.unknown("state", other, "START, READY, SUCCESS, FAILURE, STOP")),
    };
    let at = body.time("time")?;
    let application = detail.text("application")?;
    let group = detail.maybe_text("deploymentGroup")?;
    // Times are whole seconds: whatever arrives first, the later word must win.
    let step = match detail.text("state")? {
        "START" => 0,
        "READY" => 1,
        _ => 2,
    };
    let id = format!("codedeploy:{}", detail.text("deploymentId")?);
    let place = environment(context, &[group, Some(application)]).unwrap_or(application);
    let ended = state != DeploymentState::Running;
    let deployment = DeploymentEvent {
        part: group.map(Text::new),
        started_at: (step == 0).then_some(at),
        finished_at: ended.then_some(at),
        ..record::deployment(&id, place, state)
    };
    let occurred_at = Timestamp::from_micros(at.micros() + step);
    let about = format!("{id}:{}", detail.text("state")?);
    let told = EventBody::Deployment(Box::new(deployment));
    let mut event = context.event("aws_codedeploy", &about, occurred_at, told);
    event.service = Some(Text::new(format!("codedeploy:{application}")));
    Ok(vec![event])
}

/// A call of Lambda's API: a version was published. Code without a version, aliases and settings are no
/// deployments of their own: most pipelines make all of these calls for one.
pub(super) fn lambda(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let detail = body.object("detail")?;
    // `PublishVersion20150331`, `UpdateFunctionCode20150331v2`.
    let call = detail.text("eventName")?;
    let call = call.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
    if detail.maybe_text("errorCode")?.is_some() {
        return Err(Refusal::drop("call_failed"));
    }
    match call {
        "PublishVersion" => {}
        "UpdateFunctionCode" | "CreateFunction" => {
            if detail.flag("requestParameters.publish")? != Some(true) {
                return Err(Refusal::drop("unpublished_code_not_used"));
            }
        }
        "UpdateAlias" | "CreateAlias" | "DeleteAlias" => return Err(Refusal::drop("alias_not_used")),
        _ => return Err(Refusal::drop("api_call_not_used")),
    }
    let Some(response) = detail.maybe_object("responseElements")? else {
        return Err(Refusal::drop("call_without_answer"));
    };
    let (arn, version) = (response.text("functionArn")?, response.text("version")?);
    let function = response.text("functionName")?;
    let at = detail.time("eventTime")?;
    // The answer's ARN has the version behind it or not, by the call.
    let bare = arn.strip_suffix(&format!(":{version}")).unwrap_or(arn);
    let id = format!("lambda:{bare}:{version}");
    let place = environment(context, &[Some(function)]).unwrap_or(function);
    let mut deployment = record::deployment(&id, place, DeploymentState::Succeeded);
    deployment.started_at = Some(at);
    deployment.finished_at = Some(at);
    if let Some(uri) = detail.maybe_text("requestParameters.imageUri")? {
        image::read(uri).fill(&mut deployment);
    }
    deployment.version = Some(Text::new(version));
    let zipped = response.maybe_text("codeSha256")?.and_then(hexadecimal);
    deployment.digest = deployment.digest.or(zipped.map(Text::new));
    let told = EventBody::Deployment(Box::new(deployment));
    let mut event = context.event("aws_lambda", &id, at, told);
    event.service = Some(Text::new(format!("lambda:{function}")));
    Ok(vec![event])
}

/// Lambda writes the SHA-256 of a package in base64.
fn hexadecimal(base64: &str) -> Option<String> {
    let bytes = base64::decode(base64).filter(|bytes| bytes.len() == 32)?;
    Some(format!("sha256:{}", hex::lower(&bytes)))
}

fn environment<'a>(context: &Context<'a>, names: &[Option<&'a str>]) -> Option<&'a str> {
    context.environment.or(environment::among(names))
}
