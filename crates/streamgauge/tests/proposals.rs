//! `discover`, end to end: what waits, what is proposed, what counts once that is accepted.
//! Needs the ClickHouse engine (`cargo xtask setup`); without it each test says that it was passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{engine_is_there, json, ok, run, run_with};
use std::path::Path;
use std::process::{Command, Stdio};

const CATALOG: &str =
    "# ours\n[[services]]\nname = \"checkout\" # the till\nfailure_evidence_suffices = true\n";

/// Two deployments and an incident that name only aliases, and a deployment that names a repository.
fn events() -> String {
    let event = |id: &str, kind: &str, owner: &str, body: &str| {
        let at = "2026-01-01T10:00:00Z";
        format!(
            r#"{{"id":"{id}","type":"{kind}","occurred_at":"{at}","observed_at":"{at}","source":"ci",{owner},"{kind}":{body}}}"#
        ) + "\n"
    };
    let deployment = |id: &str, owner: &str, environment: &str| {
        let body = format!(
            r#"{{"deployment_id":"{id}","environment":"{environment}","state":"succeeded","finished_at":"2026-01-01T10:00:00Z"}}"#
        );
        event(id, "deployment", owner, &body)
    };
    let incident = r#"{"incident_id":"i1","state":"open","severity":"sev2"}"#;
    [
        deployment("d1", r#""service":"argocd:checkout-prod""#, "production"),
        deployment("d2", r#""service":"argocd:cart""#, "production"),
        deployment("d3", r#""repo":"github.com/acme/search""#, "acceptance"),
        event("i1", "incident", r#""service":"pagerduty:Checkout""#, incident),
    ]
    .concat()
}

fn parked(folder: &Path) -> String {
    ok(folder, &["sql", "SELECT count() FROM parked_events FORMAT TSV"]).trim().to_owned()
}

#[test]
fn what_is_parked_is_proposed_and_counts_once_the_proposal_is_written_and_applied() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("catalog.toml"), CATALOG).unwrap();
    let import = ["--catalog", "catalog.toml", "import", "events", "-"];
    let (code, _, error) = run_with(folder, &import, events().as_bytes());
    assert_eq!(code, 0, "{error}");
    assert_eq!(parked(folder), "3");

    let proposals = json(folder, &["discover"]);
    let said: Vec<(&str, &str)> = proposals
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str().unwrap(), one["value"].as_str().unwrap()))
        .collect();
    let expected = [
        ("alias", "checkout: argocd:checkout-prod"),
        ("alias", "checkout: pagerduty:Checkout"),
        ("service", "cart"),
        ("service", "search"),
        ("environment", "acceptance: staging"),
    ];
    assert_eq!(said, expected, "{proposals}");

    // The diff is one that `git apply` takes, and says what `--write` writes.
    let diff = ok(folder, &["discover"]);
    std::fs::write(folder.join("proposed.diff"), &diff).unwrap();
    let apply = Command::new("git").current_dir(folder).args(["apply", "proposed.diff"]).output().unwrap();
    assert!(apply.status.success(), "{}\n{diff}", String::from_utf8_lossy(&apply.stderr));
    let applied = std::fs::read_to_string(folder.join("catalog.toml")).unwrap();
    let (code, _, error) = run(folder, &["discover", "--write"]);
    assert_eq!(code, 2, "the file is another one now");
    assert!(error.contains("is not the catalog that counts"), "{error}");
    std::fs::write(folder.join("catalog.toml"), CATALOG).unwrap();
    ok(folder, &["discover", "--write"]);
    assert_eq!(std::fs::read_to_string(folder.join("catalog.toml")).unwrap(), applied);
    assert!(applied.starts_with("# ours\n[[services]]\nname = \"checkout\" # the till\n"), "{applied}");

    ok(folder, &["catalog", "lint", "catalog.toml"]);
    ok(folder, &["catalog", "apply", "catalog.toml"]);
    assert_eq!(parked(folder), "0");
    let query = "SELECT service, tier FROM deployments ORDER BY service FORMAT TSV";
    assert_eq!(ok(folder, &["sql", query]), "cart\tproduction\ncheckout\tproduction\nsearch\tstaging\n");
    assert_eq!(ok(folder, &["sql", "SELECT service FROM incidents FORMAT TSV"]).trim(), "checkout");
    let (code, out, error) = run(folder, &["discover"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(error.contains("nothing to propose"), "{error}");
}

#[test]
fn a_file_that_is_not_there_yet_is_proposed_as_a_new_one() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = run_with(folder.path(), &["import", "events", "-"], events().as_bytes());
    assert_eq!(code, 0, "{error}");
    let diff = ok(folder.path(), &["discover", "--catalog", "new/catalog.toml"]);
    assert!(diff.starts_with("--- /dev/null\n+++ b/new/catalog.toml\n@@ -0,0 "), "{diff}");
    let mut patch = Command::new("git")
        .current_dir(folder.path())
        .args(["apply", "--check", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut patch.stdin.take().unwrap(), diff.as_bytes()).unwrap();
    assert!(patch.wait().unwrap().success(), "{diff}");
}

/// A catalog that knows a repository by its old name only, and what was told under both.
#[test]
fn a_rename_that_was_told_is_followed_at_once_and_proposed_for_the_catalog_s_text() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let catalog = "[[services]]\nname = \"checkout\"\nrepositories = [\"github.com/acme/till\"]\n";
    std::fs::write(folder.join("catalog.toml"), catalog).unwrap();
    let event = |id: &str, at: &str, repo: &str, kind: &str, body: &str| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","occurred_at":"2026-01-01T{at}Z","observed_at":"2026-01-01T{at}Z","source":"github","repo":"github.com/acme/{repo}","{kind}":{body}}}"#
        ) + "\n"
    };
    let commit = r#"{"sha":"c0ffee","parents":[],"committed_at":"2026-01-01T08:00:00Z"}"#;
    let deployed = r#"{"deployment_id":"d1","environment":"production","sha":"c0ffee","state":"succeeded","finished_at":"2026-01-01T10:00:00Z"}"#;
    let renamed = r#"{"action":"renamed","from":"github.com/acme/till"}"#;
    // The deployment under the new name comes before anybody says that there is one.
    let told = event("e1", "10:00:00", "checkout", "deployment", deployed)
        + &event("e2", "08:10:00", "till", "commit", commit);
    let import = ["--catalog", "catalog.toml", "import", "events", "-"];
    let (code, _, error) = run_with(folder, &import, told.as_bytes());
    assert_eq!(code, 0, "{error}");
    let changes = "SELECT service, repo, lead_time_s FROM changes ORDER BY ALL FORMAT TSV SETTINGS output_format_tsv_crlf_end_of_line = 0";
    assert_eq!(ok(folder, &["sql", changes]), "");
    let rename = event("e3", "09:00:00", "checkout", "repository", renamed);
    let (code, _, error) = run_with(folder, &import, rename.as_bytes());
    assert_eq!(code, 0, "{error}");
    let counted = "checkout\tgithub.com/acme/checkout\t7200\n";
    assert_eq!(ok(folder, &["sql", changes]), counted);
    let signal = "SELECT subject FROM data_quality WHERE signal = 'renamed_repository' FORMAT TSV";
    assert_eq!(ok(folder, &["sql", signal]), "github.com/acme/till\n");

    let (code, _, error) = run(folder, &["discover", "--write"]);
    assert_eq!(code, 0, "{error}");
    let written = std::fs::read_to_string(folder.join("catalog.toml")).unwrap();
    let alias = "[[renames]]\nfrom = \"github.com/acme/till\"\nto = \"github.com/acme/checkout\"\nat = \"2026-01-01T09:00:00Z\"\n";
    assert!(written.contains(alias), "{written}");
    // A person writes the new name, too: nothing is left to say, and nothing counts otherwise.
    std::fs::write(
        folder.join("catalog.toml"),
        written.replace("[\"github.com/acme/till\"]", "[\"github.com/acme/checkout\"]"),
    )
    .unwrap();
    ok(folder, &["catalog", "apply", "catalog.toml"]);
    assert_eq!(ok(folder, &["sql", changes]), counted);
    assert_eq!(ok(folder, &["sql", signal]), "");
    assert_eq!(json(folder, &["discover"]), serde_json::json!([]));
}
