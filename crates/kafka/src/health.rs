//! Whether a stage does its work, said in a line.

use crate::stats::{Snapshot, Status};
use std::time::Duration;

/// After how long without a commit a stage with records that wait counts as stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

impl Snapshot {
    /// Why the stage is not ready; `None`: it runs, is restored, and keeps up or gets on.
    pub fn unready(&self) -> Option<String> {
        match &self.status {
            Status::Dead => return Some("its thread has died".to_owned()),
            Status::Stopped => return Some("stopped".to_owned()),
            Status::Failing(reason) => return Some(format!("failing: {reason}")),
            Status::Starting | Status::Running => {}
        }
        if let Some(trouble) = &self.trouble {
            return Some(trouble.clone());
        }
        if self.tasks_restored < self.tasks {
            return Some(format!(
                "restoring: {} of {} tasks, {} records read, {} s",
                self.tasks_restored,
                self.tasks,
                self.restored_records,
                self.restoring_for.as_secs()
            ));
        }
        if self.status == Status::Starting {
            return Some("waits for its partitions".to_owned());
        }
        if self.stands_for >= STALLED_AFTER {
            let seconds = self.stands_for.as_secs();
            return Some(match self.lag {
                ..=0 => format!("stalled: it has not looked at its partitions for {seconds} s"),
                lag => format!("stalled: {lag} records wait and nothing was committed for {seconds} s"),
            });
        }
        if let Some(reason) = &self.unrecovered {
            return Some(format!("not recovered from: {reason}"));
        }
        (self.lag < 0).then(|| "its lag is not known yet".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::StageStats;
    use crate::topics::Stage;

    fn ready() -> Snapshot {
        Snapshot { status: Status::Running, lag: 0, ..StageStats::new(Stage::Load).snapshot() }
    }

    #[test]
    fn a_stage_is_ready_when_it_runs_with_everything_restored_and_a_known_lag() {
        assert_eq!(ready().unready(), None);
        let says = |snapshot: Snapshot| snapshot.unready().unwrap();
        assert_eq!(says(Snapshot { lag: -1, ..ready() }), "its lag is not known yet");
        assert_eq!(says(Snapshot { status: Status::Starting, ..ready() }), "waits for its partitions");
        let restoring = Snapshot { tasks: 3, tasks_restored: 1, restored_records: 7, ..ready() };
        assert_eq!(says(restoring), "restoring: 1 of 3 tasks, 7 records read, 0 s");
        assert_eq!(
            says(Snapshot { trouble: Some("no broker answers".to_owned()), ..ready() }),
            "no broker answers"
        );
    }

    #[test]
    fn a_stage_that_commits_nothing_while_records_wait_is_stalled() {
        let standing = Snapshot { lag: 12, stands_for: Duration::from_secs(59), ..ready() };
        assert_eq!(standing.unready(), None);
        let stalled = Snapshot { stands_for: Duration::from_secs(61), ..standing };
        assert_eq!(stalled.unready().unwrap(), "stalled: 12 records wait and nothing was committed for 61 s");
    }
}
