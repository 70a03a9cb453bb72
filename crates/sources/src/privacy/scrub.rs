//! Copies JSON while it reads it, without what its source's list takes out.

use super::table::{Action, Rules};
use super::{BOT, HUMAN, text};
use model::base64;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How deep JSON may lie in texts of JSON.
const MOST_NESTED: u8 = 2;

/// Scrubs a document.
pub(super) fn document(json: &[u8], rules: &Rules) -> Result<Vec<u8>, serde_json::Error> {
    nested(json, rules, 0)
}

fn nested(json: &[u8], rules: &Rules, depth: u8) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::with_capacity(json.len());
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let scrub = Scrub { out: &mut out, rules, action: Action::Copy, key: "", depth };
    scrub.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(out)
}

/// One value.
struct Scrub<'a> {
    out: &'a mut Vec<u8>,
    rules: &'a Rules,
    action: Action,
    /// The key that the value lies under; of a list's elements that of the list.
    key: &'a str,
    depth: u8,
}

impl Scrub<'_> {
    fn put<E: Error>(&mut self, value: impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(&mut *self.out, &value).map_err(E::custom)
    }

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

    fn said<E: Error>(mut self, said: &str) -> Result<(), E> {
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
        self.put(&*kept)
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

impl<'de> DeserializeSeed<'de> for Scrub<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scrub<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        self.put(value)
    }
    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.put(value)
    }
    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.put(value)
    }
    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        self.put(value)
    }
    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        self.put(())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.said(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        let mut comma = false;
        loop {
            let start = self.out.len();
            if comma {
                self.out.push(b',');
            }
            let item = Scrub { out: &mut *self.out, ..self };
            if items.next_element_seed(item)?.is_none() {
                self.out.truncate(start);
                break;
            }
            comma = true;
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let mut comma = false;
        while let Some(key) = fields.next_key_seed(Key)? {
            if comma {
                self.out.push(b',');
            }
            comma = true;
            // A key may be an address itself: `"jane@acme.com": "owner"`.
            self.put(&*text::without_addresses(&key))?;
            self.out.push(b':');
            let action = self.rules.action(self.action, self.key, &key);
            fields.next_value_seed(Scrub {
                out: &mut *self.out,
                rules: self.rules,
                action,
                key: &key,
                depth: self.depth,
            })?;
        }
        self.out.push(b'}');
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
