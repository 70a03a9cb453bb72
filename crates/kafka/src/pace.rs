//! How long records are gathered before they are worked on: it adapts to how long that takes.

use std::time::Duration;

/// What a stage gathers by.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The shortest time: many small batches cost more than one large one.
    shortest: Duration,
    /// So many times as long as the last batch took.
    times: u32,
    /// At most so many commit intervals.
    intervals: u32,
}

impl Pace {
    /// Of transactions that others wait for: they take no more than a third of the time.
    pub const PROMPT: Self = Self { shortest: Duration::from_millis(10), times: 2, intervals: 1 };
    /// Of inserts of facts and events.
    pub const INSERTS: Self = Self { shortest: Duration::from_millis(100), ..Self::PROMPT };
    /// Of the transactions that bring windows up to date: while many records come, most of them change a window again
    /// that the one before changed, and it is written once.
    pub const WINDOWS: Self = Self { times: 6, intervals: 2, ..Self::PROMPT };
    /// Of inserts of windows: each leaves parts that have to be merged.
    pub const WINDOW_INSERTS: Self = Self { shortest: Duration::from_millis(100), ..Self::WINDOWS };

    /// How long is gathered after a batch that took so long.
    pub fn after(self, took: Duration, commit_interval: Duration) -> Duration {
        (took * self.times).max(self.shortest).min(commit_interval * self.intervals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_gathered_longer_than_facts_and_none_for_ever() {
        let ms = Duration::from_millis;
        let after = |pace: Pace, took| pace.after(ms(took), ms(500)).as_millis();
        assert_eq!([0, 50, 1_000].map(|took| after(Pace::PROMPT, took)), [10, 100, 500]);
        assert_eq!([0, 50, 1_000].map(|took| after(Pace::WINDOWS, took)), [10, 300, 1_000]);
        assert_eq!([0, 100].map(|took| after(Pace::WINDOW_INSERTS, took)), [100, 600]);
    }
}
