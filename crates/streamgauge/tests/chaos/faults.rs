//! The faults, a row each.

mod brokers;
mod clickhouse;
mod ends;
mod import;
mod members;
mod overload;

use crate::organisation::{Organisation, Random};
use crate::scene::Scene;
use crate::verdict::Verdict;

/// How a fault is played.
pub enum Play {
    /// On brokers and ClickHouse, under load: it says how often it struck. When it returns nothing goes wrong any more,
    /// and a member runs.
    Kafka(fn(&mut Scene<'_>) -> u64),
    /// The same, with members that reach the brokers by way of the proxies.
    Proxied(fn(&mut Scene<'_>) -> u64),
    /// In one process: it says how often it struck, and what it came to.
    Embedded(fn(&Organisation, &mut Random, bool) -> (u64, Verdict)),
}

/// A fault.
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// What happens.
    pub what: &'static str,
    /// How.
    pub play: Play,
    /// Whether it belongs to the selection that every run of the tests makes.
    pub selected: bool,
}

const fn fault(name: &'static str, what: &'static str, play: Play) -> Fault {
    Fault { name, what, play, selected: false }
}

const fn selected(name: &'static str, what: &'static str, play: Play) -> Fault {
    Fault { name, what, play, selected: true }
}

/// Every fault.
pub const FAULTS: &[Fault] = &[
    selected(
        "killed",
        "A member is killed (SIGKILL) at a random moment under load, and started again.",
        Play::Kafka(members::killed),
    ),
    fault(
        "corrupt-checkpoint",
        "A member is killed (SIGKILL) under load, and its local checkpoints are damaged before it is started again.",
        Play::Kafka(members::damaged_copies),
    ),
    selected(
        "stopped",
        "A member is stopped (SIGSTOP) past its session, at times past its transactions' time-out, while others take \
         its tasks; then it goes on.",
        Play::Kafka(members::stopped),
    ),
    selected(
        "three-members",
        "Three members join and leave at random, while the records come shuffled and three times each.",
        Play::Kafka(members::three),
    ),
    fault("comes-and-goes", "A member joins and leaves every 2 s.", Play::Kafka(members::comes_and_goes)),
    fault(
        "rolled",
        "Two static members are started again in turn, after SIGTERM or SIGKILL, each within its session: no partition \
         of the other moves.",
        Play::Kafka(members::rolled),
    ),
    fault(
        "two-of-one-name",
        "Two processes have one `kafka.instance`, and so one transactional id of `ingest`.",
        Play::Kafka(members::two_of_one_name),
    ),
    fault(
        "broker-bounced",
        "Each broker in turn is stopped and started again.",
        Play::Kafka(brokers::bounced),
    ),
    fault(
        "coordinator-killed",
        "The broker that coordinates the transactions of a task, or a stage's group, is killed (SIGKILL), and started \
         again once others coordinate.",
        Play::Kafka(brokers::coordinator_killed),
    ),
    fault(
        "too-few-replicas",
        "A broker is killed while `min.insync.replicas` is 3: no topic takes records until it is back.",
        Play::Kafka(brokers::too_few_replicas),
    ),
    fault(
        "raw-partitions",
        "The topics of raw records get twice the partitions.",
        Play::Kafka(brokers::raw_partitions),
    ),
    selected(
        "ends-late",
        "`EndTxn` reaches the broker 1 to 60 s late, or again 1 to 60 s later, or its answer is lost or late (in the \
         selection 1 to 5 s).",
        Play::Proxied(ends::late),
    ),
    fault(
        "clickhouse-away",
        "ClickHouse refuses connections, and takes the inserts whose answers were lost again after its deduplication \
         window (of one block) has passed.",
        Play::Kafka(clickhouse::away),
    ),
    selected(
        "clickhouse-500",
        "ClickHouse answers 500, or that it does not know the outcome, after it applied an insert.",
        Play::Kafka(clickhouse::failed),
    ),
    fault(
        "clickhouse-cut",
        "The connection to ClickHouse breaks in the middle of an insert's body, or before its answer.",
        Play::Kafka(clickhouse::cut),
    ),
    fault(
        "clickhouse-parts",
        "ClickHouse refuses inserts of one table, because it has too many parts and does not merge.",
        Play::Kafka(clickhouse::parts),
    ),
    fault(
        "overload",
        "For 10 minutes (small: 20 s) records come at least ten times faster than ClickHouse takes their rows: lag is \
         reported and drains, memory stays below 1 GiB, and the groups move nothing.",
        Play::Kafka(overload::slow_output),
    ),
    selected(
        "import-killed",
        "`streamgauge import` is killed (SIGKILL) at a random moment, and the same command is given again.",
        Play::Embedded(import::killed),
    ),
];
