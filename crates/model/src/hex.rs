//! Bytes as hexadecimal digits: lower case where they are written, either where they are read.

/// Two digits for each byte.
pub fn lower(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.extend([byte >> 4, byte & 15].map(digit));
    }
    text
}

/// Appends two digits for each byte, as ASCII.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| digit(half) as u8));
}

/// Reads hexadecimal digits, two a byte; `None` when they are none.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let half = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| if let [high, low] = pair { Some(half(*high)? << 4 | half(*low)?) } else { None })
        .collect()
}

fn digit(half: u8) -> char {
    char::from(if half < 10 { b'0' + half } else { b'a' - 10 + half })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_is_two_digits() {
        assert_eq!(super::lower(&[0x00, 0x0f, 0xa9, 0xff]), "000fa9ff");
        let mut out = vec![b'x'];
        super::write(&[0x7b], &mut out);
        assert_eq!(out, b"x7b");
    }

    #[test]
    fn digits_of_either_case_are_read_in_pairs() {
        use super::decode;
        assert_eq!(decode("0aFf"), Some(vec![10, 255]));
        assert_eq!([decode("0"), decode("0g"), decode("é")], [None, None, None]);
    }
}
