//! The files that Kafka reads: `server.properties` for each node, and what it logs.

use crate::ports::Port;
use crate::security::Security;
use anyhow::Result;
use std::fmt::Write;
use std::path::PathBuf;

/// What decides how one node runs.
#[derive(Debug)]
pub struct Plan {
    /// From 1.
    pub id: u32,
    pub folder: PathBuf,
    /// Where clients connect: without protection, or with TLS and a password.
    pub clients: Port,
    /// Where clients with certificates connect, and the other brokers; a secure cluster's only.
    pub certificates: Option<Port>,
    pub controller: Port,
    /// A second listener of an open cluster, and the port of the proxy that clients find in its place.
    pub proxied: Option<(Port, u16)>,
}

impl Plan {
    pub fn properties_file(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    pub fn log_file(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }
}

/// `server.properties` of one node of these. What is given as extra comes last and wins.
pub fn server(
    node: &Plan,
    all: &[Plan],
    security: Option<&Security>,
    extra: &[(String, String)],
) -> Result<String> {
    let voters: Vec<String> =
        all.iter().map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller.number)).collect();
    let (clients, controller) = (node.clients.number, node.controller.number);
    let mut text = format!(
        "node.id={}\nprocess.roles=broker,controller\ncontroller.quorum.voters={}\n\
         controller.listener.names=CONTROLLER\nlog.dirs={}\n",
        node.id,
        voters.join(","),
        node.folder.join("data").display()
    );
    let mut listeners = format!("CONTROLLER://127.0.0.1:{controller}");
    let mut advertised = match &node.certificates {
        None => {
            text.push_str(
                "inter.broker.listener.name=PLAINTEXT\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n",
            );
            format!("PLAINTEXT://127.0.0.1:{clients}")
        }
        Some(certificates) => {
            text.push_str(
                "inter.broker.listener.name=SSL\n\
                 listener.security.protocol.map=SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL\n",
            );
            format!("SASL_SSL://127.0.0.1:{clients},SSL://127.0.0.1:{}", certificates.number)
        }
    };
    write!(listeners, ",{advertised}")?;
    if let Some((port, proxy)) = &node.proxied {
        write!(listeners, ",PROXIED://127.0.0.1:{}", port.number)?;
        write!(advertised, ",PROXIED://127.0.0.1:{proxy}")?;
    }
    writeln!(text, "listeners={listeners}\nadvertised.listeners={advertised}")?;
    for (key, value) in common(all.len()) {
        writeln!(text, "{key}={value}")?;
    }
    if let Some(security) = security {
        text.push_str(&security.server_properties()?);
    }
    for (key, value) in extra {
        writeln!(text, "{key}={value}")?;
    }
    Ok(text)
}

/// What holds for every node. A topic may ask for records of 26 MiB with `max.message.bytes`: the broker's own limit is
/// only the default, and `socket.request.max.bytes`, 100 MiB, is the one that binds.
fn common(brokers: usize) -> Vec<(&'static str, String)> {
    let replicas = brokers.min(3).to_string();
    let in_sync = if brokers >= 3 { "2" } else { "1" };
    vec![
        ("auto.create.topics.enable", "false".to_owned()),
        ("default.replication.factor", replicas.clone()),
        ("min.insync.replicas", in_sync.to_owned()),
        ("offsets.topic.replication.factor", replicas.clone()),
        ("transaction.state.log.replication.factor", replicas.clone()),
        ("transaction.state.log.min.isr", in_sync.to_owned()),
        ("share.coordinator.state.topic.replication.factor", replicas),
        ("share.coordinator.state.topic.min.isr", in_sync.to_owned()),
        // Fifty partitions each, the default, cost every first consumer and every first transaction a second.
        ("offsets.topic.num.partitions", "6".to_owned()),
        ("transaction.state.log.num.partitions", "6".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        // Members and coordinators that die are to be noticed within a test's patience.
        ("group.min.session.timeout.ms", "1000".to_owned()),
        ("broker.session.timeout.ms", "6000".to_owned()),
        ("broker.heartbeat.interval.ms", "1000".to_owned()),
        // Of the heap; the default is 128 MiB.
        ("log.cleaner.dedupe.buffer.size", "33554432".to_owned()),
    ]
}

/// How a node logs: to its stdout, without the configuration that it was given.
pub const LOG4J: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.config.name = org.apache.kafka.common.config
logger.config.level = warn
logger.state.name = state.change.logger
logger.state.level = warn
";

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(count: u32) -> Vec<Plan> {
        let plan = |id| Plan {
            id,
            folder: format!("/cluster/node-{id}").into(),
            clients: Port::take(None).unwrap(),
            certificates: None,
            controller: Port::take(None).unwrap(),
            proxied: None,
        };
        (1..=count).map(plan).collect()
    }

    fn value<'a>(text: &'a str, key: &str) -> &'a str {
        let mut values =
            text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| *name == key);
        values.next_back().unwrap_or_else(|| panic!("no {key} in\n{text}")).1
    }

    #[test]
    fn one_broker_keeps_one_replica_and_three_keep_three_of_which_two_are_in_sync() {
        for (brokers, replicas, in_sync) in [(1, "1", "1"), (3, "3", "2")] {
            let plans = plans(brokers);
            let text = server(&plans[0], &plans, None, &[]).unwrap();
            assert_eq!(value(&text, "transaction.state.log.replication.factor"), replicas);
            assert_eq!(value(&text, "offsets.topic.replication.factor"), replicas);
            assert_eq!(value(&text, "default.replication.factor"), replicas);
            assert_eq!(value(&text, "transaction.state.log.min.isr"), in_sync);
            assert_eq!(value(&text, "controller.quorum.voters").split(',').count(), plans.len());
        }
    }

    #[test]
    fn a_node_listens_on_loopback_only_and_what_is_given_as_extra_wins() {
        let plans = plans(1);
        let extra = [("auto.create.topics.enable".to_owned(), "true".to_owned())];
        let text = server(&plans[0], &plans, None, &extra).unwrap();
        for key in ["listeners", "advertised.listeners"] {
            assert!(value(&text, key).split(',').all(|at| at.contains("://127.0.0.1:")), "{text}");
        }
        assert_eq!(value(&text, "auto.create.topics.enable"), "true");
    }
}
