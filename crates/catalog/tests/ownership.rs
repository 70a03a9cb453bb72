//! Who owns what, when (semantics, section 9), and which tier an environment has (section 2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::event::EnvironmentTier;
use model::metric::Metric;
use model::{Definitions, Environment, RepoName, ServiceName, Span, Text, Timestamp};
use streamgauge_catalog::{Catalog, Owner, Rename};

const SHOP: &str = r#"
[organisation]
name = "acme"

[[groups]]
name = "company"
[[groups]]
name = "retail"
parent = "company"

[[teams]]
name = "payments"
group = "retail"
[[teams]]
name = "orders"
[[teams]]
name = "orders"
group = "retail"
valid_from = "2026-03-01"

[[services]]
name = "checkout"
repositories = ["github.com/acme/checkout"]
aliases = ["pagerduty:P1", { name = "argocd:checkout", valid_from = "2026-02-01" }, "kasse"]
team = "payments"
criticality = "critical"
tags = { layer = "application" }
dependencies = ["cart"]
failure_window = "2h"
deployments_from = ["github", "argocd"]
environments = { "blue*" = "production", sandbox = "testing" }

[[services]]
name = "cart"
aliases = ["argocd:cart"]
failure_evidence_suffices = true
succeeds = ["basket"]
[[services.teams]]
name = "orders"
valid_from = "2026-01-01"
[[services.teams]]
name = "payments"
valid_from = "2026-06-01T12:00:00Z"
[[services.repositories]]
name = "github.com/acme/mono"
paths = ["services/cart/**", "lib/*/cart.rs"]
[[services.repositories]]
name = "github.com/acme/cart-web"
valid_from = "2026-02-01"

[[services]]
name = "search"
[[services.repositories]]
name = "github.com/acme/mono"
paths = ["services/search/**"]

[[services]]
name = "billing"
aliases = ["pagerduty:P9"]

[[environments]]
match = "eu1"
tier = "production"
[[environments]]
match = "prod-like"
tier = "testing"

[targets.critical]
change_lead_time = "1d"
change_fail_rate = "15%"

[[renames]]
from = "github.com/acme/till"
to = "github.com/acme/checkout"
at = "2026-01-15"
"#;

fn shop() -> Catalog {
    read(SHOP)
}

