//! Which keys are known, and what a wrong one may have meant.

use super::keys::{KEYS, Kind};

/// Whether a dotted name is a key, or the start of one.
pub fn is_known(name: &str) -> bool {
    KEYS.iter().any(|key| covers(key.name, name))
}

/// Whether a key of the list is this one, or lies below it.
pub fn covers(key: &str, name: &str) -> bool {
    let mut parts = key.split('.');
    let mut stated = name.split('.');
    stated.all(|part| parts.next().is_some_and(|known| known == part || (known == "*" && !part.is_empty())))
}

/// The known key that looks most like a name, if any does.
pub fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness =
        |key: &str| strsim::jaro_winkler(key, name).max(0.97 * strsim::jaro_winkler(&last(key), &last(name)));
    KEYS.iter()
        .map(|key| (likeness(key.name), key.name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75)
        .map(|(_, name)| name)
}

/// What a value may be, for people.
pub fn allowed(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Words(words) => words.join(", "),
        Kind::WordList(words) => format!("list of {}", words.join(", ")),
        Kind::List => "list of texts".to_owned(),
        Kind::Span => "length of time".to_owned(),
        Kind::Bool => "true or false".to_owned(),
        Kind::Number => "whole number".to_owned(),
    }
}
