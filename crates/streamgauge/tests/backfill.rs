//! `backfill` and `mirror` as commands, against a server that answers like GitHub's: in pages, with a limit, with failures in
//! the middle. Needs the ClickHouse engine; without it each test says that it was passed over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{assert_same, engine_is_there, git, ok, streamgauge, tables};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const TOKEN: &str = "ghp_verysecret";

/// What is answered out of turn, by the number of the request.
type Faults = BTreeMap<u64, (u16, &'static str)>;

/// GitHub's API on a port of this machine. Lists are told one item to a page.
struct GitHub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    requests: Arc<AtomicU64>,
}

impl GitHub {
    fn start(api: BTreeMap<String, Value>, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, requests) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let (root, seen, count) = (url.clone(), asked.clone(), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                serve(stream.unwrap(), &root, &api, faults.get(&number), &seen);
            }
        });
        Self { url, asked, requests }
    }

    /// The addresses that were asked for so far; they are forgotten.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut stream: TcpStream,
    root: &str,
    api: &BTreeMap<String, Value>,
    fault: Option<&(u16, &str)>,
    asked: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap() == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap().to_owned();
    assert!(head.to_lowercase().contains(&format!("authorization: bearer {TOKEN}")), "{head}");
    assert!(head.to_lowercase().contains("user-agent: streamgauge/"), "{head}");
    asked.lock().unwrap().push(target.clone());
    let path = target.split('?').next().unwrap().trim_start_matches("/api/v3");
    let page: usize = target.split("page_number=").nth(1).map_or(0, |page| page.parse().unwrap());
    let mut more = String::new();
    let (status, body) = match (fault, api.get(path)) {
        (Some((status, header)), _) => {
            more = format!("{header}\r\n");
            (*status, json!({"message": "not now"}))
        }
        (None, None) => (404, json!({"message": "Not Found"})),
        (None, Some(Value::Array(list))) => {
            if page + 1 < list.len() {
                let next = target.split("&page_number=").next().unwrap();
                more = format!("link: <{root}{next}&page_number={}>; rel=\"next\"\r\n", page + 1);
            }
            (200, list.get(page).map_or_else(|| json!([]), |item| json!([item])))
        }
        (None, Some(body)) => (200, body.clone()),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\ncontent-type: application/json\r\nconnection: close\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
}

fn sha(number: u64) -> String {
    format!("{number:040x}")
}

/// A time so many minutes before now, as GitHub writes it.
fn ago(minutes: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let at = i64::try_from(now).unwrap() / 60 * 60 - 60 * minutes;
    model::Timestamp::from_seconds(at).unwrap().to_string()
}

/// A repository with so many commits and deployments, and a hook with a delivery that failed.
fn api(of: u64) -> BTreeMap<String, Value> {
    let root = "/repos/acme/checkout";
    let minutes = |number: u64| i64::try_from(60 * (of - number) + 30).unwrap();
    let commits: Vec<Value> = (1..=of)
        .rev()
        .map(|number| {
            let parents: Vec<Value> = (number > 1).then(|| json!({"sha": sha(number - 1)})).into_iter().collect();
            let by = json!({"name": "Jane Roe", "email": "jane@example.com", "date": ago(minutes(number))});
            json!({"sha": sha(number), "parents": parents, "commit": {"message": "Work", "author": by, "committer": by}})
        })
        .collect();
    let bot = json!({"login": "deployer[bot]", "type": "Bot"});
    let deployments = (1..=of).rev().map(|number| {
        json!({"id": number, "sha": sha(number), "ref": "main", "environment": "production", "creator": bot,
            "production_environment": true, "created_at": ago(minutes(number) - 5), "updated_at": ago(minutes(number) - 6)})
    });
    let repository = json!({"id": 1, "full_name": "acme/checkout", "html_url": "https://github.com/acme/checkout",
        "default_branch": "main"});
    let mut api = BTreeMap::from([
        (root.to_owned(), repository.clone()),
        (format!("{root}/commits"), commits.into()),
        (format!("{root}/deployments"), deployments.collect()),
    ]);
    for number in 1..=of {
        let status = json!([{"id": 100 + number, "state": "success", "environment": "production", "creator": bot,
            "created_at": ago(minutes(number) - 6), "updated_at": ago(minutes(number) - 6)}]);
        api.insert(format!("{root}/deployments/{number}/statuses"), status);
    }
    let delivery = |id: u64, guid: &str, code: u64, again: bool| {
        json!({"id": id, "guid": guid, "delivered_at": ago(20 - i64::try_from(id).unwrap()), "redelivery": again,
            "status_code": code, "event": "release"})
    };
    // Newest first: one was delivered again, one failed twice.
    let deliveries = json!([
        delivery(5, "b", 502, true),
        delivery(4, "a", 202, true),
        delivery(3, "c", 202, false),
        delivery(2, "b", 502, false),
        delivery(1, "a", 502, false)
    ]);
    api.insert(format!("{root}/hooks/7/deliveries"), deliveries);
    let payload = json!({"action": "published", "release": {"id": 9, "tag_name": "v1.0.0", "draft": false,
        "prerelease": false, "published_at": ago(30), "created_at": ago(31)}, "repository": repository});
    let whole = json!({"id": 5, "guid": "b", "event": "release", "request": {"payload": payload}});
    api.insert(format!("{root}/hooks/7/deliveries/5"), whole);
    api
}

