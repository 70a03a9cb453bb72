//! librdkafka's own log lines, at their level, with whom they are about.

use rdkafka::config::RDKafkaLogLevel as Level;

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
