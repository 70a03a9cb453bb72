//! Our Avro codec against an Avro library, against bytes that were kept, and against every kept schema.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, schema::NamesRef};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use streamgauge_model::avro::resolve::Resolution;
use streamgauge_model::avro::{AvroError, Lineage, Message, decode, encode};
use streamgauge_model::event::DeliveryEvent;
use streamgauge_model::fact::{Row, RowChange, RowChanges, RowKey, ServiceDimension};
use streamgauge_model::metric::{Contribution, ContributionKey, Contributions, Delta, Metric};
use streamgauge_model::{Day, Hour, Scope, Sha, Timestamp};

/// Marker and fingerprint.
const HEAD: usize = 10;

fn messages() -> [(&'static str, &'static Lineage); 4] {
    [
        ("delivery_event", DeliveryEvent::lineage()),
        ("contributions", Contributions::lineage()),
        ("row_change", RowChange::lineage()),
        ("row_changes", RowChanges::lineage()),
    ]
}

fn current<T: Message>() -> Schema {
    Schema::parse_str(T::lineage().current().text).unwrap()
}

fn write(schema: &Schema, value: Value) -> Vec<u8> {
    GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(value).unwrap()
}

fn read(schema: &Schema, mut bytes: &[u8]) -> Value {
    let value = GenericDatumReader::builder(schema).build().unwrap().read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "{} bytes left over", bytes.len());
    value
}

fn message<T: Message>(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xC3, 0x01];
    bytes.extend_from_slice(&T::lineage().current().fingerprint.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A random value of a schema, such as our types can hold.
fn any_value(schema: &Schema, names: &NamesRef<'_>) -> BoxedStrategy<Value> {
    let text = prop_oneof!["[a-z0-9:/ü-]{0,12}", "[0-9a-f]{40}"];
    match schema {
        Schema::Null => Just(Value::Null).boxed(),
        Schema::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Schema::Long => prop_oneof![0..100_i64, 0..i64::from(u32::MAX)].prop_map(Value::Long).boxed(),
        Schema::TimestampMicros => (0..Timestamp::MAX.micros()).prop_map(Value::TimestampMicros).boxed(),
        Schema::Double => (-1e6..1e6_f64).prop_map(Value::Double).boxed(),
        Schema::String => text.prop_map(Value::String).boxed(),
        Schema::Array(array) => {
            let sorted =
                matches!(&*array.items, Schema::Record(record) if record.name.name() == "SampleCount");
            proptest::collection::vec(any_value(&array.items, names), 0..4)
                .prop_map(move |mut items| {
                    if sorted {
                        // A multiset: sorted by its values, each once.
                        let key = |item: &Value| match item {
                            Value::Record(fields) => format!("{:?}", fields[0].1),
                            _ => unreachable!(),
                        };
                        let by_key: BTreeMap<String, Value> =
                            items.drain(..).map(|item| (key(&item), item)).collect();
                        items = by_key.into_values().collect();
                        items.sort_by_key(|item| match item {
                            Value::Record(fields) => match fields[0].1 {
                                Value::Long(seconds) => seconds,
                                _ => unreachable!(),
                            },
                            _ => unreachable!(),
                        });
                    }
                    Value::Array(items)
                })
                .boxed()
        }
        Schema::Map(_) => proptest::collection::hash_map("[a-z]{1,6}", text.prop_map(Value::String), 0..4)
            .prop_map(Value::Map)
            .boxed(),
        Schema::Union(union) => {
            let branches: Vec<_> = union
                .variants()
                .iter()
                .enumerate()
                .map(|(at, branch)| {
                    any_value(branch, names)
                        .prop_map(move |value| Value::Union(at as u32, Box::new(value)))
                        .boxed()
                })
                .collect();
            proptest::strategy::Union::new(branches).boxed()
        }
        Schema::Enum(symbols) => {
            // The last symbol, which no word of ours is, stands for words of the future.
            let known = symbols.symbols.len() - usize::from(symbols.name.name() != "Cause");
            let words = symbols.symbols.clone();
            (0..known).prop_map(move |at| Value::Enum(at as u32, words[at].clone())).boxed()
        }
        Schema::Record(record) => {
            let fields: Vec<_> = record
                .fields
                .iter()
                .map(|field| {
                    let name = field.name.clone();
                    any_value(&field.schema, names).prop_map(move |value| (name.clone(), value)).boxed()
                })
                .collect();
            fields.prop_map(Value::Record).boxed()
        }
        Schema::Ref { name } => any_value(names[name], names),
        other => unreachable!("{other:?}"),
    }
}

fn any_of<T: Message>() -> BoxedStrategy<Value> {
    let schema = current::<T>();
    let resolved = apache_avro::schema::ResolvedSchema::try_from(&schema).unwrap();
    any_value(&schema, resolved.get_names())
}

/// A value as JSON: no nulls, words as they are written, times in RFC 3339.
fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => json!(value),
        Value::Long(value) => json!(value),
        Value::Double(value) => json!(value),
        Value::TimestampMicros(micros) => json!(Timestamp::from_micros(*micros).to_string()),
        Value::String(text) => json!(text),
        Value::Enum(_, word) => json!(word.strip_prefix('_').unwrap_or(word)),
        Value::Union(_, value) => to_json(value),
        Value::Array(items) => match items.first() {
            Some(Value::Record(fields)) if fields[0].0 == "seconds" => Json::Object(
                items
                    .iter()
                    .map(|item| match item {
                        Value::Record(fields) => (to_json(&fields[0].1).to_string(), to_json(&fields[1].1)),
                        _ => unreachable!(),
                    })
                    .collect(),
            ),
            _ => items.iter().map(to_json).collect(),
        },
        Value::Map(items) => items.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
        Value::Record(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), to_json(value)))
            .filter(|(_, value)| !value.is_null())
            .collect(),
        other => unreachable!("{other:?}"),
    }
}

