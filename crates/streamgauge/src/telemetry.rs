//! What the program tells about itself: logs on stderr, for people or as JSON; metrics and health over HTTP.

pub mod endpoint;
pub mod exposition;
pub mod gateway;
pub mod metrics;
pub mod otlp;
mod process;
pub mod pulls;

use crate::config::LogFormat;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Starts logging. `RUST_LOG` wins over `-v` and `-q`; without either, warnings and errors are shown.
///
/// `verbosity`: −1 with `-q`, 0 by default, then one more with each `-v`.
pub fn start(format: LogFormat, verbosity: i8) {
    let level = match verbosity {
        i8::MIN..=-1 => "error",
        0 => "warn",
        1 => "warn,streamgauge=info",
        2 => "info,streamgauge=debug",
        _ => "debug,streamgauge=trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(BoxMakeWriter::new(std::io::stderr))
        .with_target(verbosity > 1);
    // A second start (in a test) keeps the first one.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
