//! `import git` on a large real graph, held against the independent oracle, which is told what the `git` binary
//! prints of the same repository.
//!
//! The repository is made from a history of `shared/data` by `git fast-import`: real commits, parents, times and
//! reverts, empty trees, nobody's names. Needs git, the history, and the ClickHouse engine; without one of them the
//! test says that it was passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{engine_is_there, ok};
use oracle::{CatalogModel, Input, Service, Settings, compute};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const REPO: &str = "github.com/vectordotdev/vector";

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    command
}

fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of the history; `None`, with a notice, where it is absent.
fn history() -> Option<Vec<Value>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = "shared/data/git-history/vector.ndjson.gz";
    let found = [root.join(place), root.join("..").join(place)].into_iter().find(|path| path.exists());
    let Some(path) = found else {
        eprintln!("passed over: there is no {place} beside the project");
        return None;
    };
    let file = std::fs::File::open(path).unwrap();
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect())
}

/// Writes the history into a repository. New commits have new ids; a revert names the new one.
struct Writer {
    import: std::process::Child,
    marks: HashMap<String, usize>,
    written: HashMap<String, String>,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.import.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The id that git gave to a commit.
    fn id_of(&mut self, sha: &str) -> String {
        // What the history does not hold keeps the id that its message names.
        let Some(mark) = self.marks.get(sha).copied() else { return sha.to_owned() };
        if let Some(id) = self.written.get(sha) {
            return id.clone();
        }
        self.put(&format!("get-mark :{mark}\n"));
        self.import.stdin.as_mut().unwrap().flush().unwrap();
        let mut id = String::new();
        // One line an answer: nothing beyond it is there to be buffered away.
        BufReader::with_capacity(1, self.import.stdout.as_mut().unwrap()).read_line(&mut id).unwrap();
        self.written.insert(sha.to_owned(), id.trim().to_owned());
        id.trim().to_owned()
    }

    fn commit(&mut self, line: &Value) {
        let sha = line["sha"].as_str().unwrap();
        // The history does not say who is a program: every seventh commit is one's.
        let (name, address) = match self.marks.len() % 7 {
            0 => ("renovate[bot]", "1+renovate[bot]@users.example.com"),
            _ => ("Somebody", "somebody@example.com"),
        };
        let message = match line["reverts"].as_str() {
            Some(reverted) => format!("A change\n\nThis reverts commit {}.\n", self.id_of(reverted)),
            None => "A change\n".to_owned(),
        };
        let mark = self.marks.len() + 1;
        let times = ["author", "committer"].map(|who| {
            let at = if who == "author" { &line["authored_at"] } else { &line["committed_at"] };
            format!("{who} {name} <{address}> {at} +0000\n")
        });
        let mut text = format!("commit refs/heads/writing\nmark :{mark}\n{}", times.concat());
        text += &format!("data {}\n{message}", message.len());
        for (at, parent) in line["parents"].as_array().unwrap().iter().enumerate() {
            let word = if at == 0 { "from" } else { "merge" };
            text += &format!("{word} :{}\n", self.marks[parent.as_str().unwrap()]);
        }
        if line["parents"].as_array().unwrap().is_empty() {
            // Else it would follow the commit before it.
            text = format!("reset refs/heads/writing\n{text}");
        }
        self.put(&text);
        self.marks.insert(sha.to_owned(), mark);
    }

    /// A tag whose time is not its commit's was made with a time of its own.
    fn tag(&mut self, line: &Value, committed_at: &HashMap<String, i64>) {
        let (name, sha) = (line["name"].as_str().unwrap(), line["sha"].as_str().unwrap());
        let (mark, at) = (self.marks[sha], line["tagged_at"].as_i64().unwrap());
        if committed_at[sha] == at {
            self.put(&format!("reset refs/tags/{name}\nfrom :{mark}\n\n"));
        } else {
            let tagger = format!("tagger Somebody <somebody@example.com> {at} +0000");
            self.put(&format!("tag {name}\nfrom :{mark}\n{tagger}\ndata 0\n\n"));
        }
    }
}

