//! The views that are compared, whatever wrote their rows, when and in what order.

/// Every view that is compared.
pub const VIEWS: [&str; 16] = [
    "deployments",
    "changes",
    "pull_requests",
    "incidents",
    "pipeline_runs",
    "flag_changes",
    "scans",
    "parked_events",
    "data_quality",
    "dora_steps",
    "panes",
    "events",
    "services",
    "teams",
    "scopes",
    "definitions",
];

/// Each view's number of rows and a hash of their content, whatever their order.
pub fn digest_query() -> String {
    let views: Vec<String> = VIEWS
        .iter()
        .enumerate()
        .map(|(at, view)| {
            format!(
                "SELECT {at} AS at, '{view}' AS view, count() AS rows, \
                 sum(cityHash64(toString(tuple(* EXCEPT (rev, computed_at))))) AS hash FROM {view}"
            )
        })
        .collect();
    format!("SELECT * FROM ({}) ORDER BY at", views.join(" UNION ALL "))
}
