//! One or three nodes that belong together.

use crate::installation::Installation;
use crate::node::{self, END_LIMIT, Node, START_ATTEMPTS, START_LIMIT, STOP_LIMIT};
use crate::ports::Port;
use crate::properties::{self, LOG4J, Plan};
use crate::security::{Security, User};
use crate::tool::Tool;
use crate::{detached, os};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Ports are looked for before they are used; another program may be faster.
const START_TRIES: u32 = 3;
const TOOL_HEAP_MB: u32 = 128;

/// What kind of cluster to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// One or three, each broker and controller.
    pub brokers: u32,
    /// Whether clients need TLS and a password or certificate, and are denied what no rule allows.
    pub secure: bool,
    /// Who is known to a secure cluster beside `admin`, who may do everything. They may do nothing at first.
    pub users: Vec<String>,
    /// The most memory for the heap of each node, MiB.
    pub heap_mb: u32,
    /// Where clients are to connect when these ports are free.
    pub preferred_ports: Vec<u16>,
    /// Ports of proxies, one for each broker of an open cluster: a client that comes through the proxy is sent to the
    /// proxies ever after. They forward to [`Cluster::proxied`].
    pub proxies: Vec<u16>,
    /// Lines of `server.properties` that win over what the cluster would say.
    pub properties: Vec<(String, String)>,
}

impl Settings {
    /// One or three brokers without protection.
    #[must_use]
    pub fn plain(brokers: u32) -> Self {
        let heap_mb = if brokers == 1 { 512 } else { 384 };
        Self {
            brokers,
            secure: false,
            users: Vec::new(),
            heap_mb,
            preferred_ports: Vec::new(),
            proxies: Vec::new(),
            properties: Vec::new(),
        }
    }

    /// One or three brokers that deny by default, and these users.
    #[must_use]
    pub fn secure(brokers: u32, users: &[&str]) -> Self {
        let users = users.iter().map(|&user| user.to_owned()).collect();
        Self { secure: true, users, ..Self::plain(brokers) }
    }

    /// The same with one more line of `server.properties`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// Running brokers. They end when this is dropped, and are killed when the process dies before.
#[derive(Debug)]
pub struct Cluster {
    kafka: Installation,
    folder: PathBuf,
    heap_mb: u32,
    security: Option<Security>,
    nodes: Vec<Mutex<Node>>,
}

impl Cluster {
    /// Starts a new cluster with everything that it has in `folder`, which is made or is empty; waits until every node
    /// serves clients. Fetches Kafka when it has to, with a notice on stderr.
    ///
    /// # Errors
    /// What [`crate::available`] says; or a node that does not start, with the end of its log.
    pub fn start(folder: &Path, settings: &Settings) -> Result<Self> {
        ensure!(
            matches!(settings.brokers, 1 | 3),
            "a Kafka cluster for tests has 1 or 3 brokers, not {}",
            settings.brokers
        );
        ensure!(settings.secure || settings.users.is_empty(), "only a secure Kafka cluster has users");
        ensure!(
            !settings.secure || settings.proxies.is_empty(),
            "only an open Kafka cluster goes through proxies"
        );
        let kafka = Installation::find()?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        // Kafka writes its own paths into its files.
        let folder = std::path::absolute(folder)?;
        let is_empty = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_none());
        ensure!(is_empty, "{} is not empty: a new Kafka cluster needs a folder of its own", folder.display());
        let security = settings
            .secure
            .then(|| Security::create(&folder.join("security"), &settings.users))
            .transpose()?;
        let mut cluster = Self { kafka, folder, heap_mb: settings.heap_mb, security, nodes: Vec::new() };
        for attempt in 1.. {
            match cluster.try_start(settings) {
                Ok(()) => break,
                Err(error) => {
                    let taken = cluster.nodes.iter().any(|node| locked(node).found_its_port_taken());
                    cluster.clear()?;
                    if !taken || attempt == START_TRIES {
                        return Err(error);
                    }
                }
            }
        }
        Ok(cluster)
    }

