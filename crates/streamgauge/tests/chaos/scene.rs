//! One run of a fault: topics, a database, members that are real processes, and the load that they are under.

use crate::common::prometheus::Exposed;
use crate::common::run::exchange;
use crate::ground::Ground;
use crate::organisation::{Organisation, Random, program, rows_query};
use crate::views::digest_query;
use kafka::admin::Admin;
use kafka::raw::RawSender;
use kafka::{KafkaSettings, Stage};
use model::raw::RawRecord;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Partitions of the topics between the stages.
pub const PARTITIONS: u32 = 3;
/// How long equal tables must stay so.
const STAYS_FOR: Duration = Duration::from_secs(3);
/// How many parts the load is told in.
const CHUNKS: usize = 40;

/// A process of the program.
struct Member {
    /// What it is called here; its `kafka.instance` may be another's.
    name: String,
    instance: String,
    /// Whether it is a static member of its groups.
    is_static: bool,
    child: Child,
}

/// A run of a fault.
pub struct Scene<'a> {
    pub ground: &'a Ground,
    pub organisation: &'a Organisation,
    pub name: String,
    /// Whether the sizes of `--full` are asked for.
    pub full: bool,
    pub random: Random,
    pub settings: KafkaSettings,
    /// What was sent, copies included.
    pub sent: Vec<RawRecord>,
    /// What did not hold while the fault was there.
    pub wrong: Vec<String>,
    /// What is told of the run.
    pub notes: Vec<String>,
    bootstrap: String,
    members: Vec<Member>,
    load: Option<JoinHandle<()>>,
}

impl<'a> Scene<'a> {
    /// Makes the topics.
    pub fn new(
        ground: &'a Ground,
        organisation: &'a Organisation,
        name: &str,
        seed: u64,
        full: bool,
        proxied: bool,
    ) -> Self {
        let settings = KafkaSettings::new(ground.cluster.bootstrap(), &format!("{name}."), "chaos");
        let scene = Self {
            ground,
            organisation,
            name: name.to_owned(),
            full,
            random: Random(seed),
            settings,
            sent: Vec::new(),
            wrong: Vec::new(),
            notes: Vec::new(),
            bootstrap: ground.bootstrap(proxied),
            members: Vec::new(),
            load: None,
        };
        let config = format!(
            "partitions = {PARTITIONS}\n[kafka]\nbrokers = {:?}\nprefix = \"{name}.\"\n\
             [clickhouse]\nurl = {:?}\ndatabase = {name:?}\n[telemetry]\nlisten = \"127.0.0.1:0\"\n",
            scene.bootstrap,
            ground.door.url()
        );
        std::fs::write(scene.path("toml"), config).unwrap();
        let specs = scene.settings.topics.specs(PARTITIONS, scene.sources());
        Admin::new(&scene.settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 3).unwrap();
        scene
    }

