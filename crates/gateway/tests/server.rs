//! The gateway over sockets: what is answered, what is stored, and what cannot bring it down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{Client, MemoryLog, SECRET, Server, gateway, posted, signed};
use model::Text;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use streamgauge_gateway::verify::stated::Terms;
use streamgauge_gateway::verify::{Stated, Way};
use streamgauge_gateway::{Hook, Proof};

const BODY: &str = r#"{"ref":"refs/heads/main","sender":{"login":"jane","type":"User"}}"#;

#[test]
fn what_is_proved_is_stored_without_people_and_then_answered_202() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    let answer = client.post("/v1/hooks/github", &signed(BODY), BODY);
    assert_eq!((answer.status, answer.body.as_str()), (202, "{\"status\":\"accepted\"}\n"));
    let records = log.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].source.as_str(), "github");
    assert_eq!(
        String::from_utf8_lossy(&records[0].body),
        r#"{"ref":"refs/heads/main","sender":{"login":"human","type":"User"}}"#
    );
    // Neither the signature nor what only the connection needs.
    let names: Vec<&str> = records[0].headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-github-event", "x-github-delivery"]);
}

#[test]
fn a_known_delivery_is_answered_200_and_stored_once_and_one_that_was_not_acknowledged_is_taken_again() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    log.refusing.store(true, Ordering::SeqCst);
    let refused = client.post("/v1/hooks/github", &signed(BODY), BODY);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(!refused.body.contains("secret place"), "{}", refused.body);
    log.refusing.store(false, Ordering::SeqCst);
    assert_eq!(client.post("/v1/hooks/github", &signed(BODY), BODY).status, 202);
    assert_eq!(client.post("/v1/hooks/github", &signed(BODY), BODY).status, 200);
    assert_eq!(log.records().len(), 1);
    // The same id with another body is another delivery.
    let other = BODY.replace("main", "next");
    assert_eq!(client.post("/v1/hooks/github", &signed(&other), &other).status, 202);
    assert_eq!(log.records().len(), 2);
}

#[test]
fn nothing_that_is_not_proved_is_stored_and_the_answer_says_what_to_do() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    let headers = signed(BODY);
    for (headers, body) in [
        (headers.replace("sha256=", "sha256=00"), BODY.to_owned()),
        (headers.clone(), format!("{BODY} ")),
        (headers.replace("x-hub-signature-256", "x-other"), BODY.to_owned()),
    ] {
        let answer = Client::to(&server).post("/v1/hooks/github", &headers, &body);
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert!(answer.body.contains("x-hub-signature-256"), "{}", answer.body);
        assert!(!answer.body.contains(SECRET) && !answer.body.contains("jane"), "{}", answer.body);
    }
    for (path, status) in [
        ("/v1/hooks/gitlab", 404),
        ("/v1/hooks/", 404),
        ("/v1/events", 404),
        ("/v1/hooks/plain", 401),
        ("/v1/hooks/plain/wrong", 401),
        ("/v1/hooks/plain/t0ken", 202),
    ] {
        let answer = Client::to(&server).post(path, "", "{}");
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    let answer = client.send("GET /v1/hooks/github HTTP/1.1\r\nhost: x\r\n\r\n", b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    assert_eq!(log.records().len(), 1);
}

#[test]
fn a_signature_that_the_configuration_states_is_held_against_every_secret() {
    let terms = Terms {
        header: Some("X-Bot-Signature".to_owned()),
        prefix: Some("sha256=".to_owned()),
        ..Terms::default()
    };
    let way = Way::Stated(Arc::new(Stated::new(&terms).unwrap()));
    let log = MemoryLog::new();
    let server = gateway(&log, |settings| {
        let secrets = ["next", SECRET].map(|text| way.secret(text).unwrap()).to_vec();
        let proof = Proof { way: way.clone(), secrets, topics: Vec::new() };
        settings.hooks.insert("bot".to_owned(), Hook { source: Text::new("bot"), proof });
    });
    let header = |body: &str| signed(body).replace("x-hub-signature-256", "x-bot-signature");
    let body = r#"{"id":7}"#;
    for (headers, status) in [(header(body), 202), (header("{}"), 401), (signed(body), 401)] {
        assert_eq!(Client::to(&server).post("/v1/hooks/bot", &headers, body).status, status, "{headers}");
    }
    let refused = Client::to(&server).post("/v1/hooks/bot", "x-bot-signature: sha1=00\r\n", body);
    assert!(refused.body.contains("x-bot-signature is not of the form sha256=<hex>"), "{}", refused.body);
    let kept = log.records();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].source.as_str(), kept[0].body.as_slice()), ("bot", body.as_bytes()));
    server.stop();
}

