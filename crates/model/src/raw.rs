//! A raw record: what a vendor delivered, exactly as delivered, and where it lies.

use crate::ids::Text;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One delivered record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRecord {
    /// The source that reads it: `github`, `canonical`, …
    pub source: Text,
    /// Headers, names in lower case.
    pub headers: Vec<(Text, String)>,
    /// The body as delivered.
    pub body: Vec<u8>,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Where it lies: topic, partition, offset.
    pub origin: Origin,
}

impl RawRecord {
    /// A header's value, its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.as_str())
    }
}

/// Where a record lies.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The topic (of an import: the file).
    pub topic: Text,
    /// The partition (of an import: 0).
    pub partition: u32,
    /// The offset (of an import: the line, from 1).
    pub offset: u64,
}

/// A record that was rejected, with what is needed to find, mend and replay it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The source that refused it.
    pub source: Text,
    /// A counted word: `malformed`, `skew`, `too_large`, `unknown_source`, …
    pub reason: Text,
    /// What exactly, where, and how to mend it.
    pub detail: String,
    /// Where it lies.
    pub origin: Origin,
    /// When it reached us.
    pub received_at: Timestamp,
    /// Its headers.
    pub headers: Vec<(Text, String)>,
    /// Its body, cut at 256 KiB.
    pub body: Vec<u8>,
    /// How long the body was, in bytes.
    pub body_bytes: u64,
}

impl DeadLetter {
    /// The letter of a record that a source refused.
    pub fn new(record: &RawRecord, reason: Text, detail: String) -> Self {
        let body = &record.body;
        Self {
            source: record.source.clone(),
            reason,
            detail,
            origin: record.origin.clone(),
            received_at: record.received_at,
            headers: record.headers.clone(),
            body: body.get(..DEAD_LETTER_BODY_BYTES).unwrap_or(body).to_vec(),
            body_bytes: body.len() as u64,
        }
    }
}

/// Longest body that a dead letter keeps, in bytes.
pub const DEAD_LETTER_BODY_BYTES: usize = 256 * 1024;
/// Longest body that is read at all, in bytes: GitHub's documented limit.
pub const MAX_BODY_BYTES: usize = 25 * 1024 * 1024;
