//! Kubernetes objects as `kubectl get -w -o json` and the watch API give them: bare, in a watch event
//! (`--output-watch-events`), or in a list.
//!
//! Source: Kubernetes' API documentation, "Efficient detection of changes" and "Objects".

use crate::Refusal;
use crate::node::Node;
use model::event::DeliveryEvent;

/// An object and its kind.
pub(crate) struct Object<'a> {
    /// `Deployment`, `Application`, …
    pub(crate) kind: &'a str,
    /// The object.
    pub(crate) node: Node<'a>,
}

/// Whether a body has the shape of an object, a list of them or a watch event.
pub(crate) fn is_object(body: &Node<'_>) -> bool {
    body.has("object.metadata") || (body.has("kind") && (body.has("metadata") || body.has("items")))
}

/// The objects of a body.
///
/// # Errors
/// Drops what tells that an object is gone and what belongs to the watch itself.
pub(crate) fn objects<'a>(body: &Node<'a>) -> Result<Vec<Object<'a>>, Refusal> {
    if body.has("object") {
        match body.text("type")? {
            "ADDED" | "MODIFIED" => return one(body.object("object")?),
            "DELETED" => return Err(Refusal::drop("object_deleted")),
            "BOOKMARK" => return Err(Refusal::drop("watch_bookmark")),
            "ERROR" => return Err(Refusal::drop("watch_error")),
            other => return Err(body.unknown("type", other, "ADDED, MODIFIED, DELETED, BOOKMARK, ERROR")),
        }
    }
    let listed = body.text("kind")?.strip_suffix("List");
    let Some(items) = listed.and(body.maybe_items("items")?) else { return one(body.clone()) };
    let object = |node: Node<'a>| {
        // Lists of one kind leave it out of their items.
        let kind = node.maybe_text("kind")?.or(listed).unwrap_or_default();
        Ok(Object { kind, node })
    };
    items.into_iter().map(object).collect()
}

fn one(node: Node<'_>) -> Result<Vec<Object<'_>>, Refusal> {
    Ok(vec![Object { kind: node.text("kind")?, node }])
}

/// Reads each object. A list is dropped only when each of its objects is, with the first one's word.
pub(crate) fn each<'a>(
    objects: &[Object<'a>],
    mut read: impl FnMut(&Object<'a>) -> Result<Vec<DeliveryEvent>, Refusal>,
) -> Result<Vec<DeliveryEvent>, Refusal> {
    let mut events = Vec::new();
    let mut dropped = None;
    for object in objects {
        match read(object) {
            Ok(mut found) => events.append(&mut found),
            Err(Refusal::Drop(reason)) => dropped = dropped.or(Some(reason)),
            Err(reject) => return Err(reject),
        }
    }
    match dropped {
        Some(reason) if events.is_empty() => Err(Refusal::Drop(reason)),
        _ => Ok(events),
    }
}

/// What an object's labels call its environment.
pub(crate) fn environment<'a>(object: &Node<'a>) -> Result<Option<&'a str>, Refusal> {
    for label in ["environment", "env", "app.kubernetes.io/environment"] {
        if let Some(name) = object.maybe_entry("metadata.labels", label)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// `namespace/name`, or the name alone.
pub(crate) fn qualified(object: &Node<'_>) -> Result<String, Refusal> {
    let name = object.text("metadata.name")?;
    Ok(match object.maybe_text("metadata.namespace")? {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    })
}
