//! `check` of what is asked on our own account: mirrored repositories, and vendors' APIs.

use crate::common::{git, run, streamgauge};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

const SECRET: &str = "t0psecret";

/// Answers by path, on a port of this machine; with 401 where the token is not ours. A status of 0 is no answer at all.
fn vendor(answers: &[(&'static str, u16, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            let rest: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let path = first.split([' ', '?']).nth(1).unwrap().to_owned();
            let found = answers.iter().find(|(known, ..)| *known == path);
            let (status, header) = match found {
                _ if !rest.iter().any(|line| line.contains(SECRET)) => (401, "x: y"),
                None => (404, "x: y"),
                Some((_, status, header)) => (*status, *header),
            };
            if status == 0 {
                held.push(stream);
                continue;
            }
            let body = "{\"message\": \"as it is\"}";
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{header}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

/// What `check` says of a configuration, and its exit code; no secret is in it.
fn check(folder: &Path, configuration: &str) -> (i32, String) {
    std::fs::write(folder.join("s.toml"), configuration).unwrap();
    let (code, out, error) = run(folder, &["--config", "s.toml", "--data", "none", "check"]);
    let text = out + &error;
    assert!(!text.contains(SECRET) && !text.contains("Basic "), "{text}");
    (code, text)
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|told| told.contains(line)), "{text}\ndoes not say\n{line}");
    }
}

#[test]
fn each_mirrored_repository_is_asked_for_its_branches_and_one_that_cannot_be_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["init", "-q", "-b", "main", "work"]);
    git(folder.path(), &["-C", "work", "commit", "-q", "--allow-empty", "-m", "Work"]);
    git(folder.path(), &["clone", "-q", "--bare", "work", "there.git"]);
    git(folder.path(), &["init", "-q", "--bare", "empty.git"]);
    std::fs::write(folder.path().join("header"), format!("Basic {SECRET}\n")).unwrap();
    let here = folder.path().display();
    // A server that takes no header but another one's.
    let closed = vendor(&[("/acme/hidden/info/refs", 404, "x: y"), ("/acme/private/info/refs", 401, "x: y")]);
    let text = format!(
        "[git.mirror.disk]\nrepositories = [\"a.example/a/there=file://{here}/there.git\", \
         \"a.example/a/empty=file://{here}/empty.git\", \"a.example/a/gone=file://{here}/gone.git\"]\n\
         [git.mirror.closed]\nauthorization_file = \"header\"\n\
         repositories = [\"a.example/a/private={closed}/acme/private\", \"a.example/a/hidden={closed}/acme/hidden\"]\n\
         [git.mirror.open]\nrepositories = [\"a.example/a/other={closed}/acme/private\"]\n\
         [git.mirror.away]\nauthorization_file = \"missing\"\nrepositories = [\"a.example/a/away=http://127.0.0.1:1/a\"]\n\
         [git.mirror.shut]\nrepositories = [\"a.example/a/shut=http://127.0.0.1:1/a\"]\n"
    );
    let (code, text) = check(folder.path(), &text);
    assert_eq!(code, 1, "{text}");
    says(
        &text,
        &[
            "ok       mirror a.example/a/there: git reaches it: 1 branch",
            "ok       mirror a.example/a/empty: git reaches it; it has no branch yet",
            "problem  mirror a.example/a/gone: git ls-remote: fatal: ",
            "gone.git' does not appear to be a git repository",
            "→ correct it in git.mirror.disk.repositories; a server also denies",
            "problem  mirror a.example/a/private: git ls-remote: ",
            "→ put a header that may read it into header",
            "problem  mirror a.example/a/hidden: git ls-remote: ",
            "→ correct it in git.mirror.closed.repositories; a server also denies",
            "→ set git.mirror.open.authorization_file to a file with a header that may read it",
            "problem  mirror a.example/a/away: authorization_file missing: ",
            "→ put the header into that file, or correct git.mirror.away.authorization_file",
            "problem  mirror a.example/a/shut: git ls-remote: ",
            "→ correct it in git.mirror.shut.repositories, or let this machine reach the server",
        ],
    );
}

