//! The command line: helps, wrong use, configuration.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{run, run_with, streamgauge};

const COMMANDS: &[&[&str]] = &[
    &["demo"],
    &["import", "git"],
    &["import", "events"],
    &["normalize"],
    &["report"],
    &["explain"],
    &["sql"],
    &["catalog", "lint"],
    &["catalog", "apply"],
    &["catalog", "show"],
    &["discover"],
    &["correct"],
    &["generate"],
    &["run"],
    &["backfill"],
    &["mirror"],
    &["topics"],
    &["migrate"],
    &["check"],
    &["dlq", "list"],
    &["dlq", "show"],
    &["dlq", "replay"],
    &["completions"],
    &["man"],
];

#[test]
fn every_command_has_a_help_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let (code, help, _) = run(folder.path(), &[command, &["--help"][..]].concat());
        assert_eq!(code, 0, "{command:?}");
        let expect = format!("streamgauge {}", command.join(" "));
        let example = help.split("Example").nth(1).unwrap_or_else(|| panic!("{command:?} has no example"));
        assert!(example.contains(&expect) || example.contains("streamgauge run"), "{command:?}: {example}");
    }
}

#[test]
fn wrong_use_ends_with_two_and_says_how_to_mend_it() {
    let folder = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str], expect: &str| {
        let (code, out, error) = run(folder.path(), arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {error}");
        assert!(error.contains(expect), "{arguments:?}: {error:?} does not say {expect:?}");
    };
    check(&["imporrt"], "similar subcommands exist");
    check(&["import", "git", "nowhere"], "error: nowhere: there is no such folder");
    check(&["import", "events", "nowhere.ndjson"], "nowhere.ndjson");
    check(
        &["normalize", "--source", "fax", "-"],
        "there is no such source (known: alertmanager, argo_rollouts",
    );
    check(&["--config", "none.toml", "correct", "deployment", "x", "--reason", "y"], "none.toml");
    std::fs::write(folder.path().join("bad.toml"), "failure_windwo = \"4h\"\n").unwrap();
    check(
        &["--config", "bad.toml", "normalize", "--source", "git", "-"],
        "bad.toml:1:1: unknown key `failure_windwo` (did you mean `failure_window`?)",
    );
    check(&["import", "events", "-", "--format", "yaml"], "--format yaml is not known");
}

#[test]
fn an_unknown_variable_of_the_environment_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = streamgauge(folder.path())
        .env("STREAMGAUGE__LEAD_TIME__STRAT", "authored")
        .args(["normalize", "--source", "git", "-"])
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("STREAMGAUGE__LEAD_TIME__STRAT: unknown key"), "{error}");
    assert!(error.contains("did you mean `lead_time.start`?"), "{error}");
}

#[test]
fn normalize_shows_events_on_stdout_and_refusals_on_stderr() {
    let folder = tempfile::tempdir().unwrap();
    let line = br#"{"type":"tag","name":"v1","sha":"a67038ae2e9cb9b9b16423702f98b41e36601001","tagged_at":1700000000}"#;
    let git = ["normalize", "--source", "git", "--header", "repo: github.com/acme/checkout", "--ndjson", "-"];
    let (code, out, error) = run_with(folder.path(), &git, line);
    assert_eq!((code, error.as_str()), (0, ""));
    let event: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(event["deployment"]["deployment_id"], "tag:v1");
    let (code, out, error) = run_with(folder.path(), &git, b"{\"type\":\"repository\"}\n{\"type\":\n");
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(error.contains("-:1: dropped: repository_line"), "{error}");
    assert!(error.contains("-:2: rejected: malformed"), "{error}");
}

#[test]
fn completions_and_the_manual_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(folder.path(), &["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("streamgauge"));
    }
    let (code, page, _) = run(folder.path(), &["man"]);
    assert_eq!(code, 0);
    assert!(page.contains(".SH CONFIGURATION") && page.contains("failure_window"));
    assert_eq!(run(folder.path(), &["man", "--out", "pages"]).0, 0);
    assert!(folder.path().join("pages/streamgauge-import-git.1").exists());
}
