//! Schema resolution: a value that one schema wrote, rewritten as another schema would have written it.
//!
//! Covers what our schemas are made of: null, boolean, int, long, double, string, bytes, arrays, maps, unions,
//! enums and records. A schema with anything else is refused when it is read. Branches of a union are matched by
//! name, as the specification says; libraries that match them by shape take one event for another.
//!
//! Source: Avro 1.12 specification, "Schema resolution".

use super::AvroError;
use super::wire::{Input, write_bytes, write_length, write_long};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How values of one schema become values of another.
#[derive(Debug)]
pub struct Resolution {
    writer: Schema,
    reader: Schema,
}

#[derive(Debug, Default)]
struct Schema {
    root: Kind,
    types: Vec<Named>,
}

#[derive(Debug, Clone, Default)]
enum Kind {
    #[default]
    Null,
    Boolean,
    /// int and long, which are written alike.
    Long,
    Double,
    /// bytes and string, which are written alike.
    Bytes,
    Array(Box<Self>),
    Map(Box<Self>),
    Union(Vec<Self>),
    /// A record or an enum, by its place among the schema's types.
    Named(usize),
}

#[derive(Debug)]
struct Named {
    /// Without its namespace: resolution compares unqualified names.
    name: String,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    Record(Vec<Field>),
    Enum { symbols: Vec<String>, default: Option<String> },
}

#[derive(Debug)]
struct Field {
    name: String,
    kind: Kind,
    default: Option<Value>,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, AvroError> {
    Err(AvroError::Schema(text.into()))
}

/// Reads a schema; remembers the types that it has named.
#[derive(Default)]
struct Parser {
    names: BTreeMap<String, usize>,
    types: Vec<Named>,
}

impl Parser {
    fn kind(&mut self, value: &Value, namespace: &str) -> Result<Kind, AvroError> {
        match value {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => branches
                .iter()
                .map(|branch| self.kind(branch, namespace))
                .collect::<Result<_, _>>()
                .map(Kind::Union),
            Value::Object(object) => self.object(object, namespace),
            _ => refuse(format!("{value} is no type")),
        }
    }

    fn by_name(&self, name: &str, namespace: &str) -> Result<Kind, AvroError> {
        Ok(match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" | "long" => Kind::Long,
            "double" => Kind::Double,
            "bytes" | "string" => Kind::Bytes,
            _ => match self.names.get(&qualified(name, namespace)) {
                Some(at) => Kind::Named(*at),
                None => return refuse(format!("type {name:?} is not defined")),
            },
        })
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str) -> Result<Kind, AvroError> {
        let member = |name: &str| object.get(name).ok_or_else(|| AvroError::Schema(format!("no {name:?}")));
        match member("type")? {
            Value::String(word) if word == "array" => {
                Ok(Kind::Array(Box::new(self.kind(member("items")?, namespace)?)))
            }
            Value::String(word) if word == "map" => {
                Ok(Kind::Map(Box::new(self.kind(member("values")?, namespace)?)))
            }
            Value::String(word) if word == "record" || word == "enum" => {
                let name = member("name")?.as_str().unwrap_or_default();
                let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                let full = qualified(name, namespace);
                let (namespace, short) = full.rsplit_once('.').unwrap_or(("", &full));
                let at = self.types.len();
                self.types.push(Named { name: short.to_owned(), shape: Shape::Record(Vec::new()) });
                self.names.insert(full.clone(), at);
                let shape = if word == "record" {
                    Shape::Record(self.fields(member("fields")?, namespace)?)
                } else {
                    let symbols = member("symbols")?.as_array().into_iter().flatten();
                    Shape::Enum {
                        symbols: symbols.filter_map(Value::as_str).map(str::to_owned).collect(),
                        default: object.get("default").and_then(Value::as_str).map(str::to_owned),
                    }
                };
                if let Some(named) = self.types.get_mut(at) {
                    named.shape = shape;
                }
                Ok(Kind::Named(at))
            }
            other => self.kind(other, namespace),
        }
    }

