//! Values of a state that lie encoded: in one piece, and in a third of the room that they take while they are used.

use crate::table::bytes;
use serde::de::DeserializeOwned;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;

/// A value as a changelog holds it. Equal values have equal bytes.
pub struct Packed<T> {
    bytes: Box<[u8]>,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize> Packed<T> {
    /// Encodes a value.
    pub fn new(value: &T) -> Self {
        Self { bytes: bytes(&[], value).into_boxed_slice(), of: PhantomData }
    }
}

impl<T: DeserializeOwned> Packed<T> {
    /// The value.
    pub fn open(&self) -> T {
        open(&self.bytes)
    }
}

/// What was encoded here, or decoded once when it came.
#[expect(clippy::expect_used, reason = "what was encoded can be decoded")]
pub fn open<T: DeserializeOwned>(bytes: &[u8]) -> T {
    postcard::from_bytes(bytes).expect("a packed value")
}

/// What an encoded value begins with.
#[expect(clippy::expect_used, reason = "what was encoded can be decoded")]
pub fn first<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> T {
    postcard::take_from_bytes(bytes).expect("a packed value").0
}

/// Writes bytes as they are, where an encoded value is to stand.
///
/// # Errors
/// The serializer's.
pub fn as_encoded<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(bytes.len())?;
    bytes.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
    tuple.end()
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes.clone(), of: PhantomData }
    }
}

impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<T> Eq for Packed<T> {}

impl<T: DeserializeOwned + fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.open().fmt(f)
    }
}

impl<T> Serialize for Packed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_encoded(&self.bytes, serializer)
    }
}

impl<'de, T: Serialize + Deserialize<'de>> Deserialize<'de> for Packed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self::new(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{decode, encode};

    #[test]
    fn a_packed_value_lies_in_a_changelog_as_the_value_itself() {
        let value = (7_u64, "text".repeat(200), Some(-3_i64));
        let packed = Packed::new(&value);
        assert_eq!(packed.open(), value);
        assert_eq!(packed, Packed::new(&value));
        assert_ne!(packed, Packed::new(&(8, value.1.clone(), None)));
        let entry = encode(1, &"key", Some(&packed));
        assert_eq!(entry, encode(1, &"key", Some(&value)));
        assert_eq!(decode::<String, Packed<_>>(1, &entry), Ok(("key".to_owned(), Some(packed))));
    }
}