#[test]
fn each_vendor_is_asked_whether_it_takes_the_token_and_shows_what_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), format!("{SECRET}\n")).unwrap();
    std::fs::write(folder.path().join("other"), "0ther\n").unwrap();
    let github = vendor(&[
        ("/api/v3/rate_limit", 200, "x: y"),
        ("/api/v3/repos/acme/shop", 200, "x: y"),
        ("/api/v3/repos/acme/moved", 301, "location: /repositories/7"),
        ("/api/v3/repos/acme/closed", 403, "x: y"),
    ]);
    let gitlab = vendor(&[]);
    let pagerduty = vendor(&[("/abilities", 429, "retry-after: 30")]);
    let jira = vendor(&[("/rest/api/2/myself", 200, "x: y")]);
    let text = format!(
        "[backfill.github]\nurl = {github:?}\ntoken_file = \"token\"\n\
         only = [\"acme/shop\", \"acme/gone\", \"acme/moved\", \"acme/closed\", \"acme/shop/hooks/7\"]\n\
         [backfill.gitlab]\nurl = {gitlab:?}\ntoken_file = \"other\"\n\
         [backfill.pagerduty]\nurl = {pagerduty:?}\ntoken_file = \"token\"\n\
         [backfill.jira]\nurl = {jira:?}\ntoken_file = \"token\"\n"
    );
    let (code, text) = check(folder.path(), &text);
    assert_eq!(code, 1, "{text}");
    says(
        &text,
        &[
            &format!(
                "ok       backfill github: {github}/api/v3 takes the token, and lets it see 1 of 5 names"
            ),
            "problem  backfill github acme/gone: it answers 404: there is none, or the token may not see it → correct \
             backfill.github.only, or let the token see it",
            "problem  backfill github acme/moved: it is elsewhere now: /repositories/7 →",
            "problem  backfill github acme/closed: it answers 403: as it is →",
            "problem  backfill github acme/shop/hooks/7: it answers 404",
            &format!(
                "problem  backfill gitlab: {gitlab}/api/v4: the token is not taken: as it is → put a token into"
            ),
            &format!(
                "warning  backfill pagerduty: {pagerduty}: the limit of this token is reached for another 30 s →"
            ),
            &format!("ok       backfill jira: {jira} takes the token"),
        ],
    );
}

#[test]
fn a_vendor_that_does_not_answer_and_a_token_that_is_not_there_are_told_in_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), format!("{SECRET}\n")).unwrap();
    let (silent, nothing) = (vendor(&[("/abilities", 0, "")]), vendor(&[]));
    // A GitHub server whose limits are switched off.
    let unlimited = vendor(&[("/api/v3/meta", 200, "x: y")]);
    let text = format!(
        "[backfill.github]\nurl = {unlimited:?}\ntoken_file = \"token\"\n\
         [backfill.pagerduty]\nurl = {silent:?}\ntoken_file = \"token\"\n\
         [backfill.gitlab]\nurl = {nothing:?}\ntoken_file = \"token\"\n\
         [backfill.jira]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"none\"\n"
    );
    let began = Instant::now();
    let (code, text) = check(folder.path(), &text);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(code, 1, "{text}");
    says(
        &text,
        &[
            &format!("ok       backfill github: {unlimited}/api/v3 takes the token"),
            &format!(
                "problem  backfill pagerduty: {silent}: no answer in 10 s → correct backfill.pagerduty.url"
            ),
            &format!(
                "problem  backfill gitlab: {nothing}/api/v4: it answers 404: gitlab's API is not there → correct"
            ),
            "problem  backfill jira: token_file none: ",
            "→ put a token into the file that backfill.jira.token_file names, or into JIRA_TOKEN",
        ],
    );

    // An address alone is for the command, which may be given a token; a heading alone says nothing.
    let text = "[backfill.jira]\nurl = \"http://127.0.0.1:1\"\n[backfill.github]\n";
    std::fs::write(folder.path().join("s.toml"), text).unwrap();
    let check = |token: Option<&str>| {
        let mut command = streamgauge(folder.path());
        command.env_remove("JIRA_TOKEN").args(["--config", "s.toml", "--data", "none", "check"]);
        let output = command.envs(token.map(|token| ("JIRA_TOKEN", token))).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let text = check(None);
    says(&text, &["warning  backfill jira: not tried: there is no token: set JIRA_TOKEN"]);
    assert!(!text.contains("backfill github"), "{text}");
    says(
        &check(Some(SECRET)),
        &["problem  backfill jira: http://127.0.0.1:1: ", "or let this machine reach it"],
    );
}