    fn fields(&mut self, value: &Value, namespace: &str) -> Result<Vec<Field>, AvroError> {
        let fields = value.as_array().into_iter().flatten();
        fields
            .map(|field| {
                let Some(name) = field.get("name").and_then(Value::as_str) else {
                    return refuse("a field without a name");
                };
                let kind = self.kind(field.get("type").unwrap_or(&Value::Null), namespace)?;
                Ok(Field { name: name.to_owned(), kind, default: field.get("default").cloned() })
            })
            .collect()
    }
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

impl Schema {
    fn parse(text: &str) -> Result<Self, AvroError> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| AvroError::Schema(error.to_string()))?;
        let mut parser = Parser::default();
        let root = parser.kind(&value, "")?;
        Ok(Self { root, types: parser.types })
    }

    fn named(&self, at: usize) -> Result<&Named, AvroError> {
        self.types.get(at).ok_or_else(|| AvroError::Schema("a type is missing".to_owned()))
    }

    /// Writes a field's default value.
    fn write_default(&self, kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Result<(), AvroError> {
        match (kind, value) {
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
            (Kind::Long, Value::Number(number)) => write_long(number.as_i64().unwrap_or(0), out),
            (Kind::Double, Value::Number(number)) => {
                out.extend_from_slice(&number.as_f64().unwrap_or(0.0).to_le_bytes());
            }
            (Kind::Bytes, Value::String(text)) => write_bytes(text.as_bytes(), out),
            (Kind::Array(_), Value::Array(items)) if items.is_empty() => out.push(0),
            (Kind::Map(_), Value::Object(items)) if items.is_empty() => out.push(0),
            (Kind::Union(branches), _) => {
                // A union's default belongs to its first branch.
                let Some(first) = branches.first() else { return refuse("an empty union") };
                write_length(0, out);
                self.write_default(first, value, out)?;
            }
            (Kind::Named(at), Value::String(word)) => match &self.named(*at)?.shape {
                Shape::Enum { symbols, .. } => match symbols.iter().position(|symbol| symbol == word) {
                    Some(index) => write_length(index, out),
                    None => return refuse(format!("default {word:?} is no symbol")),
                },
                Shape::Record(_) => return refuse("a record's default is not supported"),
            },
            _ => return refuse(format!("default {value} does not fit its type")),
        }
        Ok(())
    }
}

impl Resolution {
    /// From the schema that wrote to the schema that reads, both as JSON.
    ///
    /// # Errors
    /// [`AvroError::Schema`] when one of them cannot be read, or when some value of the first has no place in the
    /// second: a field without a default was added, a type or a name changed, a word or a branch went.
    pub fn new(writer: &str, reader: &str) -> Result<Self, AvroError> {
        let resolution = Self { writer: Schema::parse(writer)?, reader: Schema::parse(reader)? };
        resolution.check(&resolution.writer.root, &resolution.reader.root, &mut BTreeSet::new())?;
        Ok(resolution)
    }

    /// Whether every value of a writer's type has a place in a reader's; `seen` are the named pairs under way.
    fn check(
        &self,
        writer: &Kind,
        reader: &Kind,
        seen: &mut BTreeSet<(usize, usize)>,
    ) -> Result<(), AvroError> {
        match (writer, reader) {
            (Kind::Union(branches), _) => {
                branches.iter().try_for_each(|branch| self.check(branch, reader, seen))
            }
            (_, Kind::Union(branches)) => match branches.iter().find(|branch| self.fits(writer, branch)) {
                Some(branch) => self.check(writer, branch, seen),
                None => refuse(format!("{} fits no branch of a union", self.name(writer))),
            },
            (Kind::Array(from), Kind::Array(to)) | (Kind::Map(from), Kind::Map(to)) => {
                self.check(from, to, seen)
            }
            (Kind::Named(from), Kind::Named(to)) if self.fits(writer, reader) => {
                if seen.insert((*from, *to)) { self.check_named(*from, *to, seen) } else { Ok(()) }
            }
            _ if self.fits(writer, reader) => Ok(()),
            _ => refuse(format!("{} became another type", self.name(writer))),
        }
    }

