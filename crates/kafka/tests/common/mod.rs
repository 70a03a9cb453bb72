//! What tests on the real broker share.

use streamgauge_kafka::KafkaSettings;
use streamgauge_kafka::admin::Admin;
use test_broker::{Cluster, Settings, is_available};

/// A broker of its own, with the pipeline's topics, for as long as it is held.
pub struct Broker {
    pub settings: KafkaSettings,
    _cluster: Cluster,
    _folder: tempfile::TempDir,
}

/// Starts a broker; `None` where there is none to be had.
pub fn broker(prefix: &str, partitions: u32) -> Option<Broker> {
    if !is_available() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(&folder.path().join("kafka"), &Settings::plain(1)).unwrap();
    let settings = KafkaSettings::new(cluster.bootstrap(), prefix, "test");
    let specs = settings.topics.specs(partitions, []);
    Admin::new(&settings).unwrap().create(&specs.iter().collect::<Vec<_>>(), 1).unwrap();
    Some(Broker { settings, _cluster: cluster, _folder: folder })
}
