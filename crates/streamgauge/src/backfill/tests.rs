use super::*;
use gateway::Acknowledge;
use model::raw::RawRecord;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::Mutex;

#[test]
fn the_catalog_s_repositories_of_the_host_are_asked_for() {
    let all = ["github.com/acme/checkout", "gitlab.example.com/acme/shop", "github.company/x/y"];
    let of = |base: &str| {
        let (since, until) = (now(), now());
        let wanted = Wanted { base: base.to_owned(), since, until, only: Vec::new() };
        names(all.into_iter(), &wanted)
    };
    assert_eq!(of("https://api.github.com"), ["acme/checkout"]);
    assert_eq!(of("https://gitlab.example.com/api/v4"), ["acme/shop"]);
}

/// A log that refuses the first record once.
#[derive(Default)]
struct Kept(Mutex<(bool, Vec<RawRecord>)>);

impl RawLog for Kept {
    fn append(&self, record: RawRecord, acknowledge: Acknowledge) {
        let mut kept = self.0.lock().unwrap();
        let answer = if kept.0 { Ok(()) } else { Err("the pipeline is behind".to_owned()) };
        if kept.0 {
            kept.1.push(record);
        }
        kept.0 = true;
        let _ = acknowledge.send(answer);
    }
    fn unready(&self) -> Option<String> {
        None
    }
}

/// Answers each request by its path, on a port of this machine.
fn server(answers: &[(&'static str, Value)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines();
            let first = lines.next().unwrap().unwrap();
            let rest: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            assert!(rest.iter().any(|line| line == "authorization: Bearer t0k3n"), "{rest:?}");
            let path = first.split([' ', '?']).nth(1).unwrap();
            let found = answers.iter().find(|(known, _)| *known == path);
            let (status, body) = found.map_or((404, "{}".to_owned()), |(_, body)| (200, body.to_string()));
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn serve_tells_a_lost_delivery_as_it_was_sent_and_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0k3n\n").unwrap();
    let at = now().minus(Span::from_hours(1)).to_string();
    let delivery = json!({"id": 5, "guid": "b", "delivered_at": at, "redelivery": false, "status_code": 502});
    let payload = json!({"zen": "Keep it simple.", "sender": {"login": "jane", "type": "User"}});
    let whole = json!({"id": 5, "event": "ping", "request": {"payload": payload}});
    let root = "/api/v3/repos/acme/shop/hooks/7/deliveries";
    let url = server(&[(root, json!([delivery])), ("/api/v3/repos/acme/shop/hooks/7/deliveries/5", whole)]);
    let text = format!(
        "data = {:?}\n[backfill.github]\nurl = {url:?}\ntoken_file = {token:?}\nonly = [\"acme/shop/hooks/7\"]\n\
         every = \"1m\"\n",
        folder.path().join("data")
    );
    let settings = Settings::read("s.toml", &text, BTreeMap::new()).unwrap();
    assert_eq!(asked_sources(&settings).collect::<Vec<_>>(), ["canonical", "git", "github"]);
    let (log, pulls) = (Arc::new(Kept::default()), Arc::new(Pulls::default()));
    let threads = ClickHouse::served(String::new()).unwrap();
    let background = start(&settings, log.clone(), &threads, pulls.clone()).unwrap().unwrap();
    let shown = || {
        let mut out = crate::telemetry::exposition::Exposition::default();
        pulls.expose(&mut out);
        out.into_text()
    };
    let until = Instant::now() + Duration::from_secs(60);
    while !shown().contains("healed_deliveries_total{puller=\"backfill:github\"} 1\n") {
        assert!(Instant::now() < until, "{}", shown());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(background);
    let kept = log.0.lock().unwrap();
    // What was in it, and that it was lost: as the list says, and as it was told.
    let told = kept.1.iter().filter(|record| record.source.as_str() == "canonical").map(|record| {
        let body: Value = serde_json::from_slice(&record.body).unwrap();
        body["lost_delivery"].clone()
    });
    let hook = format!("{}/acme/shop/hooks/7", &url[7..]);
    let mut lost = json!({"hook": hook, "delivery_id": "b", "answer": "502"});
    assert!(told.clone().any(|told| told == lost));
    lost["healed"] = json!(true);
    assert!(told.clone().any(|told| told == lost));
    assert_eq!((told.count(), kept.1.len()), (2, 3));
    let record = kept.1.iter().find(|record| record.source.as_str() == "github").unwrap();
    assert_eq!((record.source.as_str(), record.header("x-github-event")), ("github", Some("ping")));
    assert_eq!(record.header("x-github-delivery"), Some("b"));
    assert_eq!(record.received_at.to_string(), at);
    // Without people, as the gateway would have stored it.
    assert!(!String::from_utf8_lossy(&record.body).contains("jane"));
    assert!(folder.path().join("data/backfill").read_dir().unwrap().count() == 1);
}
