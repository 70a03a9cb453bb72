//! flagd: changes of flags, from the history of its file in git. flagd itself tells nobody of a change.
//!
//! Source: flagd's documentation, "Flag definitions". No live payload seen.
//!
//! A record is one commit that changed the file: the flags before it and behind it. `streamgauge import git --flags` makes
//! them, and keeps of a flag its state, its default variant, and a hash of everything else. What a flag serves changes
//! with each of these. A catalog claims the flag by the alias `flag:…`.

use crate::facts::Facts;
use crate::node::{Node, header, parse};
use crate::{MAX_NAME_BYTES, Refusal, SourceSettings, bounded, record};
use model::event::{DeliveryEvent, FlagChangeEvent};
use model::raw::RawRecord;
use model::{Environment, EventBody, Text};
use serde_json::Value;
use std::collections::BTreeSet;

/// What `docs/sources.md` says of it.
pub(crate) const FACTS: Facts = Facts {
    description: "flagd's file of flags, from its history in git: flag changes",
    emits: "flag_change",
    drops: "flags_unchanged",
    times: "`committed_at`: Unix seconds, of the commit that brought the change to the default branch.",
    set_up: &[
        "Nothing at flagd: `streamgauge import git CLONE --flags flags/production.flagd.json=production`, again after each fetch.",
    ],
    seen: None,
    limits: &[
        "A change of shared rules (`$evaluators`) tells nothing of the flags that use them.",
        "The time is the commit's; when flagd took the file over it does not say.",
    ],
};

/// The source's name on its events.
const SOURCE: &str = "flagd";
/// Flags that one file may have.
const MAX_FLAGS: usize = 10_000;

/// Reads one commit of the file.
pub(crate) fn read(raw: &RawRecord, settings: &SourceSettings) -> Result<Vec<DeliveryEvent>, Refusal> {
    let value = parse(&raw.body)?;
    let body = Node::root(&value, settings);
    let commit = body.sha("commit")?;
    let at = body.unix_time("committed_at")?;
    let file = body.text("file")?;
    bounded("file", file, MAX_NAME_BYTES)?;
    let environment = header(raw, "environment").unwrap_or("production");
    let (before, after) = (body.maybe_object("before.flags")?, body.maybe_object("after.flags")?);
    let flags = |of: &Option<Node<'_>>| {
        let keys = of.as_ref().and_then(|node| node.value().as_object()).into_iter().flatten();
        keys.map(|(key, _)| key.clone()).collect::<BTreeSet<String>>()
    };
    let all: BTreeSet<String> = flags(&before).union(&flags(&after)).cloned().collect();
    if all.len() > MAX_FLAGS {
        let found = all.len();
        return Err(Refusal::reject("too_large", format!("{found} flags; at most {MAX_FLAGS} are read")));
    }
    let mut events = Vec::new();
    for flag in all {
        let of = |node: &Option<Node<'_>>| node.as_ref().and_then(|node| node.value().get(&flag)).cloned();
        let (from, to) = (of(&before), of(&after));
        if from == to {
            continue;
        }
        bounded("flag", &flag, MAX_NAME_BYTES)?;
        let action = match (&from, &to) {
            (None, _) => "created",
            (_, None) => "deleted",
            (Some(from), Some(to)) if from.get("state") != to.get("state") => {
                if is_disabled(to) {
                    "disabled"
                } else {
                    "enabled"
                }
            }
            _ => "updated",
        };
        let change = FlagChangeEvent {
            flag: Text::new(&flag),
            action: Text::new(action),
            environment: Environment::new(environment),
            from: from.as_ref().map(serves),
            to: to.as_ref().map(serves),
        };
        let id = format!("{}:{file}:{flag}", commit.text());
        let mut event = record::event(SOURCE, id, at, at, EventBody::FlagChange(change));
        event.imported = Some(true);
        events.push(event);
    }
    if events.is_empty() { Err(Refusal::drop("flags_unchanged")) } else { Ok(events) }
}

fn is_disabled(flag: &Value) -> bool {
    flag.get("state").and_then(Value::as_str) == Some("DISABLED")
}

/// What a flag serves by default: a variant's name, or nothing.
fn serves(flag: &Value) -> Text {
    let variant = flag.get("defaultVariant").and_then(Value::as_str).unwrap_or("none");
    Text::new(if is_disabled(flag) { "disabled" } else { variant })
}
