//! librdkafka's own log lines, at their level, with whom they are about.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Passes a line on. `of` is a stage or a task.
pub fn pass_on(level: Level, facility: &str, line: &str, of: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            tracing::error!(target: "librdkafka", of, facility, "{line}");
        }
        Level::Warning => tracing::warn!(target: "librdkafka", of, facility, "{line}"),
        Level::Notice | Level::Info => tracing::info!(target: "librdkafka", of, facility, "{line}"),
        Level::Debug => tracing::debug!(target: "librdkafka", of, facility, "{line}"),
    }
}

/// Of a reader without a group: its lines and errors. That a partition's end was reached is none.
#[derive(Debug)]
pub struct Reader {
    /// Whom it is about: a task, or the catalog.
    pub of: String,
}

impl ClientContext for Reader {
    // Statistics are asked for by members alone; the code that reads them is large.
    fn stats_raw(&self, _: &[u8]) {}
    fn log(&self, level: Level, facility: &str, line: &str) {
        pass_on(level, facility, line, &self.of);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(of = self.of, %error, reason, "reader");
        }
    }
}

impl ConsumerContext for Reader {}
