//! An analyst's questions of a year, for all teams.

use crate::common::run::Run;
use crate::measured::{Measure, Measured, quantile, rounded, sized};
use crate::organisation::import;
use generate::Options;
use serde_json::json;
use std::time::Instant;

const RUNS: usize = 20;
const LIMIT_MS: f64 = 100.0;

/// Name and question; each answers one row per team and month (the last one: per team).
const QUESTIONS: [(&str, &str); 3] = [
    (
        "rolling 30 days at each month's end, from dora_steps",
        "SELECT scope, toStartOfMonth(as_of) AS month, \
           argMaxIf(per_day, as_of, metric = 'deployment_frequency') AS deployments_per_day, \
           argMaxIf(p50, as_of, metric = 'change_lead_time') AS lead_time_p50_s, \
           argMaxIf(value, as_of, metric = 'change_fail_rate') AS fail_rate \
         FROM dora_steps \
         WHERE startsWith(scope, 'team:') AND window = '30d' \
           AND metric IN ('deployment_frequency', 'change_lead_time', 'change_fail_rate') \
         GROUP BY scope, month ORDER BY scope, month",
    ),
    (
        "calendar months, from panes",
        "SELECT scope, toStartOfMonth(start) AS month, \
           sumIf(numerator, metric = 'deployment_frequency') AS deployments, \
           sumMapIf(samples, metric = 'change_lead_time') AS lead_times, \
           arrayFirst((at, below) -> 2 * below >= arraySum(mapValues(lead_times)), mapKeys(lead_times), \
             arrayCumSum(mapValues(lead_times))) AS lead_time_p50_s, \
           sumIf(numerator, metric = 'change_fail_rate') / sumIf(denominator, metric = 'change_fail_rate') AS fail_rate \
         FROM panes \
         WHERE startsWith(scope, 'team:') AND grain = 'day' \
           AND metric IN ('deployment_frequency', 'change_lead_time', 'change_fail_rate') \
         GROUP BY scope, month ORDER BY scope, month",
    ),
    (
        "calendar months, from the facts",
        "SELECT team, month, deployments, fail_rate, lead_time_p50_s FROM \
           (SELECT team, toStartOfMonth(assumeNotNull(finished_at)) AS month, countIf(outcome = 'succeeded') AS deployments, \
              avg(failed) AS fail_rate \
            FROM deployments WHERE tier = 'production' AND isNotNull(finished_at) AND NOT drill GROUP BY team, month) AS deployed \
         LEFT JOIN \
           (SELECT team, toStartOfMonth(deployed_at) AS month, quantileExactLow(0.5)(lead_time_s) AS lead_time_p50_s \
            FROM changes WHERE NOT skewed AND NOT drill GROUP BY team, month) AS shipped USING (team, month) \
         ORDER BY team, month",
    ),
];

#[test]
fn an_analyst_asks_a_year_for_all_teams() {
    let measure = Measure::new("query");
    let due = QUESTIONS.iter().any(|(name, _)| measure.is_due(name));
    if !due || !crate::common::engine_is_there() {
        return;
    }
    let (services, teams, days) = sized((50, 10, 365), (10, 4, 70));
    let folder = tempfile::tempdir().unwrap();
    import(folder.path(), &Options { services, teams, days, ..Options::default() });
    let run = Run::embedded(folder.path(), &[], &["--data", "embedded"], &folder.path().join("run.log"));
    let sql = run.sql();
    let steps = sql.ask("SELECT count() FROM dora_steps_rows FINAL");
    for (name, question) in QUESTIONS {
        measure.case(name, || {
            let ask = || {
                let asked = Instant::now();
                let answer = sql.ask(question);
                (asked.elapsed().as_secs_f64() * 1e3, answer)
            };
            let (first, answer) = ask();
            let lines = answer.lines().count();
            let months = days.div_ceil(31) as usize;
            assert!(
                lines >= teams as usize * months,
                "{lines} rows for {teams} teams, {months} months:\n{answer}"
            );
            let mut took: Vec<f64> = (0..RUNS).map(|_| ask().0).collect();
            took.sort_by(f64::total_cmp);
            let slowest = quantile(&took, 1.0);
            Measured {
                ran: format!(
                    "{services} services in {teams} teams, {days} days, {} steps; {RUNS} times over HTTP",
                    steps.trim()
                ),
                figures: vec![
                    ("rows", json!(lines), ""),
                    ("first", rounded(first, 0), "ms"),
                    ("p50", rounded(quantile(&took, 0.5), 0), "ms"),
                    ("at most", rounded(slowest, 0), "ms"),
                ],
                limit: "at most 100 ms",
                within: slowest <= LIMIT_MS,
            }
        });
    }
    run.stop();
}
