//! Identifiers. Each is its own type, so that a repository is never taken for a service.

use crate::hex;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::{PoisonError, RwLock};

/// The order of the texts. Keys of one table often share one long text, and then need not be read to be equal:
/// most of a table's cost would be fetching them.
#[inline]
fn compare(a: &SmolStr, b: &SmolStr) -> Ordering {
    let (a, b) = (a.as_str(), b.as_str());
    if std::ptr::eq(a, b) { Ordering::Equal } else { a.cmp(b) }
}

/// The long names that were made. A cache: what is in it decides nothing but where a text lies.
static KNOWN: RwLock<HashSet<SmolStr, BuildHasherDefault<DefaultHasher>>> =
    RwLock::new(HashSet::with_hasher(BuildHasherDefault::new()));

/// Most names that are shared: beyond it the set begins anew, which costs memory and changes nothing.
const SHARED_NAMES: usize = 1 << 16;
/// A shorter text lies in the identifier itself.
const INLINE_BYTES: usize = 23;

/// A text that keys of all tables have in common lies in memory once. A state has millions of keys and a few
/// thousand names in them.
fn shared(text: &str) -> SmolStr {
    if text.len() <= INLINE_BYTES {
        return SmolStr::new(text);
    }
    if let Some(name) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(text) {
        return name.clone();
    }
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = known.get(text) {
        return name.clone();
    }
    if known.len() >= SHARED_NAMES {
        known.clear();
    }
    let name = SmolStr::new(text);
    known.insert(name.clone());
    name
}

/// A text that hardly two keys have in common.
fn own(text: &str) -> SmolStr {
    SmolStr::new(text)
}

/// Reads a text and makes an identifier's content of it.
struct MadeBy(fn(&str) -> SmolStr);

impl serde::de::Visitor<'_> for MadeBy {
    type Value = SmolStr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SmolStr, E> {
        Ok((self.0)(text))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $make:path) => {
        $(#[$doc])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(SmolStr);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(MadeBy($make)).map(Self)
            }
        }

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                compare(&self.0, &other.0)
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Wraps a text as it is.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self($make(text.as_ref()))
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0.as_str())
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
    };
}

text_id!(
    /// A repository as `host/owner/name`.
    RepoName,
    shared
);
text_id!(
    /// The unit that is deployed and owned.
    ServiceName,
    shared
);
text_id!(
    /// An owner of services.
    TeamName,
    shared
);
text_id!(
    /// A deployment's id, unique within its service; sources prefix their own (`github:123`).
    DeploymentId,
    own
);
text_id!(
    /// An incident's id, unique everywhere; sources prefix their own (`pagerduty:Q1`).
    IncidentId,
    own
);
text_id!(
    /// A pipeline run's id, unique within its repository.
    RunId,
    own
);
text_id!(
    /// The environment's name as the vendor gives it.
    Environment,
    own
);
text_id!(
    /// What a metric is about: `service:x`, `team:x`, `group:x`, `org:x`, `repo:x`, `tag:k=v`.
    Scope,
    shared
);
text_id!(
    /// The key that routes a record to a partition: a home repository, or an index key.
    HomeKey,
    shared
);
text_id!(
    /// Any other short text (a version, a label, a flag's key).
    Text,
    own
);

/// A commit's id. Forty hexadecimal digits are kept in twenty bytes; anything else as it is.
/// Order is that of the text form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Sha {
    /// A SHA-1 of a commit.
    Sha1([u8; 20]),
    /// Any other text (an SHA-256, an abbreviation).
    Other(SmolStr),
}

impl Sha {
    /// Reads a commit id; upper-case hexadecimal digits become lower case.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0_u8; 20];
        if text.len() == 40 && text.is_ascii() {
            let mut pairs = text.as_bytes().chunks_exact(2);
            let ok = bytes.iter_mut().all(|byte| match pairs.next() {
                Some([high, low]) => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => {
                        *byte = high << 4 | low;
                        true
                    }
                    _ => false,
                },
                _ => false,
            });
            if ok {
                return Self::Sha1(bytes);
            }
        }
        if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self::Other(SmolStr::new(text.to_ascii_lowercase()));
        }
        Self::Other(SmolStr::new(text))
    }

    /// Whether this is git's "no commit" (all zeros), as in a push that creates or deletes a branch.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Sha1(bytes) => bytes.iter().all(|byte| *byte == 0),
            Self::Other(text) => !text.is_empty() && text.bytes().all(|byte| byte == b'0'),
        }
    }

    /// The text form.
    pub fn text(&self) -> SmolStr {
        match self {
            Self::Sha1(bytes) => SmolStr::new(hex::lower(bytes)),
            Self::Other(text) => text.clone(),
        }
    }
}

/// The first sixteen digits, which nearly always decide, as one number of the same order.
fn head(sha1: &[u8; 20]) -> u64 {
    sha1.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha1(bytes) => f.write_str(&hex::lower(bytes)),
            Self::Other(text) => f.write_str(text),
        }
    }
}
impl fmt::Debug for Sha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
impl From<&str> for Sha {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
impl Ord for Sha {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Sha1(a), Self::Sha1(b)) => head(a).cmp(&head(b)).then_with(|| a.cmp(b)),
            (Self::Other(a), Self::Other(b)) => a.cmp(b),
            _ => self.text().cmp(&other.text()),
        }
    }
}
impl PartialOrd for Sha {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Sha {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&self.text());
        }
        match self {
            Self::Sha1(bytes) => (true, bytes, "").serialize(serializer),
            Self::Other(text) => (false, [0_u8; 20], text.as_str()).serialize(serializer),
        }
    }
}
impl<'de> Deserialize<'de> for Sha {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Ok(Self::new(&String::deserialize(deserializer)?));
        }
        let (sha1, bytes, text) = <(bool, [u8; 20], SmolStr)>::deserialize(deserializer)?;
        Ok(if sha1 { Self::Sha1(bytes) } else { Self::Other(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_lies_in_memory_once_however_it_is_made() {
        let text = "github.com/an-organisation/a-repository";
        let made = RepoName::new(text);
        let read: RepoName = serde_json::from_str(&format!("{text:?}")).unwrap();
        let restored: RepoName = postcard::from_bytes(&postcard::to_allocvec(&made).unwrap()).unwrap();
        assert!([&read, &restored].iter().all(|other| std::ptr::eq(other.as_str(), made.as_str())));
        let many: Vec<RepoName> =
            (0..SHARED_NAMES + 10).map(|at| RepoName::new(format!("{text}-{at}"))).collect();
        assert_eq!(many[3], RepoName::new(format!("{text}-3")));
        assert!(KNOWN.read().unwrap().len() <= SHARED_NAMES);
    }

    #[test]
    fn a_sha_reads_back_as_its_text_and_keeps_the_order_of_the_text() {
        let full = Sha::new("A67038ae2e9cb9b9b16423702f98b41e36601001");
        assert_eq!(full.to_string(), "a67038ae2e9cb9b9b16423702f98b41e36601001");
        let mut shas = ["c2", "a67038ae2e9cb9b9b16423702f98b41e36601001", "a6", "b"].map(Sha::new);
        shas.sort();
        assert_eq!(
            shas.map(|sha| sha.to_string()),
            ["a6", "a67038ae2e9cb9b9b16423702f98b41e36601001", "b", "c2"]
        );
    }
}
