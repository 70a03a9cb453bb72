use super::*;
use crate::config::mirror::Group;
use model::{RepoName, Span};
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

/// Takes records until it has taken so many writes.
struct Taken {
    records: Vec<RawRecord>,
    writes_left: usize,
}

impl Taken {
    fn new(writes_left: usize) -> Self {
        Self { records: Vec::new(), writes_left }
    }
    fn commits(&self) -> Vec<Value> {
        self.records.iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect()
    }
    fn shas(&self) -> Vec<String> {
        self.commits().iter().map(|commit| commit["sha"].as_str().unwrap().to_owned()).collect()
    }
}

impl Durable for Taken {
    fn put(&mut self, records: Vec<RawRecord>) -> anyhow::Result<()> {
        anyhow::ensure!(self.writes_left > 0, "the disk is full");
        self.writes_left -= 1;
        self.records.extend(records);
        Ok(())
    }
}

/// A repository elsewhere, and the folder of the mirrors.
struct Scene {
    origin: tempfile::TempDir,
    mirrors: tempfile::TempDir,
    remote: Remote,
    minute: i64,
}

impl Scene {
    fn new() -> Self {
        let (origin, mirrors) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let address = format!("file://{}", origin.path().display());
        let remote = Remote { name: RepoName::new("github.com/acme/checkout"), address };
        let scene = Self { origin, mirrors, remote, minute: 0 };
        scene.git(&["init", "-q", "-b", "main"]);
        // As forges are set up: contents may be left out.
        scene.git(&["config", "uploadpack.allowFilter", "true"]);
        scene
    }

    fn git(&self, arguments: &[&str]) -> String {
        let time = |shift: i64| format!("{} +0200", 1_700_000_000 + 60 * self.minute - shift);
        let output = Command::new("git")
            .current_dir(self.origin.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .envs([("GIT_AUTHOR_DATE", time(30)), ("GIT_COMMITTER_DATE", time(0))])
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits a change of a file; gives its id.
    fn commit(&mut self, path: &str) -> String {
        self.minute += 1;
        let file = self.origin.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, self.minute.to_string()).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "-q", "-m", "Work"]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn try_refresh(&self, taken: &mut Taken) -> anyhow::Result<u64> {
        let (remotes, every) = (vec![self.remote.clone()], Span::from_minutes(10));
        let group = Group { remotes, authorization_file: None, ca_file: None, every };
        let git = Git::new(&group, &self.remote.address, Arc::default())?;
        Mirror::new(&self.remote, self.mirrors.path()).refresh(&git, taken, &ProgressBar::hidden())
    }

    /// What one more fetch tells.
    fn refresh(&self) -> Taken {
        let mut taken = Taken::new(usize::MAX);
        let commits = self.try_refresh(&mut taken).unwrap();
        assert_eq!(commits, taken.records.len() as u64);
        taken
    }
}

#[test]
fn each_fetch_tells_what_is_new_since_the_last_one() {
    let mut scene = Scene::new();
    let first = scene.commit("src/lib.rs");
    let second = scene.commit("docs/a.md");
    assert_eq!(scene.refresh().shas(), [first.clone(), second.clone()]);
    assert!(scene.refresh().records.is_empty());

    scene.git(&["checkout", "-q", "-b", "fix", &first]);
    let third = scene.commit("src/fix.rs");
    let told = scene.refresh();
    assert_eq!(told.shas(), std::slice::from_ref(&third));
    let commit = &told.commits()[0];
    assert_eq!(commit["parents"], serde_json::json!([first]));
    assert_eq!(commit["dirs"], serde_json::json!(["src/fix.rs"]));
    let at = 1_700_000_000 + 60 * 3;
    assert_eq!((&commit["authored_at"], &commit["committed_at"]), (&(at - 30).into(), &at.into()));

    // The branch is merged and taken away; another begins where its name was a folder.
    scene.git(&["checkout", "-q", "main"]);
    scene.git(&["merge", "-q", "--no-ff", "-m", "Merge", "fix"]);
    scene.git(&["branch", "-D", "fix"]);
    scene.git(&["branch", "fix/two"]);
    let merge = scene.git(&["rev-parse", "HEAD"]);
    let told = scene.refresh();
    assert_eq!(told.shas(), [merge]);
    assert_eq!(told.commits()[0]["parents"], serde_json::json!([second, third]));
    assert!(scene.refresh().records.is_empty());
}

#[test]
fn a_branch_that_was_rewritten_tells_its_new_commits() {
    let mut scene = Scene::new();
    let first = scene.commit("a");
    scene.commit("b");
    scene.refresh();
    scene.git(&["reset", "-q", "--hard", &first]);
    let rewritten = scene.commit("c");
    assert_eq!(scene.refresh().shas(), [rewritten]);
}

#[test]
fn records_are_those_of_an_import_of_a_clone() {
    let mut scene = Scene::new();
    for path in ["a", "b/c", "b/d"] {
        scene.commit(path);
    }
    struct Imported(Vec<RawRecord>);
    impl crate::import::Sink for Imported {
        fn record(&mut self, record: RawRecord, _: bool) -> anyhow::Result<()> {
            self.0.push(record);
            Ok(())
        }
        fn reject(&mut self, letter: model::raw::DeadLetter) -> anyhow::Result<()> {
            panic!("{}", letter.detail)
        }
    }
    let repo = Some(scene.remote.name.to_string());
    let options = crate::import::git::Options { repo, ..Default::default() };
    let mut imported = Imported(Vec::new());
    crate::import::git::History::open(scene.origin.path(), &options)
        .unwrap()
        .read(true, &mut imported)
        .unwrap();
    let hashes = |records: &[RawRecord]| {
        records.iter().map(|record| crate::log::record_hash(record, false)).collect::<Vec<_>>()
    };
    assert_eq!(hashes(&scene.refresh().records), hashes(&imported.0));
}

#[test]
fn what_was_not_taken_is_told_again_and_what_was_is_not() {
    let mut scene = Scene::new();
    for number in 0..(CHUNK_RECORDS + 3) {
        scene.minute = number as i64;
        scene.git(&["commit", "-q", "--allow-empty", "-m", "Work"]);
    }
    let mut taken = Taken::new(1);
    let error = scene.try_refresh(&mut taken).unwrap_err();
    assert_eq!((error.to_string().as_str(), taken.records.len()), ("the disk is full", CHUNK_RECORDS));
    assert_eq!(scene.refresh().records.len(), 3);
    assert!(scene.refresh().records.is_empty());
}

#[test]
fn a_repository_that_is_not_there_is_named_and_one_without_commits_tells_nothing() {
    let scene = Scene::new();
    assert!(scene.refresh().records.is_empty());
    let away = format!("file://{}", scene.origin.path().join("nowhere").display());
    let scene = Scene { remote: Remote { address: away, ..scene.remote.clone() }, ..scene };
    let error = scene.try_refresh(&mut Taken::new(1)).unwrap_err().to_string();
    assert!(error.starts_with("git fetch: ") && error.contains("nowhere"), "{error}");
}
