//! Lines of a file or of stdin, unpacked, with a limit on each: memory stays bounded whatever comes.

use crate::failure::wrong;
use anyhow::Context;
use model::raw::{DEAD_LETTER_BODY_BYTES, MAX_BODY_BYTES};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

/// Longest line that is read whole, in bytes: a body at its limit, and what wraps it.
pub const MAX_LINE_BYTES: usize = MAX_BODY_BYTES + 64 * 1024;

/// One line, or what is known of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A whole line, without its end.
    Whole(&'a [u8]),
    /// A line longer than [`MAX_LINE_BYTES`]: its beginning, and its length in bytes.
    TooLong {
        /// The first [`DEAD_LETTER_BODY_BYTES`].
        start: &'a [u8],
        /// How long it was.
        bytes: u64,
    },
}

/// Opens a file (`.gz` and `.zst` are unpacked, by their content), or stdin for `-`.
///
/// # Errors
/// Exit code 2 when the file cannot be opened.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(embedded_clickhouse::stdin())));
    }
    let name = path.display();
    let mut file = File::open(path).map_err(|error| wrong(format!("{name}: {error}")))?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        return Err(wrong(format!("{name}: is a folder (give its files, as in {name}/*.ndjson)")));
    }
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic).with_context(|| name.to_string())?;
    // A pipe cannot be rewound; what was read of it goes in front again.
    let whole: Box<dyn Read> = match file.rewind() {
        Ok(()) => Box::new(file),
        Err(_) => Box::new(std::io::Cursor::new(magic.clone()).chain(file)),
    };
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(BufReader::new(zstd::Decoder::new(whole)?)),
        _ => Box::new(BufReader::new(whole)),
    })
}

/// Hands each line with its number, from 1. Empty lines are passed over.
///
/// # Errors
/// What the reader or the taker says; a broken archive names the line up to which it could be read.
pub fn each(
    reader: &mut dyn BufRead,
    name: &str,
    mut take: impl FnMut(u64, Line<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        line.clear();
        let mut bytes = 0_u64;
        let mut ended = false;
        loop {
            let chunk = reader.fill_buf().map_err(|error| {
                wrong(format!("{name}:{number}: cannot be read on: {error} (earlier lines were read)"))
            })?;
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            let used = end.map_or(chunk.len(), |end| end + 1);
            let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            bytes += part.len() as u64;
            reader.consume(used);
            if end.is_some() {
                ended = true;
                break;
            }
        }
        if line.len() > MAX_LINE_BYTES {
            let start = line.get(..DEAD_LETTER_BODY_BYTES).unwrap_or_default();
            take(number, Line::TooLong { start, bytes })?;
            // One giant must not keep its memory for the rest of the file.
            line = Vec::new();
        } else if !line.trim_ascii().is_empty() {
            take(number, Line::Whole(line.strip_suffix(b"\r").unwrap_or(&line)))?;
        }
        if !ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_does_not_hide_the_next_one() {
        let mut input = b"first\r\n\n".to_vec();
        input.extend(std::iter::repeat_n(b'x', MAX_LINE_BYTES + 10));
        input.extend_from_slice(b"\nlast");
        let mut seen = Vec::new();
        each(&mut input.as_slice(), "test", |number, line| {
            seen.push(match line {
                Line::Whole(line) => (number, line.len() as u64, line.len()),
                Line::TooLong { start, bytes } => (number, bytes, start.len()),
            });
            Ok(())
        })
        .unwrap();
        let long = MAX_LINE_BYTES as u64 + 10;
        assert_eq!(seen, [(1, 5, 5), (3, long, DEAD_LETTER_BODY_BYTES), (4, 4, 4)]);
    }
}
