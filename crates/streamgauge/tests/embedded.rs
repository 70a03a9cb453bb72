//! The embedded run, end to end: what is imported is reported, survives a kill, and explains itself.
//! Needs the ClickHouse engine (`cargo xtask setup`); without it each test says that it was passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;
#[path = "support/views.rs"]
mod views;

use common::{assert_same, engine_is_there, json, ok, run, run_with, tables};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

fn git(folder: &Path, minute: i64, arguments: &[&str]) {
    let time = format!("{} +0000", 1_750_000_000 + 60 * minute);
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .envs([("GIT_AUTHOR_DATE", &time), ("GIT_COMMITTER_DATE", &time)])
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}");
}

fn value(report: &Value, metric: &str) -> Value {
    report.as_array().unwrap().iter().find(|row| row["metric"] == metric).unwrap()["value"].clone()
}

#[test]
fn a_git_history_is_imported_reported_explained_and_corrected() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clone = folder.path().join("checkout");
    std::fs::create_dir(&clone).unwrap();
    git(&clone, 0, &["init", "-q", "-b", "main"]);
    git(&clone, 0, &["remote", "add", "origin", "git@github.com:acme/checkout.git"]);
    for (minute, tag) in [(0, "v1.0.0"), (60, "v1.1.0"), (120, "v1.2.0")] {
        git(&clone, minute, &["commit", "-q", "--allow-empty", "-m", tag]);
        git(&clone, minute + 30, &["tag", "-a", tag, "-m", tag]);
    }
    let out = ok(folder.path(), &["import", "git", "checkout"]);
    assert!(out.contains("github.com/acme/checkout: 6 records read, 6 events"), "{out}");
    let again = ok(folder.path(), &["import", "git", "checkout"]);
    assert!(again.contains("6 records were there already"), "{again}");

    let report = json(folder.path(), &["report"]);
    assert_eq!(value(&report, "deployment_frequency"), 3.0);
    assert_eq!(value(&report, "change_lead_time"), 1800.0);
    assert_eq!(value(&report, "change_fail_rate"), 0.0);
    let why = ok(folder.path(), &["explain", "deployment", "tag:v1.1.0"]);
    assert!(why.contains("no evidence says that it failed"), "{why}");
    let scope = "service:github.com/acme/checkout";
    let why = ok(folder.path(), &["explain", "--scope", scope, "--metric", "deployment_frequency"]);
    assert!(why.contains("tag:v1.2.0"), "{why}");

    let correct = ["correct", "deployment", "tag:v1.1.0", "--service", "github.com/acme/checkout"];
    let event =
        json(folder.path(), &[&correct[..], &["--failed", "true", "--reason", "orders were lost"]].concat());
    let rate = value(&json(folder.path(), &["report", "--as-of", "2025-06-16"]), "change_fail_rate")
        .as_f64()
        .unwrap();
    assert!((rate - 1.0 / 3.0).abs() < 1e-9, "{rate}");
    let id = event["id"].as_str().unwrap();
    ok(folder.path(), &[&correct[..], &["--undo", id, "--reason", "it was another one"]].concat());
    assert_eq!(value(&json(folder.path(), &["report", "--as-of", "2025-06-16"]), "change_fail_rate"), 0.0);

    std::fs::write(
        folder.path().join("catalog.toml"),
        "[[teams]]\nname = \"shop\"\n[[services]]\nname = \"checkout\"\nteam = \"shop\"\n\
         repositories = [\"github.com/acme/checkout\"]\n",
    )
    .unwrap();
    ok(folder.path(), &["catalog", "apply", "catalog.toml"]);
    let report = json(folder.path(), &["report", "--scope", "team:shop"]);
    assert_eq!(value(&report, "deployment_frequency"), 3.0);
    // The catalog says nothing of evidence, so failures cannot be seen.
    assert_eq!(value(&report, "change_fail_rate"), Value::Null);
    let (code, _, error) = run(folder.path(), &["report", "--scope", "team:shopp"]);
    assert_eq!(code, 2);
    assert!(error.contains("did you mean team:shop?"), "{error}");
}

