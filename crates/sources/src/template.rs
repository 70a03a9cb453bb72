//! Our own templates: what a vendor sends is what its user writes, so we ship the text to paste
//! (`deploy/templates`), name it with its version in the body, and refuse any other by its name.

use crate::Refusal;
use crate::node::Node;

/// Checks that a body comes from our template of a source in a version that is read.
///
/// # Errors
/// `unknown_event` for a body that names no template, `unknown_value` for one that names another.
pub(crate) fn check(body: &Node<'_>, source: &str, version: u32) -> Result<(), Refusal> {
    let ours = format!("streamgauge.{source}.v{version}");
    let remedy = format!("set up deploy/templates/{source}, which sends `template` = {ours:?}");
    match body.maybe_text("template")? {
        Some(found) if found == ours => Ok(()),
        Some(found) => {
            let detail = format!("field `template` has the unknown value {found:?}: {remedy}");
            Err(Refusal::reject("unknown_value", detail))
        }
        None => {
            let keys = body.value().as_object().into_iter().flatten().map(|(key, _)| format!("`{key}`"));
            let keys: Vec<String> = keys.take(8).collect();
            let found = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
            let detail = format!("the body comes from another template (it has {found}): {remedy}");
            Err(Refusal::reject("unknown_event", detail))
        }
    }
}
