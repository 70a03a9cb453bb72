//! What is proposed, from which evidence, and how the text says it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::event::EnvironmentTier;
use model::{Definitions, RepoName, Timestamp};
use streamgauge_catalog::discover::{
    Claim, Deployer, Described, Discovery, Evidence, Renamed, Seen, SeenEnvironment, TeamSaid, discover,
};
use streamgauge_catalog::{Catalog, Owner, Rename, backstage, codeowners};

const TILL: &str =
    "# ours\n[[services]]\nname = \"checkout\" # the till\nrepositories = [\"github.com/acme/checkout\"]\n";

fn read(text: &str) -> Catalog {
    Catalog::from_toml("catalog.toml", text, &Definitions::default())
        .unwrap_or_else(|mistakes| panic!("{mistakes:?} in\n{text}"))
}

fn noon() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z").unwrap()
}

fn seen(count: u64, source: &str) -> Seen {
    Seen { count, since: noon(), sources: [source.into()].into() }
}

fn waits(event_type: &str, alias: &str) -> Claim {
    let source = alias.split(':').next().unwrap();
    Claim {
        reason: "unclaimed_alias".into(),
        claim: Some(alias.into()),
        event_type: event_type.into(),
        seen: seen(2, source),
    }
}

fn deploys(service: &str, repos: &[&str]) -> Deployer {
    Deployer {
        service: service.into(),
        repos: repos.iter().map(RepoName::new).collect(),
        failure_evidence_suffices: false,
        seen: seen(5, "canonical"),
    }
}

fn files(owners: &str, repo: &str) -> Vec<Described> {
    let entries = codeowners::read(owners).entries(&RepoName::new(repo));
    let one = |entry| Described { file: "CODEOWNERS".to_owned(), entry, is_place: true };
    entries.into_iter().map(one).collect()
}

fn components(yaml: &str) -> Vec<Described> {
    let entries = backstage::read("catalog-info.yaml", yaml).unwrap();
    let one = |entry| Described { file: "catalog-info.yaml".to_owned(), entry, is_place: false };
    entries.into_iter().map(one).collect()
}

/// Discovers; what is accepted is a catalog, keeps every line that was there, and leaves nothing to propose.
fn found(text: &str, evidence: &Evidence) -> Discovery {
    let found = discover(text, &read(text), evidence);
    let new = found.change.text();
    let again = discover(&new, &read(&new), evidence);
    assert!(again.change.is_empty() && again.proposals.is_empty(), "{:?} again in\n{new}", again.proposals);
    found
}

fn added(text: &str, evidence: &Evidence) -> String {
    let diff = found(text, evidence).change.diff("catalog.toml");
    let added = diff.lines().skip(2).filter_map(|line| line.strip_prefix('+'));
    added.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}

fn owner(text: &str, alias: &str) -> Owner {
    read(text).owner(None, Some(&alias.into()), noon())
}

#[test]
fn a_name_that_differs_only_in_case_joints_kind_or_environment_is_an_alias_and_comments_stay() {
    let claims = ["argocd:shop/Checkout", "k8s:checkout-svc", "pagerduty:checkout_service_prod"]
        .map(|alias| waits("deployment", alias))
        .to_vec();
    let evidence = Evidence { claims, ..Evidence::default() };
    let found = found(TILL, &evidence);
    let text = found.change.text();
    assert!(text.starts_with("# ours\n[[services]]\nname = \"checkout\" # the till\n# because "), "{text}");
    assert!(text.ends_with("repositories = [\"github.com/acme/checkout\"]\n"), "{text}");
    for claim in &evidence.claims {
        let alias = claim.claim.as_ref().unwrap().as_str();
        assert_eq!(owner(&text, alias), Owner::Service("checkout".into()));
    }
}

