//! The two things that are read of an X.509 certificate (RFC 5280) itself: its key, and when it is valid.

const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The first element: its tag, its content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// The content of the first element, which has this tag, and what follows.
fn tagged(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, content, rest)| (content, rest))
}

/// The key within a `SubjectPublicKeyInfo`.
pub(crate) fn public_key(info: &[u8]) -> Option<Vec<u8>> {
    let (info, _) = tagged(info, SEQUENCE)?;
    let (_, rest) = tagged(info, SEQUENCE)?;
    let (bits, _) = tagged(rest, BIT_STRING)?;
    // The first byte counts the bits that are not used.
    bits.strip_prefix(&[0]).map(<[u8]>::to_vec)
}

/// From when to when a certificate is valid, in seconds since 1970.
pub(crate) fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = tagged(certificate, SEQUENCE)?;
    let (mut to_be_signed, _) = tagged(certificate, SEQUENCE)?;
    if let Some((_, rest)) = tagged(to_be_signed, VERSION) {
        to_be_signed = rest;
    }
    // The serial number, the algorithm, the issuer.
    for _ in 0..3 {
        (_, _, to_be_signed) = element(to_be_signed)?;
    }
    let (validity, _) = tagged(to_be_signed, SEQUENCE)?;
    let (tag, from, rest) = element(validity)?;
    let (last_tag, to, _) = element(rest)?;
    Some((time(tag, from)?, time(last_tag, to)?))
}

/// `YYMMDDhhmmssZ` (of 1950 to 2049) or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text.get(..2)?.parse::<u8>().ok()? < 50 { 20 } else { 19 }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    if text.len() != 14 {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, clock) =
        ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    let text = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, clock.0, clock.1, clock.2);
    Some(model::Timestamp::parse(&text).ok()?.micros().div_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read_and_cut_input_is_none() {
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(1));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        assert_eq!(time(UTC_TIME, b"7001010000Z"), None);
        assert_eq!(element(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(element(&[SEQUENCE, 2, 1]), None);
        assert_eq!(element(&[SEQUENCE, 0x80]), None);
    }
}