/// Exit code, stdout and stderr; the token is in none of them.
fn backfill(folder: &Path, github: &GitHub, data: &str, only: &[&str]) -> (i32, String, String) {
    let names = only.iter().flat_map(|name| ["--only", name]);
    let output = streamgauge(folder)
        .env("GITHUB_TOKEN", TOKEN)
        .args(["-v", "--data", data, "backfill", "github", "--since", "30d", "--url", &github.url])
        .args(names)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let told = (output.status.code().unwrap(), text(output.stdout), text(output.stderr));
    assert!(!told.1.contains(TOKEN) && !told.2.contains(TOKEN), "{told:?}");
    told
}

#[test]
fn a_backfill_goes_on_where_it_was_stopped_and_ends_in_the_tables_of_one_that_was_not() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let only = ["acme/checkout"];
    let api = api(6);
    let straight = GitHub::start(api.clone(), Faults::new());
    let (code, out, error) = backfill(folder.path(), &straight, "straight", &only);
    assert_eq!(code, 0, "{error}");
    // 6 commits, 6 deployments and their 6 ends.
    assert!(out.contains("18 records read"), "{out}");
    let expected = tables(folder.path(), "straight");
    assert_eq!(expected[0].1.lines().count(), 6);
    let asked = straight.asked();

    // Limits, a server that is away, a token that expires.
    let faults = Faults::from([
        (3, (429, "retry-after: 1")),
        (6, (403, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1")),
        (9, (502, "x: y")),
        (14, (401, "x: y")),
    ]);
    let broken = GitHub::start(api, faults);
    let (code, _, error) = backfill(folder.path(), &broken, "broken", &only);
    assert_eq!(code, 2);
    assert!(
        error.contains("the token is not taken") && error.contains("the same command goes on"),
        "{error}"
    );
    let first = broken.asked();
    assert_eq!(broken.requests.load(Ordering::SeqCst), 14);
    let (code, _, error) = backfill(folder.path(), &broken, "broken", &only);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("going on where it stopped"), "{error}");
    let second = broken.asked();
    // The repository was asked for once, at the beginning; each question was asked, those that failed again.
    assert!(!second.contains(&"/api/v3/repos/acme/checkout".to_owned()), "{second:#?}");
    assert_eq!(first.len() + second.len(), asked.len() + 4);
    assert_same(&expected, &tables(folder.path(), "broken"));

    // Once it is done, the same again asks for what came since, and finds what was there.
    let (code, out, error) = backfill(folder.path(), &broken, "broken", &only);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("were there already"), "{out}");
    assert_same(&expected, &tables(folder.path(), "broken"));
    for file in std::fs::read_dir(folder.path().join("broken/backfill")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(TOKEN) && !text.contains("Jane") && !text.contains("jane"), "{text}");
    }
}

