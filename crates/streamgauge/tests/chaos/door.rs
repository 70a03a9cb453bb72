//! The way to ClickHouse on which requests go wrong: refused, slow, cut, answered wrongly.
//!
//! A request and its answer pass whole, one to a connection: an answer that is withheld was given.

use std::io::{BufRead, BufReader, Error, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// The longest head and body of a request: far above what the loader sends.
const LONGEST: usize = 256 << 20;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    Pass,
    /// The connection breaks before anything is read, as where no server runs.
    Refused,
    /// It passes this much later.
    Slow(Duration),
    /// The server gets half of it, and then the connection breaks.
    CutBody,
    /// The server carries it out, and the connection breaks before the answer.
    CutAnswer,
    /// The server carries it out, and the answer is a failure without a code, as a proxy's.
    Failed,
    /// The server carries it out, and the answer is ClickHouse's own of an unknown outcome.
    Unknown,
}

type Troubles = dyn Fn(bool) -> Trouble + Send + Sync;

struct Shared {
    target: u16,
    stops: AtomicBool,
    troubles: Mutex<Arc<Troubles>>,
    /// Inserts that came.
    inserts: AtomicU64,
    /// Requests that met a trouble.
    troubled: AtomicU64,
}

/// Forwards requests from one loopback port to another.
pub struct Door {
    port: u16,
    shared: Arc<Shared>,
}

impl Door {
    /// Opens a way to the server on a port.
    pub fn open(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            stops: AtomicBool::new(false),
            troubles: Mutex::new(Arc::new(|_| Trouble::Pass)),
            inserts: AtomicU64::new(0),
            troubled: AtomicU64::new(0),
        });
        let accepting = shared.clone();
        spawn(move || {
            for client in listener.incoming() {
                if accepting.stops.load(Ordering::Relaxed) {
                    return;
                }
                let shared = accepting.clone();
                if let Ok(client) = client {
                    spawn(move || _ = pass(&client, &shared));
                }
            }
        });
        Self { port, shared }
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What happens to requests from now on; `troubles` is told whether it is an insert.
    pub fn set(&self, troubles: impl Fn(bool) -> Trouble + Send + Sync + 'static) {
        *self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(troubles);
    }

    /// How many inserts came, and how many requests met a trouble.
    pub fn met(&self) -> (u64, u64) {
        (self.shared.inserts.load(Ordering::Relaxed), self.shared.troubled.load(Ordering::Relaxed))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// One request and its answer.
fn pass(client: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let troubles = shared.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let count = |trouble| {
        shared.troubled.fetch_add(u64::from(trouble != Trouble::Pass), Ordering::Relaxed);
        trouble
    };
    // Where no server runs, nobody reads what is asked.
    if troubles(false) == Trouble::Refused {
        count(Trouble::Refused);
        return client.shutdown(Shutdown::Both);
    }
    client.set_nodelay(true)?;
    let mut from = BufReader::new(client);
    let (head, is_insert) = head(&mut from)?;
    let body = body(&mut from, &head)?;
    shared.inserts.fetch_add(u64::from(is_insert), Ordering::Relaxed);
    let trouble = count(troubles(is_insert));
    if let Trouble::Slow(delay) = trouble {
        sleep(delay);
    }
    let mut server = TcpStream::connect(("127.0.0.1", shared.target))?;
    server.set_nodelay(true)?;
    server.write_all(&closing(&head))?;
    if trouble == Trouble::CutBody {
        server.write_all(body.get(..body.len() / 2).unwrap_or_default())?;
        let _ = server.shutdown(Shutdown::Both);
        return client.shutdown(Shutdown::Both);
    }
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let mut to = client;
    match trouble {
        Trouble::CutAnswer => return client.shutdown(Shutdown::Both),
        Trouble::Failed => to.write_all(&failure("upstream connect error"))?,
        Trouble::Unknown => to.write_all(&failure("Code: 319. DB::Exception: Unknown status of insert"))?,
        _ => to.write_all(&answer)?,
    }
    client.shutdown(Shutdown::Both)
}

fn failure(said: &str) -> Vec<u8> {
    let length = said.len();
    format!(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{said}"
    )
    .into_bytes()
}

/// The lines of a head, and whether it is an insert's.
fn head(from: &mut impl BufRead) -> std::io::Result<(Vec<String>, bool)> {
    let mut lines = Vec::new();
    loop {
        let line = line(from)?;
        if line == "\r\n" {
            break;
        }
        lines.push(line);
    }
    let is_insert = lines.first().is_some_and(|line| line.contains("INSERT"));
    Ok((lines, is_insert))
}

fn line(from: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Err(Error::from(std::io::ErrorKind::UnexpectedEof)),
        _ => Ok(line),
    }
}

/// The head with a connection that ends with the answer.
fn closing(head: &[String]) -> Vec<u8> {
    let kept = head.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut text: String = kept.cloned().collect();
    text.push_str("Connection: close\r\n\r\n");
    text.into_bytes()
}

fn value<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The body as it came, the marks of its chunks included.
fn body(from: &mut impl BufRead, head: &[String]) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    let wrong = || Error::other("no request that passes");
    if value(head, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mark = line(from)?;
            let length = usize::from_str_radix(mark.trim(), 16).map_err(|_| wrong())?;
            if body.len() + length > LONGEST {
                return Err(wrong());
            }
            body.extend_from_slice(mark.as_bytes());
            // The two bytes that end a chunk, and the blank line that ends the last.
            take(from, length + 2, &mut body)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
    let length = value(head, "content-length").map_or(Ok(0), str::parse).map_err(|_| wrong())?;
    if length > LONGEST {
        return Err(wrong());
    }
    take(from, length, &mut body)?;
    Ok(body)
}

fn take(from: &mut impl BufRead, length: usize, body: &mut Vec<u8>) -> std::io::Result<()> {
    let before = body.len();
    body.resize(before + length, 0);
    from.read_exact(&mut body[before..])
}