#[test]
fn what_is_no_json_is_answered_400_and_never_stored() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    for body in ["", " ", "jane", "{\"login\":\"jane\"", "{}{}", "\u{feff}", &"[".repeat(5_000)] {
        let answer = Client::to(&server).post("/v1/hooks/github", &signed(body), body);
        assert_eq!(answer.status, 400, "{body:.20}: {}", answer.body);
        assert!(!answer.body.contains("jane"), "{}", answer.body);
    }
    assert!(log.records().is_empty());
}

#[test]
fn bodies_have_a_limit_as_sent_and_unpacked() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let limit = model::raw::MAX_BODY_BYTES;
    let fitting = format!("\"{}\"", "x".repeat(limit - 2));
    assert_eq!(Client::to(&server).post("/v1/hooks/github", &signed(&fitting), &fitting).status, 202);
    // Refused by what it announces, before it is sent.
    let head = posted("/v1/hooks/github", "x-hub-signature-256: sha256=00\r\n", limit + 1);
    assert_eq!(Client::to(&server).send(&head, b"").status, 413);
    let packed = |bytes: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(format!("\"{}\"", "x".repeat(bytes)).as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let authorized = "authorization: Bearer t0ken\r\ncontent-encoding: gzip\r\n";
    for (bytes, status) in [(1_000, 202), (4 * limit, 413)] {
        let body = packed(bytes);
        let head = posted("/v1/hooks/bearer", authorized, body.len());
        assert_eq!(Client::to(&server).send(&head, &body).status, status);
    }
    let head = posted("/v1/hooks/bearer", &authorized.replace("gzip", "br"), 2);
    assert_eq!(Client::to(&server).send(&head, b"{}").status, 415);
    assert_eq!(log.records().len(), 2);
}

#[test]
fn heads_have_a_limit() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let authorized = "authorization: Bearer t0ken\r\n";
    let many: String = (0..200).map(|at| format!("x-{at}: y\r\n")).collect();
    let long = format!("x-long: {}\r\n", "y".repeat(100_000));
    for headers in [many, long] {
        let mut client = Client::to(&server);
        client.write(posted("/v1/hooks/bearer", &format!("{authorized}{headers}"), 2).as_bytes());
        client.write(b"{}");
        let status = client.status_if_answered();
        assert!(matches!(status, None | Some(431)), "{status:?}");
    }
    assert!(log.records().is_empty());
    assert_eq!(Client::to(&server).post("/v1/hooks/bearer", authorized, "{}").status, 202);
}

#[test]
fn cloudevents_of_every_mode_go_to_their_sources() {
    let log = MemoryLog::new();
    let server = gateway(&log, |settings| {
        settings.events = Some(common::proof("bearer", "t0ken"));
    });
    let mut client = Client::to(&server);
    let tekton = r#"{"specversion":"1.0","type":"dev.tekton.event.taskrun.started.v1","id":"1","source":"/x","data":{}}"#;
    let cd =
        r#"{"specversion":"1.0","type":"dev.cdevents.build.started.0.2.0","id":"2","source":"/x","data":{}}"#;
    let bearer = "authorization: Bearer t0ken\r\n";
    let structured = format!("{bearer}content-type: application/cloudevents+json\r\n");
    assert_eq!(client.post("/v1/events", &structured, tekton).status, 202);
    let batch = format!("{bearer}content-type: application/cloudevents-batch+json\r\n");
    assert_eq!(client.post("/v1/events", &batch, &format!("[{tekton},{cd}]")).status, 202);
    assert_eq!(client.post("/v1/events", &batch, "[]").status, 202);
    let binary =
        format!("{bearer}ce-type: dev.cdevents.build.started.0.2.0\r\nce-id: 3\r\nce-source: /x\r\n");
    assert_eq!(client.post("/v1/events", &binary, "{}").status, 202);
    assert_eq!(client.post("/v1/events", &binary, "{}").status, 200);
    assert_eq!(client.post("/v1/events", bearer, tekton).status, 400);
    let sources: Vec<String> = log.records().iter().map(|record| record.source.to_string()).collect();
    assert_eq!(sources, ["tekton", "tekton", "cdevents", "cdevents"]);
    assert!(log.records()[3].header("ce-type").is_some());
}

