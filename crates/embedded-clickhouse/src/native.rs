//! The Native format as a client of a given protocol revision expects it.
//!
//! The engine writes Native as of revision 0. A client that names its revision (`client_protocol_version`: the Go
//! driver, and Grafana with it) expects a block's info before each block and, from revision 54454 on, a byte after
//! each column's type. To find where a column ends its type has to be read; its data is passed on as it is.
//! Source: `NativeWriter.cpp` and `BlockInfo.cpp` of ClickHouse.

use std::io::{self, BufRead, Read, Write};

/// From here on a column says whether its serialization is a custom one.
const CUSTOM_SERIALIZATION: u64 = 54454;

/// `is_overflows` 0 as field 1, `bucket_num` −1 as field 2, and the end of the fields.
const BLOCK_INFO: [u8; 8] = [1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0];

/// Types within types that are followed; ClickHouse's own names don't come near it.
const MAX_DEPTH: usize = 64;

/// Copies blocks of revision 0 to `target` as `revision` has them.
///
/// # Errors
/// Reading and writing, and a column of a type whose length isn't known here.
pub fn convert(source: &mut impl BufRead, target: &mut impl Write, revision: u64) -> io::Result<()> {
    while !source.fill_buf()?.is_empty() {
        target.write_all(&BLOCK_INFO)?;
        let columns = copy_varint(source, target)?;
        let rows = copy_varint(source, target)?;
        for _ in 0..columns {
            copy_string(source, target)?;
            let name = copy_string(source, target)?;
            if revision >= CUSTOM_SERIALIZATION {
                target.write_all(&[0])?;
            }
            // Without rows there is nothing after the type.
            if rows > 0 {
                let kind = Type::parse(&String::from_utf8_lossy(&name), 0)?;
                kind.prefix(source, target)?;
                kind.rows(rows, source, target)?;
            }
        }
    }
    Ok(())
}

/// How the values of a type lie in the format.
#[derive(Debug, PartialEq, Eq)]
enum Type {
    Fixed(u64),
    Text,
    Nullable(Box<Type>),
    Array(Box<Type>),
    Tuple(Vec<Type>),
    LowCardinality(Box<Type>),
}

impl Type {
    fn parse(name: &str, depth: usize) -> io::Result<Type> {
        let unknown = || {
            let text = format!(
                "the Native format of type {name} is not known here; use another format or toString()"
            );
            io::Error::new(io::ErrorKind::Unsupported, text)
        };
        if depth > MAX_DEPTH {
            return Err(unknown());
        }
        let (outer, inner) = match name.split_once('(') {
            Some((outer, rest)) => (outer, rest.strip_suffix(')').ok_or_else(unknown)?),
            None => (name, ""),
        };
        let nested = |text: &str| Type::parse(text, depth + 1);
        let boxed = |text: &str| nested(text).map(Box::new);
        let fields = || {
            arguments(inner).into_iter().map(|field| nested(without_name(field))).collect::<io::Result<_>>()
        };
        Ok(match outer {
            "Int8" | "UInt8" | "Bool" | "Enum8" | "Nothing" => Type::Fixed(1),
            "Int16" | "UInt16" | "Date" | "Enum16" | "BFloat16" => Type::Fixed(2),
            "Int32" | "UInt32" | "Float32" | "Date32" | "DateTime" | "IPv4" | "Decimal32" | "Time" => {
                Type::Fixed(4)
            }
            "Int64" | "UInt64" | "Float64" | "DateTime64" | "Decimal64" | "Time64" => Type::Fixed(8),
            "Int128" | "UInt128" | "UUID" | "IPv6" | "Decimal128" => Type::Fixed(16),
            "Int256" | "UInt256" | "Decimal256" => Type::Fixed(32),
            "Decimal" => {
                let precision =
                    arguments(inner).first().and_then(|p| p.parse::<u32>().ok()).ok_or_else(unknown)?;
                Type::Fixed(match precision {
                    ..=9 => 4,
                    10..=18 => 8,
                    19..=38 => 16,
                    _ => 32,
                })
            }
            "FixedString" => Type::Fixed(inner.parse().map_err(|_| unknown())?),
            "String" => Type::Text,
            "Nullable" => Type::Nullable(boxed(inner)?),
            "Array" => Type::Array(boxed(inner)?),
            "Tuple" => Type::Tuple(fields()?),
            "Map" | "Nested" => Type::Array(Box::new(Type::Tuple(fields()?))),
            "LowCardinality" => match nested(inner)? {
                // The dictionary holds the values themselves; null is the first of them.
                Type::Nullable(value) => Type::LowCardinality(value),
                value => Type::LowCardinality(Box::new(value)),
            },
            "SimpleAggregateFunction" => nested(arguments(inner).get(1).ok_or_else(unknown)?)?,
            name if name.starts_with("Interval") => Type::Fixed(8),
            _ => return Err(unknown()),
        })
    }

    /// What stands before the first value.
    fn prefix(&self, source: &mut impl BufRead, target: &mut impl Write) -> io::Result<()> {
        match self {
            Type::Fixed(_) | Type::Text => Ok(()),
            Type::Nullable(value) | Type::Array(value) => value.prefix(source, target),
            Type::Tuple(fields) => fields.iter().try_for_each(|field| field.prefix(source, target)),
            Type::LowCardinality(_) => copy(source, target, 8),
        }
    }

