//! Every mistake in a catalog has a place and a remedy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::Definitions;
use streamgauge_catalog::{Catalog, Diagnostic};

fn mistakes(text: &str) -> Vec<Diagnostic> {
    Catalog::from_toml("catalog.toml", text, &Definitions::default()).expect_err("a mistake")
}

/// The one mistake of a text, as it is printed.
fn check(text: &str, expected: &str) {
    let found = mistakes(text);
    let printed: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(printed, [expected], "{text}");
}

const TWO: &str = "[[services]]\nname = \"a\"\n[[services]]\nname = \"b\"\n";

#[test]
fn a_text_that_is_not_toml_is_named_with_line_and_column() {
    let found = mistakes("[[services]]\nname = \"a\nteam = 'x'\n");
    assert_eq!((found[0].line, found[0].column > 1, found[0].file.as_str()), (2, true, "catalog.toml"));
    let twice = mistakes("[[services]]\nname = \"a\"\nname = \"b\"\n");
    assert_eq!((twice[0].line, twice[0].remedy.as_str()), (3, "keep one of the two"));
}

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    check(
        "[[services]]\nname = \"a\"\n  repositorys = []\n",
        "catalog.toml:3:3: unknown key \"repositorys\" in [services] (did you mean \"repositories\"?)",
    );
    check(
        "[[service]]\nname = \"a\"\n",
        "catalog.toml:1:3: unknown key \"service\" in the catalog (did you mean \"services\"?)",
    );
    check(
        "[organisation]\nname = \"a\"\nzzzzzz = 1\n",
        "catalog.toml:3:1: unknown key \"zzzzzz\" in [organisation] (known here: name)",
    );
    check(
        "[targets.high]\nchange_lead_tme = \"1d\"\n",
        "catalog.toml:2:1: unknown key \"change_lead_tme\" in [targets] (did you mean \"change_lead_time\"?)",
    );
}

#[test]
fn groups_that_lie_in_each_other_are_told_once() {
    check(
        "[[groups]]\nname = \"c\"\nparent = \"a\"\n[[groups]]\nname = \"b\"\nparent = \"c\"\n[[groups]]\nname = \"a\"\nparent = \"b\"\n",
        "catalog.toml:8:8: groups lie in each other: a → b → c → a (take the parent of one of them away)",
    );
    check(
        "[[groups]]\nname = \"a\"\nparent = \"a\"\n",
        "catalog.toml:2:8: groups lie in each other: a → a (take the parent of one of them away)",
    );
}

#[test]
fn an_alias_of_two_services_at_the_same_time_is_refused() {
    check(
        "[[services]]\nname = \"a\"\naliases = [\"pagerduty:P\"]\n[[services]]\nname = \"b\"\naliases = [\"pagerduty:P\"]\n",
        "catalog.toml:6:12: alias \"pagerduty:P\" belongs to \"a\" and \"b\" at the same time \
         (take it from one of them, or give one a later valid_from)",
    );
    check(
        &format!("{TWO}aliases = [\"a\"]\n"),
        "catalog.toml:5:12: alias \"a\" is the name of another service (take the alias away, or rename that service)",
    );
    check(
        "[[services]]\nname = \"a\"\naliases = [\"x\", \"x\"]\n",
        "catalog.toml:3:17: alias \"x\" is listed twice from the same time on (keep one)",
    );
}

#[test]
fn a_service_with_two_teams_at_the_same_time_is_refused() {
    let teams = "[[teams]]\nname = \"t\"\n[[teams]]\nname = \"u\"\n[[services]]\nname = \"a\"\n";
    check(
        &format!(
            "{teams}teams = [{{ name = \"t\", valid_from = \"2026-01-01\" }}, {{ name = \"u\", valid_from = 2026-01-01T00:00:00Z }}]\n"
        ),
        "catalog.toml:7:62: service \"a\" has teams \"t\" and \"u\" at the same time (keep one, or give one a later valid_from)",
    );
    check(
        "[[teams]]\nname = \"t\"\n[[teams]]\nname = \"t\"\n",
        "catalog.toml:4:8: team \"t\" is declared twice from the same time on (keep one, or give one a later valid_from)",
    );
}