#[test]
fn aliases_that_are_there_are_added_to_however_they_are_written() {
    let evidence = Evidence { claims: vec![waits("incident", "jira:Checkout")], ..Evidence::default() };
    for (before, after) in [
        ("aliases = []", "aliases = [\"jira:Checkout\"]"),
        ("aliases = \"a:b\"", "aliases = [\"a:b\", \"jira:Checkout\"]"),
        ("aliases = [\"a:b\",]", "aliases = [\"a:b\", \"jira:Checkout\",]"),
        ("aliases = [\n  \"a:b\", # old\n]", "aliases = [\n  \"a:b\", \"jira:Checkout\", # old\n]"),
        ("aliases = [{ name = \"a:b\" }]", "aliases = [{ name = \"a:b\" }, \"jira:Checkout\"]"),
    ] {
        let text = found(&format!("{TILL}{before}\n"), &evidence).change.text();
        assert!(text.ends_with(&format!("{after}\n")), "{text}");
    }
    for table in ["[[services.aliases]]\nname = \"a:b\"\n", "aliases = [\"a:b\"]\n"] {
        let inline =
            table.starts_with('a').then_some("services = [{ name = \"checkout\", aliases = [\"a:b\"] }]\n");
        let text = inline.map_or_else(|| format!("{TILL}{table}"), str::to_owned);
        let added = added(&text, &evidence);
        assert!(added.starts_with("# decide: jira:Checkout: ") && added.ends_with("by hand\n"), "{added}");
    }
}

#[test]
fn what_is_deployed_by_an_alias_that_nobody_has_is_one_service_with_all_its_names() {
    let claims = vec![
        waits("incident", "pagerduty:cart"),
        waits("deployment", "argocd:cart-prod"),
        waits("deployment", "k8s:shop/cart"),
    ];
    let text = found(TILL, &Evidence { claims: claims.clone(), ..Evidence::default() }).change.text();
    for claim in claims {
        assert_eq!(owner(&text, claim.claim.unwrap().as_str()), Owner::Service("cart".into()));
    }
    assert_eq!(text.matches("[[services]]").count(), 2, "{text}");
}

#[test]
fn an_incidents_name_that_says_nothing_is_a_question_and_so_is_one_of_two_services() {
    let two = format!("{TILL}[[services]]\nname = \"Check.out\"\n[[services]]\nname = \"check-out\"\n");
    let claims = vec![waits("incident", "pagerduty:PF9KMXH"), waits("incident", "jira:check_out")];
    assert_eq!(
        added(&two, &Evidence { claims, ..Evidence::default() }),
        "# decide: jira:check_out: 2 incident events from jira since 2026-01-31: Check.out or check-out?\n\
         # decide: pagerduty:PF9KMXH: 2 incident events from pagerduty since 2026-01-31: which service is it?\n"
    );
}

#[test]
fn a_repository_with_deployments_becomes_a_service_and_a_declared_one_does_not() {
    let evidence = Evidence {
        deployers: vec![
            deploys("github.com/acme/cart", &["github.com/acme/cart"]),
            deploys("checkout", &["github.com/acme/checkout"]),
        ],
        ..Evidence::default()
    };
    assert_eq!(
        added(TILL, &evidence),
        "# because 5 deployments from canonical since 2026-01-31\n[[services]]\nname = \"cart\"\n\
         repositories = [\"github.com/acme/cart\"]\n"
    );
}

#[test]
fn a_monorepo_is_a_service_for_each_name_with_paths_only_where_code_owners_state_them() {
    let shop = "github.com/acme/shop";
    let evidence = Evidence {
        deployers: vec![deploys("cart", &[shop]), deploys("search", &[shop])],
        described: files("/services/cart/ @acme/buyers\n/docs/ ada@example.com\n/web/ @ada\n", shop),
        ..Evidence::default()
    };
    let text = found("", &evidence).change.text();
    let catalog = read(&text);
    assert_eq!(catalog.team(&"cart".into(), noon()), Some("buyers".into()));
    assert!(catalog.service(&"cart".into()).has_paths(&RepoName::new(shop)));
    assert!(catalog.service(&"search".into()).repositories.is_empty());
    assert!(
        text.contains("# decide: github.com/acme/shop holds cart, search: add it with the paths"),
        "{text}"
    );
    assert!(!text.contains("ada") && !text.contains("docs"), "{text}");
}

