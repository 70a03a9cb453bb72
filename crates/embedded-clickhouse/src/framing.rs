//! ClickHouse's native compression: `checksum (16) | method (1) | compressed size (4) | size (4) | data`.
//!
//! The checksum is CityHash128 as of version 1.0.2 over everything after it; the compressed size counts the
//! nine bytes of its header. Source: `CompressedReadBufferBase.cpp` of ClickHouse.

use bytes::{Buf, Bytes, BytesMut};
use cityhash_rs::cityhash_102_128;

use crate::Exception;
use crate::limits::MAX_BLOCK;

const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;
const NONE: u8 = 0x02;
const ZSTD: u8 = 0x90;

/// Takes blocks apart as their bytes arrive.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: BytesMut,
}

impl Decoder {
    /// Takes bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The next whole block, if it is there.
    ///
    /// # Errors
    /// A wrong checksum, an unknown method, a block that is too large or doesn't decompress.
    pub fn next(&mut self) -> Result<Option<Bytes>, Exception> {
        let Some((method, compressed, size)) = self.header() else { return Ok(None) };
        if !(HEADER..=MAX_BLOCK).contains(&compressed) || size > MAX_BLOCK {
            return Err(Exception::new(
                271,
                "CANNOT_DECOMPRESS",
                format!("a compressed block of {compressed} bytes for {size} is not allowed"),
            ));
        }
        if self.waiting.len() < CHECKSUM + compressed {
            return Ok(None);
        }
        let mut block = self.waiting.split_to(CHECKSUM + compressed);
        let expected = checksum(block.get(CHECKSUM..).unwrap_or_default());
        if block.get(..CHECKSUM) != Some(&expected[..]) {
            return Err(Exception::new(
                40,
                "CHECKSUM_DOESNT_MATCH",
                "Checksum doesn't match: corrupted data",
            ));
        }
        block.advance(CHECKSUM + HEADER);
        let data = match method {
            NONE => block.freeze(),
            LZ4 => lz4_flex::block::decompress(&block, size).map(Bytes::from).map_err(|e| {
                Exception::new(271, "CANNOT_DECOMPRESS", format!("Cannot decompress LZ4: {e}"))
            })?,
            ZSTD => zstd::bulk::decompress(&block, size).map(Bytes::from).map_err(|e| {
                Exception::new(271, "CANNOT_DECOMPRESS", format!("Cannot decompress ZSTD: {e}"))
            })?,
            other => {
                let message =
                    format!("Unknown compression method: {other:#04x}; LZ4, ZSTD and NONE are known");
                return Err(Exception::new(89, "UNKNOWN_COMPRESSION_METHOD", message));
            }
        };
        if data.len() != size {
            return Err(Exception::new(
                271,
                "CANNOT_DECOMPRESS",
                "a compressed block has another size than it says",
            ));
        }
        Ok(Some(data))
    }

    /// Whether a block was begun and not ended.
    pub fn is_cut(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn header(&self) -> Option<(u8, usize, usize)> {
        let mut header = self.waiting.get(CHECKSUM..CHECKSUM + HEADER)?;
        let method = header.get_u8();
        Some((method, header.get_u32_le() as usize, header.get_u32_le() as usize))
    }
}

/// One block with LZ4.
pub fn encode(data: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::block::compress(data);
    let mut block = Vec::with_capacity(CHECKSUM + HEADER + compressed.len());
    block.extend_from_slice(&[0; CHECKSUM]);
    block.push(LZ4);
    block.extend_from_slice(&((compressed.len() + HEADER) as u32).to_le_bytes());
    block.extend_from_slice(&(data.len() as u32).to_le_bytes());
    block.extend_from_slice(&compressed);
    let sum = checksum(block.get(CHECKSUM..).unwrap_or_default());
    if let Some(place) = block.get_mut(..CHECKSUM) {
        place.copy_from_slice(&sum);
    }
    block
}

/// The two halves as ClickHouse writes them: the low one first, each little-endian.
fn checksum(data: &[u8]) -> [u8; CHECKSUM] {
    cityhash_102_128(data).rotate_right(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_whatever_way_they_are_cut() {
        let mut bytes = encode(&[7; 100_000]);
        bytes.extend(encode(b"second"));
        for step in [1, 13, bytes.len()] {
            let (mut decoder, mut data) = (Decoder::default(), Vec::new());
            for chunk in bytes.chunks(step) {
                decoder.push(chunk);
                while let Some(block) = decoder.next().unwrap() {
                    data.extend_from_slice(&block);
                }
            }
            assert!(!decoder.is_cut());
            assert_eq!(data, [vec![7; 100_000], b"second".to_vec()].concat());
        }
    }

    #[test]
    fn a_changed_byte_is_found() {
        let mut bytes = encode(b"some data that matters");
        *bytes.last_mut().unwrap() ^= 1;
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.next().unwrap_err().code, 40);
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_before_it_is_waited_for() {
        let mut bytes = encode(b"x");
        bytes[17..21].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.next().unwrap_err().code, 271);
    }
}
