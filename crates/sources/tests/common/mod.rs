//! What the tests of this crate share.
#![allow(dead_code)]

pub mod seeds;

use model::raw::{Origin, RawRecord};
use model::{DeliveryEvent, Text, Timestamp};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use streamgauge_sources::{Mapped, Mappings, Outcome, SourceSettings, read};

/// Every preset, as a source of its own name.
static PRESETS: LazyLock<Mappings> = LazyLock::new(|| {
    let mapped = |preset: &mapping::Preset| {
        let program = mapping::Program::compile(preset.code)
            .unwrap_or_else(|mistake| panic!("preset {}: {mistake}", preset.name));
        (preset.name.to_owned(), Mapped { program, time_zone: None })
    };
    Mappings::new(mapping::PRESETS.iter().map(mapped).collect())
});

/// The settings of these tests: every preset is a source.
pub fn settings() -> SourceSettings {
    SourceSettings { mappings: PRESETS.clone(), ..SourceSettings::default() }
}

/// When every record of these tests was received.
pub fn received_at() -> Timestamp {
    Timestamp::parse("2026-01-01T00:00:00Z").unwrap()
}

pub fn record(source: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> RawRecord {
    RawRecord {
        source: Text::new(source),
        headers: headers.iter().map(|(name, value)| (Text::new(name), (*value).to_owned())).collect(),
        body: body.as_ref().to_vec(),
        received_at: received_at(),
        origin: Origin::default(),
    }
}

pub fn outcome(source: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Outcome {
    read(&record(source, headers, body), &settings())
}

/// The events; anything else fails the test.
pub fn emitted(outcome: Outcome) -> Vec<DeliveryEvent> {
    match outcome {
        Outcome::Emit(events) => events,
        other => panic!("expected events, found {other:?}"),
    }
}

/// The counted word of a drop.
pub fn dropped(outcome: Outcome) -> String {
    match outcome {
        Outcome::Drop(reason) => reason.to_string(),
        other => panic!("expected a drop, found {other:?}"),
    }
}

/// Checks that a rejection has a reason and says some words.
pub fn rejected(outcome: Outcome, reason: &str, words: &[&str]) {
    let Outcome::Reject(rejection) = outcome else { panic!("expected a rejection, found {outcome:?}") };
    assert_eq!(rejection.reason.as_str(), reason, "{}", rejection.detail);
    assert!(streamgauge_sources::REASONS.contains(&reason), "{reason} is not listed");
    for word in words {
        assert!(rejection.detail.contains(word), "{:?} does not say {word:?}", rejection.detail);
    }
}

/// A field of an event's JSON, by a path of keys and indexes joined by dots; `null` where it is absent.
pub fn field(event: &DeliveryEvent, path: &str) -> Value {
    let json = model::json::to_value(event);
    json.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or_default()
}

/// An outcome as goldens show it.
pub fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Emit(events) => {
            let json: Vec<_> = events.iter().map(model::json::to_value).collect();
            format!("{}\n", serde_json::to_string_pretty(&json).unwrap())
        }
        Outcome::Drop(reason) => format!("dropped: {reason}\n"),
        Outcome::Reject(rejection) => format!("rejected: {}: {}\n", rejection.reason, rejection.detail),
    }
}

/// The folder of sample payloads beside the project, when it is there.
pub fn payloads() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|folder| folder.join("shared/payloads")).find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no folder shared/payloads beside the project");
    }
    found
}

/// Every JSON file below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Compares with `tests/golden/<name>`, or rewrites it when `UPDATE_GOLDEN=1` is set.
pub fn golden(name: &Path, found: &str) -> Result<(), String> {
    kept(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), found)
        .map_err(|error| format!("{}: {error}", name.display()))
}

/// Compares with a file of the project, or rewrites it when `UPDATE_GOLDEN=1` is set.
pub fn kept(path: &Path, found: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, found).unwrap();
        return Ok(());
    }
    match std::fs::read_to_string(path) {
        Ok(expected) if expected == found => Ok(()),
        Ok(expected) => Err(format!("\nexpected {expected}\nfound {found}")),
        Err(error) => Err(format!("{error} (UPDATE_GOLDEN=1 writes it)")),
    }
}

/// A delivery of `tests/payloads`.
pub struct Delivery {
    /// Below `tests/payloads`: `gitlab/push.json`.
    pub name: PathBuf,
    pub source: String,
    pub header_values: Vec<(String, String)>,
    pub settings: SourceSettings,
    pub body: Vec<u8>,
}

impl Delivery {
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.header_values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// What it becomes when it is received at that time.
    pub fn told(&self, received_at: Timestamp) -> Outcome {
        let mut record = record(&self.source, &self.headers(), &self.body);
        record.received_at = received_at;
        read(&record, &self.settings)
    }
}

/// Where the deliveries lie that this project wrote itself.
pub fn payload_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads")
}

/// Every delivery of `tests/payloads`. A file is a body, or an object of `headers`, `time_zone` (the source's) and
/// `body`; such a body that is a text is delivered as it stands.
pub fn deliveries() -> Vec<Delivery> {
    let folder = payload_folder();
    let delivery = |path: PathBuf| {
        let name = path.strip_prefix(&folder).unwrap().to_path_buf();
        let whole: Value = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let wrapped = whole.as_object().is_some_and(|keys| {
            let own = |key: &String| ["headers", "time_zone", "body"].contains(&key.as_str());
            keys.contains_key("body") && keys.keys().all(own)
        });
        let part = |key: &str| if wrapped { whole[key].clone() } else { Value::Null };
        let headers = part("headers");
        let headers = headers.as_object().into_iter().flatten();
        let body = if wrapped { &whole["body"] } else { &whole };
        Delivery {
            source: name.components().next().unwrap().as_os_str().to_str().unwrap().to_owned(),
            name,
            header_values: headers
                .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            settings: SourceSettings {
                default_time_zone: part("time_zone").as_str().map(str::to_owned),
                ..settings()
            },
            body: body.as_str().map_or_else(|| body.to_string(), str::to_owned).into_bytes(),
        }
    };
    files(&folder).into_iter().map(delivery).collect()
}

/// What becomes of the delivery of that name (`gitlab/push`) in `tests/payloads`, after a change to its body.
pub fn told_of(name: &str, change: impl FnOnce(&mut Value)) -> Outcome {
    let wanted = PathBuf::from(format!("{name}.json"));
    let delivery = deliveries().into_iter().find(|delivery| delivery.name == wanted);
    let delivery = delivery.unwrap_or_else(|| panic!("no delivery is called {name}"));
    let mut body: Value = serde_json::from_slice(&delivery.body).unwrap();
    change(&mut body);
    outcome(&delivery.source, &delivery.headers(), body.to_string())
}

/// The events that a delivery of `tests/payloads` becomes.
pub fn events_of(name: &str) -> Vec<DeliveryEvent> {
    emitted(told_of(name, |_| {}))
}