#[test]
fn a_component_of_backstage_comes_with_its_team_and_a_declared_one_gets_what_it_lacks() {
    let yaml = "kind: Component\nmetadata:\n  name: checkout\n  annotations:\n    pagerduty.com/service-id: P1\n\
                spec:\n  owner: group:payments\n---\nkind: Component\nmetadata:\n  name: cart\nspec:\n  owner: user:ada\n";
    assert_eq!(
        added(TILL, &Evidence { described: components(yaml), ..Evidence::default() }),
        "# because catalog-info.yaml describes it\naliases = [\"pagerduty:P1\"]\n\
         # because catalog-info.yaml describes it\nteam = \"payments\"\n\
         # because it owns checkout\n[[teams]]\nname = \"payments\"\n\
         # because catalog-info.yaml describes it\n[[services]]\nname = \"cart\"\n"
    );
}

#[test]
fn teams_that_differ_are_a_question() {
    let said =
        |team: &str| TeamSaid { service: "checkout".into(), team: team.into(), seen: seen(1, "canonical") };
    let evidence = |teams: &[&str]| Evidence {
        teams: teams.iter().map(|team| said(team)).collect(),
        ..Evidence::default()
    };
    assert!(added(TILL, &evidence(&["payments"])).contains("team = \"payments\""));
    assert!(added(TILL, &evidence(&["payments", "ada@example.com"])).contains("team = \"payments\""));
    let asked = added(TILL, &evidence(&["payments", "shop"]));
    assert!(
        asked.starts_with("# decide: team of checkout: \"payments\" (") && !asked.contains("\nteam"),
        "{asked}"
    );
}

#[test]
fn an_environment_gets_the_tier_that_its_name_means_and_another_one_is_a_question() {
    let to = |name: &str, tier| SeenEnvironment {
        service: "checkout".into(),
        environment: name.into(),
        tier,
        seen: seen(4, "argocd"),
    };
    let environments = vec![
        to("eu-acceptance", EnvironmentTier::Other),
        to("pre-production", EnvironmentTier::Production),
        to("blue", EnvironmentTier::Other),
        to("non-prod", EnvironmentTier::Production),
        to("eu-prod", EnvironmentTier::Production),
        to("live", EnvironmentTier::Other),
    ];
    assert_eq!(
        added(TILL, &Evidence { environments, ..Evidence::default() }),
        "# because \"eu-acceptance\" counts as other: 4 deployments from argocd since 2026-01-31\n\
         [[environments]]\nmatch = \"acceptance\"\ntier = \"staging\"\n\
         # because \"pre-production\" counts as production: 4 deployments from argocd since 2026-01-31\n\
         [[environments]]\nmatch = \"pre-production\"\ntier = \"staging\"\n\
         # decide: environment \"blue\": \"blue\" counts as other: 4 deployments from argocd since 2026-01-31: which tier is it?\n\
         # decide: environment \"non-prod\": \"non-prod\" counts as production: 4 deployments from argocd since 2026-01-31: which tier is it?\n"
    );
}

#[test]
fn what_waits_for_its_sender_is_said_and_nothing_is_proposed() {
    let waiting = |reason: &str, claim: Option<&str>| Claim {
        reason: reason.into(),
        claim: claim.map(Into::into),
        event_type: "deployment".into(),
        seen: seen(1, "canonical"),
    };
    let text =
        format!("{TILL}[[services]]\nname = \"till\"\nrepositories = [\"github.com/acme/checkout\"]\n");
    let claims = vec![
        waiting("ambiguous_repository", Some("github.com/acme/checkout")),
        waiting("names_nothing", None),
    ];
    let added = added(&text, &Evidence { claims, ..Evidence::default() });
    assert!(added.lines().all(|line| line.starts_with("# decide: ")), "{added}");
    assert!(added.contains("checkout or till? send `service`"), "{added}");
}

