//! Encodings within payloads and their headers: `%41` of forms and package URLs, base64 of CloudEvents, and both base64
//! and hexadecimal of signatures.

/// Resolves `%41` and the like; what is no such escape stays as it is.
pub(crate) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let escape = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            _ => None,
        };
        let (byte, after) = escape.unwrap_or((*first, tail));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Reads hexadecimal digits, two a byte; `None` when they are none.
pub fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| if let [high, low] = pair { Some(digit(*high)? << 4 | digit(*low)?) } else { None })
        .collect()
}

/// Reads base64 (RFC 4648, with or without padding); `None` when it is none.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3);
    let mut held = 0_u32;
    let mut bits = 0_u32;
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            decoded.push(u8::try_from(held >> bits & 0xff).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(decoded)
}

/// Writes base64 (RFC 4648) with padding.
pub fn base64_encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let held =
            chunk.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get((held >> (18 - 6 * place) & 63) as usize).filter(|_| place <= chunk.len());
            encoded.push(char::from(*digit.unwrap_or(&b'=')));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_reads_back() {
        assert_eq!(base64_decode("eyJhIjoxfQ=="), Some(b"{\"a\":1}".to_vec()));
        assert_eq!(base64_decode("e!"), None);
        assert_eq!(hex_decode("0aFf"), Some(vec![10, 255]));
        assert_eq!([hex_decode("0"), hex_decode("0g"), hex_decode("é")], [None, None, None]);
        for text in ["", "a", "ab", "abc", "abcd"] {
            assert_eq!(base64_decode(&base64_encode(text.as_bytes())).unwrap(), text.as_bytes());
        }
        assert_eq!(base64_encode(b"{\"a\":1}"), "eyJhIjoxfQ==");
        assert_eq!(percent_decode(b"sha256%3Aab%"), b"sha256:ab%");
    }
}
