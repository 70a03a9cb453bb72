//! The program, running until it is dropped: what it answers, and what it wrote.

use super::prometheus::Exposed;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A process of `streamgauge run`.
pub struct Run {
    process: Child,
    /// Where metrics and health are answered.
    pub address: String,
    /// What it writes.
    pub log: PathBuf,
}

impl Run {
    /// On brokers, once it says where its metrics are answered.
    pub fn start(folder: &Path, brokers: &str, arguments: &[&str]) -> Self {
        Self::start_with(folder, brokers, arguments, &[])
    }

    pub fn start_with(folder: &Path, brokers: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let log = folder.join("run.log");
        let listen = [("STREAMGAUGE__TELEMETRY__LISTEN", "127.0.0.1:0")];
        let mut run = Self::spawn(folder, brokers, &[&listen, settings].concat(), arguments, &log);
        run.address = run.address_after("metrics are answered at http://", "/metrics");
        run
    }

    /// On brokers, at once.
    pub fn spawn(
        folder: &Path,
        brokers: &str,
        settings: &[(&str, &str)],
        arguments: &[&str],
        log: &Path,
    ) -> Self {
        let on_brokers = environment(brokers);
        let on_brokers = on_brokers.iter().map(|(name, value)| (*name, value.as_str()));
        let all: Vec<(&str, &str)> = on_brokers.chain(settings.iter().copied()).collect();
        Self::embedded(folder, &all, arguments, log)
    }

    /// With these settings only.
    pub fn embedded(folder: &Path, settings: &[(&str, &str)], arguments: &[&str], log: &Path) -> Self {
        let process = Command::new(assert_cmd::cargo::cargo_bin("streamgauge"))
            .current_dir(folder)
            .env_remove("RUST_LOG")
            .envs(settings.iter().copied())
            .env("STREAMGAUGE__LISTEN", "127.0.0.1:0")
            .env("STREAMGAUGE__LOG__FORMAT", "json")
            .args(["-v", "run"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::from(File::create(log).unwrap()))
            .spawn()
            .unwrap();
        Self { process, address: String::new(), log: log.to_owned() }
    }

    /// The address that a line of its log names.
    fn address_after(&self, before: &str, after: &str) -> String {
        self.wait(before, |run| {
            let text = std::fs::read_to_string(&run.log).unwrap();
            let address = text.lines().find_map(|line| line.strip_prefix(before)?.split_once(after));
            address.map(|(address, _)| address.to_owned()).ok_or(text)
        })
    }

    /// Code and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (code, head, body) = exchange(&self.address, &request).unwrap();
        if path == "/metrics" {
            assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        }
        (code, body)
    }

    pub fn metrics(&self) -> Exposed {
        let (code, text) = self.get("/metrics");
        assert_eq!(code, 200);
        Exposed::read(&text)
    }

    /// Where its own ClickHouse answers.
    pub fn sql(&self) -> Sql {
        // On brokers the line ends there, embedded it goes on; the address has no blank.
        let rest = self.wait("an address of SQL", |run| {
            let text = std::fs::read_to_string(&run.log).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("SQL is answered at http://"));
            line.map(str::to_owned).ok_or(text)
        });
        Sql { address: rest.split(['/', ' ']).next().unwrap().to_owned() }
    }

    /// Most bytes that were resident at once, the engine's included.
    pub fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Waits until it is as it should be; fails with what it was last.
    pub fn wait<T>(&self, what: &str, found: impl FnMut(&Self) -> Result<T, String>) -> T {
        self.wait_within(PATIENCE, what, found)
    }

    pub fn wait_within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut found: impl FnMut(&Self) -> Result<T, String>,
    ) -> T {
        let deadline = Instant::now() + limit;
        loop {
            match found(self) {
                Ok(found) => return found,
                Err(last) if Instant::now() > deadline => {
                    let log = std::fs::read_to_string(&self.log).unwrap();
                    panic!("{what} did not come about in time: {last}\n{log}")
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    pub fn wait_for_readiness(&self, wanted: u16, says: &str) -> String {
        self.wait(&format!("readiness {wanted} {says:?}"), |run| {
            let (code, text) = run.get("/readyz");
            if code == wanted && text.contains(says) { Ok(text) } else { Err(format!("{code} {text}")) }
        })
    }

    /// Whether it is ready; not before it answers at all.
    pub fn is_ready(&self) -> bool {
        let request = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        exchange(&self.address, request).is_ok_and(|(code, ..)| code == 200)
    }

    /// Waits until it has read so many raw records, everything that they lead to is loaded, and nothing more comes.
    pub fn wait_until_loaded(&self, limit: Duration, raw_records: u64) -> Exposed {
        let mut done: Option<(f64, Instant)> = None;
        self.wait_within(limit, "everything loaded", |run| {
            let metrics = run.metrics();
            let read = metrics.sum("streamgauge_records_in_total", &[("stage", "ingest")]);
            let lags = ["ingest", "correlate", "aggregate", "load"]
                .map(|stage| metrics.get("streamgauge_lag_records", &[("stage", stage)]));
            let owed = metrics.sum("streamgauge_owed_ranges", &[]);
            let all = metrics.sum("streamgauge_records_in_total", &[]);
            let loaded = metrics.sum("streamgauge_records_in_total", &[("stage", "load")]);
            let written: f64 = ["facts", "metrics", "events"]
                .map(|topic| metrics.sum("streamgauge_records_out_total", &[("topic", topic)]))
                .iter()
                .sum();
            let is_done =
                read == raw_records as f64 && lags == [Some(0.0); 4] && owed == 0.0 && loaded >= written;
            match done {
                // A stage may have taken the last record and not yet written what it leads to.
                Some((before, since)) if is_done && before == all => {
                    if since.elapsed() >= Duration::from_secs(2) {
                        return Ok(metrics);
                    }
                }
                _ => done = is_done.then(|| (all, Instant::now())),
            }
            Err(format!("{read} of {raw_records}, {lags:?}, {owed}, {loaded} of {written}"))
        })
    }

    /// Lets it commit what it has.
    pub fn stop(mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success());
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `ClickHouse`'s HTTP interface.
pub struct Sql {
    address: String,
}

impl Sql {
    /// The answer as tab-separated lines.
    pub fn ask(&self, query: &str) -> String {
        // HTTP/1.0: the answer comes whole, and not in chunks.
        let request = format!(
            "POST /?database=streamgauge HTTP/1.0\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{query}",
            self.address,
            query.len()
        );
        let (code, _, body) = exchange(&self.address, &request).unwrap();
        assert_eq!(code, 200, "{query}: {body}");
        body
    }
}

/// Code, head and body of an answer.
pub fn exchange(address: &str, request: &str) -> std::io::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    // A process that is just starting may take the connection and say nothing.
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    Ok((head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned()))
}

/// Where the brokers are, and how many partitions topics are made with.
pub fn environment(brokers: &str) -> [(&'static str, String); 2] {
    [("STREAMGAUGE__KAFKA__BROKERS", brokers.to_owned()), ("STREAMGAUGE__PARTITIONS", "2".to_owned())]
}