#[test]
fn a_name_that_nobody_declares_is_told_with_the_nearest_that_is() {
    check(
        "[[teams]]\nname = \"payments\"\n[[services]]\nname = \"a\"\nteam = \"payment\"\n",
        "catalog.toml:5:8: unknown team \"payment\" (did you mean \"payments\"?)",
    );
    check(
        "[[teams]]\nname = \"t\"\ngroup = \"somewhere\"\n",
        "catalog.toml:3:9: unknown group \"somewhere\" (declare it under [[groups]])",
    );
    check(
        "[[groups]]\nname = \"g\"\nparent = \"somewhere\"\n",
        "catalog.toml:3:10: unknown group \"somewhere\" (declare it under [[groups]])",
    );
    check(
        "[[services]]\nname = \"checkout\"\n[[services]]\nname = \"b\"\ndependencies = [\"chekout\"]\n",
        "catalog.toml:5:17: unknown service \"chekout\" (did you mean \"checkout\"?)",
    );
    check(
        "[[services]]\nname = \"a\"\ndependencies = [\"a\"]\n",
        "catalog.toml:3:17: service \"a\" depends on itself (take the dependency away)",
    );
}

#[test]
fn a_name_that_is_declared_twice_is_refused() {
    check(
        &format!("{TWO}[[services]]\nname = \"a\"\n"),
        "catalog.toml:6:8: service \"a\" is declared twice (make one of the two)",
    );
    check(
        "[[groups]]\nname = \"g\"\n[[groups]]\nname = \"g\"\n",
        "catalog.toml:4:8: group \"g\" is declared twice (make one of the two)",
    );
    check(
        "[[services]]\nname = \"a\"\nrepositories = [\"h/o/x\", \"h/o/x\"]\n",
        "catalog.toml:3:26: repository \"h/o/x\" is listed twice from the same time on (keep one, with the paths of both)",
    );
    check(
        "[[services]]\nname = \"a\"\nsucceeds = [\"b\"]\n[[services]]\nname = \"b\"\nsucceeds = [\"a\"]\n",
        "catalog.toml:2:8: services succeed each other: a → b → a (a successor is newer: take one of the two away)",
    );
}

#[test]
fn a_value_that_cannot_be_read_is_told_with_what_to_write() {
    let service = |line: &str| format!("[[services]]\nname = \"a\"\n{line}\n");
    let time = "write a day as in \"2026-01-31\", or a time with its offset as in \"2026-01-31T09:30:00Z\"";
    for (line, column, start) in [
        ("failure_window = \"4 hours\"", 18, "\"4 hours\" is no duration (write numbers with units"),
        ("incident_source = \"yes\"", 19, "\"incident_source\" is no truth value (write true or false"),
        (
            "repositories = [\"https://github.com/o/x\"]",
            17,
            "\"https://github.com/o/x\" is no repository's name (write host/owner/name",
        ),
        (
            "repositories = [{ name = \"h/o/x\", paths = [\"/src\"] }]",
            44,
            "bad path \"/src\": a path that begins with a slash (paths begin",
        ),
        (
            "repositories = [{ name = \"h/o/x\", paths = [\"a**\"] }]",
            44,
            "bad path \"a**\": \"**\" beside other characters (write",
        ),
        ("environments = { x = \"prod\" }", 22, "\"prod\" is no tier (tiers are: production, staging"),
        ("tags = { \"a=b\" = \"c\" }", 10, "\"a=b\" is no key of a tag (tags are written"),
        ("criticality = 1", 15, "\"criticality\" is no text but integer (put the value in quotes)"),
        ("criticality = \"\"", 15, "\"criticality\" is empty, or has blanks"),
        ("aliases = [{ valid_from = 2026-01-01 }]", 12, "[services.aliases] without \"name\" (add name"),
        ("tags = 4", 8, "\"tags\" is no table (write tags = {"),
    ] {
        let found = mistakes(&service(line));
        let printed = found[0].to_string();
        assert!(printed.starts_with(&format!("catalog.toml:3:{column}: {start}")), "{line}: {printed}");
        assert_eq!(found.len(), 1, "{line}: {found:?}");
    }
    for (value, message) in [
        ("\"2026-13-01\"", "not a time: \"2026-13-01\""),
        ("2026-01-01T00:00:00", "time without a zone: \"2026-01-01T00:00:00\""),
        ("\"yesterday\"", "not a time: \"yesterday\""),
        ("5", "\"valid_from\" is no time"),
    ] {
        let found = mistakes(&service(&format!("aliases = [{{ name = \"x\", valid_from = {value} }}]")));
        assert!(found[0].message.starts_with(message) && found[0].remedy == time, "{found:?}");
        assert_eq!((found[0].line, found[0].column), (3, 39));
    }
    check(
        "[targets.high]\nchange_fail_rate = 15\n",
        "catalog.toml:2:20: no target for change_fail_rate (write a share from 0 to 1, or a percentage as in \"15%\")",
    );
}

