//! Kafka's own command line tools.

/// A tool, named after the script that Kafka's distribution has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `kafka-acls`: who may do what.
    Acls,
    /// `kafka-configs`: settings of topics, brokers and users.
    Configs,
    /// `kafka-consumer-groups`.
    ConsumerGroups,
    /// `kafka-topics`.
    Topics,
    /// `kafka-transactions`: producers and open transactions.
    Transactions,
}

impl Tool {
    pub(crate) fn main_class(self) -> &'static str {
        match self {
            Self::Acls => "org.apache.kafka.tools.AclCommand",
            Self::Configs => "kafka.admin.ConfigCommand",
            Self::ConsumerGroups => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            Self::Topics => "org.apache.kafka.tools.TopicCommand",
            Self::Transactions => "org.apache.kafka.tools.TransactionsCommand",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Acls => "kafka-acls",
            Self::Configs => "kafka-configs",
            Self::ConsumerGroups => "kafka-consumer-groups",
            Self::Topics => "kafka-topics",
            Self::Transactions => "kafka-transactions",
        }
    }
}