#[test]
fn a_hook_that_sends_too_much_is_told_to_wait_and_the_others_are_not() {
    let log = MemoryLog::new();
    let server = gateway(&log, |settings| settings.rate_per_s = 5);
    let mut client = Client::to(&server);
    let bearer = "authorization: Bearer t0ken\r\n";
    let statuses: Vec<u16> = (0..20)
        .map(|at| client.post("/v1/hooks/bearer", bearer, &format!("{{\"n\":{at}}}")).status)
        .collect();
    let taken = statuses.iter().filter(|status| **status == 202).count();
    assert!((5..10).contains(&taken), "{statuses:?}");
    assert!(statuses[10..].contains(&429), "{statuses:?}");
    assert_eq!(client.post("/v1/hooks/github", &signed(BODY), BODY).status, 202);
}

#[test]
fn slow_senders_hold_nobody_up() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let slow: Vec<Client> = (0..200)
        .map(|at| {
            let mut client = Client::to(&server);
            // Half a head, or a head and half a body.
            let head = posted("/v1/hooks/github", "x-hub-signature-256: sha256=00\r\n", 1_000_000);
            let head = if at % 2 == 0 { &head[..20] } else { &head };
            client.write(head.as_bytes());
            client
        })
        .collect();
    let started = Instant::now();
    for at in 0..100 {
        let body = format!("{{\"n\":{at}}}");
        assert_eq!(Client::to(&server).post("/v1/hooks/github", &signed(&body), &body).status, 202);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    drop(slow);
    assert_eq!(log.records().len(), 100);
}

#[test]
fn a_slow_sender_is_cut_off_after_its_time() {
    if !common::full("waits for 30 s") {
        return;
    }
    let server = gateway(&MemoryLog::new(), |_| {});
    let mut half_body = Client::to(&server);
    half_body.write(posted("/v1/hooks/github", "x-hub-signature-256: sha256=00\r\n", 10).as_bytes());
    let mut half_head = Client::to(&server);
    half_head.write(b"POST /v1/hooks/github HTTP/1.1\r\nho");
    let started = Instant::now();
    assert_eq!(half_body.answer().status, 408);
    assert!(half_head.is_closed());
    let took = started.elapsed();
    assert!((Duration::from_secs(25)..Duration::from_secs(40)).contains(&took), "{took:?}");
}

/// What tells this program, started once more, to be clients: an address and how many.
const CLIENTS: &str = "STREAMGAUGE_TEST_CLIENTS";
const PROCESSES_OF_CLIENTS: usize = 2;

/// Clients in a process of their own: one process may not open enough files for both ends.
struct Clients {
    process: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Clients {
    fn start(server: &Server, count: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "clients_of_another_process", "--nocapture"])
            .env(CLIENTS, format!("{} {count}", server.address()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, said }
    }
    fn wait_for(&mut self, word: &str) {
        let said: Vec<String> =
            self.said.by_ref().map(Result::unwrap).take_while(|line| line != word).collect();
        assert!(self.process.try_wait().unwrap().is_none(), "clients ended: {said:?}");
    }
    fn go_on(&mut self) {
        writeln!(self.process.stdin.as_mut().unwrap()).unwrap();
    }
}

