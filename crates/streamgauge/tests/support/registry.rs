//! A schema registry for tests: the documented part of the interface that we use, on a loopback port.
//! Source: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct State {
    /// Schemas; a schema's number is its place, from 1.
    schemas: Vec<String>,
    subjects: Vec<(String, u32)>,
    /// Subjects that take no schema.
    closed: Vec<String>,
    authorization: Option<String>,
    away: bool,
    ended: bool,
    /// Requests by method and path.
    asked: Vec<String>,
}

pub struct Registry {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let serving = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (away, ended) = {
                    let state = serving.lock().unwrap();
                    (state.away, state.ended)
                };
                if ended {
                    return;
                }
                if !away && let Ok(client) = client {
                    let _ = answer(client, &serving);
                }
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    /// Connections are closed unanswered, or no longer.
    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }
    /// From now on a subject takes no other schema.
    pub fn close(&self, subject: &str) {
        self.state.lock().unwrap().closed.push(subject.to_owned());
    }
    /// From now on it wants this header.
    pub fn wants(&self, authorization: &str) {
        self.state.lock().unwrap().authorization = Some(authorization.to_owned());
    }
    /// Holds a schema that somebody else registered.
    pub fn holds(&self, schema: &str) -> u32 {
        self.state.lock().unwrap().number(schema)
    }
    /// The schema's number of a subject.
    pub fn subject(&self, name: &str) -> Option<u32> {
        let state = self.state.lock().unwrap();
        state.subjects.iter().rev().find(|(subject, _)| subject == name).map(|(_, id)| *id)
    }
    /// How often it was asked for something that begins so.
    pub fn asked(&self, what: &str) -> usize {
        self.state.lock().unwrap().asked.iter().filter(|asked| asked.starts_with(what)).count()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.state.lock().unwrap().ended = true;
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn number(&mut self, schema: &str) -> u32 {
        let at = self.schemas.iter().position(|known| known == schema).unwrap_or_else(|| {
            self.schemas.push(schema.to_owned());
            self.schemas.len() - 1
        });
        u32::try_from(at + 1).unwrap()
    }

    fn reply(&mut self, method: &str, path: &str, authorization: Option<&str>, body: &Value) -> (u16, Value) {
        let error =
            |status, code: i64, message: &str| (status, json!({"error_code": code, "message": message}));
        if self.authorization.as_deref().is_some_and(|wanted| authorization != Some(wanted)) {
            return error(401, 40101, "User cannot access the resource.");
        }
        let schema = body["schema"].as_str().unwrap_or_default();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["schemas", "ids", id]) => {
                let at = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
                match at.and_then(|at| self.schemas.get(at)) {
                    Some(schema) => (200, json!({ "schema": schema })),
                    None => error(404, 40403, &format!("Schema {id} not found")),
                }
            }
            ("POST", ["subjects", subject, "versions"]) => {
                if self.closed.iter().any(|closed| closed == subject) {
                    return error(409, 409, "Schema being registered is incompatible with an earlier schema");
                }
                if serde_json::from_str::<Value>(schema).is_err() {
                    return error(422, 42201, "Invalid schema");
                }
                let id = self.number(schema);
                self.subjects.push(((*subject).to_owned(), id));
                (200, json!({ "id": id }))
            }
            ("POST", ["compatibility", "subjects", subject, "versions", "latest"]) => {
                if self.closed.iter().any(|closed| closed == subject) {
                    return (200, json!({ "is_compatible": false }));
                }
                match self.subjects.iter().any(|(known, _)| known == subject) {
                    true => (200, json!({ "is_compatible": true })),
                    false => error(404, 40401, &format!("Subject '{subject}' not found.")),
                }
            }
            _ => error(404, 404, "HTTP 404 Not Found"),
        }
    }
}

fn answer(client: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (status, reply) = {
        let mut state = state.lock().unwrap();
        state.asked.push(format!("{method} {path}"));
        state.reply(&method, &path, authorization.as_deref(), &body)
    };
    let text = reply.to_string();
    let mut client = client;
    write!(
        client,
        "HTTP/1.1 {status} .\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )
}