    fn try_start(&mut self, settings: &Settings) -> Result<()> {
        let plans = self.plans(settings)?;
        for plan in &plans {
            let text = properties::server(plan, &plans, self.security.as_ref(), &settings.properties)?;
            let folder = &plan.folder;
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            os::write_private(&plan.properties_file(), &text)?;
        }
        os::write_private(&self.log4j(), LOG4J)?;
        let mut nodes: Vec<Node> = plans.into_iter().map(Node::new).collect();
        // Kafka wants 16 bytes in base64 without padding; which ones does not matter.
        let cluster = os::random_hex()?.get(..22).unwrap_or_default().to_owned();
        node::format(&nodes, &self.kafka, &cluster, self.security.as_ref())?;
        let started =
            nodes.iter_mut().try_for_each(|node| node.start(&self.kafka, self.heap_mb, &self.log4j()));
        self.nodes = nodes.into_iter().map(Mutex::new).collect();
        started?;
        let deadline = Instant::now() + START_LIMIT;
        self.nodes.iter().try_for_each(|node| locked(node).wait_until_ready(deadline))
    }

    fn plans(&self, settings: &Settings) -> Result<Vec<Plan>> {
        let mut preferred = settings.preferred_ports.iter().copied();
        let mut proxies = settings.proxies.iter().copied();
        let mut plan = |id| {
            Ok(Plan {
                id,
                folder: self.folder.join(format!("node-{id}")),
                clients: Port::take(preferred.next())?,
                certificates: settings.secure.then(|| Port::take(None)).transpose()?,
                controller: Port::take(None)?,
                proxied: proxies.next().map(|proxy| anyhow::Ok((Port::take(None)?, proxy))).transpose()?,
            })
        };
        (1..=settings.brokers).map(&mut plan).collect()
    }

    /// Ends what was started and removes its data.
    fn clear(&mut self) -> Result<()> {
        for node in std::mem::take(&mut self.nodes) {
            let mut node = node.into_inner().unwrap_or_else(PoisonError::into_inner);
            node.end(Duration::ZERO)?;
            let data = node.plan.folder.join("data");
            if data.exists() {
                std::fs::remove_dir_all(&data)
                    .with_context(|| format!("cannot remove {}", data.display()))?;
            }
        }
        Ok(())
    }

