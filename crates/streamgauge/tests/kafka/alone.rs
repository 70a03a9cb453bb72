//! One broker for one case, and the whole program on it with its own engine, as a user runs it.

use crate::common::run::Run;
use kafka::KafkaSettings;
use kafka::raw::RawSender;
use model::raw::RawRecord;
use std::path::Path;
use std::process::Command;
use test_broker::{Cluster, Settings, is_available};

/// A broker with topics, and a folder for the program.
pub struct Alone {
    pub cluster: Cluster,
    pub folder: tempfile::TempDir,
    partitions: String,
    keeps: bool,
}

impl Alone {
    /// Makes the topics, and writes the catalog; `None` where there is no broker or no engine, which is said.
    pub fn new(partitions: u32, catalog: &str) -> Option<Self> {
        if !crate::common::engine_is_there() || !is_available() {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
        let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
        let alone = Self { cluster, folder, partitions: partitions.to_string(), keeps: false };
        let made = Command::new(assert_cmd::cargo::cargo_bin("streamgauge"))
            .current_dir(alone.path())
            .env("STREAMGAUGE__KAFKA__BROKERS", alone.cluster.bootstrap())
            .env("STREAMGAUGE__PARTITIONS", &alone.partitions)
            .arg("topics")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(alone)
    }

    /// Its processes keep local checkpoints.
    pub fn keeping(self) -> Self {
        Self { keeps: true, ..self }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts all stages; it is ready.
    pub fn start(&self) -> Run {
        let run = self.start_at("127.0.0.1:0");
        run.wait_for_readiness(200, "load: ready");
        run
    }

    /// Starts all stages, with metrics at that address.
    pub fn start_at(&self, listen: &str) -> Run {
        let settings = [
            ("STREAMGAUGE__PARTITIONS", self.partitions.as_str()),
            ("STREAMGAUGE__TELEMETRY__LISTEN", listen),
            ("STREAMGAUGE__KAFKA__LOCAL_CHECKPOINTS", if self.keeps { "true" } else { "false" }),
        ];
        let arguments = ["--catalog", "catalog.toml"];
        if listen.ends_with(":0") {
            return Run::start_with(self.path(), &self.cluster.bootstrap(), &arguments, &settings);
        }
        let log = self.path().join("again.log");
        let mut run = Run::spawn(self.path(), &self.cluster.bootstrap(), &settings, &arguments, &log);
        run.address = listen.to_owned();
        run
    }

    pub fn sender(&self) -> RawSender {
        RawSender::new(&KafkaSettings::new(self.cluster.bootstrap(), "streamgauge.", "vendors")).unwrap()
    }

    /// Sends records as fast as the broker takes them; says how many.
    pub fn send(&self, records: impl IntoIterator<Item = RawRecord>) -> u64 {
        let sender = self.sender();
        let mut sent = 0;
        for record in records {
            sender.send(&record).unwrap();
            sent += 1;
        }
        sender.finish().unwrap();
        sent
    }
}
