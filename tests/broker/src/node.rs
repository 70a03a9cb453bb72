//! One node: a process that is started, watched, hurt and ended.

use crate::installation::Installation;
use crate::os;
use crate::properties::Plan;
use crate::security::Security;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a node may take to be ready; three of them on two busy cores take 10 s.
pub const START_LIMIT: Duration = Duration::from_secs(90);
/// How often a node is started anew before it counts as one that does not start.
pub const START_ATTEMPTS: u32 = 3;
/// How long a node may take to end by itself, which includes handing its partitions over.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The same for a whole cluster, whose data nobody needs: three nodes that end at once wait 5 s for each other.
pub const END_LIMIT: Duration = Duration::from_secs(2);
/// What Kafka logs when the broker serves clients and the controllers count on it.
const READY: &str = "Kafka Server started";
const LOOK_EVERY: Duration = Duration::from_millis(20);
const TAIL_LINES: usize = 30;
/// What Java says when another program listens on the port.
const PORT_TAKEN: &str = "Address already in use";

/// A node of a cluster.
#[derive(Debug)]
pub struct Node {
    pub plan: Plan,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    guard: Guard,
    /// Where this run's part of the log begins.
    log_start: u64,
}

impl Node {
    pub fn new(plan: Plan) -> Self {
        Self { plan, running: None }
    }

    /// Starts the process, unless it runs. It is ready only when [`Node::wait_until_ready`] says so.
    pub fn start(&mut self, kafka: &Installation, heap_mb: u32, log4j: &Path) -> Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let path = self.plan.log_file();
        let cannot = || format!("cannot write {}", path.display());
        let log = OpenOptions::new().create(true).append(true).open(&path).with_context(cannot)?;
        let log_start = log.metadata().with_context(cannot)?.len();
        let mut command = kafka.java(heap_mb);
        command.arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        command.arg("kafka.Kafka").arg(self.plan.properties_file());
        command.stdout(log.try_clone().with_context(cannot)?).stderr(log);
        os::in_own_group(&mut command);
        let mut child = command.spawn().context("cannot start Kafka")?;
        let guard = Guard::over(child.id()).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        self.running = Some(Running { child, guard, log_start });
        Ok(())
    }

    /// Waits until the broker serves clients.
    pub fn wait_until_ready(&mut self, deadline: Instant) -> Result<()> {
        let log = self.plan.log_file();
        let Some(running) = &mut self.running else { bail!("node {} does not run", self.plan.id) };
        loop {
            if text_from(&log, running.log_start)?.contains(READY) {
                return Ok(());
            }
            if let Some(status) = running.child.try_wait()? {
                self.end(Duration::ZERO)?;
                bail!(
                    "Kafka node {} ended ({status}) before it was ready\n{}",
                    self.plan.id,
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!("Kafka node {} is not ready after {START_LIMIT:?}\n{}", self.plan.id, self.log_tail());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub fn process(&self) -> Result<u32> {
        let running = self.running.as_ref().map(|running| running.child.id());
        running.with_context(|| format!("Kafka node {} does not run", self.plan.id))
    }

    /// Asks the process to end, without waiting; one that is stopped hears of it only when it goes on.
    pub fn ask_to_end(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        if running.child.try_wait()?.is_none() {
            os::signal(running.child.id(), "TERM")?;
            os::signal(running.child.id(), "CONT")?;
        }
        Ok(())
    }

    /// Waits for the process to end, and ends it when the time is over.
    pub fn end(&mut self, patience: Duration) -> Result<()> {
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let ended = wait(&mut running.child, patience)?;
        if ended.is_none() {
            running.child.kill().context("cannot kill Kafka")?;
            running.child.wait().context("cannot wait for Kafka")?;
        }
        running.guard.dismiss();
        Ok(())
    }

    /// Lets the process go on without us. Returns its number.
    pub fn detach(&mut self) -> Result<u32> {
        let process = self.process()?;
        if let Some(running) = self.running.take() {
            running.guard.dismiss();
        }
        Ok(process)
    }

    /// The last lines of the log, with its path.
    pub fn log_tail(&self) -> String {
        let path = self.plan.log_file();
        let text = text_from(&path, 0).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
        format!("the end of {}:\n  {}", path.display(), tail.join("\n  "))
    }

    /// Whether the log says that another program took the port meanwhile.
    pub fn found_its_port_taken(&self) -> bool {
        text_from(&self.plan.log_file(), 0).is_ok_and(|text| text.contains(PORT_TAKEN))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = self.end(Duration::ZERO) {
            eprintln!("Kafka node {}: {error:#}", self.plan.id);
        }
    }
}

/// Prepares the nodes' folders, all at once: each takes a second. The users become known by password, too.
pub fn format(
    nodes: &[Node],
    kafka: &Installation,
    cluster: &str,
    security: Option<&Security>,
) -> Result<()> {
    let mut formats = Vec::new();
    for node in nodes {
        let arguments = node.plan.folder.join("format.arguments");
        let mut words = kafka.java_arguments(128);
        words.extend(
            ["kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config"].map(str::to_owned),
        );
        words.push(node.plan.properties_file().display().to_string());
        // With it, Kafka 4.1.0 does not start again after `min.insync.replicas` was altered while a topic was new
        // (`TopicDelta.replay`: null image).
        words.extend(["--feature", "eligible.leader.replicas.version=0"].map(str::to_owned));
        for user in security.map(Security::users).transpose()?.unwrap_or_default() {
            let secret = format!("SCRAM-SHA-512=[name={},password={}]", user.name(), user.password()?);
            words.extend(["--add-scram".to_owned(), secret]);
        }
        os::write_private(&arguments, &argument_file(&words))?;
        let mut command = kafka.java_reading(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        formats.push((arguments, command.spawn().context("cannot start Kafka's storage tool")?));
    }
    for (arguments, format) in formats {
        let output = format.wait_with_output().context("cannot wait for Kafka's storage tool")?;
        std::fs::remove_file(&arguments).with_context(|| format!("cannot remove {}", arguments.display()))?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "Kafka's storage tool failed ({})\n{}", output.status, said.trim());
    }
    Ok(())
}

/// Words as Java reads them from a file: one in a line, quoted.
fn argument_file(words: &[String]) -> String {
    let quoted = |word: &String| format!("\"{}\"\n", word.replace('\\', "\\\\").replace('"', "\\\""));
    words.iter().map(quoted).collect()
}

fn wait(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        let status = child.try_wait().context("cannot wait for Kafka")?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn text_from(path: &Path, offset: u64) -> Result<String> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    file.seek(SeekFrom::Start(offset)).with_context(cannot)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(cannot)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills a broker when this process dies, however it does: a shell that waits for the end of our side of a pipe. A
/// Kafka that outlives its test run would hold half a gigabyte until somebody finds it.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    fn over(process: u32) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read -r _ || kill -s KILL \"$1\"", "sh", &process.to_string()]);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        os::in_own_group(&mut shell);
        Ok(Self(shell.spawn().context("cannot start `sh`")?))
    }

    fn dismiss(mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"dismissed\n");
        }
        let _ = self.0.wait();
    }
}
