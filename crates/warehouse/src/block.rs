//! Rows as a block of ClickHouse's Native format: column after column, as the server keeps them itself, so that it copies
//! what it would otherwise have to read value by value. A row is written into its columns when it comes: what waits takes
//! the bytes that are sent, and nothing else is made of it.
//!
//! Texts are sent as `String` and `Nullable(String)`, also where the column is `LowCardinality`: the server makes its
//! dictionary.
//!
//! Source: <https://clickhouse.com/docs/interfaces/formats/Native>, and `NativeReader.cpp` of ClickHouse. The `clickhouse`
//! crate's own writer of it sends each text by itself and never compresses.

use model::{
    DeploymentId, Environment, IncidentId, RepoName, RunId, Scope, ServiceName, TeamName, Text, Timestamp,
};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a column is called, and the type of what is sent for it.
pub type Description = (&'static str, String);

/// The values of one column, as the format has them: what stands before the values, the keys of maps, the values.
#[derive(Debug, Default)]
pub struct Column {
    /// Which values are null, a byte each; or where each list ends, eight bytes each.
    before: Vec<u8>,
    /// The keys, where the values are maps.
    keys: Vec<u8>,
    values: Vec<u8>,
    /// How many elements all lists have.
    elements: u64,
}

impl Column {
    fn parts(&self) -> [&Vec<u8>; 3] {
        [&self.before, &self.keys, &self.values]
    }

    fn clear(&mut self) {
        self.before.clear();
        self.keys.clear();
        self.values.clear();
        self.elements = 0;
    }

    fn end_list(&mut self, elements: usize) {
        self.elements += elements as u64;
        self.before.extend_from_slice(&self.elements.to_le_bytes());
    }
}

/// A value of a column.
pub trait Cell {
    /// The type of the column that is sent.
    fn type_name() -> String;
    /// Adds the value.
    fn write(&self, column: &mut Column);
}

/// A value that may also be null, or lie in a list.
trait Plain {
    const TYPE: &'static str;
    fn put(&self, to: &mut Vec<u8>);
    /// What stands where there is none.
    fn put_none(to: &mut Vec<u8>);
}

macro_rules! plain {
    ($($type:ty),+) => {
        $(
            impl Cell for $type {
                fn type_name() -> String {
                    Self::TYPE.to_owned()
                }
                fn write(&self, column: &mut Column) {
                    self.put(&mut column.values);
                }
            }
        )+
    };
}

macro_rules! numbers {
    ($($type:ty: $name:literal,)+) => {
        $(
            impl Plain for $type {
                const TYPE: &'static str = $name;
                fn put(&self, to: &mut Vec<u8>) {
                    to.extend_from_slice(&self.to_le_bytes());
                }
                fn put_none(to: &mut Vec<u8>) {
                    Self::default().put(to);
                }
            }
            plain!($type);
        )+
    };
}

macro_rules! texts {
    ($($type:ty),+) => {
        $(
            impl Plain for $type {
                const TYPE: &'static str = "String";
                fn put(&self, to: &mut Vec<u8>) {
                    put_text(self.as_str(), to);
                }
                fn put_none(to: &mut Vec<u8>) {
                    to.push(0);
                }
            }
            plain!($type);
        )+
    };
}

numbers! { u8: "UInt8", u32: "UInt32", u64: "UInt64", i64: "Int64", f64: "Float64", }
texts!(String, Text, ServiceName, TeamName, RepoName, Environment, DeploymentId, IncidentId, RunId, Scope);
plain!(bool, Timestamp, Millis);

impl Plain for bool {
    const TYPE: &'static str = "Bool";
    fn put(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }
    fn put_none(to: &mut Vec<u8>) {
        to.push(0);
    }
}

impl Plain for Timestamp {
    const TYPE: &'static str = "DateTime64(6, 'UTC')";
    fn put(&self, to: &mut Vec<u8>) {
        self.micros().put(to);
    }
    fn put_none(to: &mut Vec<u8>) {
        i64::put_none(to);
    }
}

/// Milliseconds since 1970.
pub struct Millis(pub i64);

impl Plain for Millis {
    const TYPE: &'static str = "DateTime64(3, 'UTC')";
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
    }
    fn put_none(to: &mut Vec<u8>) {
        i64::put_none(to);
    }
}

impl<T: Plain> Cell for Option<T> {
    fn type_name() -> String {
        format!("Nullable({})", T::TYPE)
    }
    fn write(&self, column: &mut Column) {
        column.before.push(u8::from(self.is_none()));
        match self {
            Some(value) => value.put(&mut column.values),
            None => T::put_none(&mut column.values),
        }
    }
}

