//! Avro's binary encoding of plain values, lists and maps.

use super::AvroError;
use crate::ids::{
    DeploymentId, Environment, IncidentId, RepoName, RunId, Scope, ServiceName, Sha, TeamName, Text,
};
use crate::time::{Day, Hour, Timestamp};
use std::collections::BTreeMap;

/// What can be written as, and read from, a value of its schema.
pub(crate) trait Avro: Sized {
    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads one value.
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError>;
    /// Reads a value that stands where none may: a word that this version does not know is none.
    fn read_optional(input: &mut Input<'_>) -> Result<Option<Self>, AvroError> {
        Self::read(input).map(Some)
    }
}

/// Bytes that are read from the front.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next so many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], AvroError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(AvroError::CutShort)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A whole number: zigzag, then seven bits a byte.
    pub fn long(&mut self) -> Result<i64, AvroError> {
        let mut bits = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(AvroError::CutShort)?;
            self.0 = rest;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
            }
        }
        Err(AvroError::Impossible("number of more than ten bytes"))
    }

    /// A length, or an index of a union or an enum.
    pub fn index(&mut self) -> Result<usize, AvroError> {
        usize::try_from(self.long()?).map_err(|_| AvroError::Impossible("negative length or index"))
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Result<&'a [u8], AvroError> {
        let length = self.index()?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str, AvroError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| AvroError::Impossible("text that is not UTF-8"))
    }

    /// How many items the next block of a list or a map holds; 0 ends it. Never more than bytes are left, since
    /// no item of ours is empty.
    pub fn block(&mut self) -> Result<usize, AvroError> {
        let mut count = self.long()?;
        if count < 0 {
            // A negative count is followed by the block's length in bytes.
            self.long()?;
            count = count.checked_neg().ok_or(AvroError::Impossible("block length"))?;
        }
        let count = usize::try_from(count).map_err(|_| AvroError::Impossible("block length"))?;
        if count > self.0.len() {
            return Err(AvroError::CutShort);
        }
        Ok(count)
    }

    pub fn end(&self) -> Result<(), AvroError> {
        if self.0.is_empty() { Ok(()) } else { Err(AvroError::LeftOver(self.0.len())) }
    }
}

pub(crate) fn write_long(value: i64, out: &mut Vec<u8>) {
    let mut bits = (value << 1 ^ value >> 63).cast_unsigned();
    while bits >= 0x80 {
        out.push(bits.to_le_bytes()[0] | 0x80);
        bits >>= 7;
    }
    out.push(bits.to_le_bytes()[0]);
}

pub(crate) fn write_length(length: usize, out: &mut Vec<u8>) {
    write_long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

impl Avro for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        match input.take(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(AvroError::Impossible("boolean")),
        }
    }
}

impl Avro for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_long(*self, out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.long()
    }
}

impl Avro for u64 {
    // Avro has no unsigned numbers: the same 64 bits, which differ only for what no count reaches.
    fn write(&self, out: &mut Vec<u8>) {
        write_long(self.cast_signed(), out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.long().map(i64::cast_unsigned)
    }
}

impl Avro for u32 {
    fn write(&self, out: &mut Vec<u8>) {
        write_long(i64::from(*self), out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        Self::try_from(input.long()?).map_err(|_| AvroError::Impossible("number beyond 32 bits"))
    }
}

impl Avro for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let bytes = input.take(8)?.first_chunk().ok_or(AvroError::CutShort)?;
        Ok(Self::from_le_bytes(*bytes))
    }
}

impl Avro for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self.as_bytes(), out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.text().map(str::to_owned)
    }
}

impl Avro for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        write_long(self.micros(), out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.long().map(Self::from_micros)
    }
}

impl Avro for Sha {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sha1(bytes) => {
                write_length(40, out);
                crate::hex::write(bytes, out);
            }
            Self::Other(text) => write_bytes(text.as_bytes(), out),
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        input.text().map(Self::new)
    }
}

macro_rules! texts {
    ($($type:ty),+ $(,)?) => {
        $(impl Avro for $type {
            fn write(&self, out: &mut Vec<u8>) {
                write_bytes(self.as_str().as_bytes(), out);
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                input.text().map(Self::new)
            }
        })+
    };
}
texts!(RepoName, ServiceName, TeamName, DeploymentId, IncidentId, RunId, Environment, Scope, Text);

macro_rules! panes {
    ($($type:ident),+) => {
        $(impl Avro for $type {
            fn write(&self, out: &mut Vec<u8>) {
                write_long(self.0, out);
            }
            fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
                input.long().map(Self)
            }
        })+
    };
}
panes!(Hour, Day);

impl<T: Avro> Avro for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        T::read(input).map(Self::new)
    }
}

impl<T: Avro> Avro for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(usize::from(self.is_some()), out);
        if let Some(value) = self {
            value.write(out);
        }
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        match input.long()? {
            0 => Ok(None),
            1 => T::read_optional(input),
            _ => Err(AvroError::Impossible("branch of an optional value")),
        }
    }
}

/// Writes a list or a map: one block, then its end.
fn write_block<I: ExactSizeIterator>(
    items: I,
    out: &mut Vec<u8>,
    mut write: impl FnMut(I::Item, &mut Vec<u8>),
) {
    if items.len() > 0 {
        write_length(items.len(), out);
        items.for_each(|item| write(item, out));
    }
    out.push(0);
}

impl<T: Avro> Avro for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_block(self.iter(), out, T::write);
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let mut items = Self::new();
        loop {
            let count = input.block()?;
            if count == 0 {
                return Ok(items);
            }
            for _ in 0..count {
                items.push(T::read(input)?);
            }
        }
    }
}

/// A map of texts is an Avro map; one of numbers a list of pairs, since Avro's keys are texts.
impl<K: Avro + Ord, V: Avro> Avro for BTreeMap<K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        write_block(self.iter(), out, |(key, value), out| {
            key.write(out);
            value.write(out);
        });
    }
    fn read(input: &mut Input<'_>) -> Result<Self, AvroError> {
        let mut items = Self::new();
        loop {
            let count = input.block()?;
            if count == 0 {
                return Ok(items);
            }
            for _ in 0..count {
                items.insert(K::read(input)?, V::read(input)?);
            }
        }
    }
}