#[test]
fn bad_lines_are_counted_with_their_places_and_good_ones_count() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let deployment = |id: &str, at: &str| {
        format!(
            r#"{{"id":"{id}","type":"deployment","occurred_at":"{at}","observed_at":"{at}","source":"ci","service":"checkout","deployment":{{"deployment_id":"{id}","environment":"production","state":"succeeded","finished_at":"{at}"}}}}"#
        )
    };
    let mut lines: Vec<Vec<u8>> = vec![
        deployment("d1", "2026-01-01T10:00:00Z").into(),
        b"{\"id\":".to_vec(),
        deployment("d2", "2026-01-01T11:00:00").into(),
        b"{\"source\":\"fax\",\"body\":{}}".to_vec(),
        b"{\"source\":\"github\",\"headers\":{\"X-GitHub-Event\":\"ping\"},\"body\":{\"zen\":\"x\"}}"
            .to_vec(),
        deployment("d3", "2026-01-01T12:00:00Z").into(),
    ];
    lines[1].extend_from_slice(&[0xc3]);
    let input = lines.join(&b'\n');
    let packed = zstd::encode_all(input.as_slice(), 3).unwrap();
    std::fs::write(folder.path().join("events.ndjson.zst"), packed).unwrap();
    let summary = &json(folder.path(), &["import", "events", "events.ndjson.zst"])[0];
    assert_eq!((&summary["records"], &summary["events"]), (&Value::from(6), &Value::from(2)));
    assert_eq!(summary["from"], "2026-01-01T10:00:00Z");
    for reason in ["malformed", "bad_time", "unknown_source"] {
        assert_eq!(summary["rejected"][reason]["count"], 1, "{reason}: {summary}");
    }
    let example = summary["rejected"]["bad_time"]["examples"][0].as_str().unwrap();
    assert!(example.starts_with("events.ndjson.zst:3: ") && example.contains("without a zone"), "{example}");
    assert_eq!(value(&json(folder.path(), &["report"]), "deployment_frequency"), 2.0);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(
        &mut packed,
        format!("{}\n", deployment("d4", "2026-01-01T13:00:00Z")).repeat(500).as_bytes(),
    )
    .unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(folder.path().join("cut.gz"), &packed[..packed.len() - 12]).unwrap();
    let (code, out, error) = run(folder.path(), &["import", "events", "cut.gz"]);
    assert_eq!(code, 2);
    assert!(out.contains("1 events") && error.contains("cannot be read on"), "{out} {error}");
    let (code, out, _) = run_with(folder.path(), &["import", "events", "-"], b"no event\n");
    assert_eq!(code, 2);
    assert!(out.contains("stdin:1:"), "{out}");
}

#[test]
fn a_killed_import_given_again_ends_in_the_same_tables_whatever_order_copies_and_partitions() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let events = ok(folder.path(), &["generate", "--services", "4", "--days", "40", "--seed", "7"]);
    std::fs::write(folder.path().join("events.ndjson"), &events).unwrap();
    // Backwards and everything twice: order and copies say nothing.
    let lines: Vec<&str> = events.lines().rev().flat_map(|line| [line, line]).collect();
    std::fs::write(folder.path().join("shuffled.ndjson"), lines.join("\n")).unwrap();
    let catalog = ok(folder.path(), &["generate", "--services", "4", "--seed", "7", "--print-catalog"]);
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let import = ["import", "events", "--catalog", "catalog.toml", "--data"];
    ok(folder.path(), &[&import[..], &["straight", "events.ndjson"]].concat());
    for pause in [300, 1_200] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .current_dir(folder.path())
            .args(import)
            .args(["killed", "shuffled.ndjson"])
            .env("STREAMGAUGE__PARTITIONS", "12")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let last = common::streamgauge(folder.path())
        .args(import)
        .args(["killed", "shuffled.ndjson"])
        .env("STREAMGAUGE__PARTITIONS", "12")
        .output()
        .unwrap();
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    let straight = tables(folder.path(), "straight");
    assert!(straight.iter().all(|(table, rows)| !rows.is_empty() || *table == "changes"), "{straight:?}");
    assert!(straight.iter().map(|(_, rows)| rows.lines().count()).sum::<usize>() > 1_000);
    assert_same(&straight, &tables(folder.path(), "killed"));
}

#[test]
fn other_definitions_compute_every_number_anew_and_are_remembered() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let events = ok(folder.path(), &["generate", "--services", "2", "--days", "10"]);
    std::fs::write(folder.path().join("events.ndjson"), &events).unwrap();
    std::fs::write(
        folder.path().join("s.toml"),
        "partitions = 3\n[reporting]\ntimezone = \"Asia/Kolkata\"\n",
    )
    .unwrap();
    ok(folder.path(), &["import", "events", "events.ndjson"]);
    let zone = "SELECT value FROM definitions WHERE key = 'timezone' FORMAT TSV";
    assert_eq!(ok(folder.path(), &["sql", zone]), "UTC\n");
    assert_eq!(ok(folder.path(), &["sql", zone, "--config", "s.toml"]), "Asia/Kolkata\n");
    assert_eq!(ok(folder.path(), &["sql", zone]), "Asia/Kolkata\n");
}

