//! The tier of an environment by its name, for incidents: they carry a tier and no environment, so the catalog
//! cannot say. The default rules, first match, on words (runs of letters) in any case.

use model::event::EnvironmentTier;

/// The tier that a name says; `None` when no rule knows it.
pub(crate) fn tier(name: &str) -> Option<EnvironmentTier> {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let any = |known: &[&str]| words.iter().any(|word| known.contains(word));
    let pre_production = words.windows(2).any(|pair| pair == ["pre", "prod"]);
    if pre_production || any(&["stage", "staging", "stg", "preprod", "uat"]) {
        Some(EnvironmentTier::Staging)
    } else if any(&["prod", "production", "prd", "live"]) {
        Some(EnvironmentTier::Production)
    } else if any(&["test", "testing", "qa", "ci"]) {
        Some(EnvironmentTier::Testing)
    } else if any(&["dev", "development", "local", "preview", "review"]) {
        Some(EnvironmentTier::Development)
    } else {
        None
    }
}

/// What a job or a stage of a pipeline deploys to by its name: `DeployProd`, `deploy_staging`, `Production`. It
/// has the word `deploy`, `deployment`, `release` or `rollout`, or is called after production or staging: one
/// called after tests or development runs them.
pub(crate) fn of_job(name: &str) -> Option<&str> {
    let mut words = String::new();
    let mut lower = false;
    for letter in name.chars() {
        if lower && letter.is_uppercase() {
            words.push(' ');
        }
        lower = letter.is_lowercase();
        words.extend(letter.to_lowercase());
    }
    let deploys = words
        .split(|letter: char| !letter.is_alphabetic())
        .any(|word| matches!(word, "deploy" | "deployment" | "release" | "rollout"));
    match tier(&words) {
        Some(tier @ (EnvironmentTier::Production | EnvironmentTier::Staging)) => Some(tier.as_str()),
        Some(tier) if deploys => Some(tier.as_str()),
        None if deploys => Some(name),
        _ => None,
    }
}

/// The first of several names that says a tier, else the first of them at all: what to call an environment
/// where a vendor has clusters, namespaces and projects, but no word for it.
pub(crate) fn among<'a>(names: &[Option<&'a str>]) -> Option<&'a str> {
    let told = || names.iter().flatten().copied();
    told().find(|name| tier(name).is_some()).or_else(|| told().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_told_by_words_of_the_name() {
        assert_eq!(tier("prod1"), Some(EnvironmentTier::Production));
        assert_eq!(tier("eu-Pre-Prod"), Some(EnvironmentTier::Staging));
        assert_eq!(tier("test123"), Some(EnvironmentTier::Testing));
        assert_eq!(tier("product"), None);
    }

    #[test]
    fn a_job_deploys_by_its_name() {
        assert_eq!(of_job("DeployProd"), Some("production"));
        assert_eq!(of_job("deploy_to_test"), Some("testing"));
        assert_eq!(of_job("Production"), Some("production"));
        assert_eq!(of_job("Release Blue"), Some("Release Blue"));
        for name in ["Test", "Build", "__default", "Dev", "product"] {
            assert_eq!(of_job(name), None, "{name}");
        }
    }

    #[test]
    fn of_several_names_the_one_that_says_a_tier_is_the_environment() {
        assert_eq!(among(&[None, Some("in-cluster"), Some("shop-prod"), Some("staging")]), Some("shop-prod"));
        assert_eq!(among(&[None, Some("in-cluster"), Some("shop")]), Some("in-cluster"));
        assert_eq!(among(&[None]), None);
    }
}
