//! How many deliveries a hook may send: a bucket of tokens that fills with time.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A bucket that holds the deliveries of one second.
#[derive(Debug)]
pub struct Rate {
    per_s: f64,
    bucket: Mutex<(f64, Instant)>,
}

impl Rate {
    /// A full bucket.
    pub fn new(per_s: u32) -> Self {
        let per_s = f64::from(per_s.max(1));
        Self { per_s, bucket: Mutex::new((per_s, Instant::now())) }
    }

    /// Takes so many tokens, if they are there.
    pub fn take(&self, tokens: usize) -> bool {
        self.take_at(tokens, Instant::now())
    }

    fn take_at(&self, tokens: usize, now: Instant) -> bool {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (held, at) = *bucket;
        let held = (held + now.saturating_duration_since(at).as_secs_f64() * self.per_s).min(self.per_s);
        // More at once than fit into the bucket are let through when it is full, and leave it in debt.
        let needed = tokens as f64;
        let enough = held >= needed.min(self.per_s);
        *bucket = (if enough { held - needed } else { held }, now.max(at));
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_was_not_used_is_kept_for_a_second() {
        let rate = Rate::new(10);
        let start = Instant::now();
        let taken = |at: Duration| (0..100).filter(|_| rate.take_at(1, start + at)).count();
        assert_eq!(taken(Duration::ZERO), 10);
        assert_eq!(taken(Duration::from_millis(500)), 5);
        assert_eq!(taken(Duration::from_secs(60)), 10);
        assert!(rate.take_at(25, start + Duration::from_secs(70)));
        assert!(!rate.take_at(1, start + Duration::from_secs(71)));
    }
}
