//! JSON with sorted keys, no spaces, and no nulls in objects, written directly: it is what an event's hash is taken
//! of, and each event is hashed at least once.

use serde::ser::{self, Serialize};
use std::borrow::Cow;
use std::fmt::Display;

/// Writes a value. The bytes are those that `serde_json::Value` shows, once its nulls are taken out of objects.
///
/// # Errors
/// What a `Serialize` of the value's types says; ours say nothing.
pub(super) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Failure> {
    value.serialize(Writer { out })
}

/// Why a value has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(String);

impl ser::Error for Failure {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// Fields as they come; sorted when they end.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    /// What encloses the object, where it is an enum's.
    close: &'static str,
    /// Keys, and where each one's value ends in `values`.
    keys: Vec<(Cow<'static, str>, usize)>,
    values: Vec<u8>,
}

struct Items<'a> {
    out: &'a mut Vec<u8>,
    close: &'static str,
    first: bool,
}

impl Fields<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let start = self.values.len();
        write(&mut self.values, value)?;
        let Some((_, end)) = self.keys.last_mut() else { return Ok(()) };
        *end = self.values.len();
        if self.values.get(start..) == Some(b"null") {
            self.values.truncate(start);
            self.keys.pop();
        }
        Ok(())
    }

    fn close(self) -> Result<(), Failure> {
        let starts = std::iter::once(0).chain(self.keys.iter().map(|(_, end)| *end));
        let mut fields: Vec<(&str, std::ops::Range<usize>)> =
            starts.zip(&self.keys).map(|(start, (key, end))| (key.as_ref(), start..*end)).collect();
        fields.sort_unstable_by_key(|(key, _)| *key);
        self.out.push(b'{');
        for (at, (key, value)) in fields.into_iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            serde_json::to_writer(&mut *self.out, key)?;
            self.out.push(b':');
            self.out.extend_from_slice(self.values.get(value).unwrap_or_default());
        }
        self.out.push(b'}');
        self.out.extend_from_slice(self.close.as_bytes());
        Ok(())
    }
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        write(self.out, value)
    }

    fn close(self) {
        self.out.push(b']');
        self.out.extend_from_slice(self.close.as_bytes());
    }
}

impl<'a> Writer<'a> {
    fn fields(self, close: &'static str) -> Fields<'a> {
        Fields { out: self.out, close, keys: Vec::new(), values: Vec::new() }
    }

    fn items(self, close: &'static str) -> Items<'a> {
        self.out.push(b'[');
        Items { out: self.out, close, first: true }
    }

    /// An enum's variant that holds something is an object with one field.
    fn variant(&mut self, name: &'static str) -> Result<(), Failure> {
        self.out.push(b'{');
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.push(b':');
        Ok(())
    }
}

macro_rules! as_serde_json_does {
    ($($method:ident($type:ty)),+ $(,)?) => {
        $(fn $method(self, value: $type) -> Result<(), Failure> {
            Ok(serde_json::to_writer(self.out, &value)?)
        })+
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Fields<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    as_serde_json_does!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_f32(f32),
        serialize_f64(f64),
        serialize_char(char),
        serialize_str(&str),
        serialize_bytes(&[u8]),
    );

    fn serialize_none(self) -> Result<(), Failure> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Failure> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Failure> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Failure> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.variant(variant)?;
        write(self.out, value)?;
        self.out.push(b'}');
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Failure> {
        Ok(self.items(""))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Failure> {
        Ok(self.items(""))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Failure> {
        Ok(self.items(""))
    }
    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Failure> {
        self.variant(variant)?;
        Ok(self.items("}"))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'a>, Failure> {
        Ok(self.fields(""))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Failure> {
        Ok(self.fields(""))
    }
    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, Failure> {
        self.variant(variant)?;
        Ok(self.fields("}"))
    }
}

macro_rules! items {
    ($($trait:ident $method:ident),+ $(,)?) => {
        $(impl ser::$trait for Items<'_> {
            type Ok = ();
            type Error = Failure;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                self.item(value)
            }
            fn end(self) -> Result<(), Failure> {
                self.close();
                Ok(())
            }
        })+
    };
}
items!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
);

macro_rules! fields {
    ($($trait:ident),+ $(,)?) => {
        $(impl ser::$trait for Fields<'_> {
            type Ok = ();
            type Error = Failure;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Failure> {
                self.keys.push((Cow::Borrowed(key), 0));
                self.value(value)
            }
            fn end(self) -> Result<(), Failure> {
                self.close()
            }
        })+
    };
}
fields!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Fields<'_> {
    type Ok = ();
    type Error = Failure;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        // A key that is no text has no JSON form.
        let key: String = serde_json::from_value(serde_json::to_value(key)?)?;
        self.keys.push((Cow::Owned(key), 0));
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        self.value(value)
    }
    fn end(self) -> Result<(), Failure> {
        self.close()
    }
}
