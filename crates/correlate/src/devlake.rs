//! What the `devlake` profile tells of a pull request (semantics, section 11): Apache DevLake's stages.
//!
//! Source: `CalculateChangeLeadTime` and `computeTimeSpan` in
//! `backend/plugins/dora/tasks/change_lead_time_calculator.go` of apache/incubator-devlake. The other branches of
//! the profile are where the fact that they concern is made; each asks `Definitions::is_devlake`.

use crate::state::Pull;
use crate::task::Correlator;
use model::fact::PullRequest;
use model::{RepoName, Timestamp};

const MINUTE_MICROS: i64 = 60_000_000;

/// A span in whole minutes, rounded up, in seconds; null where that is negative. Half a minute too early is
/// rounded up to none, and stays.
pub(crate) fn minutes_up(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<i64> {
    let micros = to?.micros().checked_sub(from?.micros())?;
    let minutes = micros.div_euclid(MINUTE_MICROS) + i64::from(micros.rem_euclid(MINUTE_MICROS) > 0);
    (minutes >= 0).then_some(minutes * 60)
}

impl Correlator {
    /// A pull request's fact in DevLake's terms. `deploying_s` is its deploy time (merged to deployment finished),
    /// `lead_time_s` its cycle time, of merged ones; there is no waiting.
    pub(crate) fn as_devlake(&self, row: PullRequest, pull: &Pull) -> PullRequest {
        let first_commit_at = self.first_authored_of(&row.repo, pull);
        let opened = Some(row.opened_at);
        let coding_s = minutes_up(first_commit_at, opened);
        let open_s = minutes_up(opened, row.merged_at);
        let deploying_s = minutes_up(row.merged_at, row.deployed_at);
        // Each part that is null counts as nothing: the time open is one part, reviewed or not.
        let cycle = coding_s.unwrap_or(0) + open_s.unwrap_or(0) + deploying_s.unwrap_or(0);
        PullRequest {
            first_commit_at,
            coding_s,
            pickup_s: minutes_up(opened, row.first_reviewed_at),
            review_s: minutes_up(row.first_reviewed_at, row.merged_at),
            waiting_s: None,
            deploying_s,
            lead_time_s: row.merged_at.map(|_| cycle),
            ..row
        }
    }

    /// The earliest time at which a commit of the list was written; where nobody says, when it was committed.
    fn first_authored_of(&self, repo: &RepoName, pull: &Pull) -> Option<Timestamp> {
        let listed = pull.merged.commits.iter().flatten().map(|listed| {
            let node = self.state.nodes.get(&(repo.clone(), listed.sha.clone()));
            node.and_then(|node| node.authored_at).unwrap_or(listed.committed_at)
        });
        listed.min()
    }
}