impl<T: Plain> Cell for Vec<T> {
    fn type_name() -> String {
        format!("Array({})", T::TYPE)
    }
    fn write(&self, column: &mut Column) {
        self.iter().for_each(|value| value.put(&mut column.values));
        column.end_list(self.len());
    }
}

impl<K: Plain, V: Plain> Cell for BTreeMap<K, V> {
    fn type_name() -> String {
        format!("Map({}, {})", K::TYPE, V::TYPE)
    }
    fn write(&self, column: &mut Column) {
        for (key, value) in self {
            key.put(&mut column.keys);
            value.put(&mut column.values);
        }
        column.end_list(self.len());
    }
}

/// A row of a table: what its columns are, and what it adds to each.
pub trait Cells {
    /// Its columns, in their order.
    fn columns() -> Vec<Description>;
    /// Adds a value to each column.
    fn write(&self, columns: &mut [Column]);
}

/// Rows of one table.
#[derive(Debug, Default)]
pub struct Block {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Block {
    /// Adds a row; says how many bytes it takes.
    pub fn push<T: Cells>(&mut self, row: &T) -> usize {
        if self.columns.is_empty() {
            self.columns.resize_with(T::columns().len(), Column::default);
        }
        row.write(&mut self.columns);
        let bytes = self.columns.iter().flat_map(Column::parts).map(Vec::len).sum();
        self.rows += 1;
        bytes - std::mem::replace(&mut self.bytes, bytes)
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes every row away, and keeps their memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        (self.rows, self.bytes) = (0, 0);
    }

    /// What is sent, in its order: `columns` say what they are.
    pub fn parts<'a>(&'a self, columns: &'a [Description]) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let mut head = Vec::new();
        put_length(self.columns.len(), &mut head);
        put_length(self.rows, &mut head);
        let columns = columns.iter().zip(&self.columns).flat_map(|((name, kind), column)| {
            let mut head = Vec::new();
            put_text(name, &mut head);
            put_text(kind, &mut head);
            let values = column.parts().into_iter().map(|part| Cow::Borrowed(part.as_slice()));
            std::iter::once(Cow::Owned(head)).chain(values)
        });
        std::iter::once(Cow::Owned(head)).chain(columns)
    }
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    put_length(text.len(), to);
    to.extend_from_slice(text.as_bytes());
}

/// A number in groups of seven bits, the lowest first (LEB128).
fn put_length(mut length: usize, to: &mut Vec<u8>) {
    while length >= 0x80 {
        to.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    to.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(Option<u32>, Text, BTreeMap<i64, i64>);

    impl Cells for Row {
        fn columns() -> Vec<Description> {
            vec![
                ("parts", Option::<u32>::type_name()),
                ("name", Text::type_name()),
                ("samples", BTreeMap::<i64, i64>::type_name()),
            ]
        }
        fn write(&self, columns: &mut [Column]) {
            let [parts, name, samples] = columns else { panic!("three columns") };
            self.0.write(parts);
            self.1.write(name);
            self.2.write(samples);
        }
    }

    fn sent(block: &Block) -> Vec<u8> {
        let columns = Row::columns();
        block.parts(&columns).flat_map(|part| part.to_vec()).collect()
    }

    #[test]
    fn a_block_is_its_columns_one_after_the_other() {
        let mut block = Block::default();
        let first = block.push(&Row(None, "é".into(), BTreeMap::from([(1, -1), (2, 5)])));
        assert_eq!(first, 1 + 4 + 3 + 8 + 4 * 8);
        block.push(&Row(Some(7), "".into(), BTreeMap::new()));
        let mut expected = b"\x03\x02\x05parts\x10Nullable(UInt32)\x01\x00\0\0\0\0\x07\0\0\0".to_vec();
        expected.extend_from_slice(b"\x04name\x06String\x02\xc3\xa9\0");
        expected.extend_from_slice(b"\x07samples\x11Map(Int64, Int64)");
        for number in [2_i64, 2, 1, 2, -1, 5] {
            expected.extend_from_slice(&number.to_le_bytes());
        }
        assert_eq!(sent(&block), expected);
        assert_eq!((block.rows(), block.bytes()), (2, first + 1 + 4 + 1 + 8));
        let before = sent(&block);
        block.clear();
        assert_eq!((block.rows(), block.bytes()), (0, 0));
        block.push(&Row(None, "é".into(), BTreeMap::from([(1, -1), (2, 5)])));
        block.push(&Row(Some(7), "".into(), BTreeMap::new()));
        assert_eq!(sent(&block), before, "what is cleared leaves nothing behind");
    }

    #[test]
    fn long_texts_say_their_length_in_seven_bits_a_byte() {
        let mut to = Vec::new();
        put_length(300, &mut to);
        assert_eq!(to, [0xac, 0x02]);
    }
}
