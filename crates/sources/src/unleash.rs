//! Unleash: changes of flags, by the webhook's own body or our template (`deploy/templates/unleash`).
//!
//! Source: Unleash's documentation, "Webhook" and "Event types", and its server's code: without a template the
//! body is the event as JSON, with the name of whoever made it; ours leaves that out. No live payload seen.
//!
//! A change counts when it is made in an environment. The flag is claimed by the alias `flag:…` of a catalog.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{Refusal, SourceSettings, record, template};
use model::event::{DeliveryEvent, FlagChangeEvent};
use model::raw::RawRecord;
use model::{Environment, EventBody, Text, Timestamp};

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "Unleash's webhook, by its own body or our template: flag changes",
    emits: "flag_change",
    drops: "change_request_not_used event_not_used flag_not_in_environment",
    times: "`createdAt`: RFC 3339, or as JavaScript writes a date.",
    set_up: &["Configure, Integrations, Webhook: the hook's URL, the events of features, the body of \
          `deploy/templates/unleash/webhook.txt`."],
    seen: None,
    limits: &[
        "Another template than ours is refused by its name.",
        "Changes outside an environment are dropped.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "unleash";

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let bare = ["id", "type", "createdAt"].iter().all(|key| body.has(key)) && !body.has("template");
    let event = if bare {
        body
    } else {
        template::check(&body, SOURCE, 1)?;
        body.object("event")?
    };
    let kind = event.text("type")?;
    let (from, to) = match kind {
        "feature-environment-enabled" => (Some("off"), Some("on")),
        "feature-environment-disabled" => (Some("on"), Some("off")),
        "feature-environment-variants-updated"
        | "feature-strategy-add"
        | "feature-strategy-remove"
        | "feature-strategy-update"
        | "segment-updated"
        | "strategy-order-changed"
            if event.maybe_text("environment")?.is_some() =>
        {
            (None, None)
        }
        _ if kind.starts_with("feature-") => return Err(Refusal::drop("flag_not_in_environment")),
        _ if kind.starts_with("change-") => return Err(Refusal::drop("change_request_not_used")),
        _ => return Err(Refusal::drop("event_not_used")),
    };
    let at = created_at(&event)?;
    let flag = match event.maybe_text("featureName")? {
        Some(name) => name,
        None => event.text("data.name")?,
    };
    let change = FlagChangeEvent {
        flag: Text::new(flag),
        action: Text::new(kind),
        environment: Environment::new(event.text("environment")?),
        from: from.map(Text::new),
        to: to.map(Text::new),
    };
    let about = format!("unleash:{}", event.id("id")?);
    Ok(vec![record::event(SOURCE, about, at, raw.received_at, EventBody::FlagChange(change))])
}

/// RFC 3339 in the event's JSON. A template writes dates as JavaScript shows them:
/// `Mon Dec 29 2025 10:00:00 GMT+0000 (Coordinated Universal Time)`.
fn created_at(event: &Node<'_>) -> Result<Timestamp, Refusal> {
    let text = event.text("createdAt")?;
    let shown = text.split(" (").next().unwrap_or_default();
    match jiff::Timestamp::strptime("%a %b %d %Y %H:%M:%S GMT%z", shown) {
        Ok(time) => {
            let time = Timestamp::from_micros(time.as_microsecond());
            if time < Timestamp::MIN || time > Timestamp::MAX {
                return event.time("createdAt");
            }
            Ok(time)
        }
        Err(_) => event.time("createdAt"),
    }
}
