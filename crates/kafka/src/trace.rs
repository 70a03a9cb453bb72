//! Traces of records that were sampled where they were sent: their W3C `traceparent` is carried from raw record to row.
//!
//! Records are processed in batches, so a span of `correlate`, `aggregate` and `load` is about a batch, as
//! OpenTelemetry's conventions for messaging have it: while all its sampled records are of one trace it belongs to that
//! trace; else it begins one of its own, and links to theirs. What a batch writes carries the batch's span: that batch
//! wrote it, and more is not known.
//!
//! Sources: <https://www.w3.org/TR/trace-context/>,
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

/// The header that carries a context.
pub const HEADER: &str = "traceparent";
/// Most contexts that a batch notes; OpenTelemetry keeps so many links of a span.
const MOST: usize = 128;

/// A span's place in its trace, sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceContext {
    trace: u128,
    span: u64,
}

impl TraceContext {
    /// Reads a header; `None` where it is none, or was not sampled.
    pub fn read(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?;
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length)?;
            part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(part)
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        // A later version may have more parts; this one has four.
        let known = version == "00" && parts.next().is_none();
        let context =
            Self { trace: u128::from_str_radix(trace, 16).ok()?, span: u64::from_str_radix(span, 16).ok()? };
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let valid = (known || (version > "00" && version != "ff")) && context.trace != 0 && context.span != 0;
        (valid && sampled).then_some(context)
    }

    /// The header.
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(55);
        // Writing to a text cannot fail.
        let _ = write!(text, "00-{:032x}-{:016x}-01", self.trace, self.span);
        text
    }
    /// A new span in the same trace.
    pub fn child(&self) -> Self {
        Self { trace: self.trace, span: random() }
    }
    /// A new trace's first span.
    pub fn root() -> Self {
        Self { trace: u128::from(random()) << 64 | u128::from(random()), span: random() }
    }
    /// The trace's id, in hexadecimal.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
    /// The span's id, in hexadecimal.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }
}

/// A number that is not zero; the standard library's hashers are seeded by the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

/// A value of a span's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<u64> for Attribute {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A consumer's span that has ended: what it processed is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its place.
    pub context: TraceContext,
    /// The span that it is part of.
    pub parent: Option<TraceContext>,
    /// Spans that it comes from as well.
    pub links: Vec<TraceContext>,
    /// Its name, as in `process streamgauge.events`.
    pub name: String,
    /// When the first record was taken.
    pub started: SystemTime,
    /// When it was committed.
    pub ended: SystemTime,
    /// What it is about.
    pub attributes: Vec<(&'static str, Attribute)>,
}

impl Span {
    /// Begins a span of a consumer group that processes a topic.
    pub fn begin(context: TraceContext, group: &str, topic: Option<&str>) -> Self {
        let now = SystemTime::now();
        let mut attributes = vec![
            ("messaging.system", "kafka".into()),
            ("messaging.operation.name", "process".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.consumer.group.name", group.into()),
        ];
        let name = match topic {
            Some(topic) => {
                attributes.push(("messaging.destination.name", topic.into()));
                format!("process {topic}")
            }
            None => "process".to_owned(),
        };
        Self { context, parent: None, links: Vec::new(), name, started: now, ended: now, attributes }
    }
    /// Says one thing more.
    pub fn with(mut self, key: &'static str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }
    /// Hands it over, ended now.
    pub fn end(mut self, spans: &dyn Spans) {
        self.ended = SystemTime::now();
        spans.ended(self);
    }
}

/// Takes spans that have ended. It must not wait.
pub trait Spans: Send + Sync {
    /// Takes one.
    fn ended(&self, span: Span);
}

/// Where the spans of a run go; `None`: nothing is traced.
pub type Tracing = Option<Arc<dyn Spans>>;

/// The contexts of a batch's sampled records.
#[derive(Debug, Default)]
pub struct Traced {
    contexts: BTreeSet<TraceContext>,
    since: Option<SystemTime>,
}

impl Traced {
    /// Notes the context of a record that was taken into the batch.
    pub fn add(&mut self, context: TraceContext) {
        self.since.get_or_insert_with(SystemTime::now);
        if self.contexts.len() < MOST {
            self.contexts.insert(context);
        }
    }

    /// The batch's span; `None`: none of its records is traced.
    pub fn span(self, group: &str, topic: Option<&str>) -> Option<Span> {
        let first = *self.contexts.first()?;
        let one_trace = self.contexts.iter().all(|context| context.trace == first.trace);
        let context = if one_trace { first.child() } else { TraceContext::root() };
        let mut span = Span::begin(context, group, topic);
        span.started = self.since.unwrap_or(span.started);
        span.parent = one_trace.then_some(first);
        span.links = self.contexts.into_iter().skip(usize::from(one_trace)).collect();
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_a_sampled_and_valid_context_is_carried_on() {
        let context = TraceContext::read(SAMPLED.as_bytes()).unwrap();
        assert_eq!(context.header(), SAMPLED);
        assert_eq!(context.child().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_ne!(context.child().span_id(), context.span_id());
        let later = SAMPLED.replacen("00", "cc", 1) + "-what-comes";
        assert_eq!(TraceContext::read(later.as_bytes()), Some(context));
        for wrong in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "",
        ] {
            assert_eq!(TraceContext::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_batch_of_one_trace_belongs_to_it_and_one_of_several_links_to_them() {
        let (one, other) = (TraceContext::root(), TraceContext::root());
        let span = |contexts: &[TraceContext]| {
            let mut traced = Traced::default();
            contexts.iter().for_each(|context| traced.add(*context));
            traced.span("g", Some("events"))
        };
        assert_eq!(span(&[]), None);
        let alone = span(&[one, one]).unwrap();
        assert_eq!((alone.context.trace, alone.parent, alone.links.len()), (one.trace, Some(one), 0));
        let same = span(&[one, one.child()]).unwrap();
        assert_eq!((same.context.trace, same.parent.is_some(), same.links.len()), (one.trace, true, 1));
        let mixed = span(&[one, other]).unwrap();
        assert_eq!((mixed.parent, mixed.links.len()), (None, 2));
        assert!(![one.trace, other.trace].contains(&mixed.context.trace));
    }
}
