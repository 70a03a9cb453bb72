use super::*;
use model::raw::DeadLetter;
use serde_json::Value;
use std::process::Command;

#[derive(Default)]
struct Taken(Vec<RawRecord>);

impl Sink for Taken {
    fn record(&mut self, record: RawRecord, receipt_stated: bool) -> anyhow::Result<()> {
        assert!(!receipt_stated);
        self.0.push(record);
        Ok(())
    }
    fn reject(&mut self, letter: DeadLetter) -> anyhow::Result<()> {
        panic!("{}", letter.detail)
    }
}

/// A repository whose commits and tags are a minute apart, made with git itself.
struct Scene {
    folder: tempfile::TempDir,
    minute: i64,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap(), minute: 0 };
        scene.git(&["init", "-q", "-b", "main"]);
        scene
    }
    fn path(&self) -> &Path {
        self.folder.path()
    }
    fn git(&self, arguments: &[&str]) -> String {
        let time = format!("{} +0200", 1_700_000_000 + 60 * self.minute);
        let output = Command::new("git")
            .current_dir(self.path())
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"])
            .args(["-c", "tag.gpgsign=false"])
            .args(arguments)
            .envs([("GIT_AUTHOR_DATE", &time), ("GIT_COMMITTER_DATE", &time)])
            .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
    fn commit(&mut self, file: &str, arguments: &[&str]) -> String {
        self.minute += 1;
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, self.minute.to_string()).unwrap();
        self.git(&["add", "."]);
        self.git(&[&["commit", "-q"], arguments].concat());
        self.git(&["rev-parse", "HEAD"])
    }
    fn read(&self, options: &Options, paths: bool) -> (String, Vec<Value>) {
        let history = History::open(self.path(), options).unwrap();
        let mut taken = Taken::default();
        history.read(paths, &mut taken).unwrap();
        assert_eq!(history.len(), taken.0.len() as u64);
        let headers: Vec<_> =
            taken.0.iter().map(|record| record.header("repo").unwrap().to_owned()).collect();
        assert!(headers.iter().all(|name| name == history.name().as_str()));
        let lines = taken.0.iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect();
        (history.name().to_string(), lines)
    }
}

fn find<'a>(lines: &'a [Value], key: &str, value: &str) -> &'a Value {
    lines.iter().find(|line| line[key] == value).unwrap_or_else(|| panic!("no {key} {value}"))
}

#[test]
fn a_history_gives_its_commits_parents_first_and_its_tags_by_time() {
    let mut scene = Scene::new();
    let root = scene.commit("a/one", &["-m", "one"]);
    scene.git(&["tag", "plain"]);
    scene.git(&["checkout", "-q", "-b", "side"]);
    let side = scene.commit("b/two", &["-m", "two", "--author", "dependabot[bot] <x@example.com>"]);
    scene.git(&["checkout", "-q", "main"]);
    let bad = scene.commit("a/three", &["-m", "three"]);
    scene.minute += 1;
    scene.git(&["merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side"]);
    let merge = scene.git(&["rev-parse", "HEAD"]);
    scene.minute += 1;
    scene.git(&["revert", "--no-edit", &bad]);
    let revert = scene.git(&["rev-parse", "HEAD"]);
    scene.minute += 10;
    scene.git(&["tag", "-a", "v1.0.0", "-m", "first", &merge]);
    scene.git(&["tag", "-a", "nested", "-m", "of a tag", "v1.0.0"]);
    scene.git(&["tag", "tree", "HEAD^{tree}"]);
    // Behind a tag only: on no branch.
    scene.git(&["checkout", "-q", "--detach", "plain"]);
    let loose = scene.commit("a/loose", &["-m", "loose"]);
    scene.git(&["tag", "-a", "v0.9.1", "-m", "release branch"]);
    scene.git(&["checkout", "-q", "main"]);

    let (name, lines) = scene.read(&Options::default(), true);
    assert_eq!(name, format!("local/{}", scene.path().file_name().unwrap().to_str().unwrap()));
    let shas: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "commit")
        .map(|line| line["sha"].as_str().unwrap())
        .collect();
    assert_eq!(shas.len(), 6);
    let place = |sha: &str| shas.iter().position(|other| *other == sha).unwrap();
    for line in lines.iter().filter(|line| line["type"] == "commit") {
        for parent in line["parents"].as_array().unwrap() {
            assert!(place(parent.as_str().unwrap()) < place(line["sha"].as_str().unwrap()));
        }
    }
    let commit = |sha: &str| find(&lines, "sha", sha);
    assert_eq!(commit(&root)["parents"], json!([]));
    assert_eq!(commit(&root)["committed_at"], 1_700_000_060);
    assert_eq!(commit(&root)["dirs"], json!(["a/one"]));
    assert_eq!(commit(&side)["author_kind"], "bot");
    assert_eq!(commit(&merge)["parents"], json!([bad, side]));
    assert_eq!(commit(&merge)["dirs"], json!(["b/two"]));
    assert_eq!(commit(&revert)["reverts"], json!([bad]));
    assert_eq!(commit(&revert)["dirs"], json!(["a/three"]));
    assert_eq!(commit(&loose)["parents"], json!([root]));
    let tags: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "tag")
        .map(|line| {
            (
                line["name"].as_str().unwrap(),
                line["sha"].as_str().unwrap(),
                line["tagged_at"].as_i64().unwrap(),
            )
        })
        .collect();
    let at = |minute: i64| 1_700_000_000 + 60 * minute;
    assert_eq!(
        tags,
        [
            ("plain", root.as_str(), at(1)),
            ("nested", &merge, at(15)),
            ("v1.0.0", &merge, at(15)),
            ("v0.9.1", &loose, at(16)),
        ]
    );
    let text = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("Ada") && !text.contains("example.com"), "people got out");

    let versions = Options { tags: Some("v1*".to_owned()), ..Options::default() };
    let (_, lines) = scene.read(&versions, false);
    let (tags, commits): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["type"] == "tag");
    assert_eq!((tags.len(), commits.len()), (1, 5));
}

