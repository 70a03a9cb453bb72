//! Why a stage stops. Nothing is lost by it: what was not committed is read again.

use crate::checkpoint::Disagreement;
use crate::connection::Refusal;
use crate::session::EosError;
use crate::topics::Stage;
use model::table::RestoreError;
use rdkafka::error::KafkaError;

/// Why a stage stops.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A client could not be made.
    #[error("{what} cannot be made: {reason}")]
    Client {
        /// Which.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The brokers cannot be talked to, or refuse what the stage needs.
    #[error("{0}")]
    Refused(Refusal),
    /// Reading failed in a way that does not pass by itself.
    #[error("reading from Kafka: {0}")]
    Consume(String),
    /// A topic is missing or is not as it must be.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// Which.
        topic: String,
        /// What is wrong, and how to mend it.
        reason: String,
    },
    /// A transaction failed.
    #[error("{task}: {source}")]
    Transaction {
        /// The task, as in `correlate-3`.
        task: String,
        /// How.
        source: EosError,
    },
    /// A task's state cannot be used.
    #[error("{task}: {source}")]
    State {
        /// The task.
        task: String,
        /// Why.
        source: Disagreement,
    },
    /// A task's state cannot be read.
    #[error("{task}: {source}")]
    Restore {
        /// The task.
        task: String,
        /// Why.
        source: RestoreError,
    },
    /// Restoring did not come to an end.
    #[error("{task}: the changelog was not read in {seconds} s: {reason}")]
    RestoreStuck {
        /// The task.
        task: String,
        /// After how long it was given up.
        seconds: u64,
        /// What was last heard.
        reason: String,
    },
    /// The catalog cannot be followed.
    #[error("the catalog: {0}")]
    Catalog(String),
    /// ClickHouse refuses.
    #[error("loading into ClickHouse: {0}")]
    Warehouse(#[from] warehouse::Error),
    /// A thread could not be started.
    #[error("no thread for {stage}: {reason}")]
    Thread {
        /// Whose.
        stage: Stage,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The error and what it comes from, in one line.
    pub fn whole(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            // Some repeat what they come from.
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        text.replace('\n', " ")
    }

    /// Makes a [`KafkaError`] one that says what could not be made.
    pub(crate) fn client(what: &'static str) -> impl Fn(KafkaError) -> Self {
        move |error| Self::Client { what, reason: error.to_string() }
    }

    /// Names the task of a failed transaction.
    pub(crate) fn transaction(task: &str) -> impl Fn(EosError) -> Self + '_ {
        move |source| Self::Transaction { task: task.to_owned(), source }
    }
}