    fn check_named(
        &self,
        writer: usize,
        reader: usize,
        seen: &mut BTreeSet<(usize, usize)>,
    ) -> Result<(), AvroError> {
        let (writer, reader) = (self.writer.named(writer)?, self.reader.named(reader)?);
        match (&writer.shape, &reader.shape) {
            (Shape::Enum { symbols: from, .. }, Shape::Enum { symbols: to, default }) => {
                match from.iter().find(|word| !to.contains(word)) {
                    Some(word) if default.is_none() => {
                        refuse(format!("{}: no longer has {word:?}", reader.name))
                    }
                    _ => Ok(()),
                }
            }
            (Shape::Record(from), Shape::Record(to)) => to.iter().try_for_each(|field| {
                match (from.iter().find(|old| old.name == field.name), &field.default) {
                    (Some(old), _) => self.check(&old.kind, &field.kind, seen).map_err(|error| match error {
                        AvroError::Schema(text) => {
                            AvroError::Schema(format!("{}.{}: {text}", reader.name, field.name))
                        }
                        other => other,
                    }),
                    (None, Some(default)) => self.reader.write_default(&field.kind, default, &mut Vec::new()),
                    (None, None) => {
                        refuse(format!("{}.{} is new and has no default", reader.name, field.name))
                    }
                }
            }),
            _ => refuse(format!("{} became another type", reader.name)),
        }
    }

