//! Copies JSON while it reads it, without what its source's list takes out. What stays, stays byte for byte.

use super::table::{Action, Rules};
use super::{BOT, HUMAN, text};
use memchr::{memchr, memchr2};
use model::base64;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;
use std::borrow::Cow;
use std::fmt;

/// How deep JSON may lie in texts of JSON.
const MOST_NESTED: u8 = 2;

/// Scrubs a document.
pub(super) fn document(json: &[u8], rules: &Rules) -> Result<Vec<u8>, serde_json::Error> {
    nested(json, rules, 0)
}

fn nested(json: &[u8], rules: &Rules, depth: u8) -> Result<Vec<u8>, serde_json::Error> {
    match std::str::from_utf8(json) {
        Ok(text) => scrubbed(json, serde_json::Deserializer::from_str(text), rules, depth),
        // It will find the place.
        Err(_) => scrubbed(json, serde_json::Deserializer::from_slice(json), rules, depth),
    }
}

fn scrubbed<'de>(
    json: &[u8],
    mut deserializer: serde_json::Deserializer<impl Read<'de>>,
    rules: &Rules,
    depth: u8,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Copying { json, read: 0, copied: 0, out: Vec::with_capacity(json.len()) };
    let scrub = Scrub { out: &mut out, rules, action: Action::Copy, key: "", depth };
    scrub.deserialize(&mut deserializer)?;
    deserializer.end()?;
    out.copy_to(json.len());
    Ok(out.out)
}

/// A document that is copied while its texts, keys and values, are read one after the other.
///
/// Between two texts there is no quote: so the next one begins where the next quote is.
struct Copying<'a> {
    json: &'a [u8],
    /// The end of the last text that was read.
    read: usize,
    /// What lies before is copied.
    copied: usize,
    out: Vec<u8>,
}

impl Copying<'_> {
    /// The text that is read now, with its quotes: where it begins, and ends. `plain`: how many bytes it has, when none of
    /// them is escaped.
    fn next(&mut self, plain: Option<usize>) -> (usize, usize) {
        let rest = |at: usize| self.json.get(at..).unwrap_or_default();
        let begin = self.read + memchr(b'"', rest(self.read)).unwrap_or_default();
        let mut end = begin + 1 + plain.unwrap_or_default();
        if plain.is_none() {
            while let Some(at) = memchr2(b'"', b'\\', rest(end)) {
                end += at;
                if self.json.get(end) == Some(&b'"') {
                    break;
                }
                end += 2;
            }
        }
        self.read = end + 1;
        (begin, self.read)
    }

    fn copy_to(&mut self, end: usize) {
        self.out.extend_from_slice(self.json.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    /// Another text for the one that lies there.
    fn replace<E: Error>(&mut self, (begin, end): (usize, usize), text: &str) -> Result<(), E> {
        self.copy_to(begin);
        self.copied = end;
        serde_json::to_writer(&mut self.out, text).map_err(E::custom)
    }
}

/// One value.
struct Scrub<'a, 'json> {
    out: &'a mut Copying<'json>,
    rules: &'a Rules,
    action: Action,
    /// The key that the value lies under; of a list's elements that of the list.
    key: &'a str,
    depth: u8,
}

impl Scrub<'_, '_> {
    /// A text that holds JSON, or base64 of it: scrubbed itself. What is neither stays neither.
    fn inner(&self, held: &str) -> String {
        if self.depth < MOST_NESTED {
            let scrubbed = |json: &[u8]| nested(json, self.rules, self.depth + 1).ok();
            if self.action == Action::Base64 {
                let json = base64::decode(held).and_then(|json| scrubbed(&json));
                return json.map_or_else(|| "{".to_owned(), |json| base64::encode(&json));
            }
            if let Some(json) = scrubbed(held.as_bytes()).and_then(|json| String::from_utf8(json).ok()) {
                return json;
            }
        }
        // What seems to be JSON stays broken, and what is a text stays one.
        if held.trim_start().starts_with(['{', '[']) { "{".to_owned() } else { "text".to_owned() }
    }

    /// A text; `plain`: nothing in it is escaped.
    fn said<E: Error>(self, said: &str, plain: bool) -> Result<(), E> {
        let place = self.out.next(plain.then_some(said.len()));
        let kept: Cow<'_, str> = match self.action {
            _ if said.is_empty() => said.into(),
            Action::Copy => text::without_addresses(said),
            Action::Person => (self.rules.word)(said).into(),
            Action::Opaque if is_opaque(said) => said.into(),
            Action::Opaque => (self.rules.word)(said).into(),
            Action::Line => text::without_addresses(said.lines().next().unwrap_or_default()),
            Action::Prose => text::essence(said).into(),
            Action::Json | Action::Base64 => self.inner(said).into(),
        };
        if *kept == *said { Ok(()) } else { self.out.replace(place, &kept) }
    }
}

/// Whether a text within a person's object is a vendor's own word, a time or an id, and no name: it has a digit, or is
/// one word that says what kind of account it is.
fn is_opaque(text: &str) -> bool {
    const KINDS: [&str; 16] = [
        "AppUser",
        "Bot",
        "MANUAL",
        "Mannequin",
        "NORMAL",
        "Organization",
        "SCHEDULER_CRON",
        "SERVICE",
        "User",
        "WEBHOOK",
        "WEBHOOK_CUSTOM",
        "app_user",
        "team",
        "user",
        HUMAN,
        BOT,
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:{}+".contains(c);
    KINDS.contains(&text)
        || (text.chars().all(plain) && text.bytes().filter(u8::is_ascii_digit).count() * 4 >= text.len())
        || text.ends_with("_reference")
}

impl<'de> DeserializeSeed<'de> for Scrub<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scrub<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.said(text, true)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.said(text, false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Scrub { out: &mut *self.out, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(key) = fields.next_key_seed(Key)? {
            let plain = matches!(key, Cow::Borrowed(_)).then_some(key.len());
            let place = self.out.next(plain);
            // A key may be an address itself: `"jane@acme.com": "owner"`.
            if let Cow::Owned(without) = text::without_addresses(&key) {
                self.out.replace(place, &without)?;
            }
            let action = self.rules.action(self.action, self.key, &key);
            let value = Scrub { out: &mut *self.out, key: &key, action, ..self };
            fields.next_value_seed(value)?;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }
    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