    /// `bootstrap.servers`: every node, for clients without protection or, in a secure cluster, with `SASL_SSL`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        addresses(self.nodes.iter().map(|node| locked(node).plan.clients.number))
    }

    /// `bootstrap.servers` of a secure cluster for clients with certificates (`SSL`).
    #[must_use]
    pub fn bootstrap_for_certificates(&self) -> Option<String> {
        let port = |node| locked(node).plan.certificates.as_ref().map(|port| port.number);
        self.nodes.iter().map(port).collect::<Option<Vec<u16>>>().map(|ports| addresses(ports.into_iter()))
    }

    /// The port to which the proxy of a node is to forward.
    ///
    /// # Errors
    /// There is no such node, or no proxy was named for it.
    pub fn proxied(&self, node: u32) -> Result<u16> {
        let port = self.node(node)?.plan.proxied.as_ref().map(|(port, _)| port.number);
        port.with_context(|| format!("Kafka node {node} was started without a proxy"))
    }

    /// Certificates, users and passwords of a secure cluster.
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.security.as_ref()
    }

    /// The number of a node's process. Nodes are counted from 1, as Kafka does here.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub fn process(&self, node: u32) -> Result<u32> {
        self.node(node)?.process()
    }

    /// Kills a node, as a power cut would: SIGKILL.
    ///
    /// # Errors
    /// There is no such node.
    pub fn kill(&self, node: u32) -> Result<()> {
        self.node(node)?.end(Duration::ZERO)
    }

    /// Stops a node in order: SIGTERM, and SIGKILL when it takes longer than 10 s.
    ///
    /// # Errors
    /// There is no such node.
    pub fn stop(&self, node: u32) -> Result<()> {
        let mut node = self.node(node)?;
        node.ask_to_end()?;
        node.end(STOP_LIMIT)
    }

    /// Makes a node stand still with all its connections open: SIGSTOP.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub fn pause(&self, node: u32) -> Result<()> {
        os::signal(self.process(node)?, "STOP")
    }

    /// Lets a paused node go on: SIGCONT.
    ///
    /// # Errors
    /// There is no such node, or it does not run.
    pub fn resume(&self, node: u32) -> Result<()> {
        os::signal(self.process(node)?, "CONT")
    }

    /// Starts a node again with its data and ports, and waits until it serves clients; one that runs is stopped first.
    ///
    /// # Errors
    /// There is no such node, or it does not start; with the end of its log.
    pub fn restart(&self, node: u32) -> Result<()> {
        // On a busy machine a node may give up before its controllers answer.
        let mut attempts = 1;
        loop {
            self.stop(node)?;
            let mut stopped = self.node(node)?;
            let started = stopped
                .start(&self.kafka, self.heap_mb, &self.log4j())
                .and_then(|()| stopped.wait_until_ready(Instant::now() + START_LIMIT));
            match started {
                Err(error) if attempts < START_ATTEMPTS => {
                    eprintln!("node {node} is started again: {error:#}")
                }
                other => return other,
            }
            attempts += 1;
        }
    }

    /// The last lines of a node's log.
    ///
    /// # Errors
    /// There is no such node.
    pub fn log_tail(&self, node: u32) -> Result<String> {
        Ok(self.node(node)?.log_tail())
    }

    /// Runs one of Kafka's command line tools against this cluster, as the administrator; returns what it printed.
    /// Access is granted with it: `tool(Tool::Acls, &["--add", "--allow-principal", "User:a", …])`.
    ///
    /// # Errors
    /// The tool fails; with what it said.
    pub fn tool(&self, tool: Tool, arguments: &[&str]) -> Result<String> {
        let mut command = self.kafka.java(TOOL_HEAP_MB);
        command.arg(tool.main_class());
        match (&self.security, self.bootstrap_for_certificates()) {
            (Some(security), Some(bootstrap)) => {
                command.args(["--bootstrap-server", &bootstrap, "--command-config"]);
                command.arg(security.admin_properties());
            }
            _ => {
                command.args(["--bootstrap-server", &self.bootstrap()]);
            }
        }
        run(tool, command.args(arguments))
    }

    /// Makes a user of a running secure cluster, known by certificate and, with SCRAM, by password. PLAIN knows only
    /// the users of the start: Kafka reads them from its configuration.
    ///
    /// # Errors
    /// The cluster is not secure, there is such a user, or Kafka refuses.
    pub fn add_user(&self, name: &str) -> Result<User> {
        let security = self.security.as_ref().context("only a secure Kafka cluster has users")?;
        let user = security.add(name)?;
        // In a file: arguments can be read in the list of processes.
        let file = self.folder.join("security").join(format!("{name}.scram"));
        let password = user.password()?;
        os::write_private(&file, &format!("SCRAM-SHA-512=password={password}\n"))?;
        let path = file.display().to_string();
        let arguments =
            ["--alter", "--entity-type", "users", "--entity-name", name, "--add-config-file", &path];
        let added = self.tool(Tool::Configs, &arguments);
        std::fs::remove_file(&file).with_context(|| format!("cannot remove {path}"))?;
        // A tool that refuses says what it was given.
        added.map(|_| user).map_err(|error| anyhow!(format!("{error:#}").replace(&password, "(password)")))
    }

    /// Lets the brokers go on without this process; [`crate::Detached`] finds them by the folder.
    ///
    /// # Errors
    /// A node does not run, or the folder cannot be written.
    pub fn detach(self) -> Result<()> {
        let processes = self.nodes.iter().map(|node| locked(node).process()).collect::<Result<Vec<u32>>>()?;
        detached::write(&self.folder, &self.bootstrap(), &processes)?;
        self.nodes.iter().try_for_each(|node| locked(node).detach().map(drop))
    }

    fn node(&self, id: u32) -> Result<MutexGuard<'_, Node>> {
        let node = usize::try_from(id).ok().and_then(|id| self.nodes.get(id.checked_sub(1)?));
        let count = self.nodes.len();
        node.map(locked).with_context(|| format!("there is no Kafka node {id}: they are 1 to {count}"))
    }

    fn log4j(&self) -> PathBuf {
        self.folder.join("log4j2.properties")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &self.nodes {
            if let Err(error) = locked(node).ask_to_end() {
                eprintln!("{error:#}");
            }
        }
        let deadline = Instant::now() + END_LIMIT;
        for node in &self.nodes {
            if let Err(error) = locked(node).end(deadline.saturating_duration_since(Instant::now())) {
                eprintln!("{error:#}");
            }
        }
    }
}

/// A test that failed while it held a node leaves it as it was.
fn locked(node: &Mutex<Node>) -> MutexGuard<'_, Node> {
    node.lock().unwrap_or_else(PoisonError::into_inner)
}

fn addresses(ports: impl Iterator<Item = u16>) -> String {
    ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

fn run(tool: Tool, command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {}", tool.name()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let all = said + String::from_utf8_lossy(&output.stderr);
        // What is wrong comes first, and then how the tool is used.
        let first: Vec<&str> = all.trim().lines().take(10).collect();
        bail!("{} failed ({})\n{}", tool.name(), output.status, first.join("\n"));
    }
    Ok(said.into_owned())
}