    fn name(&self, writer: &Kind) -> String {
        match writer {
            Kind::Named(at) => {
                self.writer.named(*at).map_or_else(|_| String::new(), |named| named.name.clone())
            }
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// Rewrites one value (without a message's head).
    ///
    /// # Errors
    /// Bytes that are cut short or are no value of the writer's schema.
    pub fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, AvroError> {
        let mut input = Input::new(bytes);
        let mut out = Vec::with_capacity(bytes.len() + 16);
        self.copy(&self.writer.root, &self.reader.root, &mut input, &mut out)?;
        input.end()?;
        Ok(out)
    }

    fn copy(
        &self,
        writer: &Kind,
        reader: &Kind,
        input: &mut Input<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), AvroError> {
        match (writer, reader) {
            (Kind::Union(branches), _) => {
                let branch =
                    branches.get(input.index()?).ok_or(AvroError::Impossible("branch of a union"))?;
                self.copy(branch, reader, input, out)?;
            }
            (_, Kind::Union(branches)) => {
                let fits = |branch: &&Kind| self.fits(writer, branch);
                let Some((at, branch)) = branches.iter().enumerate().find(|(_, branch)| fits(branch)) else {
                    return refuse("a value fits no branch of a union");
                };
                write_length(at, out);
                self.copy(writer, branch, input, out)?;
            }
            (Kind::Null, Kind::Null) => {}
            (Kind::Boolean, Kind::Boolean) => out.extend_from_slice(input.take(1)?),
            (Kind::Long, Kind::Long) => write_long(input.long()?, out),
            #[expect(clippy::cast_precision_loss, reason = "Avro's promotion of long to double")]
            (Kind::Long, Kind::Double) => out.extend_from_slice(&(input.long()? as f64).to_le_bytes()),
            (Kind::Double, Kind::Double) => out.extend_from_slice(input.take(8)?),
            (Kind::Bytes, Kind::Bytes) => write_bytes(input.bytes()?, out),
            (Kind::Array(from), Kind::Array(to)) => loop {
                let count = input.block()?;
                write_length(count, out);
                if count == 0 {
                    break;
                }
                for _ in 0..count {
                    self.copy(from, to, input, out)?;
                }
            },
            (Kind::Map(from), Kind::Map(to)) => loop {
                let count = input.block()?;
                write_length(count, out);
                if count == 0 {
                    break;
                }
                for _ in 0..count {
                    write_bytes(input.bytes()?, out);
                    self.copy(from, to, input, out)?;
                }
            },
            (Kind::Named(from), Kind::Named(to)) => self.copy_named(*from, *to, input, out)?,
            _ => return refuse("a value's type changed"),
        }
        Ok(())
    }

    fn copy_named(
        &self,
        writer: usize,
        reader: usize,
        input: &mut Input<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), AvroError> {
        let (writer, reader) = (self.writer.named(writer)?, self.reader.named(reader)?);
        match (&writer.shape, &reader.shape) {
            (Shape::Enum { symbols: from, .. }, Shape::Enum { symbols: to, default }) => {
                let word = from.get(input.index()?).ok_or(AvroError::Impossible("symbol of an enum"))?;
                let place = |word: &String| to.iter().position(|symbol| symbol == word);
                match place(word).or_else(|| default.as_ref().and_then(place)) {
                    Some(index) => write_length(index, out),
                    None => return refuse(format!("{word:?} is no symbol of {}", reader.name)),
                }
            }
            (Shape::Record(from), Shape::Record(to)) => {
                // Fields are matched by name: read in the writer's order, written in the reader's.
                let mut values: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
                for field in from {
                    let mut value = Vec::new();
                    if let Some(kept) = to.iter().find(|kept| kept.name == field.name) {
                        self.copy(&field.kind, &kept.kind, input, &mut value)?;
                        values.insert(&field.name, value);
                    } else {
                        self.skip(&field.kind, input)?;
                    }
                }
                for field in to {
                    match (values.get(field.name.as_str()), &field.default) {
                        (Some(value), _) => out.extend_from_slice(value),
                        (None, Some(default)) => self.reader.write_default(&field.kind, default, out)?,
                        (None, None) => {
                            return refuse(format!(
                                "{}.{} is new and has no default",
                                reader.name, field.name
                            ));
                        }
                    }
                }
            }
            _ => return refuse(format!("{} is no longer what it was", reader.name)),
        }
        Ok(())
    }

    /// Reads over a value of the writer that the reader does not have.
    fn skip(&self, kind: &Kind, input: &mut Input<'_>) -> Result<(), AvroError> {
        match kind {
            Kind::Null => {}
            Kind::Boolean => drop(input.take(1)?),
            Kind::Long => drop(input.long()?),
            Kind::Double => drop(input.take(8)?),
            Kind::Bytes => drop(input.bytes()?),
            Kind::Array(item) | Kind::Map(item) => loop {
                let count = input.block()?;
                if count == 0 {
                    break;
                }
                for _ in 0..count {
                    if matches!(kind, Kind::Map(_)) {
                        input.bytes()?;
                    }
                    self.skip(item, input)?;
                }
            },
            Kind::Union(branches) => {
                let branch =
                    branches.get(input.index()?).ok_or(AvroError::Impossible("branch of a union"))?;
                self.skip(branch, input)?;
            }
            Kind::Named(at) => match &self.writer.named(*at)?.shape {
                Shape::Enum { .. } => drop(input.long()?),
                Shape::Record(fields) => {
                    fields.iter().try_for_each(|field| self.skip(&field.kind, input))?;
                }
            },
        }
        Ok(())
    }

    fn fits(&self, writer: &Kind, reader: &Kind) -> bool {
        match (writer, reader) {
            (Kind::Null, Kind::Null)
            | (Kind::Boolean, Kind::Boolean)
            | (Kind::Long, Kind::Long | Kind::Double)
            | (Kind::Double, Kind::Double)
            | (Kind::Bytes, Kind::Bytes)
            | (Kind::Array(_), Kind::Array(_))
            | (Kind::Map(_), Kind::Map(_)) => true,
            (Kind::Named(from), Kind::Named(to)) => {
                let names = (self.writer.named(*from), self.reader.named(*to));
                matches!(names, (Ok(from), Ok(to)) if from.name == to.name)
            }
            _ => false,
        }
    }
}
