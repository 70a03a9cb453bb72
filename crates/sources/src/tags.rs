//! Tags as alerting tools write them: `service:checkout` or `service=checkout` in a list of texts.

/// The value of the first tag with one of the keys, in the order of the keys.
pub(crate) fn value<'a>(tags: &[&'a str], keys: &[&str]) -> Option<&'a str> {
    let of = |key: &str| {
        tags.iter().find_map(|tag| {
            let (found, value) = tag.trim().split_once([':', '='])?;
            (found.trim().eq_ignore_ascii_case(key)).then(|| value.trim()).filter(|value| !value.is_empty())
        })
    };
    keys.iter().find_map(|key| of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_by_its_key_in_any_case() {
        let tags = ["team:payments", "Service=checkout", "env: prod", "service:"];
        assert_eq!(value(&tags, &["service"]), Some("checkout"));
        assert_eq!(value(&tags, &["environment", "env"]), Some("prod"));
        assert_eq!(value(&tags, &["version"]), None);
    }
}