    fn sources(&self) -> BTreeSet<&'a str> {
        self.organisation.records.iter().map(|record| record.source.as_str()).collect()
    }

    /// The topics of raw records.
    pub fn raw_topics(&self) -> Vec<String> {
        self.sources().into_iter().map(|source| self.settings.topics.raw(source)).collect()
    }

    /// One of two: at full size, or small.
    pub fn sized<T>(&self, full: T, small: T) -> T {
        if self.full { full } else { small }
    }

    /// A random time.
    pub fn time(&mut self, from_ms: usize, to_ms: usize) -> Duration {
        Duration::from_millis((from_ms + self.random.below(to_ms - from_ms)) as u64)
    }

    /// Waits for a random time.
    pub fn pause(&mut self, from_ms: usize, to_ms: usize) {
        std::thread::sleep(self.time(from_ms, to_ms));
    }

    /// Something that must hold while the fault is there.
    pub fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.organisation.folder.path().join(format!("{}.{extension}", self.name))
    }

    fn log_path(&self, member: &str) -> PathBuf {
        self.path(&format!("{member}.log"))
    }

    /// Sends the organisation's records in so much time, while the run goes on.
    pub fn load(&mut self, over: Duration) {
        self.load_records(self.organisation.records.clone(), over);
    }

    /// Sends these records in so much time, while the run goes on.
    pub fn load_records(&mut self, records: Vec<RawRecord>, over: Duration) {
        self.sent.clone_from(&records);
        let settings = self.settings.clone();
        self.load = Some(std::thread::spawn(move || {
            let sender = RawSender::new(&settings).unwrap();
            let size = records.len().div_ceil(CHUNKS);
            for chunk in records.chunks(size) {
                chunk.iter().for_each(|record| sender.send(record).unwrap());
                let until = Instant::now() + over / u32::try_from(CHUNKS).unwrap();
                while Instant::now() < until {
                    sender.serve(Duration::from_millis(20));
                }
            }
            sender.finish().unwrap();
        }));
    }

    /// Whether everything is sent.
    pub fn is_loaded(&self) -> bool {
        self.load.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until everything is sent.
    pub fn loaded(&mut self) {
        if let Some(load) = self.load.take()
            && load.join().is_err()
        {
            self.wrong.push("the load could not be sent".to_owned());
        }
    }

    /// Starts a member of all stages.
    pub fn start(&mut self, name: &str) {
        self.start_as(name, name);
    }

    /// Starts a member that calls itself as another may.
    pub fn start_as(&mut self, name: &str, instance: &str) {
        self.launch(name, instance, false);
    }

    /// Starts a static member of all stages: one that is back within its session has its partitions still.
    pub fn start_static(&mut self, name: &str) {
        self.launch(name, name, true);
    }

    fn launch(&mut self, name: &str, instance: &str, is_static: bool) {
        let log = File::options().create(true).append(true).open(self.log_path(name)).unwrap();
        let child = program(self.organisation.folder.path())
            .args(["-v", "--catalog", "catalog.toml", "--config"])
            .arg(self.path("toml"))
            .arg("run")
            .env("STREAMGAUGE__KAFKA__INSTANCE", instance)
            .env("STREAMGAUGE__KAFKA__LOCAL_CHECKPOINTS", "true")
            .env("STREAMGAUGE__KAFKA__STATIC_MEMBERSHIP", is_static.to_string())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.members.push(Member { name: name.to_owned(), instance: instance.to_owned(), is_static, child });
    }

    fn take(&mut self, name: &str) -> Member {
        let at = self.members.iter().position(|member| member.name == name).unwrap();
        self.members.remove(at)
    }

    /// The names of the members that run.
    pub fn members(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// Ends a member at once: SIGKILL.
    pub fn kill(&mut self, name: &str) {
        let mut member = self.take(name);
        member.child.kill().unwrap();
        member.child.wait().unwrap();
    }

    /// Turns bytes of a member's local checkpoints around while it does not run; says whether there were any.
    pub fn damage_copies(&mut self, name: &str) -> bool {
        let copies = format!("streamgauge-data.checkpoints/instance-{name}");
        let mut folders = vec![self.organisation.folder.path().join(copies)];
        let mut damaged = false;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).unwrap();
                let first = self.random.below(200);
                bytes.iter_mut().skip(first).step_by(200).for_each(|byte| *byte ^= 0x55);
                damaged |= !bytes.is_empty();
                std::fs::write(path, bytes).unwrap();
            }
        }
        damaged
    }

    /// Ends a member as an operator would. One that takes longer than the patience is killed, which is wrong.
    pub fn stop(&mut self, name: &str) {
        let mut member = self.take(name);
        signal(&member.child, "TERM");
        let deadline = Instant::now() + PATIENCE;
        while member.child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                member.child.kill().unwrap();
                self.wrong.push(format!("{name} did not end within {PATIENCE:?} of SIGTERM"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a member stand still: SIGSTOP.
    pub fn freeze(&self, name: &str) {
        signal(&self.member(name).child, "STOP");
    }

    /// Lets it go on: SIGCONT.
    pub fn thaw(&self, name: &str) {
        signal(&self.member(name).child, "CONT");
    }

    fn member(&self, name: &str) -> &Member {
        self.members.iter().find(|member| member.name == name).unwrap()
    }

    /// Starts members again that ended by themselves, as whoever runs them would; a panic is none of the ways to end.
    pub fn tend(&mut self) {
        let mut ended = Vec::new();
        for member in &mut self.members {
            if let Some(status) = member.child.try_wait().unwrap() {
                ended.push((member.name.clone(), status));
            }
        }
        for (name, status) in ended {
            let Member { instance, is_static, .. } = self.take(&name);
            self.notes.push(format!("{name} ended by itself ({status})"));
            self.launch(&name, &instance, is_static);
        }
    }

    /// Everything that a member wrote.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_path(name)).unwrap_or_default()
    }

    /// How often the groups gave partitions to the members that run.
    pub fn assignments(&self) -> usize {
        self.members.iter().map(|member| self.assignments_of(&member.name)).sum()
    }

    /// How often the groups gave partitions to a member, in all its lives.
    pub fn assignments_of(&self, name: &str) -> usize {
        self.log(name).matches("assigned").count()
    }

    /// Waits until every stage of these members has its partitions and restored what they need.
    pub fn wait_until_ready(&mut self, names: &[&str]) {
        self.wait_for("the members are ready", |scene| {
            let ready = |name: &&str| Some(scene.metrics(name)?.sum("streamgauge_stage_ready", &[]));
            names.iter().all(|name| ready(name) == Some(Stage::ALL.len() as f64))
        });
    }

    /// What a member's metrics say now; `None` where it answers none.
    pub fn metrics(&self, name: &str) -> Option<Exposed> {
        let log = self.log(name);
        let (_, rest) = log.rsplit_once("metrics are answered at http://")?;
        let address = rest.split('/').next()?;
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let (code, _, text) = exchange(address, request).ok()?;
        (code == 200).then(|| Exposed::read(&text))
    }

    /// The records that wait for a stage at all members; `None` while one does not say.
    pub fn lag(&self, stage: Stage) -> Option<f64> {
        let lag = |member: &Member| {
            self.metrics(&member.name)?.get("streamgauge_lag_records", &[("stage", stage.as_str())])
        };
        self.members.iter().map(lag).sum()
    }

    /// The sum of a metric over all members.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = self.members.iter().filter_map(|member| self.metrics(&member.name));
        metrics.map(|metrics| metrics.sum(name, labels)).sum()
    }

    /// Most memory that a member held at once, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        let peak = |member: &Member| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", member.child.id())).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
        };
        self.members.iter().filter_map(peak).max().unwrap_or(0)
    }

    /// Waits until it is so; what is not in time is wrong. Says whether it came about.
    pub fn wait_for(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            if Instant::now() > deadline {
                self.wrong.push(format!("{what}: not within {PATIENCE:?}"));
                return false;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        true
    }

    /// Waits until the first events are loaded.
    pub fn wait_until_begun(&mut self) {
        let name = self.name.clone();
        self.wait_for("rows", |scene| {
            scene.tend();
            let count = scene.ground.ask(&name, "SELECT count() FROM events");
            count.is_ok_and(|count| count.trim() != "0")
        });
    }

    /// Waits until the tables are those of the embedded run and stay so; else says what differs.
    pub fn settle(&mut self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut since: Option<Instant> = None;
        loop {
            self.tend();
            let found = self.ground.ask(&self.name, &digest_query()).unwrap_or_else(|error| error);
            // What is still to come late may change what is equal now.
            let is_equal = found == self.organisation.expected && self.ground.late() == 0;
            match since {
                _ if !is_equal => since = None,
                None => since = Some(Instant::now()),
                Some(since) if since.elapsed() >= STAYS_FOR => return Vec::new(),
                Some(_) => {}
            }
            if Instant::now() > deadline {
                return self.differences(&found);
            }
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    fn differences(&self, found: &str) -> Vec<String> {
        if found.lines().count() != self.organisation.expected.lines().count() {
            return vec![format!("the tables cannot be read: {found}")];
        }
        let mut lines = vec![self.organisation.difference(found)];
        for view in self.organisation.differing(found).into_iter().take(3) {
            let ours: BTreeSet<String> = self.organisation.rows(view).into_iter().collect();
            let theirs = self.ground.ask(&self.name, &rows_query(view)).unwrap_or_else(|error| error);
            let theirs: BTreeSet<String> = theirs.lines().map(str::to_owned).collect();
            lines.extend(ours.difference(&theirs).take(3).map(|row| format!("{view}, embedded only: {row}")));
            lines.extend(theirs.difference(&ours).take(3).map(|row| format!("{view}, Kafka only: {row}")));
        }
        lines
    }

    /// Keeps what the members wrote, for whoever looks for a reason.
    pub fn keep_logs(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for entry in std::fs::read_dir(self.organisation.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with(&format!("{}.", self.name)) && name.ends_with(".log") {
                std::fs::copy(&path, folder.join(name)).unwrap();
            }
        }
    }

    /// Ends every member and removes what the run made.
    pub fn clear(&mut self) {
        self.end();
        let mut topics = self.raw_topics();
        topics.extend(self.settings.topics.by_task().map(str::to_owned));
        topics.extend([self.settings.topics.dlq.clone(), self.settings.topics.catalog.clone()]);
        self.ground.clear(&self.settings, &topics, &self.name);
    }

    fn end(&mut self) {
        for mut member in std::mem::take(&mut self.members) {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to a process, by the shell's own `kill`.
fn signal(child: &Child, name: &str) {
    let kill = format!("kill -s {name} {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}
