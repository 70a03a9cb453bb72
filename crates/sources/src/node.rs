//! A place in a vendor's JSON: typed reads by field path, with errors that name the path.
//!
//! A field that is absent, null, or an empty text is not there. A field of another type than documented is an
//! error even where the field is optional: better a dead letter that can be replayed than a wrong number.

use crate::{Refusal, SourceSettings};
use model::raw::RawRecord;
use model::time::TimeError;
use model::{Sha, Timestamp};
use serde_json::Value;

/// Parses a record's body.
///
/// # Errors
/// `malformed` with line and column.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(unmarked(text)).map_err(|error| {
        let what =
            if error.is_eof() { "the body ends in the middle of its JSON" } else { "the body is not JSON" };
        Refusal::reject("malformed", format!("{what}: {error}"))
    })
}

/// The text without the byte order mark that some editors put before it.
pub(crate) fn unmarked(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// A record's header by its name in lower case, unless it is blank.
pub(crate) fn header<'a>(record: &'a RawRecord, name: &str) -> Option<&'a str> {
    record.header(name).map(str::trim).filter(|value| !value.is_empty())
}

/// A place in a JSON document.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    /// Where it lies, for messages: empty at the root, else as in `commits[3]`.
    path: String,
    zone: Option<&'a str>,
}

impl<'a> Node<'a> {
    /// The document itself.
    pub(crate) fn root(value: &'a Value, settings: &'a SourceSettings) -> Self {
        Self { value, path: String::new(), zone: settings.default_time_zone.as_deref() }
    }