#[test]
fn a_rename_needs_two_names_and_a_time() {
    check(
        "[[renames]]\nfrom = \"h/o/a\"\nto = \"h/o/a\"\nat = \"2026-01-01\"\n",
        "catalog.toml:2:8: \"h/o/a\" is renamed to itself (take the rename away)",
    );
    check(
        "[[renames]]\nfrom = \"h/o/a\"\nto = \"h/o/b\"\n",
        "catalog.toml:1:1: [renames] without \"at\" (add when it was renamed, as in at = \"2026-01-31\")",
    );
    check(
        "[[renames]]\nfrom = \"h/o/a\"\nto = \"h/o/b\"\nat = 2026-01-01\n[[renames]]\nfrom = \"h/o/a\"\nto = \"h/o/c\"\nat = \"2026-01-01\"\n",
        "catalog.toml:6:8: \"h/o/a\" is renamed twice at the same time (keep one, or correct the time of one)",
    );
}

#[test]
fn an_unknown_zone_of_the_reports_is_told() {
    let definitions = Definitions { timezone: "Europe/Nowhere".to_owned(), ..Definitions::default() };
    let found = Catalog::from_toml("catalog.toml", "", &definitions).unwrap_err();
    assert!(found[0].message.starts_with("unknown time zone \"Europe/Nowhere\""));
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_text_and_columns_count_characters() {
    let text = "[[services]]\nname = \"a\"\nteam = \"x\"\ntags = { \"größe\" = \"1\", \"a=\" = \"1\" }\n[[services]]\nnam = \"b\"\n";
    let found = mistakes(text);
    let places: Vec<(usize, usize)> = found.iter().map(|found| (found.line, found.column)).collect();
    assert_eq!(places, [(4, 25), (5, 1), (6, 1)], "{found:#?}");
}

#[test]
fn a_text_that_breaks_off_anywhere_is_read_or_told_with_a_place() {
    let text = "[[groups]]\nname = \"größe\"\n[[teams]]\nname = \"t\"\ngroup = \"größe\"\nvalid_from = 2026-01-01\n\
                [[services]]\nname = 's'\nteam = [\"t\"]\naliases = [\"a:b\", { name = \"c\" }]\ntags = { k = \"v\" }\n\
                [[services.repositories]]\nname = \"h/o/x\"\npaths = [\"a/**\"]\n[targets.high]\nchange_fail_rate = 0.1\n";
    for (end, _) in text.char_indices() {
        let read = Catalog::from_toml("catalog.toml", &text[..end], &Definitions::default());
        for found in read.err().unwrap_or_default() {
            assert!(found.line >= 1 && found.column >= 1 && !found.message.is_empty(), "{end}: {found}");
        }
    }
}
