//! Records as they came, in the one order (semantics, section 1), and the thing that many of them tell of.

use crate::sha256;
use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub struct Record {
    pub id: String,
    pub kind: String,
    /// Microseconds since 1970.
    pub occurred: i64,
    pub observed: i64,
    pub source: String,
    pub repo: Option<String>,
    pub service: Option<String>,
    pub drill: bool,
    /// The object named after the type.
    pub body: Value,
    pub hash: [u8; 32],
}

impl Record {
    /// Reads a canonical event. Panics on what is none: the oracle is given canonical events only.
    pub fn read(event: &Value) -> Self {
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        let kind = text("type").expect("an event has a type");
        let mut json = String::new();
        canonical(event, &mut json);
        Self {
            id: text("id").expect("an event has an id"),
            occurred: micros(&event["occurred_at"]).expect("an event occurred"),
            observed: micros(&event["observed_at"]).expect("an event was observed"),
            source: text("source").expect("an event has a source"),
            repo: text("repo"),
            service: text("service"),
            drill: event["drill"] == Value::Bool(true),
            body: event[kind.as_str()].clone(),
            hash: sha256::digest(json.as_bytes()),
            kind,
        }
    }

    /// The place among the records of one thing.
    pub fn key(&self) -> (i64, i64, &str, &str, [u8; 32]) {
        (self.occurred, self.observed, &self.source, &self.id, self.hash)
    }

    /// The content hash in hexadecimal.
    pub fn hex(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// JSON with sorted keys, no spaces and no nulls.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().filter(|key| !map[key.as_str()].is_null()).collect();
            keys.sort();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(&map[key.as_str()], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Microseconds since 1970 of an RFC 3339 text; none of a null.
pub fn micros(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    Some(text.parse::<jiff::Timestamp>().expect("a time is RFC 3339 with an offset").as_microsecond())
}

/// RFC 3339 in UTC, with a fraction only where there is one.
pub fn rfc3339(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).expect("a time within range").to_string()
}

/// The same, or null.
pub fn time(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, |t| Value::from(rfc3339(t)))
}

/// The exact difference, floored to whole seconds.
pub fn seconds(from: i64, to: i64) -> i64 {
    (to - from).div_euclid(1_000_000)
}

/// All the texts of a list; none where there is no list.
pub fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    Some(value?.as_array()?.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
}

/// A real thing: its records, merged field by field.
#[derive(Debug, Clone, Default)]
pub struct Thing<'a> {
    /// Ascending in the one order.
    pub records: Vec<&'a Record>,
}

impl<'a> Thing<'a> {
    /// Of records in any order.
    pub fn of(mut records: Vec<&'a Record>) -> Self {
        records.sort_by(|a, b| a.key().cmp(&b.key()));
        Self { records }
    }
    /// The non-null value of the greatest record.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.records.iter().rev().map(|record| &record.body[field]).find(|value| !value.is_null())
    }
    pub fn text(&self, field: &str) -> Option<String> {
        self.get(field).and_then(Value::as_str).map(str::to_owned)
    }
    pub fn bool(&self, field: &str) -> Option<bool> {
        self.get(field).and_then(Value::as_bool)
    }
    pub fn time(&self, field: &str) -> Option<i64> {
        self.get(field).and_then(micros)
    }
    pub fn list(&self, field: &str) -> Option<Vec<String>> {
        texts(self.get(field))
    }
    pub fn repo(&self) -> Option<String> {
        self.records.iter().rev().find_map(|record| record.repo.clone())
    }
    pub fn service(&self) -> Option<String> {
        self.records.iter().rev().find_map(|record| record.service.clone())
    }
    pub fn drill(&self) -> bool {
        self.records.iter().any(|record| record.drill)
    }
    /// Who told it last.
    pub fn source(&self) -> String {
        self.records.last().map(|record| record.source.clone()).unwrap_or_default()
    }
    pub fn first_occurred(&self) -> i64 {
        self.records.iter().map(|record| record.occurred).min().expect("a thing has a record")
    }
    /// When the first record of the final run of states occurred.
    pub fn final_run(&self) -> Option<i64> {
        let last = self.get("state")?;
        let told = self.records.iter().rev().filter(|record| !record.body["state"].is_null());
        told.take_while(|record| record.body["state"] == *last).last().map(|record| record.occurred)
    }
}