    fn rows(&self, rows: u64, source: &mut impl BufRead, target: &mut impl Write) -> io::Result<()> {
        match self {
            Type::Fixed(size) => copy(source, target, rows.saturating_mul(*size)),
            Type::Text => (0..rows).try_for_each(|_| {
                let length = copy_varint(source, target)?;
                copy(source, target, length)
            }),
            Type::Nullable(value) => {
                copy(source, target, rows)?;
                value.rows(rows, source, target)
            }
            Type::Array(value) => {
                // Offsets are running sums, so the last one is the number of values.
                copy(source, target, rows.saturating_sub(1).saturating_mul(8))?;
                let values = if rows > 0 { copy_u64(source, target)? } else { 0 };
                value.rows(values, source, target)
            }
            // A tuple of nothing has a byte a row.
            Type::Tuple(fields) if fields.is_empty() => copy(source, target, rows),
            Type::Tuple(fields) => fields.iter().try_for_each(|field| field.rows(rows, source, target)),
            Type::LowCardinality(_) if rows == 0 => Ok(()),
            Type::LowCardinality(value) => {
                let index_size = 1 << (copy_u64(source, target)? & 3);
                let values = copy_u64(source, target)?;
                value.rows(values, source, target)?;
                let indexes = copy_u64(source, target)?;
                copy(source, target, indexes.saturating_mul(index_size))
            }
        }
    }
}

/// The arguments of a type, split at the commas that belong to it.
fn arguments(text: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start, mut quote, mut escaped) = (Vec::new(), 0usize, 0, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                found.extend(text.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(text.get(start..));
    found.into_iter().map(str::trim).filter(|argument| !argument.is_empty()).collect()
}

/// `Int64` of `name Int64`. A type's own spaces are inside its parentheses.
fn without_name(field: &str) -> &str {
    if let Some(rest) = field.strip_prefix('`') {
        let end = rest.find("` ").map_or(0, |at| at + 2);
        return rest.get(end..).unwrap_or(field);
    }
    let head = field.find(['(', '\'']).unwrap_or(field.len());
    match field.get(..head).and_then(|head| head.find(' ')) {
        Some(space) => field.get(space + 1..).unwrap_or(field),
        None => field,
    }
}

fn copy(source: &mut impl BufRead, target: &mut impl Write, bytes: u64) -> io::Result<()> {
    let copied = io::copy(&mut source.by_ref().take(bytes), target)?;
    if copied == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_u64(source: &mut impl BufRead, target: &mut impl Write) -> io::Result<u64> {
    let mut bytes = [0; 8];
    source.read_exact(&mut bytes)?;
    target.write_all(&bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn copy_varint(source: &mut impl BufRead, target: &mut impl Write) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        source.read_exact(&mut byte)?;
        target.write_all(&byte)?;
        let [byte] = byte;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number of more than 64 bits"))
}

/// A name or a type, which is kept.
fn copy_string(source: &mut impl BufRead, target: &mut impl Write) -> io::Result<Vec<u8>> {
    let length = copy_varint(source, target)?;
    let mut text = Vec::new();
    source.by_ref().take(length).read_to_end(&mut text)?;
    target.write_all(&text)?;
    if text.len() as u64 == length { Ok(text) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_whatever_they_are_made_of() {
        let parse = |name| Type::parse(name, 0).unwrap();
        assert_eq!(parse("DateTime64(6, 'UTC')"), Type::Fixed(8));
        assert_eq!(parse("Enum8('a,(b' = 1, 'c\\'d' = 2)"), Type::Fixed(1));
        assert_eq!(parse("Decimal(18, 4)"), Type::Fixed(8));
        let pair = Type::Tuple(vec![Type::Fixed(8), Type::Nullable(Box::new(Type::Text))]);
        assert_eq!(parse("Tuple(a Int64, `b c` Nullable(String))"), pair);
        assert_eq!(parse("Map(Int64, Nullable(String))"), Type::Array(Box::new(pair)));
        assert_eq!(parse("LowCardinality(Nullable(String))"), Type::LowCardinality(Box::new(Type::Text)));
        assert_eq!(parse("SimpleAggregateFunction(sum, UInt64)"), Type::Fixed(8));
        assert_eq!(without_name("x DateTime64(6, 'UTC')"), "DateTime64(6, 'UTC')");
        assert_eq!(without_name("Enum8('a b' = 1)"), "Enum8('a b' = 1)");
        assert!(Type::parse("AggregateFunction(uniq, UInt8)", 0).is_err());
        assert!(Type::parse(&"Array(".repeat(1000), 0).is_err());
    }

    #[test]
    fn a_block_gets_its_info_and_a_byte_for_each_column() {
        // One column `x UInt8`, two rows: 7, 8.
        let old = b"\x01\x02\x01x\x05UInt8\x07\x08";
        let mut new = Vec::new();
        convert(&mut &old[..], &mut new, 54460).unwrap();
        assert_eq!(new, b"\x01\0\x02\xff\xff\xff\xff\0\x01\x02\x01x\x05UInt8\0\x07\x08");
        let mut cut = Vec::new();
        assert!(convert(&mut &old[..old.len() - 1], &mut cut, 54460).is_err());
    }
}
