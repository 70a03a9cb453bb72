//! A gateway on a free port, a log in memory, and a client that sends whatever it is told.
#![allow(dead_code)]

use gateway::verify::{Way, scheme};
use gateway::{Acknowledge, Gateway, GatewaySettings, Hook, Pages, Proof, RawLog, Stats};
use model::Text;
use model::raw::RawRecord;
use ring::hmac;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use streamgauge_gateway as gateway;
use tokio::runtime::Runtime;

pub const SECRET: &str = "It's a Secret to Everybody";

/// A log that keeps what it gets.
#[derive(Default)]
pub struct MemoryLog {
    records: Mutex<Vec<RawRecord>>,
    /// Whether it takes nothing.
    pub refusing: AtomicBool,
    /// Whether it acknowledges after a second.
    pub slow: AtomicBool,
}

impl MemoryLog {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
    pub fn records(&self) -> Vec<RawRecord> {
        self.records.lock().unwrap().clone()
    }
}

impl RawLog for MemoryLog {
    fn append(&self, record: RawRecord, acknowledge: Acknowledge) {
        if self.refusing.load(Ordering::SeqCst) {
            let _ = acknowledge.send(Err("secret place: full".to_owned()));
            return;
        }
        self.records.lock().unwrap().push(record);
        if self.slow.load(Ordering::SeqCst) {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(1));
                let _ = acknowledge.send(Ok(()));
            });
        } else {
            let _ = acknowledge.send(Ok(()));
        }
    }
    fn unready(&self) -> Option<String> {
        self.refusing.load(Ordering::SeqCst).then(|| "secret place: full".to_owned())
    }
}

pub fn proof(name: &str, secret: &str) -> Proof {
    let scheme = scheme(name).unwrap();
    Proof { way: Way::Scheme(scheme), secrets: vec![(scheme.secret)(secret).unwrap()], topics: Vec::new() }
}

/// A running gateway with the threads that it runs on.
pub struct Server {
    gateway: Option<Gateway>,
    runtime: Runtime,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().address()
    }
    pub fn stats(&self) -> &Arc<Stats> {
        self.gateway.as_ref().unwrap().stats()
    }
    pub fn stop(mut self) {
        let gateway = self.gateway.take().unwrap();
        self.runtime.block_on(gateway.stop());
    }
}

/// A gateway with the hooks `github`, `bearer` (of Alertmanager) and `plain` (by a token in the address).
pub fn gateway(log: &Arc<MemoryLog>, change: impl FnOnce(&mut GatewaySettings)) -> Server {
    let mut settings = GatewaySettings::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let hook = |source: &str, proof: Proof| Hook { source: Text::new(source), proof };
    settings.hooks.insert("github".to_owned(), hook("github", proof("github", SECRET)));
    settings.hooks.insert("bearer".to_owned(), hook("alertmanager", proof("bearer", "t0ken")));
    settings.hooks.insert("plain".to_owned(), hook("alertmanager", proof("url_token", "t0ken")));
    settings.rate_per_s = 1_000_000;
    change(&mut settings);
    let pages = Pages { metrics: Arc::new(|_| "the metrics\n".to_owned()), metrics_type: "text/plain" };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let gateway = runtime.block_on(Gateway::start(&settings, log.clone(), pages)).unwrap();
    Server { gateway: Some(gateway), runtime }
}

/// GitHub's headers for a body.
pub fn signed(body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "x-github-event: push\r\nx-github-delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958\r\nx-hub-signature-256: sha256={hex}\r\n"
    )
}

/// The head of a POST.
pub fn posted(path: &str, headers: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n")
}

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub fn to(server: &Server) -> Self {
        Self::at(server.address())
    }

    pub fn at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        // It may have been answered and closed before all of it was sent.
        let _ = self.stream.write_all(bytes);
    }

    pub fn send(&mut self, head: &str, body: &[u8]) -> Answer {
        self.write(head.as_bytes());
        self.write(body);
        self.answer()
    }

    pub fn post(&mut self, path: &str, headers: &str, body: &str) -> Answer {
        self.send(&posted(path, headers, body.len()), body.as_bytes())
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"), b"")
    }

    pub fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.fill();
        };
        let head = String::from_utf8(self.read[..end].to_vec()).unwrap();
        let mut answer = Answer { status: head[9..12].parse().unwrap(), head, body: String::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.read.len() < end + 4 + length {
            self.fill();
        }
        answer.body = String::from_utf8(self.read[end + 4..end + 4 + length].to_vec()).unwrap();
        self.read.drain(..end + 4 + length);
        answer
    }

    fn fill(&mut self) {
        let mut chunk = [0; 4096];
        let read = self.stream.read(&mut chunk).unwrap();
        assert!(read > 0, "the connection ended in the middle of an answer");
        self.read.extend_from_slice(&chunk[..read]);
    }

    /// The status of the answer, unless the connection ends before it: a peer that still sends when it is answered and
    /// closed may lose the answer.
    pub fn status_if_answered(&mut self) -> Option<u16> {
        let mut head = [0; 12];
        self.stream.read_exact(&mut head).ok()?;
        std::str::from_utf8(&head[9..]).unwrap().parse().ok()
    }

    /// Whether the other side ends the connection.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Whether the long mode is on; says what is left out where it is not.
pub fn full(what: &str) -> bool {
    let full = std::env::var_os("STREAMGAUGE_FULL").is_some_and(|value| value == "1");
    if !full {
        println!("shortened: STREAMGAUGE_FULL=1 {what}");
    }
    full
}

pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4096
}

/// Allows this process so many open files, or as many as the system lets it have. Returns how many.
pub fn raise_open_files(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.unwrap_or(u64::MAX);
    let asked = (wanted as u64).min(most).max(now.current.unwrap_or(u64::MAX));
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(asked), maximum: now.maximum });
    usize::try_from(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)).unwrap_or(usize::MAX)
}