    /// The value at a path of keys joined by dots, unless absent or null.
    fn find(&self, path: &str) -> Option<&'a Value> {
        let mut value = self.value;
        for key in path.split('.') {
            value = value.get(key)?;
        }
        (!value.is_null()).then_some(value)
    }

    /// The path as messages write it.
    fn name(&self, path: &str) -> String {
        if self.path.is_empty() { path.to_owned() } else { format!("{}.{path}", self.path) }
    }

    fn missing(&self, path: &str, expected: &str) -> Refusal {
        Refusal::reject(
            "missing_field",
            format!("field `{}` is missing: {expected} is expected", self.name(path)),
        )
    }

    fn wrong(&self, path: &str, expected: &str, found: &Value) -> Refusal {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        Refusal::reject(
            "wrong_type",
            format!("field `{}` is {found}: {expected} is expected", self.name(path)),
        )
    }

    /// The value itself.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// Whether something is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// An object that must be there.
    pub(crate) fn object(&self, path: &str) -> Result<Node<'a>, Refusal> {
        self.maybe_object(path)?.ok_or_else(|| self.missing(path, "an object"))
    }

    /// An object that may be there.
    pub(crate) fn maybe_object(&self, path: &str) -> Result<Option<Node<'a>>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => {
                Ok(Some(Self { value, path: self.name(path), zone: self.zone }))
            }
            Some(other) => Err(self.wrong(path, "an object", other)),
        }
    }

    /// An object that must be there under a key that has dots in it.
    pub(crate) fn entry_object(&self, key: &str) -> Result<Node<'a>, Refusal> {
        match self.value.get(key) {
            Some(value @ Value::Object(_)) => Ok(Self { value, path: self.name(key), zone: self.zone }),
            None | Some(Value::Null) => Err(self.missing(key, "an object")),
            Some(other) => Err(self.wrong(key, "an object", other)),
        }
    }

    /// The elements of a list that may be there.
    pub(crate) fn maybe_items(&self, path: &str) -> Result<Option<Vec<Node<'a>>>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(Value::Array(items)) => {
                let node = |(index, value)| Self {
                    value,
                    path: format!("{}[{index}]", self.name(path)),
                    zone: self.zone,
                };
                Ok(Some(items.iter().enumerate().map(node).collect()))
            }
            Some(other) => Err(self.wrong(path, "a list", other)),
        }
    }

    /// The elements of a list; none when it is not there.
    pub(crate) fn items(&self, path: &str) -> Result<Vec<Node<'a>>, Refusal> {
        Ok(self.maybe_items(path)?.unwrap_or_default())
    }

    /// The elements of this node, when it is a list at the root.
    pub(crate) fn elements(&self) -> Option<Vec<Node<'a>>> {
        let node = |(index, value)| Self { value, path: format!("[{index}]"), zone: self.zone };
        self.value.as_array().map(|items| items.iter().enumerate().map(node).collect())
    }

    /// A list of texts that may be there.
    pub(crate) fn maybe_texts(&self, path: &str) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(items) = self.maybe_items(path)? else { return Ok(None) };
        let text = |item: &Node<'a>| {
            item.value.as_str().ok_or_else(|| self.wrong(path, "a list of texts", item.value))
        };
        items.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    /// A text that must be there.
    pub(crate) fn text(&self, path: &str) -> Result<&'a str, Refusal> {
        self.maybe_text(path)?.ok_or_else(|| self.missing(path, "a text"))
    }

    /// A text that may be there.
    pub(crate) fn maybe_text(&self, path: &str) -> Result<Option<&'a str>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text.as_str())),
            Some(other) => Err(self.wrong(path, "a text", other)),
        }
    }

    /// A text under a key that has dots in it, as labels have: `metadata.labels` and `app.kubernetes.io/name`.
    pub(crate) fn maybe_entry(&self, path: &str, key: &str) -> Result<Option<&'a str>, Refusal> {
        match self.find(path).and_then(|map| map.get(key)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text.as_str())),
            Some(other) => Err(self.wrong(&format!("{path}[{key:?}]"), "a text", other)),
        }
    }

    /// The text at the first of several paths that has one.
    pub(crate) fn first_text(&self, paths: &[&str]) -> Result<Option<&'a str>, Refusal> {
        for path in paths {
            if let Some(text) = self.maybe_text(path)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// A text, or a number as text: ids that a vendor writes both ways.
    pub(crate) fn maybe_id(&self, path: &str) -> Result<Option<String>, Refusal> {
        match self.find(path) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => Ok(self.maybe_text(path)?.map(str::to_owned)),
        }
    }

    /// An id as text or number that must be there.
    pub(crate) fn id(&self, path: &str) -> Result<String, Refusal> {
        self.maybe_id(path)?.ok_or_else(|| self.missing(path, "an id"))
    }

    /// A flag that may be there.
    pub(crate) fn flag(&self, path: &str) -> Result<Option<bool>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(path, "true or false", other)),
        }
    }

    /// A whole number, 0 or more, that must be there.
    pub(crate) fn number(&self, path: &str) -> Result<u64, Refusal> {
        let Some(value) = self.find(path) else { return Err(self.missing(path, "a whole number")) };
        value.as_u64().ok_or_else(|| self.wrong(path, "a whole number, 0 or more,", value))
    }

    /// A whole number, 0 or more, that may be there.
    pub(crate) fn maybe_number(&self, path: &str) -> Result<Option<u64>, Refusal> {
        if self.has(path) { self.number(path).map(Some) } else { Ok(None) }
    }

    /// A commit id in full (40 or 64 hexadecimal digits) that must be there.
    pub(crate) fn sha(&self, path: &str) -> Result<Sha, Refusal> {
        self.sha_of(path, self.text(path)?)
    }

    /// Reads a text as a commit id in full; the path is for the message.
    pub(crate) fn sha_of(&self, path: &str, text: &str) -> Result<Sha, Refusal> {
        if is_full_sha(text) {
            return Ok(Sha::new(text));
        }
        let name = self.name(path);
        let detail =
            format!("field `{name}` is no commit id: {text:?} (40 or 64 hexadecimal digits are expected)");
        Err(Refusal::reject("bad_sha", detail))
    }

    /// A time as RFC 3339 text that must be there.
    pub(crate) fn time(&self, path: &str) -> Result<Timestamp, Refusal> {
        self.maybe_time(path)?.ok_or_else(|| self.missing(path, "a time"))
    }

    /// A time as RFC 3339 text that may be there.
    pub(crate) fn maybe_time(&self, path: &str) -> Result<Option<Timestamp>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => {
                self.parse_time(text).map(Some).map_err(|error| self.bad_time(path, &error))
            }
            Some(Value::Number(number)) => Err(Refusal::reject(
                "bad_time",
                format!(
                    "field `{}` is the number {number}: a time as text is expected, as in 2026-01-31T09:30:00Z",
                    self.name(path)
                ),
            )),
            Some(other) => Err(self.wrong(path, "a time as text", other)),
        }
    }

    /// A time as Ruby prints it, `2016-08-12 15:23:28 UTC` or `2021-04-28 21:50:00 +0200`, or as RFC 3339
    /// text, that must be there.
    pub(crate) fn ruby_time(&self, path: &str) -> Result<Timestamp, Refusal> {
        self.maybe_ruby_time(path)?.ok_or_else(|| self.missing(path, "a time"))
    }

    /// The same, where it may be there.
    pub(crate) fn maybe_ruby_time(&self, path: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(Value::String(text)) = self.find(path) else { return self.maybe_time(path) };
        let rewritten = match text.rsplit_once(' ') {
            Some((local, "UTC")) => format!("{local}Z"),
            Some((local, offset)) if offset.starts_with(['+', '-']) => format!("{local}{offset}"),
            _ => return self.maybe_time(path),
        };
        self.parse_time(&rewritten).map(Some).map_err(|error| self.bad_time(path, &error))
    }

    /// A time in Unix seconds that must be there.
    pub(crate) fn unix_time(&self, path: &str) -> Result<Timestamp, Refusal> {
        self.maybe_unix_time(path)?.ok_or_else(|| self.missing(path, "a time in Unix seconds"))
    }

    /// A time in Unix seconds that may be there.
    pub(crate) fn maybe_unix_time(&self, path: &str) -> Result<Option<Timestamp>, Refusal> {
        match self.find(path) {
            None => Ok(None),
            Some(value) => {
                // `1.417566161e+09` is a whole number too.
                let whole = |value: f64| (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64);
                let seconds = value.as_i64().or_else(|| value.as_f64().and_then(whole));
                let seconds = seconds.ok_or_else(|| self.wrong(path, "whole Unix seconds", value))?;
                let time = Timestamp::from_seconds(seconds).map_err(|error| self.bad_time(path, &error))?;
                Ok(Some(time))
            }
        }
    }

    /// A time in Unix milliseconds that may be there.
    pub(crate) fn maybe_unix_millis(&self, path: &str) -> Result<Option<Timestamp>, Refusal> {
        let Some(value) = self.find(path) else { return Ok(None) };
        let millis = value.as_i64().ok_or_else(|| self.wrong(path, "whole Unix milliseconds", value))?;
        let out_of_range = || {
            let name = self.name(path);
            let detail =
                format!("field `{name}`: {millis} is no time in Unix milliseconds of the years 1970 to 2261");
            Refusal::reject("bad_time", detail)
        };
        let time = millis.checked_mul(1_000).map(Timestamp::from_micros).ok_or_else(out_of_range)?;
        if time < Timestamp::MIN || time > Timestamp::MAX { Err(out_of_range()) } else { Ok(Some(time)) }
    }

    /// A time in Unix milliseconds that must be there.
    pub(crate) fn unix_millis(&self, path: &str) -> Result<Timestamp, Refusal> {
        self.maybe_unix_millis(path)?.ok_or_else(|| self.missing(path, "a time in Unix milliseconds"))
    }

    /// A time in Unix milliseconds, written as a number or as a text, that must be there.
    pub(crate) fn millis_text(&self, path: &str) -> Result<Timestamp, Refusal> {
        let Some(text) = self.find(path).and_then(Value::as_str) else { return self.unix_millis(path) };
        let millis = text.trim().parse::<i64>().ok().and_then(|millis| millis.checked_mul(1_000));
        let time = millis.map(Timestamp::from_micros);
        time.filter(|time| (Timestamp::MIN..=Timestamp::MAX).contains(time)).ok_or_else(|| {
            let name = self.name(path);
            Refusal::reject("bad_time", format!("field `{name}`: {text:?} is no time in Unix milliseconds"))
        })
    }

    /// A time that the vendor gives as Unix seconds in some events and as text in others.
    pub(crate) fn maybe_any_time(&self, path: &str) -> Result<Option<Timestamp>, Refusal> {
        match self.find(path) {
            Some(Value::Number(_)) => self.maybe_unix_time(path),
            _ => self.maybe_time(path),
        }
    }

    /// A rejection of a word that the vendor does not document.
    pub(crate) fn unknown(&self, path: &str, found: &str, known: &str) -> Refusal {
        let name = self.name(path);
        Refusal::reject(
            "unknown_value",
            format!("field `{name}` has the unknown value {found:?}; known are {known}"),
        )
    }

    fn bad_time(&self, path: &str, error: &TimeError) -> Refusal {
        Refusal::reject("bad_time", format!("field `{}`: {error}", self.name(path)))
    }

    fn parse_time(&self, text: &str) -> Result<Timestamp, TimeError> {
        match (Timestamp::parse(text), self.zone) {
            (Err(TimeError::NoZone(text)), Some(zone)) => in_zone(&text, zone).ok_or(TimeError::NoZone(text)),
            (result, _) => result,
        }
    }
}

/// Reads a local time in a zone; where the clocks go back, the earlier of the two.
fn in_zone(text: &str, zone: &str) -> Option<Timestamp> {
    let local: jiff::civil::DateTime = text.parse().ok()?;
    let zoned = local.to_zoned(jiff::tz::TimeZone::get(zone).ok()?).ok()?;
    let time = Timestamp::from_micros(zoned.timestamp().as_microsecond());
    (time >= Timestamp::MIN && time <= Timestamp::MAX).then_some(time)
}

/// Whether a text is a commit id in full.
pub(crate) fn is_full_sha(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
