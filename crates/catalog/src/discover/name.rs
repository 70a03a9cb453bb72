//! When two names are most likely one: the same words, whatever joins them, without what says only kind or environment.

/// Last words that tell the kind of a thing or where it runs, not which it is.
const SUFFIXES: &[&str] = &[
    "svc",
    "service",
    "prod",
    "production",
    "prd",
    "live",
    "stage",
    "staging",
    "stg",
    "preprod",
    "uat",
    "test",
    "testing",
    "qa",
    "dev",
    "development",
];

/// The last segment of a repository, an alias or a name.
pub(crate) fn last(name: &str) -> &str {
    name.rsplit(['/', ':']).find(|part| !part.is_empty()).unwrap_or(name)
}

/// The words of a name's last segment, joined by `-`.
pub(crate) fn key(name: &str) -> String {
    words(name).join("-")
}

/// As [`key`], without suffixes.
pub(crate) fn stem(name: &str) -> String {
    let mut words = words(name);
    while words.len() > 1 && words.last().is_some_and(|word| SUFFIXES.contains(&word.as_str())) {
        words.pop();
    }
    words.join("-")
}

fn words(name: &str) -> Vec<String> {
    let lower = last(name).to_lowercase();
    lower
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_whatever_joins_their_words_and_whatever_kind_or_environment_they_end_with() {
        for name in ["Check_Out", "check.out", "argocd:shop/check-out", "github.com/acme/check-out"] {
            assert_eq!(key(name), "check-out", "{name}");
        }
        for name in ["check-out-svc", "check-out-service-prod", "Check_Out_STG"] {
            assert_eq!(stem(name), "check-out", "{name}");
            assert_ne!(key(name), "check-out", "{name}");
        }
        assert_eq!(stem("service"), "service");
        assert_eq!(stem("product"), "product");
    }
}
