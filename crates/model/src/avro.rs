//! The Avro form of what goes over topics: events, contributions, changed rows.
//!
//! A message is Avro's single-object encoding: `C3 01`, the Rabin fingerprint of the schema that wrote it (eight
//! bytes, little-endian), then the value. Its schema is one of `schemas/avro/v*/`, all of which are built in: a
//! record of the current schema is read straight into its type, one of an older schema is first brought into the
//! current one by Avro's rules of schema resolution ([`resolve`]).
//!
//! Source: Avro 1.12 specification, "Binary encoding", "Single-object encoding", "Schema resolution".

mod records;
pub mod resolve;
mod wire;

use crate::event::DeliveryEvent;
use crate::fact::{RowChange, RowChanges};
use crate::metric::Contributions;
use resolve::Resolution;
use std::sync::OnceLock;
use wire::{Avro, Input};

/// What every message begins with.
const MARKER: [u8; 2] = [0xC3, 0x01];

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AvroError {
    /// The first two bytes are not those of Avro's single-object encoding.
    #[error("not an Avro message: it does not begin with C3 01 and a schema's fingerprint")]
    NotAMessage,
    /// The schema that wrote it is not built in: most likely a newer version wrote it.
    #[error("Avro message of an unknown schema (fingerprint {0:016x}): was it written by a newer version?")]
    UnknownSchema(u64),
    /// The bytes end too early.
    #[error("Avro message is cut short")]
    CutShort,
    /// Bytes are left over.
    #[error("Avro message has {0} bytes too many")]
    LeftOver(usize),
    /// A value that the schema does not allow.
    #[error("Avro message holds an impossible {0}")]
    Impossible(&'static str),
    /// A word that this version does not know, where one is needed.
    #[error("Avro message holds an unknown {0}")]
    UnknownWord(&'static str),
    /// Two schemas do not fit each other.
    #[error("Avro schema cannot be resolved: {0}")]
    Schema(String),
}

/// A version of a message's schema.
#[derive(Debug, Clone, Copy)]
pub struct SchemaVersion {
    /// The schema's Rabin fingerprint (CRC-64-AVRO of its parsing canonical form).
    pub fingerprint: u64,
    /// The schema as JSON.
    pub text: &'static str,
}

/// Every version of a message's schema, oldest first; the last one writes.
#[derive(Debug)]
pub struct Lineage {
    /// The versions.
    pub versions: &'static [SchemaVersion],
    current: SchemaVersion,
    older: OnceLock<Vec<(u64, Result<Resolution, AvroError>)>>,
}

impl Lineage {
    const fn new(versions: &'static [SchemaVersion]) -> Self {
        let [.., current] = versions else { panic!("a message has a schema") };
        Self { versions, current: *current, older: OnceLock::new() }
    }

    /// The schema that writes.
    pub const fn current(&self) -> SchemaVersion {
        self.current
    }

    /// How a record of an older schema is brought into the current one.
    fn resolution(&self, fingerprint: u64) -> Result<&Resolution, AvroError> {
        let older = self.older.get_or_init(|| {
            let versions = self.versions.iter();
            versions.map(|old| (old.fingerprint, Resolution::new(old.text, self.current.text))).collect()
        });
        let (_, resolution) = older
            .iter()
            .find(|(known, _)| *known == fingerprint)
            .ok_or(AvroError::UnknownSchema(fingerprint))?;
        resolution.as_ref().map_err(Clone::clone)
    }
}

/// What can be sent as an Avro message.
#[expect(private_bounds, reason = "how a value is written is this module's own")]
pub trait Message: Avro {
    /// The versions of its schema.
    fn lineage() -> &'static Lineage;
}

macro_rules! messages {
    ($($type:ty => $lineage:ident [$($fingerprint:literal $file:literal),+];)+) => {
        $(
            static $lineage: Lineage = Lineage::new(&[$(SchemaVersion {
                fingerprint: $fingerprint,
                text: include_str!(concat!("../../../schemas/avro/", $file)),
            }),+]);
            impl Message for $type {
                fn lineage() -> &'static Lineage {
                    &$lineage
                }
            }
        )+
    };
}

// A changed schema is a new file in a new folder and a new line here; a kept one never changes.
messages! {
    DeliveryEvent => EVENT [
        0xc511_27d3_ad6b_136b "v1/delivery_event.avsc",
        0xd448_d6bc_2792_2a1a "v2/delivery_event.avsc"
    ];
    RowChange => ROW_CHANGE [
        0x9560_bc64_3a72_f3d9 "v1/row_change.avsc",
        0xd03e_cfc0_411e_925e "v2/row_change.avsc"
    ];
    Contributions => CONTRIBUTIONS [0xd3f2_49a9_f446_a1a4 "v1/contributions.avsc"];
    RowChanges => ROW_CHANGES [0x8a33_e736_2baf_ab40 "v1/row_changes.avsc"];
}

/// Encodes a message with the current schema.
pub fn encode<T: Message>(message: &T) -> Vec<u8> {
    let ([m, n], [a, b, c, d, e, f, g, h]) = (MARKER, T::lineage().current.fingerprint.to_le_bytes());
    encode_after(&[m, n, a, b, c, d, e, f, g, h], message)
}

/// The value of a message by the current schema, behind what another framing begins with.
pub fn encode_after<T: Message>(head: &[u8], message: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(head);
    message.write(&mut out);
    out
}

/// Decodes the value of a message that a foreign schema wrote; the resolution ends in the current schema.
///
/// # Errors
/// See [`AvroError`].
pub fn decode_by<T: Message>(resolution: &Resolution, body: &[u8]) -> Result<T, AvroError> {
    read(&resolution.apply(body)?)
}

/// The text or bytes that a value of the schema `"string"` or `"bytes"` holds.
///
/// # Errors
/// See [`AvroError`].
pub fn text_of(body: &[u8]) -> Result<&[u8], AvroError> {
    let mut input = Input::new(body);
    let text = input.bytes()?;
    input.end()?;
    Ok(text)
}

/// Decodes a message that any kept version of its schema wrote.
///
/// # Errors
/// See [`AvroError`].
pub fn decode<T: Message>(bytes: &[u8]) -> Result<T, AvroError> {
    let body = bytes.strip_prefix(&MARKER).ok_or(AvroError::NotAMessage)?;
    let (fingerprint, body) = body.split_first_chunk().ok_or(AvroError::NotAMessage)?;
    let fingerprint = u64::from_le_bytes(*fingerprint);
    let lineage = T::lineage();
    if fingerprint == lineage.current.fingerprint {
        return read(body);
    }
    read(&lineage.resolution(fingerprint)?.apply(body)?)
}

fn read<T: Avro>(body: &[u8]) -> Result<T, AvroError> {
    let mut input = Input::new(body);
    let message = T::read(&mut input)?;
    input.end()?;
    Ok(message)
}