fn without_nulls(value: Json) -> Json {
    match value {
        Json::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Json::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// An empty multiset is `[]` in Avro and `{}` in JSON.
fn same(mut left: Json, right: &Json) -> bool {
    fn mend(value: &mut Json) {
        match value {
            Json::Object(fields) => {
                for (name, field) in fields {
                    if name == "samples" && *field == json!([]) {
                        *field = json!({});
                    }
                    mend(field);
                }
            }
            Json::Array(items) => items.iter_mut().for_each(mend),
            _ => {}
        }
    }
    mend(&mut left);
    left == *right
}

/// Reads with our codec what a library wrote, and the other way round.
fn round_trip<T: Message>(value: &Value) -> T {
    let schema = current::<T>();
    let theirs = write(&schema, value.clone());
    let ours: T = decode(&message::<T>(&theirs)).unwrap();
    let bytes = encode(&ours);
    assert_eq!(&read(&schema, &bytes[HEAD..]), value);
    ours
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_event_is_the_same_to_us_and_to_an_avro_library(value in any_of::<DeliveryEvent>()) {
        let event: DeliveryEvent = round_trip(&value);
        prop_assert_eq!(&decode::<DeliveryEvent>(&encode(&event)).unwrap(), &event);
        // Field by field as in the JSON form: no two fields have changed places.
        let mut expect = streamgauge_model::json::to_value(&event);
        let kind = event.body.type_name();
        let body = expect[kind].take();
        let fields = expect.as_object_mut().unwrap();
        fields.remove("type");
        fields.remove(kind);
        fields.insert("body".to_owned(), body);
        let found = to_json(&value);
        prop_assert!(same(found.clone(), &expect), "\nfound  {found}\nexpect {expect}");
        let Value::Record(record) = &value else { unreachable!() };
        let Value::Union(branch, _) = record.last().unwrap().1 else { unreachable!() };
        prop_assert_eq!(streamgauge_model::json::TYPES[branch as usize], kind);
    }

    #[test]
    fn contributions_are_the_same_to_us_and_to_an_avro_library(value in any_of::<Contributions>()) {
        let contributions: Contributions = round_trip(&value);
        let expect = without_nulls(serde_json::to_value(&contributions).unwrap());
        prop_assert!(same(to_json(&value), &expect), "\nfound  {}\nexpect {expect}", to_json(&value));
    }

    #[test]
    fn a_changed_row_is_the_same_to_us_and_to_an_avro_library(value in any_of::<RowChange>()) {
        let change: RowChange = round_trip(&value);
        let found = to_json(&value)["row"].clone();
        let Value::Record(record) = &value else { unreachable!() };
        let Value::Union(branch, inner) = &record[0].1 else { unreachable!() };
        let expect = match &change {
            RowChange::Upsert(row) => {
                prop_assert!(*branch < 11 || (22..26).contains(branch));
                without_nulls(first(serde_json::to_value(row).unwrap()))
            }
            RowChange::Delete(key) => {
                prop_assert!((11..22).contains(branch) || *branch >= 26);
                first(serde_json::to_value(key).unwrap())
            }
        };
        let positional = matches!(&change, RowChange::Delete(key)
            if !matches!(key, RowKey::Step(_) | RowKey::Pane(_)));
        let found = match &**inner {
            // A key's parts in order; a single part stands alone.
            Value::Record(fields) if positional && fields.len() == 1 => to_json(&fields[0].1),
            Value::Record(fields) if positional => fields.iter().map(|(_, part)| to_json(part)).collect(),
            _ => found,
        };
        prop_assert!(same(found.clone(), &expect), "\nfound  {found}\nexpect {expect}");
    }

    #[test]
    fn a_value_of_an_older_schema_keeps_its_type_and_fields_and_gets_the_defaults(
        (text, value) in older_event(),
    ) {
        let (old, new) = (Schema::parse_str(&text).unwrap(), current::<DeliveryEvent>());
        let new_text = DeliveryEvent::lineage().current().text;
        let bytes = write(&old, value.clone());
        let now = Resolution::new(&text, new_text).unwrap().apply(&bytes).unwrap();
        let resolved = apache_avro::schema::ResolvedSchema::try_from(&new).unwrap();
        let found = read(&new, &now);
        prop_assert!(found == modern(&value, &new, resolved.get_names()), "{value:?} became {found:?}");
        // And what the older schema does not know is left out again.
        let again = Resolution::new(new_text, &text).unwrap().apply(&now).unwrap();
        prop_assert!(read(&old, &again) == value);
    }

    #[test]
    fn no_bytes_make_the_codec_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<DeliveryEvent>(&bytes);
        let _ = decode::<DeliveryEvent>(&message::<DeliveryEvent>(&bytes));
        let _ = decode::<RowChange>(&message::<RowChange>(&bytes));
        let text = DeliveryEvent::lineage().current().text;
        let _ = Resolution::new(text, text).unwrap().apply(&bytes);
    }
}

fn first(value: Json) -> Json {
    value.as_object().unwrap().values().next().unwrap().clone()
}

/// The current event schema as an older version may have been: some optional fields not there yet, the fields of
/// records in another order.
fn older_event() -> impl Strategy<Value = (String, Value)> {
    (any::<u64>(), any::<bool>()).prop_flat_map(|(seed, turned)| {
        let mut schema: Json = serde_json::from_str(DeliveryEvent::lineage().current().text).unwrap();
        let mut state = seed;
        age(&mut schema, &mut state, turned);
        let text = schema.to_string();
        let parsed = Schema::parse_str(&text).unwrap();
        let resolved = apache_avro::schema::ResolvedSchema::try_from(&parsed).unwrap();
        let value = any_value(&parsed, resolved.get_names());
        (Just(text), value)
    })
}

/// What the current schema makes of an older value: fields by name, in its own order, absent ones null. (The
/// library's own resolution is no oracle here: it matches the branches of a union by shape, not by name.)
fn modern(value: &Value, schema: &Schema, names: &NamesRef<'_>) -> Value {
    match (value, schema) {
        (_, Schema::Ref { name }) => modern(value, names[name], names),
        (Value::Union(branch, inner), Schema::Union(union)) => {
            Value::Union(*branch, Box::new(modern(inner, &union.variants()[*branch as usize], names)))
        }
        (Value::Array(items), Schema::Array(array)) => {
            Value::Array(items.iter().map(|item| modern(item, &array.items, names)).collect())
        }
        (Value::Record(fields), Schema::Record(record)) => Value::Record(
            record
                .fields
                .iter()
                .map(|field| {
                    let kept = fields.iter().find(|(name, _)| *name == field.name);
                    let none = Value::Union(0, Box::new(Value::Null));
                    (field.name.clone(), kept.map_or(none, |(_, value)| modern(value, &field.schema, names)))
                })
                .collect(),
        ),
        _ => value.clone(),
    }
}

fn age(schema: &mut Json, state: &mut u64, turned: bool) {
    if let Some(items) = schema.as_array_mut() {
        return items.iter_mut().for_each(|item| age(item, state, turned));
    }
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Json::Array(fields)) = object.get_mut("fields") {
        fields.retain(|field| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // A type that is named here and used elsewhere stays.
            let names_a_type = field["type"].to_string().contains("\"name\":");
            names_a_type || field.get("default").is_none() || !(*state >> 40).is_multiple_of(3)
        });
        fields.iter_mut().for_each(|field| age(&mut field["type"], state, turned));
        let defines = |field: &Json| field["type"].to_string().contains("\"name\":");
        let refers = |field: &Json| field["type"].to_string().contains("streamgauge.") && !defines(field);
        if turned && !fields.iter().any(|field| defines(field) || refers(field)) {
            fields.reverse();
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/avro")
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines: Vec<&str> =
        digits.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n") + "\n"
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// Bytes once written stay readable; what is written now is what was written then. After a change of the schema
/// keep the old files, and set `UPDATE_GOLDEN` to write those of the new version.
fn check_golden<T: Message + PartialEq + std::fmt::Debug>(name: &str, message: &T) {
    check_golden_since(1, name, message);
}

/// As [`check_golden`], of what only the schemas from a version on can say.
fn check_golden_since<T: Message + PartialEq + std::fmt::Debug>(since: usize, name: &str, message: &T) {
    let version = T::lineage().versions.len();
    let path = golden().join(format!("{name}.v{version}.hex"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, hex(&encode(message))).unwrap();
    }
    for version in since..=version {
        let kept = std::fs::read_to_string(golden().join(format!("{name}.v{version}.hex"))).unwrap();
        assert_eq!(&decode::<T>(&unhex(&kept)).unwrap(), message, "{name} of version {version}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), hex(&encode(message)), "{name}");
}

#[test]
fn the_bytes_of_each_event_type_are_those_that_were_kept() {
    for kind in streamgauge_model::json::TYPES {
        let json = std::fs::read(golden().join(format!("{kind}.json"))).unwrap();
        let event = streamgauge_model::json::from_slice(&json).unwrap();
        // The version of the schema that first could say it.
        let since = if *kind == "lost_delivery" { 2 } else { 1 };
        check_golden_since(since, kind, &event);
    }
}

#[test]
fn the_bytes_of_a_contribution_and_of_a_deleted_row_are_those_that_were_kept() {
    let mut delta = Delta::sample(90);
    delta.add(&Delta::sample(3_600), -2);
    let scope = Scope::new("service:checkout");
    let key =
        ContributionKey { scope, metric: Metric::ChangeLeadTime, hour: Hour(491_577), day: Day(20_482) };
    check_golden("contributions", &Contributions { contributions: vec![Contribution { key, delta }] });
    let key = RowKey::Change("checkout".into(), "github.com/acme/shop".into(), Sha::new("abc123"));
    check_golden("row_change", &RowChange::Delete(key.clone()));
    check_golden(
        "row_changes",
        &RowChanges { rows: vec![RowChange::Delete(key.clone()), RowChange::Delete(key)] },
    );
}

#[test]
fn the_bytes_of_a_dimension_are_those_that_were_kept() {
    let service = ServiceDimension {
        service: "checkout".into(),
        team: Some("payments".into()),
        groups: vec!["retail".into()],
        repos: vec!["github.com/acme/shop".into()],
        tags: BTreeMap::from([("layer".into(), "edge".into())]),
        criticality: None,
        depends_on: vec!["cart".into()],
        failure_source: true,
    };
    check_golden_since(2, "service", &RowChange::Upsert(Row::Service(Box::new(service))));
    check_golden_since(2, "scope", &RowChange::Delete(RowKey::Scope(Scope::new("team:payments"))));
}

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/avro")
}

#[test]
fn every_kept_schema_has_the_fingerprint_that_stands_in_the_code() {
    let mut wrong = Vec::new();
    for (name, lineage) in messages() {
        for (at, version) in lineage.versions.iter().enumerate() {
            let schema = Schema::parse_str(version.text).unwrap();
            let bytes: [u8; 8] = schema.fingerprint::<Rabin>().bytes.try_into().unwrap();
            let found = u64::from_le_bytes(bytes);
            if version.fingerprint != found {
                wrong.push(format!("v{}/{name}.avsc: write {found:#018x}", at + 1));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_kept_schema_is_known_and_can_be_read_by_the_current_one() {
    for (name, lineage) in messages() {
        let file = format!("{name}.avsc");
        let current = std::fs::read_to_string(schemas().join(&file)).unwrap();
        assert_eq!(lineage.current().text, current, "{file}: keep the changed schema as a new version");
        let reader = Schema::parse_str(&current).unwrap();
        let mut folders: Vec<PathBuf> = std::fs::read_dir(schemas())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() && path.join(&file).exists())
            .collect();
        folders.sort();
        assert_eq!(folders.len(), lineage.versions.len(), "{file}: a kept version is not built in");
        for folder in folders {
            let text = std::fs::read_to_string(folder.join(&file)).unwrap();
            assert!(lineage.versions.iter().any(|version| version.text == text), "{folder:?}: changed");
            let writer = Schema::parse_str(&text).unwrap();
            let compatible = SchemaCompatibility::can_read(&writer, &reader);
            assert!(compatible.is_ok(), "{folder:?} {file}: {compatible:?}");
            // The library takes branches of a union by shape; ours, by name, is the stricter judge.
            let resolution = Resolution::new(&text, &current);
            assert!(resolution.is_ok(), "{folder:?} {file}: {resolution:?}");
        }
    }
}

#[test]
fn a_change_that_breaks_readers_is_noticed() {
    let text = DeliveryEvent::lineage().current().text;
    let check = |from: &str, to: &str, expect: &str| {
        assert!(text.contains(from), "{from}");
        let error = Resolution::new(text, &text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(expect), "{error:?} does not say {expect:?}");
    };
    check(
        r#""source", "type": "string""#,
        r#""origin", "type": "string""#,
        "origin is new and has no default",
    );
    check(
        r#""source", "type": "string""#,
        r#""source", "type": "long""#,
        "source: bytes became another type",
    );
    check(r#""streamgauge.event.Artifact""#, r#""streamgauge.event.Thing""#, "body: Artifact fits no branch");
    check(r#""repo", "type": ["null", "string"]"#, r#""repo", "type": "string""#, "repo: null became");
    let older = text.replacen(r#", "default": "unknown""#, "", 1).replacen(r#""bot", "#, "", 1);
    assert!(Resolution::new(&older, text).is_ok());
}

#[test]
fn a_word_of_the_future_is_none_where_it_may_be_and_an_error_where_one_is_needed() {
    let schema = current::<DeliveryEvent>();
    let json = std::fs::read(golden().join("incident.json")).unwrap();
    let event = streamgauge_model::json::from_slice(&json).unwrap();
    let mut value = read(&schema, &encode(&event)[HEAD..]);
    let mut set = |field: &str, word: Value| {
        let Value::Record(fields) = &mut value else { unreachable!() };
        let Value::Union(_, body) = &mut fields.last_mut().unwrap().1 else { unreachable!() };
        let Value::Record(fields) = &mut **body else { unreachable!() };
        fields.iter_mut().find(|(name, _)| name == field).unwrap().1 = word;
        decode::<DeliveryEvent>(&message::<DeliveryEvent>(&write(&schema, value.clone())))
    };
    let severity = Value::Enum(5, "unknown".to_owned());
    let read = set("severity", Value::Union(1, Box::new(severity))).unwrap();
    let streamgauge_model::EventBody::Incident(incident) = &read.body else { unreachable!() };
    assert_eq!(incident.severity, None);
    let state = set("state", Value::Enum(4, "unknown".to_owned()));
    assert_eq!(state, Err(AvroError::UnknownWord("IncidentState")));
}

#[test]
fn what_is_no_message_is_refused_by_name() {
    let json = std::fs::read(golden().join("review.json")).unwrap();
    let bytes = encode(&streamgauge_model::json::from_slice(&json).unwrap());
    let check = |bytes: &[u8], expect: AvroError| {
        assert_eq!(decode::<DeliveryEvent>(bytes).unwrap_err(), expect);
    };
    check(b"{\"id\":1}", AvroError::NotAMessage);
    check(&bytes[..bytes.len() - 1], AvroError::CutShort);
    check(&[&bytes[..], b"x"].concat(), AvroError::LeftOver(1));
    let mut foreign = bytes.clone();
    foreign[2..HEAD].copy_from_slice(&7_u64.to_le_bytes());
    check(&foreign, AvroError::UnknownSchema(7));
}
