//! LaunchDarkly's webhooks: changes of flags.
//!
//! Source: LaunchDarkly's API documentation, "Webhooks" (the payload is an audit log entry, in no order; its `date`
//! in milliseconds orders them) and "Audit log". No live payload seen.
//!
//! A change counts for each environment in which it changes what a flag serves, as `accesses` lists them
//! (`proj/shop:env/production:flag/new-cart`). Archiving and deleting change it in every environment that the
//! entry's version of the flag has. The flag is claimed by the alias `flag:…` of a catalog.

use crate::facts::Facts;
use crate::node::{Node, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record};
use model::event::{DeliveryEvent, FlagChangeEvent};
use model::raw::RawRecord;
use model::{Environment, EventBody, Text};
use std::collections::BTreeSet;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "LaunchDarkly's webhooks: flag changes",
    emits: "flag_change",
    drops: "administration_not_used flag_not_in_environment kind_not_used segment_not_used",
    times: "`date`: Unix milliseconds.",
    set_up: &[
        "Integrations, Webhooks: the hook's URL, signed, with a policy for `proj/*:env/production:flag/*`.",
    ],
    seen: None,
    limits: &["Arrives in no order; each entry's own time orders them.", "Segments are not read."],
};

/// The source's name on its events.
const SOURCE: &str = "launchdarkly";

/// Changes that one entry may tell: environments of a project are a few hundred at most.
const MAX_CHANGES: usize = 10_000;

/// Reads one webhook.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let id = body.text("_id")?;
    bounded("id", id, MAX_NAME_BYTES)?;
    let at = body.unix_millis("date")?;
    match body.text("kind")? {
        "flag" => {}
        "segment" => return Err(Refusal::drop("segment_not_used")),
        "environment" | "project" | "member" | "team" | "role" | "token" | "webhook" | "integration" => {
            return Err(Refusal::drop("administration_not_used"));
        }
        _ => return Err(Refusal::drop("kind_not_used")),
    }
    let (mut tried, mut seen) = (0, BTreeSet::new());
    let mut events = Vec::new();
    for access in body.items("accesses")? {
        let action = access.text("action")?;
        let Some((environment, flag)) = resource(access.text("resource")?) else { continue };
        let environments = match environment {
            "*" if serves_nothing(action) => all_environments(&body),
            "*" => Vec::new(),
            one => vec![one],
        };
        for environment in environments {
            // One entry is about one flag; every access times every environment would be no change of anybody's.
            tried += 1;
            if tried > MAX_CHANGES {
                let detail =
                    format!("the entry tells more than {MAX_CHANGES} changes; at most so many are read");
                return Err(Refusal::reject("too_large", detail));
            }
            bounded("flag", flag, MAX_NAME_BYTES)?;
            bounded("action", action, MAX_NAME_BYTES)?;
            if !changes_what_is_served(action) || !seen.insert((environment, flag, action)) {
                continue;
            }
            let change = FlagChangeEvent {
                flag: Text::new(flag),
                action: Text::new(action),
                environment: Environment::new(environment),
                from: served(&body, "previousVersion", environment).filter(|_| !serves_nothing(action)),
                to: served(&body, "currentVersion", environment).filter(|_| !serves_nothing(action)),
            };
            let about = format!("{id}:{environment}:{flag}:{action}");
            events.push(record::event(SOURCE, about, at, raw.received_at, EventBody::FlagChange(change)));
        }
    }
    if events.is_empty() {
        return Err(Refusal::drop("flag_not_in_environment"));
    }
    Ok(events)
}

/// Environment and flag of a resource.
fn resource(text: &str) -> Option<(&str, &str)> {
    let part = |begin: &str| text.split(':').find_map(|part| part.strip_prefix(begin));
    Some((trim(part("env/")?), trim(part("flag/")?)))
}

/// Tags follow behind a semicolon: `flag/new-cart;beta`.
fn trim(part: &str) -> &str {
    part.split(';').next().unwrap_or_default()
}

/// The actions after which a flag serves its off value, or nothing, everywhere.
fn serves_nothing(action: &str) -> bool {
    matches!(action, "deleteFlag" | "updateGlobalArchived")
}

/// Names, descriptions, tags, comments, requests and the like change nothing for users.
fn changes_what_is_served(action: &str) -> bool {
    serves_nothing(action)
        || matches!(
            action,
            "applyApprovalRequest"
                | "copyFlagConfigFrom"
                | "copyFlagConfigTo"
                | "replaceExpiringUserTargets"
                | "updateExpiringTargets"
                | "updateFallthrough"
                | "updateFallthroughWithMeasuredRollout"
                | "updateMeasuredRolloutConfiguration"
                | "updateOffVariation"
                | "updateOn"
                | "updatePrerequisites"
                | "updateRules"
                | "updateRulesWithMeasuredRollout"
                | "updateTargets"
        )
}

fn all_environments<'a>(body: &Node<'a>) -> Vec<&'a str> {
    let version = ["currentVersion", "previousVersion"].iter().find_map(|version| {
        body.value().get(version)?.get("environments")?.as_object().filter(|found| !found.is_empty())
    });
    version.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// What a version of the flag serves by default in an environment: `off`, `on`, or the variation's name.
fn served(body: &Node<'_>, version: &str, environment: &str) -> Option<Text> {
    let flag = body.value().get(version)?;
    let settings = flag.get("environments")?.get(environment)?;
    if settings.get("on")?.as_bool()? {
        let variation = settings.get("fallthrough").and_then(|served| served.get("variation")?.as_u64());
        let name = variation.and_then(|index| {
            flag.get("variations")?.get(usize::try_from(index).ok()?)?.get("name")?.as_str()
        });
        let named = name.filter(|name| !name.is_empty() && name.len() <= MAX_NAME_BYTES);
        Some(Text::new(named.unwrap_or("on")))
    } else {
        Some(Text::new("off"))
    }
}
