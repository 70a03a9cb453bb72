//! Durations as people write them: `4h`, `30m`, `1d`, `1h30m`.

use model::Span;

/// Reads a duration of weeks (`w`), days (`d`), hours (`h`), minutes (`m`) and seconds (`s`).
pub(crate) fn parse(text: &str) -> Option<Span> {
    let mut seconds: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(unit_at)?;
        let unit = match tail.chars().next()? {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?;
        rest = tail.get(1..)?;
    }
    // Anything longer than a century is a slip, and would overflow microseconds.
    (!text.is_empty() && seconds <= 100 * 366 * 86_400).then(|| Span::from_seconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_for_every_number() {
        for (text, seconds) in
            [("4h", 14_400), ("1h30m", 5_400), ("1d", 86_400), ("2w", 1_209_600), ("0s", 0)]
        {
            assert_eq!(parse(text).map(Span::seconds), Some(seconds), "{text}");
        }
        for text in ["", "4", "h", "4 h", "-4h", "4hours", "99999999999999999999h", "9999999999d", "4µ"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
