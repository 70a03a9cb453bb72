//! Backstage and CODEOWNERS become entries; entries become TOML that the catalog reads; valid catalogs get warnings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use model::Definitions;
use streamgauge_catalog::{Catalog, CatalogEntry, PathGlob, backstage, codeowners, lint, to_toml};

const INFO: &str = r#"
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: cart
  annotations:
    backstage.io/source-location: url:https://github.com/acme/mono/tree/main/services/cart/
    github.com/project-slug: acme/mono
    pagerduty.com/service-id: PF9KMXH
    pagerduty.com/integration-key: secret
    argocd/app-name: cart-prod
spec:
  type: service
  lifecycle: production
  owner: group:default/payments
  system: shop
  dependsOn:
    - component:default/checkout
    - resource:default/cart-db
    - component:legacy
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: { name: checkout, annotations: { "gitlab.com/project-slug": "acme/shop/checkout" } }
spec: { type: service, owner: "user:default/jane" }
---
kind: System
metadata: { name: shop }
spec: { owner: payments, domain: retail-domain }
---
kind: Group
metadata: { name: payments }
spec: { type: team, parent: retail, children: [], members: [jane] }
---
kind: Group
metadata: { name: retail }
spec: { type: department, children: [payments] }
---
kind: User
metadata: { name: jane }
spec: { profile: { email: jane@acme.example } }
---
kind: Domain
metadata: { name: retail-domain }
"#;

fn empty() -> Catalog {
    Catalog::empty(&Definitions::default())
}

fn read(text: &str) -> Catalog {
    let read = Catalog::from_toml("catalog.toml", text, &Definitions::default());
    read.unwrap_or_else(|found| panic!("{found:#?}\n{text}"))
}

#[test]
fn backstage_entities_become_entries_without_any_person() {
    let entries = backstage::read("catalog-info.yaml", INFO).unwrap();
    let printed: Vec<String> = entries.iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "[[services]]\nname = \"cart\"\naliases = [\"pagerduty:PF9KMXH\", \"argocd:cart-prod\"]\nteam = \"payments\"\n\
             dependencies = [\"checkout\", \"legacy\"]\n\
             tags = { \"domain\" = \"retail-domain\", \"lifecycle\" = \"production\", \"system\" = \"shop\", \"type\" = \"service\" }\n\
             [[services.repositories]]\nname = \"github.com/acme/mono\"\npaths = [\"services/cart/**\"]\n",
            "[[services]]\nname = \"checkout\"\nrepositories = [\"gitlab.com/acme/shop/checkout\"]\n\
             tags = { \"type\" = \"service\" }\n",
            "[[teams]]\nname = \"payments\"\ngroup = \"retail\"\n",
            "[[groups]]\nname = \"retail\"\n",
        ]
    );
    let everything = printed.concat();
    assert!(!everything.contains("jane") && !everything.contains("secret"));
}

#[test]
fn what_backstage_says_is_a_catalog_as_it_is_printed() {
    let entries = backstage::read("catalog-info.yaml", INFO).unwrap();
    let text = to_toml(&entries, &empty());
    assert!(text.contains("# depends on \"legacy\", which no entry declares\n"));
    let catalog = read(&text);
    assert_eq!(catalog.services(), ["cart".into(), "checkout".into()]);
    let groups = catalog.groups(&"payments".into(), model::Timestamp::MIN);
    assert_eq!(groups, [model::Text::new("retail")]);
    assert_eq!(to_toml(&entries, &catalog), "", "what a catalog has is not proposed again");
}

#[test]
fn a_source_location_names_repository_and_folder_on_every_forge() {
    let repo = |location: &str| {
        let yaml = format!(
            "kind: Component\nmetadata:\n  name: x\n  annotations:\n    backstage.io/source-location: {location}\n"
        );
        let entries = backstage::read("f", &yaml).unwrap();
        let CatalogEntry::Service(service) = &entries[0] else { panic!("a service") };
        service.repositories.first().map(|(name, paths)| {
            let paths: Vec<&str> = paths.iter().map(PathGlob::as_str).collect();
            format!("{name} {}", paths.join(","))
        })
    };
    assert_eq!(repo("url:https://github.com/acme/cart").as_deref(), Some("github.com/acme/cart "));
    assert_eq!(repo("url:https://github.com/acme/cart.git").as_deref(), Some("github.com/acme/cart "));
    assert_eq!(
        repo("url:https://gitlab.com/acme/shop/cart/-/tree/main/api").as_deref(),
        Some("gitlab.com/acme/shop/cart api/**")
    );
    assert_eq!(
        repo("url:https://github.com/acme/m/blob/main/cart/catalog-info.yaml").as_deref(),
        Some("github.com/acme/m cart/**")
    );
    assert_eq!(repo("dir:./"), None);
    assert_eq!(repo("url:https://github.com/acme"), None);
}

#[test]
fn a_mistake_in_a_backstage_file_has_its_place() {
    let broken = backstage::read("catalog-info.yaml", "kind: Component\nmetadata: {\n").unwrap_err();
    assert!(broken.message.starts_with("not YAML") && broken.line >= 2, "{broken}");
    let nameless =
        backstage::read("catalog-info.yaml", "kind: A\nmetadata: { name: a }\n---\nkind: Component\n");
    let nameless = nameless.unwrap_err();
    assert_eq!(
        (nameless.line, nameless.message.as_str()),
        (4, "an entity without the text \"metadata.name\"")
    );
    let kindless = backstage::read("catalog-info.yaml", "- a\n- b\n").unwrap_err();
    assert_eq!((kindless.line, kindless.message.as_str()), (1, "an entity without the text \"kind\""));
    assert_eq!(backstage::read("catalog-info.yaml", "# nothing\n"), Ok(Vec::new()));
}

