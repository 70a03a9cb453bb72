//! CloudWatch alarms as incidents: from when one goes into ALARM until it leaves it.
//!
//! An event of EventBridge says in both of its states when the alarm began, so that each time is an incident of
//! its own. The message that an alarm sends to SNS by itself does not: of such an alarm only the last time is
//! kept. A rule of EventBridge with the topic as its target has the better form on the same way.

use super::Context;
use crate::node::Node;
use crate::{Refusal, environment, record};
use model::event::{DeliveryEvent, IncidentEvent, IncidentState};
use model::{EventBody, Text, Timestamp};

/// The source's name on these events.
const SOURCE: &str = "aws_cloudwatch";

/// EventBridge's `CloudWatch Alarm State Change`.
pub(super) fn event(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let name = body.text("detail.alarmName")?;
    let at = body.time("detail.state.timestamp")?;
    let before = body.maybe_text("detail.previousState.value")?;
    let began_at = match (body.text("detail.state.value")?, before) {
        ("ALARM", Some("ALARM")) => return Err(Refusal::drop("alarm_unchanged")),
        ("ALARM", _) => None,
        (_, Some("ALARM")) => Some(body.time("detail.previousState.timestamp")?),
        _ => return Err(Refusal::drop("alarm_without_incident")),
    };
    let arn = match body.maybe_texts("resources")?.and_then(|found| found.first().copied()) {
        Some(arn) => arn,
        None => name,
    };
    let id = format!("{SOURCE}:{arn}:{}", began_at.unwrap_or(at));
    Ok(vec![told(&id, name, began_at.unwrap_or(at), began_at.map(|_| at), context)])
}

/// The message that an alarm sends to SNS.
pub(super) fn message(body: &Node<'_>, context: &Context<'_>) -> Result<Vec<DeliveryEvent>, Refusal> {
    let name = body.text("AlarmName")?;
    let at = body.time("StateChangeTime")?;
    let arn = body.maybe_text("AlarmArn")?.unwrap_or(name);
    let id = format!("{SOURCE}:{arn}");
    match (body.text("NewStateValue")?, body.maybe_text("OldStateValue")?) {
        ("ALARM", _) => Ok(vec![told(&id, name, at, None, context)]),
        ("OK" | "INSUFFICIENT_DATA", Some("ALARM")) => {
            let mut told = told(&id, name, at, Some(at), context);
            if let EventBody::Incident(incident) = &mut told.body {
                // When it began only the message before says.
                incident.detected_at = None;
            }
            Ok(vec![told])
        }
        ("OK" | "INSUFFICIENT_DATA", _) => Err(Refusal::drop("alarm_without_incident")),
        (other, _) => Err(body.unknown("NewStateValue", other, "OK, ALARM, INSUFFICIENT_DATA")),
    }
}

fn told(
    id: &str,
    name: &str,
    began_at: Timestamp,
    ended_at: Option<Timestamp>,
    context: &Context<'_>,
) -> DeliveryEvent {
    let state = if ended_at.is_some() { IncidentState::Resolved } else { IncidentState::Open };
    let incident = IncidentEvent {
        tier: context.environment.and_then(environment::tier).or_else(|| environment::tier(name)),
        detected_at: Some(began_at),
        resolved_at: ended_at,
        ..record::incident(id, state)
    };
    let at = ended_at.unwrap_or(began_at);
    let body = EventBody::Incident(Box::new(incident));
    let mut event = context.event(SOURCE, &format!("{id}:{state}:{at}"), at, body);
    event.service = Some(Text::new(format!("cloudwatch:{name}")));
    event
}
