//! Prometheus's text format, version 0.0.4.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use kafka::stats::Histogram;
use std::fmt::{Display, Write};

/// The media type of what is written here.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows, until the process ends.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// Labels of a sample, in order.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// Metrics as text.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric: all its samples come before the next one begins.
    pub fn metric(&mut self, name: &'static str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a text cannot fail; so everywhere here.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { text: &mut self.text, name }
    }
    /// All of it.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A metric whose samples are written.
pub struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Metric<'_> {
    /// Writes a sample.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        self.line("", labels, value)
    }

    /// Writes a histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let mut below = 0;
        let bounds = histogram.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            below += count;
            self.line("_bucket", &[labels, &[("le", bound.as_str())]].concat(), below);
        }
        self.line("_sum", labels, histogram.sum).line("_count", labels, below);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) -> &mut Self {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_follow_their_metric_and_texts_are_escaped() {
        let mut out = Exposition::default();
        out.metric("a_total", Kind::Counter, "one\nline").sample(&[("r", "a\"b\\")], 3).sample(&[], 1);
        assert_eq!(
            out.into_text(),
            "# HELP a_total one\\nline\n# TYPE a_total counter\na_total{r=\"a\\\"b\\\\\"} 3\na_total 1\n"
        );
    }

    #[test]
    fn buckets_of_a_histogram_hold_what_the_lower_ones_hold() {
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        [0.25, 0.75, 9.0].into_iter().for_each(|seconds| histogram.observe(seconds));
        let mut out = Exposition::default();
        out.metric("t_seconds", Kind::Histogram, "t").histogram(&[("s", "x")], &histogram);
        let text = out.into_text();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "t_seconds_bucket{s=\"x\",le=\"0.5\"} 1",
                "t_seconds_bucket{s=\"x\",le=\"1\"} 2",
                "t_seconds_bucket{s=\"x\",le=\"+Inf\"} 3",
                "t_seconds_sum{s=\"x\"} 10",
                "t_seconds_count{s=\"x\"} 3",
            ]
        );
    }
}