#[test]
fn a_backstage_file_that_breaks_off_anywhere_is_read_or_told_with_a_place() {
    for (end, _) in INFO.char_indices() {
        if let Err(found) = backstage::read("catalog-info.yaml", &INFO[..end]) {
            assert!(found.line >= 1 && found.column >= 1, "{end}: {found}");
        }
    }
    let anchors: String = (1..40).map(|n| format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1)).collect();
    let bomb = backstage::read("catalog-info.yaml", &format!("a0: &a0 x\n{anchors}"));
    assert!(bomb.unwrap_err().message.starts_with("not YAML"), "an alias bomb is refused");
}

const OWNERS: &str = "
# comment
*                 @acme/platform @jane
/services/cart/   @acme/payments jane@acme.example
services/search   @jane @acme/search # inline
/services/legacy  @jane
*.md              @acme/docs
/lib/{a,b}        @acme/platform
[Shared][2] @acme/shared
/shared/api/
/web/api/         @acme/web
";

#[test]
fn code_owners_are_teams_and_never_persons_and_the_last_rule_counts() {
    let owners = codeowners::read(OWNERS);
    let teams = |path: &str| {
        let teams = owners.teams_of(path).iter().map(ToString::to_string);
        teams.collect::<Vec<_>>().join(",")
    };
    assert_eq!(teams("services/cart/src/main.rs"), "payments");
    assert_eq!(teams("services/search/x.rs"), "search");
    assert_eq!(teams("services/legacy/x.rs"), "");
    assert_eq!(teams("services/cart/README.md"), "docs");
    assert_eq!(teams("shared/api/x"), "shared");
    assert_eq!(teams("Makefile"), "platform");
    assert_eq!(owners.skipped.len(), 1);
    assert_eq!(owners.skipped[0].line, 8);
    assert!(!format!("{owners:?}").contains("jane"));
}

#[test]
fn each_owned_folder_is_proposed_as_a_service() {
    let owners = codeowners::read(OWNERS);
    let catalog = read(&to_toml(&owners.entries(&"github.com/acme/mono".into()), &empty()));
    let services: Vec<String> = catalog.services().iter().map(ToString::to_string).collect();
    assert_eq!(services, ["cart", "search", "shared-api", "web-api"]);
    let cart = catalog.service(&"cart".into());
    assert!(cart.touches(&"github.com/acme/mono".into(), &["services/cart/x".into()]));
    assert_eq!(catalog.team(&"search".into(), model::Timestamp::MIN), Some("search".into()));
    let whole = codeowners::read("* @acme/platform\n").entries(&"github.com/acme/tool".into());
    assert_eq!(
        whole[0].to_string(),
        "[[services]]\nname = \"tool\"\nrepositories = [\"github.com/acme/tool\"]\nteam = \"platform\"\n"
    );
    assert_eq!(codeowners::read("* @jane\n").entries(&"github.com/acme/tool".into()), []);
}

#[test]
fn lint_names_what_a_valid_catalog_most_likely_does_not_mean() {
    let text = r#"
[[groups]]
name = "lonely"
[[teams]]
name = "idle"
[[teams]]
name = "busy"
[[services]]
name = "bare"
[[services]]
name = "cart"
team = "busy"
criticality = "high"
failure_evidence_suffices = true
aliases = ["argocd:cart", { name = "argocd:cart", valid_from = "2026-01-01" }]
repositories = ["h/o/mono", { name = "h/o/late", valid_from = "2026-01-01" }]
[[services]]
name = "search"
team = { name = "busy", valid_from = "2026-01-01" }
incident_source = true
repositories = [{ name = "h/o/mono", paths = ["search"] }]
[targets.low]
change_lead_time = "7d"
[[renames]]
from = "h/o/old"
to = "h/o/unlisted"
at = "2026-01-01"
"#;
    let found: Vec<String> = lint(&read(text)).iter().map(ToString::to_string).collect();
    for expected in [
        "catalog.toml:9:8: service \"bare\" has no team (",
        "catalog.toml:9:8: service \"bare\" has neither repositories nor aliases (",
        "catalog.toml:9:8: service \"bare\" has no incident source (",
        "catalog.toml:11:8: criticality \"high\" of service \"cart\" has no targets (add [targets.high])",
        "catalog.toml:11:8: services \"cart\" and \"search\" share \"h/o/mono\", and \"cart\" has no paths (",
        "catalog.toml:18:8: service \"search\" has no team before 2026-01-01T00:00:00Z (",
        "catalog.toml:0:0: \"h/o/old\" became \"h/o/unlisted\", which no service lists (",
        "catalog.toml:0:0: repository \"h/o/late\" belongs to no service before the first valid_from (",
        "catalog.toml:0:0: alias \"argocd:cart\" is given again to the service that has it (",
        "catalog.toml:0:0: team \"idle\" owns no service (",
        "catalog.toml:0:0: group \"lonely\" has neither teams nor groups (",
        "catalog.toml:0:0: no service has the criticality \"low\" of [targets.low] (",
    ] {
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected} in {found:#?}");
    }
    assert_eq!(found.len(), 12, "{found:#?}");
    let clean = "[[teams]]\nname = \"t\"\n[[services]]\nname = \"s\"\nteam = \"t\"\nrepositories = [\"h/o/s\"]\naliases = [\"pagerduty:P\"]\n";
    assert_eq!(lint(&read(clean)), []);
}