/// A bare repository with the history's graph, tags and default branch.
fn write(repository: &Path, lines: &[Value]) {
    std::fs::create_dir(repository).unwrap();
    printed(repository, &["init", "-q", "--bare", "-b", "main"]);
    printed(repository, &["remote", "add", "origin", &format!("https://{REPO}.git")]);
    let import = git(repository)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut writer = Writer { import, marks: HashMap::new(), written: HashMap::new() };
    let mut committed_at = HashMap::new();
    let mut tip = None;
    for line in lines {
        match line["type"].as_str().unwrap() {
            "repository" => tip = line["tip"].as_str(),
            "commit" => {
                let sha = line["sha"].as_str().unwrap().to_owned();
                committed_at.insert(sha, line["committed_at"].as_i64().unwrap());
                writer.commit(line);
            }
            _ => writer.tag(line, &committed_at),
        }
    }
    let main = writer.marks[tip.unwrap()];
    writer.put(&format!("reset refs/heads/main\nfrom :{main}\n\ndone\n"));
    let Writer { mut import, .. } = writer;
    drop(import.stdin.take());
    assert!(import.wait().unwrap().success(), "git fast-import");
    printed(repository, &["update-ref", "-d", "refs/heads/writing"]);
}

fn time(seconds: &str) -> Value {
    let at = jiff::Timestamp::from_second(seconds.parse().unwrap()).unwrap();
    Value::from(at.to_string())
}

fn event(id: &str, kind: &str, at: Value, body: Value) -> Value {
    json!({
        "id": id, "type": kind, "occurred_at": at, "observed_at": at, "source": "git", "repo": REPO,
        "imported": true, kind: body,
    })
}

/// The canonical events of what `git log` and `git for-each-ref` print.
fn events(repository: &Path) -> Vec<Value> {
    let format = "--format=%H%x1f%P%x1f%at%x1f%ct%x1f%an%x1f%B%x1e";
    let log = printed(repository, &["log", format, "HEAD", "--tags"]);
    let mut events = Vec::new();
    let mut committed = BTreeMap::new();
    for record in log.split('\u{1e}').map(|record| record.trim_start_matches('\n')).filter(|r| !r.is_empty())
    {
        let [sha, parents, authored, committed_at, author, message] =
            record.split('\u{1f}').collect::<Vec<_>>()[..]
        else {
            panic!("git log printed {record:?}");
        };
        let reverted = message.lines().filter_map(|line| line.strip_prefix("This reverts commit "));
        let reverted: Vec<&str> = reverted.map(|rest| rest.trim_end_matches('.')).collect();
        let mut body = json!({
            "sha": sha,
            "parents": parents.split_whitespace().collect::<Vec<_>>(),
            "authored_at": time(authored),
            "committed_at": time(committed_at),
            "author_kind": if author.ends_with("[bot]") { "bot" } else { "human" },
        });
        if !reverted.is_empty() {
            body["reverts"] = json!(reverted);
        }
        events.push(event(sha, "commit", time(committed_at), body));
        committed.insert(sha.to_owned(), committed_at.to_owned());
    }
    let format =
        "--format=%(refname:strip=2)%09%(objecttype)%09%(objectname)%09%(*objectname)%09%(taggerdate:unix)";
    for line in printed(repository, &["for-each-ref", format, "refs/tags"]).lines() {
        let [name, kind, object, target, tagged] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("git for-each-ref printed {line:?}");
        };
        let (sha, at) = if kind == "tag" { (target, tagged) } else { (object, committed[object].as_str()) };
        let body = json!({
            "deployment_id": format!("tag:{name}"), "environment": "production", "state": "succeeded",
            "version": name, "sha": sha, "started_at": time(at), "finished_at": time(at),
        });
        events.push(event(&format!("tag:{REPO}:{name}"), "deployment", time(at), body));
    }
    events
}

