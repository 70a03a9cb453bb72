//! What `/metrics` of the gateway shows.

use super::exposition::{Exposition, Kind};
use super::metrics::process;
use super::pulls::Pulls;
use gateway::Stats;
use gateway::stats::LOG_BUCKETS_S;
use kafka::stats::Histogram;
use std::sync::atomic::Ordering;

/// All metrics as text.
pub fn text(stats: &Stats, definition: &str, pulls: &Pulls) -> String {
    let mut out = Exposition::default();
    process(&mut out, definition);
    let help = "Deliveries by hook and what became of them.";
    let mut metric = out.metric("streamgauge_gateway_deliveries_total", Kind::Counter, help);
    for (hook, counted) in &stats.hooks {
        for (outcome, deliveries) in counted.outcomes() {
            metric.sample(&[("hook", hook.as_str()), ("outcome", outcome.as_str())], deliveries);
        }
    }
    let help = "Bytes of bodies, as sent.";
    let mut metric = out.metric("streamgauge_gateway_received_bytes_total", Kind::Counter, help);
    for (hook, counted) in &stats.hooks {
        metric.sample(&[("hook", hook.as_str())], counted.bytes());
    }
    let help = "Requests to no hook that exist, or with the wrong method.";
    out.metric("streamgauge_gateway_other_requests_total", Kind::Counter, help)
        .sample(&[], stats.others.load(Ordering::Relaxed));
    out.metric("streamgauge_gateway_connections", Kind::Gauge, "Open connections.")
        .sample(&[], stats.connections.load(Ordering::Relaxed));
    let help = "Connections that were closed at once: there were gateway.max_connections.";
    out.metric("streamgauge_gateway_refused_connections_total", Kind::Counter, help)
        .sample(&[], stats.refused.load(Ordering::Relaxed));
    let (counts, sum) = stats.log();
    let histogram = Histogram { bounds: LOG_BUCKETS_S, counts, sum };
    let help = "How long the log took to acknowledge what was accepted.";
    out.metric("streamgauge_gateway_log_seconds", Kind::Histogram, help).histogram(&[], &histogram);
    pulls.expose(&mut out);
    out.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::Outcome;
    use std::time::Duration;

    #[test]
    fn every_hook_shows_every_outcome_from_the_start() {
        let stats = Stats::new(["github".to_owned()].into_iter());
        stats.hooks["github"].count(Outcome::Accepted);
        stats.logged(Duration::from_millis(3));
        let pulls = Pulls::default();
        pulls.count("mirror:github.com/acme/checkout", Some(3));
        pulls.count("mirror:github.com/acme/checkout", None);
        let text = text(&stats, "d", &pulls);
        for line in [
            "streamgauge_gateway_deliveries_total{hook=\"github\",outcome=\"accepted\"} 1\n",
            "streamgauge_gateway_deliveries_total{hook=\"github\",outcome=\"unavailable\"} 0\n",
            "streamgauge_gateway_log_seconds_bucket{le=\"0.0025\"} 0\n",
            "streamgauge_gateway_log_seconds_bucket{le=\"0.005\"} 1\n",
            "streamgauge_pull_records_total{puller=\"mirror:github.com/acme/checkout\"} 3\n",
            "streamgauge_pull_failures_total{puller=\"mirror:github.com/acme/checkout\"} 1\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
