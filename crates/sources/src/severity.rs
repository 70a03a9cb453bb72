//! How vendors write how bad an incident is.

use model::event::Severity;

/// By rank: `P1`, `SEV-1`, `Sev 2`, `S3`, `1 - Critical`, `P2: High`. A rank of 0 is the worst as well.
pub(crate) fn ranked(name: &str) -> Option<Severity> {
    let name = name.trim().to_ascii_uppercase();
    let rest = ["SEVERITY", "SEV", "PRIORITY", "P", "S"].iter().find_map(|word| name.strip_prefix(word));
    let rest = rest.unwrap_or(&name).trim_start_matches(['-', ' ', '_']);
    let mut letters = rest.chars();
    let rank = letters.next()?;
    if letters.next().is_some_and(char::is_alphanumeric) {
        return None;
    }
    Some(match rank {
        '0' | '1' => Severity::Sev1,
        '2' => Severity::Sev2,
        '3' => Severity::Sev3,
        '4' => Severity::Sev4,
        '5' => Severity::Sev5,
        _ => return None,
    })
}

/// By the place of a word in a scale of five, the worst first.
pub(crate) fn on_scale(word: &str, scale: [&[&str]; 5]) -> Option<Severity> {
    let word = word.trim().to_ascii_lowercase();
    let place = scale.iter().position(|words| words.contains(&word.as_str()))?;
    Severity::ALL.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_read_in_each_of_its_forms() {
        for name in ["P2", "SEV-2", "sev2", "Sev 2", "S2", "2 - High", "P2: High", "Severity 2", "2"] {
            assert_eq!(ranked(name), Some(Severity::Sev2), "{name}");
        }
        assert_eq!(ranked("SEV0"), Some(Severity::Sev1));
        for name in ["", "P", "P12", "Platform", "High", "9"] {
            assert_eq!(ranked(name), None, "{name}");
        }
    }
}