#[test]
fn what_events_say_cannot_end_a_comment_or_a_text() {
    let alias = "argocd:x\"\n[[services]]\nname = \"evil";
    let claims = vec![waits("incident", alias), waits("deployment", alias)];
    let text = discover(TILL, &read(TILL), &Evidence { claims, ..Evidence::default() }).change.text();
    assert!(!text.lines().any(|line| line == "name = \"evil"), "{text}");
}

#[test]
fn whatever_order_the_evidence_comes_in_the_proposals_are_the_same() {
    let mut evidence = Evidence {
        claims: ["argocd:cart", "k8s:cart-prod", "argocd:checkout", "jira:what"]
            .map(|alias| waits("deployment", alias))
            .to_vec(),
        deployers: vec![deploys("search", &["github.com/acme/search"]), deploys("pay", &[])],
        ..Evidence::default()
    };
    let one = found(TILL, &evidence).change.text();
    evidence.claims.reverse();
    evidence.deployers.reverse();
    assert_eq!(found(TILL, &evidence).change.text(), one);
}

#[test]
fn what_names_only_a_repository_goes_to_the_service_that_is_called_like_it() {
    let repo = "github.com/acme/cart";
    let evidence =
        Evidence { deployers: vec![deploys("cart", &[repo]), deploys(repo, &[repo])], ..Evidence::default() };
    let text = found(TILL, &evidence).change.text();
    assert_eq!(text.matches("[[services]]").count(), 2, "{text}");
    assert_eq!(read(&text).owner(Some(&RepoName::new(repo)), None, noon()), Owner::Service("cart".into()));
}

#[test]
fn a_name_that_another_service_has_as_an_alias_is_that_service() {
    let text = format!("{TILL}aliases = [\"pay\"]\n");
    let evidence = Evidence {
        claims: vec![waits("deployment", "argocd:pay-prod")],
        deployers: vec![deploys("github.com/acme/pay", &[])],
        ..Evidence::default()
    };
    let new = found(&text, &evidence).change.text();
    assert_eq!(owner(&new, "argocd:pay-prod"), Owner::Service("checkout".into()));
    assert!(
        new.contains("# decide: github.com/acme/pay: ") && new.matches("[[services]]").count() == 1,
        "{new}"
    );
}

#[test]
fn a_rename_that_was_told_becomes_a_dated_alias_of_the_text_where_it_is_of_a_listed_repository() {
    let told = |from: &str, to: &str, at: &str| Renamed {
        rename: Rename {
            from: format!("github.com/acme/{from}").into(),
            at: Timestamp::parse(at).unwrap(),
            to: format!("github.com/acme/{to}").into(),
        },
        source: "github".into(),
    };
    let renames = vec![
        told("checkout", "till", "2026-01-10T09:00:00Z"),
        // Told twice, and on to a third name.
        told("checkout", "till", "2026-01-10T08:00:00Z"),
        told("till", "desk", "2026-01-20T08:00:00Z"),
        told("other", "another", "2026-01-20T08:00:00Z"),
    ];
    let evidence = Evidence { renames, ..Evidence::default() };
    let rename = |from: &str, to: &str, at: &str| {
        format!(
            "\n# because github told that github.com/acme/{from} is github.com/acme/{to} since\n[[renames]]\n\
             from = \"github.com/acme/{from}\"\nto = \"github.com/acme/{to}\"\nat = \"{at}\"\n"
        )
    };
    let expected =
        rename("checkout", "till", "2026-01-10T08:00:00Z") + &rename("till", "desk", "2026-01-20T08:00:00Z");
    assert_eq!(found(TILL, &evidence).change.text(), TILL.to_owned() + &expected);
}
