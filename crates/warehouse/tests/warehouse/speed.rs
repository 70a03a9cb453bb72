use crate::with_database;
use std::time::Instant;

/// A hundred scopes with three years of steps.
const STEPS: &str = "INSERT INTO dora_steps_rows (scope, metric, window, as_of, value, samples, p50, rev, is_deleted) \
     SELECT 'service:s' || toString(number), 'change_lead_time', '24h', \
     toStartOfHour(now()) - 3600 * arrayJoin(range(0, 26280, 5)), 1, 1, 1, 1, 0 FROM numbers(100)";

#[test]
fn a_filter_on_scope_metric_and_window_reads_only_their_granules() {
    with_database("speed", |warehouse| async move {
        warehouse.ask(STEPS).await;
        warehouse.ask("OPTIMIZE TABLE dora_steps_rows FINAL").await;
        for view in ["dora_windows", "dora_steps", "dora_latest"] {
            let sql = format!(
                "SELECT * FROM {view} WHERE scope = 'service:s7' AND metric = 'change_lead_time' AND window = '24h'"
            );
            let plan = warehouse.ask(&format!("EXPLAIN indexes = 1 {sql}")).await;
            let steps = plan.split("dora_steps_rows").nth(1).unwrap();
            let granules = steps.lines().find_map(|line| line.trim().strip_prefix("Granules: ")).unwrap();
            let (read, all) = granules.split_once('/').unwrap();
            let (read, all): (u32, u32) = (read.parse().unwrap(), all.parse().unwrap());
            assert!(all > 50 && read <= 4, "{view} reads {granules} granules\n{plan}");
            let start = Instant::now();
            warehouse.ask(&sql).await;
            println!("{view}: {:?}", start.elapsed());
        }
    });
}
