//! What a program may use of jq. Left out is what never ends (`repeat`, `while`, `until`, `recurse(f)`, definitions that
//! call themselves), what reaches outside (`now`, `env`, `input`, `debug`, `halt`, local time), and what mappings do
//! not need.

use jaq_core::load::parse::Def;

/// Definitions out of jq's standard library, by name and number of arguments.
const DEFINED: &[(&str, usize)] = &[
    ("@json", 0),
    ("@text", 0),
    ("abs", 0),
    ("add", 0),
    ("add", 1),
    ("all", 0),
    ("all", 1),
    ("all", 2),
    ("any", 0),
    ("any", 1),
    ("any", 2),
    ("arrays", 0),
    ("booleans", 0),
    ("del", 1),
    ("delpaths", 1),
    ("empty", 0),
    ("error", 0),
    ("error", 1),
    ("false", 0),
    ("first", 0),
    ("from_entries", 0),
    ("getpath", 1),
    ("in", 1),
    ("index", 1),
    ("inside", 1),
    ("isarray", 0),
    ("isboolean", 0),
    ("isempty", 1),
    ("isnumber", 0),
    ("isobject", 0),
    ("isstring", 0),
    ("iterables", 0),
    ("join", 1),
    ("keys", 0),
    ("last", 0),
    ("map", 1),
    ("map_values", 1),
    ("max", 0),
    ("max_by", 1),
    ("min", 0),
    ("min_by", 1),
    ("not", 0),
    ("nth", 1),
    ("nth", 2),
    ("null", 0),
    ("nulls", 0),
    ("numbers", 0),
    ("objects", 0),
    ("paths", 0),
    ("paths", 1),
    ("pick", 1),
    ("range", 1),
    ("range", 2),
    ("rindex", 1),
    ("scalars", 0),
    ("select", 1),
    ("setpath", 2),
    ("split", 1),
    ("strings", 0),
    ("to_entries", 0),
    ("toboolean", 0),
    ("tonumber", 0),
    ("tostring", 0),
    ("totype", 2),
    ("true", 0),
    ("type", 0),
    ("unique", 0),
    ("unique_by", 1),
    ("values", 0),
    ("walk", 1),
    ("with_entries", 1),
];

/// Filters that `jaq` is built with, and that we take. Their work is proportional to the size of what they are given.
pub(crate) const NATIVE: &[&str] = &[
    "ascii_downcase",
    "ascii_upcase",
    "ceil",
    "contains",
    "endswith",
    "error_empty",
    "first",
    "floor",
    "group_by",
    "has",
    "indices",
    "key_values",
    "keys_unsorted",
    "last",
    "length",
    "limit",
    "ltrim",
    "ltrimstr",
    "max_by_or_empty",
    "min_by_or_empty",
    "path",
    "path_value",
    "range",
    "reverse",
    "round",
    "rtrim",
    "rtrimstr",
    "skip",
    "sort",
    "sort_by",
    "startswith",
    "tojson",
    "trim",
    "utf8bytelength",
];

/// jq's words that are left out because no mapping may use them.
const OUTSIDE: &[&str] = &[
    "debug",
    "env",
    "gmtime",
    "halt",
    "halt_error",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "localtime",
    "now",
    "stderr",
    "strflocaltime",
];
const ENDLESS: &[&str] = &["combinations", "flatten", "recurse", "repeat", "until", "while"];

/// The definitions that a program may call.
pub(crate) fn definitions() -> impl Iterator<Item = Def<&'static str>> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|def| DEFINED.contains(&(def.name, def.args.len())))
}

/// Why a word of jq is not there, where that needs saying.
pub(crate) fn why_not(name: &str) -> Option<&'static str> {
    if OUTSIDE.contains(&name) || name == "$ENV" {
        Some("a mapping sees the record and nothing else, so that it always tells the same")
    } else if ENDLESS.contains(&name) {
        Some("a mapping must end: use `..`, map, reduce or range")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_definition_is_there() {
        let found: Vec<_> = definitions().map(|def| (def.name, def.args.len())).collect();
        for listed in DEFINED {
            assert!(found.contains(listed), "{listed:?}");
        }
    }

    #[test]
    fn nothing_that_reaches_outside_or_never_ends_is_listed() {
        for name in OUTSIDE.iter().chain(ENDLESS) {
            assert!(DEFINED.iter().all(|(defined, _)| defined != name), "{name}");
            assert!(!NATIVE.contains(name), "{name}");
        }
    }
}
