//! The tiers of environments whose names the built-in words do not know, or take for what they are not.

use super::evidence::SeenEnvironment;
use crate::catalog::Catalog;
use crate::entry::quoted;
use model::event::EnvironmentTier::{self, Development, Other, Production, Staging, Testing};
use std::collections::BTreeMap;

/// Words with one meaning that the built-in rules leave out: they are common, and not certain.
const WORDS: &[(EnvironmentTier, &[&str])] = &[
    (
        Staging,
        &["pre-production", "pre-prd", "pre-live", "preproduction", "prelive", "ppd", "acceptance", "acc"],
    ),
    (Testing, &["integration", "sit", "e2e", "perf", "performance", "loadtest"]),
    (Development, &["sandbox", "sbx", "playground", "feature", "ephemeral", "localhost"]),
    (Production, &["produktion"]),
];

/// Words that turn the next one into its opposite.
const NEGATIONS: &[&str] = &["non", "not", "no"];

/// A rule, or a question.
#[derive(Debug)]
pub(crate) struct Proposed {
    /// The environment, or the word of it that a rule asks for.
    pub pattern: String,
    /// The tier; `None`: to be decided.
    pub tier: Option<EnvironmentTier>,
    pub because: String,
}

/// Rules and questions in the order of their patterns.
pub(crate) fn propose(catalog: &Catalog, seen: &[SeenEnvironment]) -> Vec<Proposed> {
    let mut proposed: BTreeMap<String, Proposed> = BTreeMap::new();
    for seen in seen {
        let name = seen.environment.as_str();
        // What a vendor says itself no rule changes; what the text says already is only not applied yet.
        if catalog.tier(&seen.service, &seen.environment) != seen.tier {
            continue;
        }
        let (pattern, tier) = match known(name) {
            Some((word, tier)) if tier != seen.tier => (word, Some(tier)),
            Some(_) => continue,
            None if seen.tier == Other || negated(name) => (name.to_owned(), None),
            None => continue,
        };
        // A rule that is there decided it.
        if catalog.has_environment_rule(&seen.service, name) {
            continue;
        }
        let because = format!("{} counts as {}: {}", quoted(name), seen.tier, seen.seen.say("deployment"));
        proposed
            .entry(pattern.clone())
            .and_modify(|one| one.because = format!("{}; {because}", one.because))
            .or_insert(Proposed { pattern, tier, because });
    }
    proposed.into_values().collect()
}

fn known(name: &str) -> Option<(String, EnvironmentTier)> {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let has = |wanted: &str| {
        let wanted: Vec<&str> = wanted.split('-').collect();
        words.windows(wanted.len()).any(|part| part == wanted)
    };
    WORDS.iter().find_map(|(tier, known)| {
        let word = known.iter().find(|word| has(word))?;
        // A word with a digit in it is looked for as a whole name only.
        let pattern = if word.contains(char::is_numeric) { name } else { word };
        Some((pattern.to_owned(), *tier))
    })
}

fn negated(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|letter: char| !letter.is_alphabetic()).collect();
    words.iter().zip(words.iter().skip(1)).any(|(first, _)| NEGATIONS.contains(first))
}