#[test]
fn a_running_pipeline_answers_other_commands_and_ends_with_sigterm() {
    if !engine_is_there() {
        return;
    }
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .current_dir(folder.path())
        .env("STREAMGAUGE__LISTEN", "127.0.0.1:0")
        .arg("run")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(
        input,
        r#"{{"id":"d1","type":"deployment","occurred_at":"2026-01-01T10:00:00Z","observed_at":"2026-01-01T10:00:00Z","source":"ci","service":"checkout","deployment":{{"deployment_id":"d1","environment":"production","state":"succeeded","finished_at":"2026-01-01T10:00:00Z"}}}}"#
    )
    .unwrap();
    let started = std::time::Instant::now();
    let asked = || run(folder.path(), &["sql", "SELECT count() FROM deployments FORMAT TSV"]);
    // Asked before it owns the folder, the question would own it.
    while !folder.path().join("streamgauge-data/server.json").exists() || asked().1 != "1\n" {
        let late = started.elapsed().as_secs() >= 60;
        if late || child.try_wait().unwrap().is_some() {
            let _ = child.kill();
            let said = child.wait_with_output().unwrap();
            panic!("the deployment did not arrive: {:?}, {said:?}", asked());
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let why = ok(folder.path(), &["explain", "deployment", "d1"]);
    assert!(why.contains("deployment d1 of checkout"), "{why}");
    let (code, _, error) =
        run(folder.path(), &["correct", "deployment", "d1", "--not-failed", "--reason", "x"]);
    assert_eq!(code, 2);
    assert!(error.contains(&format!("in use by process {}", child.id())), "{error}");
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("1 records read, 1 events"), "{said}");
    drop(input);
    assert_eq!(value(&json(folder.path(), &["report"]), "deployment_frequency"), 1.0);
}

#[test]
fn what_is_piped_into_an_import_is_read_by_the_import_and_not_by_the_engine() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let organisation = ["generate", "--services", "6", "--teams", "2", "--days", "40"];
    let events = ok(folder.path(), &organisation);
    let catalog = ok(folder.path(), &[&organisation[..], &["--print-catalog"]].concat());
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let import = ["--catalog", "catalog.toml", "import", "events", "-"];
    let (code, out, error) = run_with(folder.path(), &import, events.as_bytes());
    assert_eq!(code, 0, "{error}");
    let read = format!("{} records read", events.lines().count());
    assert!(out.replace([',', '.'], "").contains(&read), "{out} does not say {read}");
}

/// A data folder as version 0.1.0 wrote it (an organisation, a dead letter, a correction), and the digests of its tables.
/// A later version reads it, or computes it anew from its raw log; it is never written again.
const FIRST_FORMAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-0.1");

#[test]
fn a_data_folder_of_the_first_format_holds_the_same_tables() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(FIRST_FORMAT);
    let digests = ["sql", &views::digest_query(), "--format", "TSV"];
    let tar = |arguments: &[&str]| {
        assert!(Command::new("tar").current_dir(folder.path()).args(arguments).status().unwrap().success());
    };
    if !fixture.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
        write_first_format(folder.path());
        std::fs::create_dir_all(fixture).unwrap();
        std::fs::write(fixture.join("tables.tsv"), ok(folder.path(), &digests)).unwrap();
        tar(&["-cf", "folder.tar", "streamgauge-data"]);
        let packed = std::fs::File::open(folder.path().join("folder.tar")).unwrap();
        std::fs::write(fixture.join("folder.tar.zst"), zstd::encode_all(packed, 19).unwrap()).unwrap();
        std::fs::remove_dir_all(folder.path().join("streamgauge-data")).unwrap();
    }
    let packed = std::fs::File::open(fixture.join("folder.tar.zst")).unwrap();
    std::fs::write(folder.path().join("folder.tar"), zstd::decode_all(packed).unwrap()).unwrap();
    tar(&["-xf", "folder.tar"]);
    let expected = std::fs::read_to_string(fixture.join("tables.tsv")).unwrap();
    let found = ok(folder.path(), &digests);
    for (expected, found) in expected.lines().zip(found.lines()) {
        assert_eq!(found, expected, "view, rows, hash");
    }
    assert_eq!(found.lines().count(), expected.lines().count());
    // What comes in later counts beside it.
    let out = ok(folder.path(), &["dlq", "list", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap().as_array().unwrap().len(), 1, "{out}");
    let correct = ["correct", "deployment", FIRST_CORRECTED, "--failed", "false", "--reason", "a later word"];
    ok(folder.path(), &correct);
    assert_ne!(ok(folder.path(), &digests), expected);
}

/// A deployment of the fixture.
const FIRST_CORRECTED: &str = "fixture:1";

fn write_first_format(folder: &Path) {
    let organisation = ["generate", "--services", "3", "--days", "12", "--seed", "1"];
    let mut events = ok(folder, &organisation);
    events.push_str(
        "{\"id\":\"d1\",\"type\":\"deployment\",\"occurred_at\":\"2026-01-01T10:00:00Z\",\
         \"observed_at\":\"2026-01-01T10:00:00Z\",\"source\":\"ci\",\"service\":\"alone\",\
         \"deployment\":{\"deployment_id\":\"fixture:1\",\"environment\":\"production\",\"state\":\"succeeded\",\
         \"finished_at\":\"2026-01-01T10:00:00Z\"}}\n{\"source\":\"github\",\"headers\":{\"X-GitHub-Event\":\"nonsense\"},\
         \"body\":{\"a\":1}}\n",
    );
    std::fs::write(folder.join("events.ndjson"), &events).unwrap();
    let mut catalog = ok(folder, &[&organisation[..], &["--print-catalog"]].concat());
    catalog.push_str("\n[[services]]\nname = \"alone\"\nfailure_evidence_suffices = true\n");
    std::fs::write(folder.join("catalog.toml"), catalog).unwrap();
    let import = ["--catalog", "catalog.toml", "import", "events", "events.ndjson"];
    run(folder, &import);
    ok(
        folder,
        &["correct", "deployment", FIRST_CORRECTED, "--failed", "true", "--reason", "orders were lost"],
    );
}
