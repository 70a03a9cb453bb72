//! A running `streamgauge serve`, and requests to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const TOKEN: &str = "open-sesame";

pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// The process; it ends with this.
pub struct Door {
    process: Mutex<Child>,
    address: String,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Door {
    /// In front of brokers.
    pub fn on_kafka(folder: &Path, brokers: &str, prefix: &str) -> Self {
        Self::start(folder, &format!("[kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\"\n")).unwrap()
    }

    /// With the pipeline in it. `None` where there is no engine, which is said.
    pub fn embedded(folder: &Path) -> Option<Self> {
        Self::start(folder, &format!("data = \"{}\"\n", folder.join("data").display()))
    }

    fn start(folder: &Path, config: &str) -> Option<Self> {
        let hooks: String = ["azure", "bitbucket", "canonical", "gitea", "github", "gitlab"]
            .map(|name| {
                format!("[gateway.hooks.{name}]\nscheme = \"bearer\"\nsecret_env = [\"HOOK_TOKEN\"]\n")
            })
            .concat();
        let file = folder.join("streamgauge.toml");
        let gateway = "[gateway]\nlisten = \"127.0.0.1:0\"\nrate = 1000000\n";
        let listen = if config.starts_with("data") { "listen = \"127.0.0.1:0\"\n" } else { "" };
        std::fs::write(&file, format!("{listen}{config}{gateway}{hooks}")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .arg("--config")
            .arg(&file)
            .arg("serve")
            .env("HOOK_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                let _ = process.wait();
                assert!(said.contains("libchdb"), "it ended: {said}");
                eprintln!("skipped: no ClickHouse engine");
                let _ = process.wait();
                return None;
            };
            if let Some(rest) = line.strip_prefix("hooks are answered at http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
            said.push_str(&line);
        };
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("serve: {line}")));
        Some(Self { process: Mutex::new(process), address })
    }

    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }

    pub fn post(&self, hook: &str, headers: &str, body: &str) -> Reply {
        let length = body.len();
        self.send(&format!(
            "POST /v1/hooks/{hook} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {TOKEN}\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    fn send(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply { status: head[9..12].parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
    }
}

/// What a folder's tables answer.
pub fn sql(folder: &Path, query: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
        .arg("--data")
        .arg(folder.join("data"))
        .args(["sql", query, "--format", "TSV"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
