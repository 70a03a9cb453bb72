//! Which failures pass, and how long to wait for that.

use clickhouse::error::Error;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// ClickHouse's codes for what may pass: bodies cut off, time-outs, too many queries, memory, parts,
/// replicas and the keeper.
/// Source: `src/Common/ErrorCodes.cpp`.
const PASSING: [u32; 20] =
    [3, 33, 159, 160, 202, 203, 209, 210, 225, 236, 241, 242, 252, 279, 285, 286, 319, 394, 425, 999];

/// Whether trying the same insert again may help. Repeating is always safe: rows are idempotent.
pub fn may_pass(error: &Error) -> bool {
    match error {
        Error::Network(_) | Error::TimedOut => true,
        // An answer without a code is a proxy's (502, 503, 504), or one that was cut off.
        Error::BadResponse(text) => code(text).is_none_or(|code| PASSING.contains(&code)),
        _ => false,
    }
}

/// The code in an answer such as `Code: 252. DB::Exception: Too many parts …`.
pub fn code(answer: &str) -> Option<u32> {
    let (_, rest) = answer.split_once("Code: ")?;
    rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// How long to wait before attempt `attempt` (the first retry is 1): doubled each time up to `most`, and a
/// random half of it taken off, so that many loaders do not come back at once.
pub fn pause(attempt: u32, first: Duration, most: Duration) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(most);
    let random = RandomState::new().build_hasher().finish() % 1_000;
    doubled.mul_f64(0.5 + random as f64 / 2_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_is_tried_again_and_a_wrong_statement_is_not() {
        let answer = |text: &str| may_pass(&Error::BadResponse(text.to_owned()));
        assert!(answer("Code: 252. DB::Exception: Too many parts (300)"));
        assert!(answer("502 Bad Gateway"));
        assert!(!answer("Code: 60. DB::Exception: Table x does not exist"));
        assert!(!answer("Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space"));
        assert!(may_pass(&Error::TimedOut));
        assert!(!may_pass(&Error::SchemaMismatch("x".to_owned())));
    }

    #[test]
    fn the_pause_grows_and_has_a_limit() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));
        for attempt in 1..80 {
            let full = first.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(most);
            let pause = pause(attempt, first, most);
            assert!(pause >= full / 2 && pause <= full, "{attempt}: {pause:?}");
        }
    }
}