/// The rows of a table as the engine holds them, each by its key. Columns of fractions come as texts: reading JSON
/// does not keep a fraction's last bit.
fn rows(
    folder: &Path,
    table: &str,
    key: &[&str],
    fractions: &[&str],
) -> BTreeMap<Vec<String>, Map<String, Value>> {
    let texts: Vec<String> = fractions.iter().map(|field| format!("toString({field}) AS {field}")).collect();
    let replace = if texts.is_empty() { String::new() } else { format!("REPLACE ({})", texts.join(", ")) };
    let query = format!(
        "SELECT * {replace} FROM {table} FORMAT JSONEachRow SETTINGS output_format_json_quote_64bit_integers = 0, \
         date_time_output_format = 'iso'"
    );
    let printed = ok(folder, &["sql", &query]);
    let rows = printed.lines().map(|line| {
        let mut row = serde_json::from_str::<Map<String, Value>>(line).unwrap();
        for field in fractions {
            if let Some(text) = row[*field].as_str() {
                row[*field] = Value::from(text.parse::<f64>().unwrap());
            }
        }
        row
    });
    rows.map(|row| (key.iter().map(|field| row[*field].as_str().unwrap().to_owned()).collect(), row))
        .collect()
}

/// A value as both sides write it: git knows whole seconds, and a column without a time is null.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.replace(".000000Z", "Z")),
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Object(fields) if fields.is_empty() => Value::Null,
        other => other.clone(),
    }
}

/// What differs between a table and the oracle's, field by field; how many rows are equal.
fn compared<'a>(
    table: &str,
    mut engine: BTreeMap<Vec<String>, Map<String, Value>>,
    oracle: impl Iterator<Item = (Vec<String>, &'a Value)>,
) -> usize {
    let mut equal = 0;
    for (key, expected) in oracle {
        let found = engine.remove(&key).unwrap_or_else(|| panic!("{table}: {key:?} is missing"));
        for (field, expected) in expected.as_object().unwrap() {
            let found = found.get(field).unwrap_or_else(|| panic!("{table}: no column {field}"));
            assert_eq!(plain(found), plain(expected), "{table}: {field} of {key:?}");
        }
        equal += 1;
    }
    assert!(engine.is_empty(), "{table}: {:?} should not be there", engine.keys().next());
    equal
}

#[test]
fn an_imported_clone_of_a_large_history_equals_the_oracle_told_by_the_git_binary() {
    if !engine_is_there() {
        return;
    }
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("passed over: there is no git");
        return;
    }
    let Some(lines) = history() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let repository = folder.join("clone");
    write(&repository, &lines);
    let told = ok(folder, &["import", "git", "clone"]);

    let events = events(&repository);
    let kinds = printed(&repository, &["for-each-ref", "--format=%(objecttype)", "refs/tags"]);
    for kind in ["tag", "commit"] {
        assert!(kinds.lines().any(|line| line == kind), "both plain and annotated tags");
    }
    assert!(told.contains(&format!("{REPO}: {} records read", events.len())), "{told}");
    let service = Service {
        name: REPO.to_owned(),
        repositories: vec![(REPO.to_owned(), Vec::new())],
        failure_evidence_suffices: Some(true),
        ..Service::default()
    };
    let catalog = CatalogModel { services: vec![service], ..CatalogModel::default() };
    let expected = compute(&Input { events: &events, catalog: &catalog, definitions: &Settings::default() });

    let key = |parts: &[&String]| parts.iter().map(|part| (*part).clone()).collect::<Vec<String>>();
    let deployments = compared(
        "deployments",
        rows(folder, "deployments", &["service", "deployment_id"], &[]),
        expected.deployments.iter().map(|((service, id), row)| (key(&[service, id]), row)),
    );
    let changes = compared(
        "changes",
        rows(folder, "changes", &["service", "repo", "commit_sha"], &[]),
        expected.changes.iter().map(|((service, repo, sha), row)| (key(&[service, repo, sha]), row)),
    );
    let steps = compared(
        "dora_steps",
        rows(folder, "dora_steps", &["scope", "metric", "window", "as_of"], &["value", "mean", "per_day"])
            .into_iter()
            .map(|(mut key, row)| {
                key[3] = key[3].replace(".000000Z", "Z");
                (key, row)
            })
            .collect(),
        expected.steps.iter().map(|((s, m, w, at), row)| (key(&[s, m, w, at]), row)),
    );
    assert!(deployments > 100 && changes > 10_000 && steps > 10_000, "{deployments} {changes} {steps}");
    println!("{deployments} deployments, {changes} changes, {steps} steps equal");
}