#[test]
fn a_delivery_that_failed_is_told_as_it_was_sent_and_one_that_came_later_is_not_asked_for() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let github = GitHub::start(api(1), Faults::new());
    let (code, out, error) = backfill(folder.path(), &github, "data", &["acme/checkout/hooks/7"]);
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("healed: 1 deliveries that had failed"), "{out}");
    let whole: Vec<String> =
        github.asked().into_iter().filter(|target| target.contains("/deliveries/")).collect();
    assert_eq!(whole, ["/api/v3/repos/acme/checkout/hooks/7/deliveries/5"]);
    let query = "SELECT event_id FROM events";
    let found = ok(folder.path(), &["sql", "--data", "data", query, "--format", "TSV"]);
    assert!(found.contains("github.com/acme/checkout:release:9:published:"), "{found}");

    // Two were lost, in three attempts; that was told of once or again, and the hook told one of them after all.
    let query =
        "SELECT signal, subject, service, detail, remedy FROM data_quality WHERE signal = 'lost_deliveries'";
    let counted = || ok(folder.path(), &["sql", "--data", "data", query, "--format", "TSV"]);
    let first = counted();
    let hook = format!("lost_deliveries\tgithub {}/acme/checkout/hooks/7\t", &github.url[7..]);
    assert!(first.starts_with(&hook), "{first}");
    assert!(
        first.contains("2 deliveries failed from") && first.contains("2 of them were told later"),
        "{first}"
    );
    assert!(first.contains("nothing is missing") && first.lines().count() == 1, "{first}");
    let (code, _, error) = backfill(folder.path(), &github, "data", &["acme/checkout/hooks/7"]);
    assert_eq!(code, 0, "{error}");
    assert_eq!(counted(), first);
}

#[test]
fn what_is_missing_or_refused_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = streamgauge(folder.path()).env_remove("GITHUB_TOKEN").args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (arguments, says) in [
        (&["backfill", "fax", "--since", "1d"][..], "there are github, gitlab, jira, pagerduty"),
        (&["backfill", "github", "--since", "1d"], "set GITHUB_TOKEN, or give --token-file FILE"),
        (&["backfill", "github", "--since", "soon"], "not a length of time"),
        (&["backfill", "github", "--since", "1d", "--token-file", "none"], "token_file none: "),
        (&["mirror", "--once"], "no repository is named"),
    ] {
        let (code, error) = run(arguments);
        assert_eq!(code, 2, "{error}");
        assert!(error.contains(says), "{error:?} does not say {says:?}");
        assert!(!folder.path().join("streamgauge-data").exists());
    }
    if !engine_is_there() {
        return;
    }
    let github = GitHub::start(BTreeMap::new(), Faults::new());
    let (code, _, error) = backfill(folder.path(), &github, "data", &["acme/nowhere"]);
    assert_eq!(code, 1);
    assert!(error.contains("/repos/acme/nowhere: it answers 404"), "{error}");
}

#[test]
fn a_mirror_and_an_import_of_the_same_repository_are_one() {
    if !engine_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let origin = folder.path().join("origin");
    std::fs::create_dir(&origin).unwrap();
    let git = |arguments: &[&str]| git(&origin, arguments);
    git(&["init", "-q", "-b", "main"]);
    git(&["commit", "-q", "--allow-empty", "-m", "One"]);
    git(&["commit", "-q", "--allow-empty", "-m", "Two"]);
    let name = "github.com/acme/checkout";
    let configuration = format!("[git.mirror.a]\nrepositories = [\"{name}=file://{}\"]\n", origin.display());
    std::fs::write(folder.path().join("s.toml"), configuration).unwrap();
    let mirror = ["--config", "s.toml", "mirror", "--once"];
    assert_eq!(ok(folder.path(), &mirror), format!("{name}: 2 new commits\n"));
    let import = ["--config", "s.toml", "import", "git", "--paths", "--repo", name, "origin"];
    let imported = ok(folder.path(), &import);
    assert!(imported.contains("2 records were there already"), "{imported}");
    git(&["commit", "-q", "--allow-empty", "-m", "Three"]);
    assert_eq!(ok(folder.path(), &mirror), format!("{name}: 1 new commits\n"));
    assert_eq!(ok(folder.path(), &mirror), format!("{name}: 0 new commits\n"));
}