fn read(text: &str) -> Catalog {
    Catalog::from_toml("catalog.toml", text, &Definitions::default()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn noon() -> Timestamp {
    at("2026-03-10T12:00:00Z")
}

fn owner(catalog: &Catalog, repo: Option<&str>, hint: Option<&str>, time: Timestamp) -> Owner {
    catalog.owner(repo.map(RepoName::new).as_ref(), hint.map(Text::new).as_ref(), time)
}

fn service(name: &str) -> Owner {
    Owner::Service(name.into())
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn scopes(catalog: &Catalog, name: &str, time: &str) -> Vec<String> {
    texts(catalog.scopes(&name.into(), at(time)))
}

#[test]
fn a_service_that_is_named_wins_over_the_repository() {
    assert_eq!(owner(&shop(), Some("github.com/acme/mono"), Some("checkout"), noon()), service("checkout"));
}

#[test]
fn an_alias_means_its_service_from_its_valid_from_on_inclusive() {
    let shop = shop();
    let argo = |time| owner(&shop, None, Some("argocd:checkout"), at(time));
    assert_eq!(argo("2026-01-31T23:59:59.999999Z"), Owner::Unclaimed { alias: "argocd:checkout".into() });
    assert_eq!(argo("2026-02-01T00:00:00Z"), service("checkout"));
    assert_eq!(argo("2027-02-01T00:00:00Z"), service("checkout"));
    assert_eq!(owner(&shop, None, Some("kasse"), at("1999-01-01T00:00:00Z")), service("checkout"));
}

#[test]
fn an_alias_may_move_from_one_service_to_another_at_a_time() {
    let text = r#"
        [[services]]
        name = "a"
        aliases = ["pagerduty:P"]
        [[services]]
        name = "b"
        aliases = [{ name = "pagerduty:P", valid_from = 2026-01-01T00:00:00Z }]
    "#;
    let catalog = read(text);
    assert_eq!(owner(&catalog, None, Some("pagerduty:P"), at("2025-12-31T23:59:59Z")), service("a"));
    assert_eq!(owner(&catalog, None, Some("pagerduty:P"), at("2026-01-01T00:00:00Z")), service("b"));
}

#[test]
fn an_alias_that_nobody_claims_falls_back_to_a_repository_of_exactly_one_service() {
    let shop = shop();
    let unclaimed = Owner::Unclaimed { alias: "pagerduty:X".into() };
    assert_eq!(
        owner(&shop, Some("github.com/acme/checkout"), Some("pagerduty:X"), noon()),
        service("checkout")
    );
    assert_eq!(
        owner(&shop, Some("github.com/acme/new"), Some("pagerduty:X"), noon()),
        service("github.com/acme/new")
    );
    assert_eq!(owner(&shop, Some("github.com/acme/mono"), Some("pagerduty:X"), noon()), unclaimed);
    assert_eq!(owner(&shop, None, Some("pagerduty:X"), noon()), unclaimed);
}

#[test]
fn a_name_that_nobody_declares_becomes_a_service_of_its_own() {
    let shop = shop();
    assert_eq!(owner(&shop, Some("github.com/acme/checkout"), Some("fraud"), noon()), service("fraud"));
    let fraud = shop.service(&"fraud".into());
    assert!(!fraud.known && fraud.repositories.is_empty());
    assert_eq!(scopes(&shop, "fraud", "2026-03-10T12:00:00Z"), ["org:acme", "service:fraud"]);
}

#[test]
fn a_repository_alone_means_its_only_service_and_is_ambiguous_with_several() {
    let shop = shop();
    assert_eq!(owner(&shop, Some("github.com/acme/checkout"), None, noon()), service("checkout"));
    assert_eq!(owner(&shop, Some("github.com/acme/other"), None, noon()), service("github.com/acme/other"));
    let repo = RepoName::new("github.com/acme/mono");
    let services = vec!["cart".into(), "search".into()];
    assert_eq!(owner(&shop, Some("github.com/acme/mono"), None, noon()), Owner::Ambiguous { repo, services });
    assert_eq!(owner(&shop, None, None, noon()), Owner::Unnamed);
    assert_eq!(owner(&shop, None, Some(""), noon()), Owner::Unnamed);
}

#[test]
fn a_repository_belongs_to_a_service_from_its_valid_from_on_and_to_itself_before() {
    let shop = shop();
    let repo = RepoName::new("github.com/acme/cart-web");
    let services = |time| texts(shop.services_of_repo(&repo, at(time)));
    assert_eq!(services("2026-01-31T23:59:59Z"), ["github.com/acme/cart-web"]);
    assert_eq!(services("2026-02-01T00:00:00Z"), ["cart"]);
    assert_eq!(texts(shop.all_services_of_repo(&repo)), ["cart", "github.com/acme/cart-web"]);
    assert_eq!(texts(shop.all_services_of_repo(&"github.com/acme/mono".into())), ["cart", "search"]);
    assert_eq!(texts(shop.all_services_of_repo(&"h/o/x".into())), ["h/o/x"]);
}

#[test]
fn the_team_with_the_greatest_valid_from_at_or_before_a_time_holds_and_none_before_the_first() {
    let shop = shop();
    let team = |time| shop.team(&"cart".into(), at(time)).map(|team| team.to_string());
    assert_eq!(team("2025-12-31T23:59:59Z"), None);
    assert_eq!(team("2026-01-01T00:00:00Z").as_deref(), Some("orders"));
    assert_eq!(team("2026-06-01T11:59:59Z").as_deref(), Some("orders"));
    assert_eq!(team("2026-06-01T12:00:00Z").as_deref(), Some("payments"));
    assert_eq!(shop.team(&"search".into(), noon()), None);
    assert_eq!(shop.team(&"unheard-of".into(), noon()), None);
}

#[test]
fn a_day_in_the_catalog_begins_at_midnight_of_the_reporting_zone() {
    let definitions = Definitions { timezone: "Europe/Berlin".to_owned(), ..Definitions::default() };
    let text = "[[teams]]\nname = \"t\"\n[[services]]\nname = \"s\"\nteam = { name = \"t\", valid_from = 2026-01-01 }\n";
    let catalog = Catalog::from_toml("catalog.toml", text, &definitions).unwrap();
    assert_eq!(catalog.team(&"s".into(), at("2025-12-31T22:59:59Z")), None);
    assert_eq!(catalog.team(&"s".into(), at("2025-12-31T23:00:00Z")), Some("t".into()));
}

#[test]
fn scopes_are_the_service_its_team_every_group_above_the_organisation_and_its_tags() {
    let shop = shop();
    assert_eq!(
        scopes(&shop, "checkout", "2026-03-10T12:00:00Z"),
        [
            "group:company",
            "group:retail",
            "org:acme",
            "service:checkout",
            "tag:layer=application",
            "team:payments"
        ]
    );
    assert_eq!(scopes(&shop, "cart", "2026-02-28T23:59:59Z"), ["org:acme", "service:cart", "team:orders"]);
    assert_eq!(
        scopes(&shop, "cart", "2026-03-01T00:00:00Z"),
        ["group:company", "group:retail", "org:acme", "service:cart", "team:orders"]
    );
}

#[test]
fn the_organisation_is_that_of_the_definitions_where_the_catalog_names_none() {
    let definitions = Definitions { organisation: "widgets".to_owned(), ..Definitions::default() };
    let catalog = Catalog::empty(&definitions);
    assert_eq!(texts(catalog.scopes(&"x".into(), noon())), ["org:widgets", "service:x"]);
}

#[test]
fn repositories_that_share_a_service_share_the_smallest_one_as_home() {
    let shop = shop();
    for repo in ["github.com/acme/cart-web", "github.com/acme/mono"] {
        assert_eq!(shop.home_of_repo(&repo.into()).as_str(), "github.com/acme/cart-web", "{repo}");
    }
    for name in ["cart", "search", "github.com/acme/mono"] {
        assert_eq!(shop.home_of_service(&name.into()).as_str(), "github.com/acme/cart-web", "{name}");
    }
    assert_eq!(shop.home_of_service(&"checkout".into()).as_str(), "github.com/acme/checkout");
    assert_eq!(shop.home_of_service(&"billing".into()).as_str(), "service:billing");
    assert_eq!(shop.home_of_service(&"unheard-of".into()).as_str(), "service:unheard-of");
    assert_eq!(shop.home_of_service(&"h/o/x".into()).as_str(), "h/o/x");
    assert_eq!(shop.home_of_repo(&"h/o/x".into()).as_str(), "h/o/x");
}

#[test]
fn a_chain_of_shared_repositories_is_one_component_in_whatever_order_it_is_listed() {
    let service =
        |name: &str, repos: &str| format!("[[services]]\nname = \"{name}\"\nrepositories = [{repos}]\n");
    let parts = [
        service("a", "\"h/o/5\", \"h/o/4\""),
        service("b", "\"h/o/2\", \"h/o/3\""),
        service("c", "\"h/o/3\", \"h/o/4\""),
        service("d", "\"h/o/9\", \"h/o/8\""),
        service("e", "\"h/o/1\", \"h/o/5\""),
    ];
    let forward = read(&parts.concat());
    let backward = read(&parts.iter().rev().cloned().collect::<String>());
    for catalog in [&forward, &backward] {
        let homes: Vec<String> = texts((1..=9).map(|n| catalog.home_of_repo(&format!("h/o/{n}").into())));
        assert_eq!(homes, ["1", "1", "1", "1", "1", "6", "7", "8", "8"].map(|n| format!("h/o/{n}")));
    }
    assert_eq!(forward.revision(), backward.revision());
}

#[test]
fn a_renamed_repository_has_one_name_before_and_after() {
    let shop = shop();
    for time in ["2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", "2026-05-01T00:00:00Z"] {
        assert_eq!(
            shop.canonical_repo(&"github.com/acme/till".into(), at(time)).as_str(),
            "github.com/acme/checkout"
        );
    }
    assert_eq!(shop.canonical_repo(&"h/o/x".into(), noon()).as_str(), "h/o/x");
}

#[test]
fn a_listed_repository_is_its_service_s_under_every_name_that_it_got() {
    let renames = [
        ("h/o/a", "2026-01-10", "h/o/b"),
        ("h/o/b", "2026-01-20", "h/o/c"),
        ("h/o/m", "2026-01-10", "h/o/n"),
    ];
    let told = renames.map(|(from, day, to)| Rename {
        from: from.into(),
        at: at(&format!("{day}T00:00:00Z")),
        to: to.into(),
    });
    let services = "[[services]]\nname = \"s\"\nrepositories = [\"h/o/a\", { name = \"h/o/m\", paths = [\"s\"] }]\n\
                    [[services]]\nname = \"late\"\nrepositories = [{ name = \"h/o/b\", valid_from = \"2026-02-01\" }]\n";
    let renamed = read(services).with_renames(&told.into(), &Definitions::default());
    for name in ["h/o/a", "h/o/c"] {
        let now = renamed.canonical_repo(&name.into(), at("2026-01-05T00:00:00Z"));
        assert_eq!(owner(&renamed, Some(now.as_str()), None, noon()), service("s"), "{name}");
    }
    // What is listed from after the rename on is another repository of that name.
    let other = renamed.canonical_repo(&"h/o/b".into(), noon());
    assert_eq!(owner(&renamed, Some(other.as_str()), None, noon()), service("late"));
    let config = renamed.service(&"s".into());
    assert_eq!(texts(&config.repositories), ["h/o/c", "h/o/n"]);
    assert!(config.has_paths(&"h/o/n".into()) && renamed.lists_outgrown(&"h/o/m".into()));
    assert_eq!(texts(renamed.former_names(&"h/o/n".into())), ["h/o/m"]);
    // As a person would write it.
    let declared =
        read(&format!("{services}[[renames]]\nfrom = \"h/o/m\"\nto = \"h/o/n\"\nat = \"2026-01-10\"\n"));
    assert_eq!(texts(&declared.service(&"s".into()).repositories), ["h/o/a", "h/o/n"]);
}

#[test]
fn what_names_a_service_that_was_taken_over_belongs_to_its_successor() {
    assert_eq!(owner(&shop(), None, Some("basket"), noon()), service("cart"));
    let both =
        read("[[services]]\nname = \"basket\"\n[[services]]\nname = \"cart\"\nsucceeds = [\"basket\"]\n");
    assert_eq!(owner(&both, None, Some("basket"), noon()), service("basket"));
    assert_eq!(texts(&both.service(&"cart".into()).succeeds), ["basket"]);
}

#[test]
fn a_service_touches_its_paths_only_and_a_whole_repository_always() {
    let shop = shop();
    let cart = shop.service(&"cart".into());
    let mono = RepoName::new("github.com/acme/mono");
    let touches = |path: &str| cart.touches(&mono, &[Text::new("README.md"), Text::new(path)]);
    assert!(cart.has_paths(&mono) && !cart.has_paths(&"github.com/acme/cart-web".into()));
    assert!(touches("services/cart/src/main.rs") && touches("services/cart") && touches("lib/x/cart.rs"));
    assert!(!touches("services/search/main.rs") && !touches("lib/x/y/cart.rs"));
    assert!(!cart.touches(&mono, &[]) && cart.touches(&"github.com/acme/cart-web".into(), &[]));
    let whole = "[[services]]\nname = \"s\"\nrepositories = [{ name = \"h/o/m\", paths = [\"a\"] }, \
                 { name = \"h/o/m\", valid_from = \"2026-01-01\" }]\n";
    assert!(!read(whole).service(&"s".into()).has_paths(&"h/o/m".into()));
}

#[test]
fn a_service_is_what_its_entry_says() {
    let shop = shop();
    let checkout = shop.service(&"checkout".into());
    assert!(checkout.known && checkout.incident_sources);
    assert_eq!(checkout.failure_window, Some(Span::from_hours(2)));
    assert_eq!(checkout.deployments_from, Some(vec!["argocd".into(), "github".into()]));
    assert_eq!(texts(&checkout.dependencies), ["cart"]);
    assert!(checkout.targets[&Metric::ChangeLeadTime].met(86_400.0));
    assert!(!checkout.targets[&Metric::ChangeFailRate].met(0.2));
    let cart = shop.service(&"cart".into());
    assert_eq!(texts(&cart.repositories), ["github.com/acme/mono", "github.com/acme/cart-web"]);
    assert!(!cart.incident_sources, "an Argo application tells no incidents");
    assert_eq!(cart.failure_evidence_suffices, Some(true));
    assert_eq!(texts(shop.services()), ["billing", "cart", "checkout", "search"]);
    let unknown = shop.service(&"h/o/x".into());
    assert!(!unknown.known);
    assert_eq!(texts(&unknown.repositories), ["h/o/x"]);
}

#[test]
fn declaring_the_service_of_an_unclaimed_repository_keeps_its_repository() {
    let catalog = read("[[teams]]\nname = \"t\"\n[[services]]\nname = \"h/o/x\"\nteam = \"t\"\n");
    assert_eq!(texts(catalog.all_services_of_repo(&"h/o/x".into())), ["h/o/x"]);
    assert_eq!(texts(&catalog.service(&"h/o/x".into()).repositories), ["h/o/x"]);
    assert_eq!(owner(&catalog, Some("h/o/x"), None, noon()), service("h/o/x"));
}

#[test]
fn the_tier_comes_from_the_services_rules_then_the_catalogs_then_the_built_in_words() {
    let shop = shop();
    let tier = |name: &str, environment: &str| shop.tier(&name.into(), &Environment::new(environment));
    for (name, environment, expected) in [
        ("checkout", "blue-7", EnvironmentTier::Production),
        ("cart", "blue-7", EnvironmentTier::Other),
        ("checkout", "Sandbox", EnvironmentTier::Testing),
        ("cart", "EU1", EnvironmentTier::Production),
        ("unheard-of", "eu1", EnvironmentTier::Production),
        ("cart", "prod-like-2", EnvironmentTier::Testing),
        ("cart", "prod", EnvironmentTier::Production),
        ("cart", "eu-pre-prod", EnvironmentTier::Staging),
        ("cart", "", EnvironmentTier::Other),
    ] {
        assert_eq!(tier(name, environment), expected, "{name} {environment}");
    }
}

#[test]
fn rules_are_tried_in_the_order_of_the_file() {
    let rules = |first: &str, second: &str| {
        let text = format!("[[services]]\nname = \"s\"\nenvironments = {{ {first}, {second} }}\n");
        read(&text).tier(&"s".into(), &Environment::new("z-a"))
    };
    assert_eq!(rules("z = \"production\"", "a = \"testing\""), EnvironmentTier::Production);
    assert_eq!(rules("a = \"testing\"", "z = \"production\""), EnvironmentTier::Testing);
}

#[test]
fn the_revision_follows_the_meaning_and_the_definitions_and_not_the_text() {
    let revision = |text: &str| read(text).revision().to_owned();
    let base = revision("[[services]]\nname = \"a\"\n");
    assert_eq!(base, revision("# a comment\n[[services]]\nname    = 'a'\n"));
    assert_ne!(base, revision("[[services]]\nname = \"b\"\n"));
    assert_ne!(base, revision("[[services]]\nname = \"a\"\naliases = [\"x\"]\n"));
    let other = Definitions { blame_dependencies: true, ..Definitions::default() };
    assert_ne!(Catalog::empty(&other).revision(), Catalog::empty(&Definitions::default()).revision());
    assert_eq!(revision(""), Catalog::empty(&Definitions::default()).revision());
    assert!(base.len() == 32 && base.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn an_empty_catalog_makes_every_name_a_service_of_its_own() {
    let empty = Catalog::empty(&Definitions::default());
    assert_eq!(owner(&empty, Some("h/o/x"), None, noon()), service("h/o/x"));
    assert_eq!(owner(&empty, Some("h/o/x"), Some("s"), noon()), service("s"));
    assert_eq!(empty.home_of_repo(&"h/o/x".into()).as_str(), "h/o/x");
    assert!(empty.services().is_empty() && empty.service(&ServiceName::new("s")).dependencies.is_empty());
}

#[test]
fn a_large_catalog_is_read_at_once() {
    let mut text = String::from("[[teams]]\nname = \"t\"\n");
    for n in 0..5_000 {
        let before = n.max(1) - 1;
        text += &format!(
            "[[services]]\nname = \"s{n}\"\nteam = \"t\"\nrepositories = [\"h/o/r{n}\", \"h/o/r{before}\"]\n\
             aliases = [\"pagerduty:P{n}\"]\ndependencies = [\"s{}\"]\n",
            n ^ 1
        );
    }
    let text = text.replace("[\"h/o/r0\", \"h/o/r0\"]", "[\"h/o/r0\"]");
    let catalog = read(&text);
    assert_eq!(catalog.services().len(), 5_000);
    assert_eq!(catalog.home_of_service(&"s4999".into()).as_str(), "h/o/r0");
}