#[test]
fn clients_of_another_process() {
    let Ok(told) = std::env::var(CLIENTS) else { return };
    let (address, count) = told.split_once(' ').unwrap();
    let (address, count): (SocketAddr, usize) = (address.parse().unwrap(), count.parse().unwrap());
    common::raise_open_files(count + 500);
    let told = |word: &str| {
        eprintln!("{word}");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    };
    let mut clients: Vec<Client> = (0..count)
        .map(|at| {
            let mut client = Client::at(address);
            let body = format!("{{\"n\":{at},\"of\":{}}}", std::process::id());
            let head = posted("/v1/hooks/github", &signed(&body), body.len());
            client.write(format!("{head}{body}").as_bytes());
            client
        })
        .collect();
    told("sent");
    assert!(clients.iter_mut().all(|client| client.answer().status == 202));
    told("answered");
}

#[test]
fn ten_thousand_connections_are_served() {
    let wanted = 10_000;
    let files = common::raise_open_files(wanted + 500);
    let count = wanted.min(files.saturating_sub(500));
    if count < wanted {
        println!("only {count} connections: the system allows {files} open files");
    }
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let started = Instant::now();
    let mut clients: Vec<Clients> =
        (0..PROCESSES_OF_CLIENTS).map(|_| Clients::start(&server, count / PROCESSES_OF_CLIENTS)).collect();
    // All are sent before the first answer is read: they are open at once.
    clients.iter_mut().for_each(|clients| clients.wait_for("sent"));
    let sent = started.elapsed();
    clients.iter_mut().for_each(Clients::go_on);
    clients.iter_mut().for_each(|clients| clients.wait_for("answered"));
    let answered = started.elapsed();
    // Only now has the server taken the last one from the system's queue, and it keeps all of them: none of these
    // clients hangs up before it is told to.
    let open = server.stats().connections.load(Ordering::Relaxed);
    println!(
        "{count} connections, all sent after {sent:?}, all answered after {answered:?}, {open} open at once"
    );
    // A machine that is too busy to do this within 30 s sees the first ones closed, answered and idle.
    assert!(open == count || answered > Duration::from_secs(25), "{open} of {count} were open at once");
    assert_eq!(log.records().len(), count);
    assert_eq!(Client::to(&server).get("/healthz").status, 200);
    for mut clients in clients {
        clients.go_on();
        assert!(clients.process.wait().unwrap().success());
    }
}

#[test]
fn one_connection_too_many_is_closed_and_counted() {
    let server = gateway(&MemoryLog::new(), |settings| settings.connections = 2);
    let mut held = [Client::to(&server), Client::to(&server)];
    held.iter_mut().for_each(|client| assert_eq!(client.get("/healthz").status, 200));
    assert!(Client::to(&server).is_closed());
    assert_eq!(server.stats().refused.load(Ordering::Relaxed), 1);
    drop(held);
    let started = Instant::now();
    while server.stats().connections.load(Ordering::Relaxed) > 0 {
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(Client::to(&server).get("/healthz").status, 200);
}

#[test]
fn a_request_under_way_is_answered_when_the_gateway_stops() {
    let log = MemoryLog::new();
    log.slow.store(true, Ordering::SeqCst);
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    client.write(posted("/v1/hooks/github", &signed(BODY), BODY.len()).as_bytes());
    client.write(BODY.as_bytes());
    let started = Instant::now();
    while log.records().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
    server.stop();
    assert_eq!(client.answer().status, 202);
}

#[test]
fn it_says_how_it_stands() {
    let log = MemoryLog::new();
    let server = gateway(&log, |_| {});
    let mut client = Client::to(&server);
    assert_eq!(client.get("/healthz").body, "ok\n");
    assert_eq!(client.get("/readyz").status, 200);
    log.refusing.store(true, Ordering::SeqCst);
    let unready = client.get("/readyz");
    assert_eq!((unready.status, unready.body.as_str()), (503, "secret place: full\n"));
    assert_eq!(client.get("/metrics").body, "the metrics\n");
    assert_eq!(client.post("/metrics", "", "").status, 405);
}
