//! The tier of an environment by its name (semantics, section 2).

use crate::glob::wildcard;
use model::Text;
use model::event::EnvironmentTier;
use serde::Serialize;

/// Words of names, tried in this order. `pre-prod` is two words and means one.
const BUILT_IN: &[(EnvironmentTier, &[&str])] = &[
    (EnvironmentTier::Staging, &["stage", "staging", "stg", "preprod", "pre-prod", "uat"]),
    (EnvironmentTier::Production, &["prod", "production", "prd", "live"]),
    (EnvironmentTier::Testing, &["test", "testing", "qa", "ci"]),
    (EnvironmentTier::Development, &["dev", "development", "local", "preview", "review"]),
];

/// A rule of the catalog: names that match have the tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvironmentRule {
    /// A name, a word or words of a name, or (with `*` or `?`) a glob over the whole name; in any case.
    pub pattern: Text,
    /// The tier.
    pub tier: EnvironmentTier,
}

impl EnvironmentRule {
    /// Whether a name matches. A pattern of letters (and `-`, `_`, `.`, `/`, blanks between them) is looked for
    /// among the words of the name; any other one, such as `eu1`, is the whole name.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.pattern.as_str().to_lowercase(), name.to_lowercase());
        if pattern.contains(['*', '?']) {
            return wildcard(&pattern.chars().collect::<Vec<_>>(), &name);
        }
        let only_words = pattern.chars().all(|letter| letter.is_alphabetic() || "-_./ ".contains(letter));
        pattern == name || (only_words && has_words(&words(&name), &pattern))
    }
}

/// The first rule that matches, if any.
pub(crate) fn by_rules(rules: &[EnvironmentRule], name: &str) -> Option<EnvironmentTier> {
    rules.iter().find(|rule| rule.matches(name)).map(|rule| rule.tier)
}

/// What the built-in words say; `other` when none knows the name.
pub(crate) fn built_in(name: &str) -> EnvironmentTier {
    let name = name.to_lowercase();
    let name = words(&name);
    let knows = |known: &[&str]| known.iter().any(|word| has_words(&name, word));
    BUILT_IN.iter().find(|(_, known)| knows(known)).map_or(EnvironmentTier::Other, |(tier, _)| *tier)
}

/// Runs of letters.
fn words(name: &str) -> Vec<&str> {
    name.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect()
}

/// Whether the words of a pattern follow each other in a name.
fn has_words(name: &[&str], pattern: &str) -> bool {
    let wanted = words(pattern);
    !wanted.is_empty() && name.windows(wanted.len()).any(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_words_tell_the_tier_in_any_case_and_staging_comes_first() {
        for (name, tier) in [
            ("prod", EnvironmentTier::Production),
            ("PRODUCTION", EnvironmentTier::Production),
            ("prod-eu1", EnvironmentTier::Production),
            ("eu_prd_2", EnvironmentTier::Production),
            ("live", EnvironmentTier::Production),
            ("pre-prod", EnvironmentTier::Staging),
            ("eu-Pre-Prod-1", EnvironmentTier::Staging),
            ("preprod2", EnvironmentTier::Staging),
            ("prod-staging", EnvironmentTier::Staging),
            ("UAT", EnvironmentTier::Staging),
            ("stg", EnvironmentTier::Staging),
            ("qa3", EnvironmentTier::Testing),
            ("test-prod", EnvironmentTier::Production),
            ("ci", EnvironmentTier::Testing),
            ("review/feature-1", EnvironmentTier::Development),
            ("local", EnvironmentTier::Development),
            ("Preview", EnvironmentTier::Development),
            ("product", EnvironmentTier::Other),
            ("delivery", EnvironmentTier::Other),
            ("prod1", EnvironmentTier::Production),
            ("eu-1", EnvironmentTier::Other),
            ("", EnvironmentTier::Other),
        ] {
            assert_eq!(built_in(name), tier, "{name}");
        }
    }

    #[test]
    fn a_rule_matches_a_word_a_whole_name_or_a_glob() {
        let matches = |pattern: &str, name: &str| {
            EnvironmentRule { pattern: pattern.into(), tier: EnvironmentTier::Other }.matches(name)
        };
        assert!(matches("blue", "eu-Blue-1") && !matches("blue", "blueprint"));
        assert!(matches("pre-live", "x-pre.live") && !matches("pre-live", "live"));
        assert!(matches("eu1", "EU1") && !matches("eu1", "eu2") && !matches("eu1", "eu12"));
        assert!(matches("eu*-live?", "EU-west/1-live2") && !matches("eu*-live?", "eu-live"));
    }
}
