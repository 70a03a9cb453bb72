//! AWS: events of EventBridge (CodeDeploy, ECR, Lambda through CloudTrail, CloudWatch alarms) and CloudWatch's own
//! alarm messages, each bare or in SNS' envelope.
//!
//! Source: AWS' documentation, "Events from AWS services", "Monitoring deployments with CloudWatch Events", "Amazon
//! ECR events and EventBridge", "Logging Lambda API calls using CloudTrail", "Alarm events and EventBridge", and
//! "Parsing message formats" of SNS. No live payload seen.
//!
//! None of them has a commit. Each service has a source name of its own: `aws_codedeploy`, `aws_lambda`,
//! `aws_ecr`, `aws_cloudwatch`. The header `environment` names the environment of the account that sends; else the
//! names of deployment group, application or function say it.

mod alarm;
mod deployment;
mod image_push;

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::{Refusal, SourceSettings};
use model::event::DeliveryEvent;
use model::raw::RawRecord;
use model::{Timestamp, event};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "AWS through EventBridge or SNS: CodeDeploy, Lambda, ECR, CloudWatch alarms",
    emits: "artifact deployment incident",
    drops: "alarm_unchanged alarm_without_incident alias_not_used api_call_not_used \
        artifact_without_commit call_failed call_without_answer detail_type_not_used \
        image_action_not_used instance_not_used message_is_text scan_summary_not_used \
        subscription_confirmation unpublished_code_not_used unsubscribe_confirmation",
    times: "`time` of EventBridge and `StateChangeTime` of alarms: RFC 3339, or with an offset written \
        `+0000`.",
    set_up: &[
        "EventBridge: a rule for CodeDeploy, ECR, `AWS API Call via CloudTrail` of Lambda and CloudWatch \
          alarms, to an API destination with the hook's URL.",
        "Or SNS: a subscription of the hook's URL over HTTPS; the gateway confirms it.",
        "The header `environment` names the environment of the account.",
    ],
    seen: None,
    limits: &[
        "None of them tells a commit; ECR does where the tag is one.",
        "Lambda counts published versions only.",
    ],
};

/// What does not lie in the body.
struct Context<'a> {
    environment: Option<&'a str>,
    received_at: Timestamp,
}

impl Context<'_> {
    fn event(&self, source: &str, id: &str, at: Timestamp, body: event::EventBody) -> DeliveryEvent {
        crate::record::event(source, id, at, self.received_at, body)
    }
}

/// Reads one event or message.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let context = Context { environment: header(raw, "environment"), received_at: raw.received_at };
    if !body.has("Type") || !body.has("TopicArn") {
        return inner(&body, &context);
    }
    match body.text("Type")? {
        "Notification" => {}
        "SubscriptionConfirmation" => return Err(Refusal::drop("subscription_confirmation")),
        "UnsubscribeConfirmation" => return Err(Refusal::drop("unsubscribe_confirmation")),
        other => {
            let known = "Notification, SubscriptionConfirmation, UnsubscribeConfirmation";
            return Err(body.unknown("Type", other, known));
        }
    }
    let message = body.text("Message")?;
    // A topic carries texts for people as well.
    if !message.trim_start().starts_with('{') {
        return Err(Refusal::drop("message_is_text"));
    }
    let message = parse(message.as_bytes())?;
    inner(&Node::root(&message, settings), &context)
}

fn inner(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    if body.has("AlarmName") {
        return alarm::message(body, context);
    }
    let Some(kind) = body.maybe_text("detail-type")? else {
        let detail = "the body is neither an event of EventBridge (`detail-type`) nor a message of an alarm \
                      (`AlarmName`), bare or in the envelope of SNS";
        return Err(Refusal::reject("unknown_event", detail));
    };
    match kind {
        "CodeDeploy Deployment State-change Notification" => deployment::codedeploy(body, context),
        "AWS API Call via CloudTrail" if body.maybe_text("source")? == Some("aws.lambda") => {
            deployment::lambda(body, context)
        }
        "ECR Image Action" => image_push::read(body, context),
        "CloudWatch Alarm State Change" => alarm::event(body, context),
        "CodeDeploy Instance State-change Notification" => Err(Refusal::drop("instance_not_used")),
        "ECR Image Scan" => Err(Refusal::drop("scan_summary_not_used")),
        "AWS API Call via CloudTrail" => Err(Refusal::drop("api_call_not_used")),
        _ => Err(Refusal::drop("detail_type_not_used")),
    }
}