#[test]
fn the_name_comes_from_origin_else_from_the_other_remote_and_can_be_given() {
    let mut scene = Scene::new();
    scene.commit("a", &["-m", "a"]);
    scene.git(&["remote", "add", "upstream", "git@github.com:acme/checkout.git"]);
    assert_eq!(scene.read(&Options::default(), false).0, "github.com/acme/checkout");
    scene.git(&["remote", "add", "origin", "https://user@gitlab.example.com/group/sub/renamed.git"]);
    assert_eq!(scene.read(&Options::default(), false).0, "gitlab.example.com/group/sub/renamed");
    let given = Options { repo: Some("x/y/z".to_owned()), ..Options::default() };
    assert_eq!(scene.read(&given, false).0, "x/y/z");
}

#[test]
fn what_is_no_whole_repository_is_refused_with_the_remedy() {
    let check = |path: &Path, expect: &str| {
        let error = format!("{:#}", History::open(path, &Options::default()).unwrap_err());
        assert!(error.contains(expect), "{error:?} does not say {expect:?}");
    };
    let mut scene = Scene::new();
    check(scene.path(), "has no commits yet");
    scene.commit("a", &["-m", "a"]);
    scene.commit("b", &["-m", "b"]);
    let empty = tempfile::tempdir().unwrap();
    check(empty.path(), "not a git repository");
    check(&empty.path().join("none"), "there is no such folder");
    let shallow = empty.path().join("shallow");
    let source = format!("file://{}", scene.path().display());
    scene.git(&["clone", "-q", "--depth", "1", &source, shallow.to_str().unwrap()]);
    check(&shallow, "fetch --unshallow");
}

#[test]
fn a_file_of_flags_is_read_out_of_the_branch_s_own_line_without_what_its_rules_say() {
    let mut scene = Scene::new();
    let write = |scene: &Scene, text: &str| std::fs::write(scene.path().join("flags.json"), text).unwrap();
    scene.commit("a", &["-m", "before there were flags"]);
    write(
        &scene,
        r#"{"flags":{"cart":{"state":"ENABLED","defaultVariant":"off","variants":{"on":1,"off":0}}}}"#,
    );
    let first = scene.commit("a", &["-m", "a flag"]);
    scene.commit("a", &["-m", "something else"]);
    write(&scene, "{ not JSON");
    scene.commit("a", &["-m", "a slip"]);
    write(
        &scene,
        r#"{"flags":{"cart":{"state":"ENABLED","defaultVariant":"off","variants":{"on":1,"off":0},
            "targeting":{"if":[{"in":[{"var":"email"},["ada@example.com"]]},"on"]}}}}"#,
    );
    let ruled = scene.commit("a", &["-m", "a rule"]);
    scene.git(&["rm", "-q", "flags.json"]);
    let gone = scene.commit("a", &["-m", "no flags any more"]);

    let flags = vec!["flags.json=staging".parse().unwrap()];
    let history = History::open(scene.path(), &Options { flags, ..Options::default() }).unwrap();
    let mut taken = Taken::default();
    history.read(false, &mut taken).unwrap();
    assert_eq!(history.len(), taken.0.len() as u64);
    let changes: Vec<&RawRecord> =
        taken.0.iter().filter(|record| record.source.as_str() == "flagd").collect();
    assert!(changes.iter().all(|record| record.header("environment") == Some("staging")));
    assert!(changes.iter().all(|record| !String::from_utf8_lossy(&record.body).contains("ada")));
    let mut told = Vec::new();
    for record in changes {
        let outcome = sources::read(record, &sources::SourceSettings::default());
        let sources::Outcome::Emit(events) = outcome else { continue };
        let events = events.iter().map(model::json::to_value);
        told.extend(
            events
                .map(|event| (event["id"].as_str().unwrap()[..40].to_owned(), event["flag_change"].clone())),
        );
    }
    let change = |action: &str, more: Value| {
        let mut change = serde_json::json!({"flag": "cart", "action": action, "environment": "staging"});
        change.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        change
    };
    let expected = [
        (first, change("created", serde_json::json!({"to": "off"}))),
        (ruled, change("updated", serde_json::json!({"from": "off", "to": "off"}))),
        (gone, change("deleted", serde_json::json!({"from": "off"}))),
    ];
    assert_eq!(told, expected);

    let wrong = vec!["other.json".parse().unwrap()];
    let error = History::open(scene.path(), &Options { flags: wrong, ..Options::default() }).unwrap_err();
    assert!(
        format!("{error:#}").contains("no commit of the default branch has a file other.json"),
        "{error:#}"
    );
}
