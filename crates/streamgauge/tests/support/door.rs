//! A way to ClickHouse that can be shut, and on which statements and answers can be changed: what servers of other
//! kinds say, said by the engine that is there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What happens on the way.
#[derive(Clone)]
pub enum Way {
    /// Nothing.
    Plain,
    /// In statements, one text stands for another.
    Instead(&'static str, &'static str),
    /// Nobody behind is asked: this is the answer.
    Answer(&'static str),
}

/// The way.
pub struct Door {
    port: u16,
    behind: String,
    way: Arc<Mutex<Way>>,
    shut: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens a way to the address `http://host:port`.
    pub fn open(behind: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut door = Self {
            port,
            behind: behind.trim_start_matches("http://").to_owned(),
            way: Arc::new(Mutex::new(Way::Plain)),
            shut: Arc::default(),
            thread: None,
        };
        door.listen(listener);
        door
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on.
    pub fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    /// Connections are refused.
    pub fn shut(&mut self) {
        self.shut.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// As before.
    pub fn reopen(&mut self) {
        self.shut.store(false, Ordering::Relaxed);
        self.listen(TcpListener::bind(("127.0.0.1", self.port)).unwrap());
    }

    fn listen(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let (way, shut, behind) = (self.way.clone(), self.shut.clone(), self.behind.clone());
        self.thread = Some(std::thread::spawn(move || {
            while !shut.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((client, _)) => {
                        let (way, behind) = (way.lock().unwrap().clone(), behind.clone());
                        std::thread::spawn(move || _ = pass(client, &behind, &way));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        }));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

/// One request and its answer.
fn pass(mut client: TcpStream, behind: &str, way: &Way) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let length: Option<usize> = header("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    if let Way::Answer(answer) = way {
        return client.write_all(answer.as_bytes());
    }
    if let (Way::Instead(from, to), Ok(text)) = (way, std::str::from_utf8(&body)) {
        body = text.replace(from, to).into_bytes();
    }
    let mut lines: Vec<String> = head
        .trim_end()
        .lines()
        .filter(|line| {
            !line.to_lowercase().starts_with("content-length")
                && !line.to_lowercase().starts_with("connection")
        })
        .map(str::to_owned)
        .collect();
    lines.push("connection: close".to_owned());
    if length.is_some() {
        lines.push(format!("content-length: {}", body.len()));
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes())?;
    server.write_all(&body)?;
    let (mut rest, mut to) = (client.try_clone()?, server.try_clone()?);
    // The rest of an insert comes in pieces.
    let sending = std::thread::spawn(move || std::io::copy(&mut rest, &mut to));
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)?;
    let _ = sending.join();
    Ok(())
}
