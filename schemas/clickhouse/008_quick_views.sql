-- Views that answer sooner, with the same rows.
--
-- A filter on the sorting key holds before FINAL as well as after it. ClickHouse tests it before, and reads the other
-- columns of what is left only, with optimize_move_to_prewhere_if_final: the view says so, whoever asks.

CREATE OR REPLACE VIEW ${db}.panes${on_cluster}
(
    scope LowCardinality(String) COMMENT 'What it is about, as in service:checkout.',
    metric LowCardinality(String) COMMENT 'The name of the metric.',
    grain LowCardinality(String) COMMENT 'hour (of UTC) or day (of the reporting zone).',
    start DateTime64(6, 'UTC') COMMENT 'The start (inclusive).',
    `end` DateTime64(6, 'UTC') COMMENT 'The end (exclusive).',
    numerator Int64 COMMENT 'The count, or the numerator of the rate.',
    denominator Int64 COMMENT 'The denominator of the rate.',
    confirmed Int64 COMMENT 'Of a change fail rate: failures with evidence other than temporal.',
    inferred Int64 COMMENT 'Of a change fail rate: failures with temporal evidence only.',
    samples Map(Int64, Int64) COMMENT 'The samples as a counting multiset: whole seconds to how many. sumMap adds them up.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    scope,
    metric,
    grain,
    start,
    `end`,
    numerator,
    denominator,
    confirmed,
    inferred,
    samples,
    rev,
    computed_at
FROM ${db}.panes_rows FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range: sum the counts, sumMap the samples.';

-- A question of a few milliseconds is planned as long as it runs: views in views cost, and so does each query for one
-- value. The definitions are one query, the same in each view: it runs once.
CREATE OR REPLACE VIEW ${db}.dora_blind_spots${on_cluster}
(
    scope LowCardinality(String) COMMENT 'What it is about, as in service:checkout.',
    metric LowCardinality(String) COMMENT 'The name of the metric, as in change_lead_time.',
    `window` LowCardinality(String) COMMENT '24h, 7d, 30d or 90d.',
    held_from DateTime64(6, 'UTC') COMMENT 'The end of the first window that has this value: the as_of of the step.',
    held_until DateTime64(6, 'UTC') COMMENT 'The end of the first window that no longer has it; 2299 when it still holds.',
    value Nullable(Float64) COMMENT 'The value of the metric: seconds, a rate from 0 to 1, or a count; null without data.',
    null_reason LowCardinality(String) COMMENT 'Why value is null: no_data or no_failure_source; else empty.',
    samples UInt64 COMMENT 'How many things the value is made of.',
    p50 Nullable(Int64) COMMENT '50th percentile, nearest rank, in whole seconds.',
    p75 Nullable(Int64) COMMENT '75th percentile.',
    p90 Nullable(Int64) COMMENT '90th percentile.',
    p95 Nullable(Int64) COMMENT '95th percentile.',
    mean Nullable(Float64) COMMENT 'Sum of the samples divided by their number.',
    confirmed Nullable(UInt64) COMMENT 'Of a change fail rate: failures with evidence other than temporal.',
    inferred Nullable(UInt64) COMMENT 'Of a change fail rate: failures with temporal evidence only.',
    per_day Nullable(Float64) COMMENT 'Of a count: how many a day.',
    days_with Nullable(UInt64) COMMENT 'Of a count: days with at least one; null for 24h.',
    definition LowCardinality(String) COMMENT 'The hash of the definitions that made the row.',
    rev UInt64 COMMENT 'Version of the row.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS
WITH
    (
        SELECT (anyIf(value, key = 'timezone'), anyIf(value, key = 'definition'), anyIf(value, key = 'failure_window_s'))
        FROM ${db}.definitions_rows FINAL
    ) AS definitions,
    if(definitions.1 = '', 'UTC', definitions.1) AS zone
SELECT
    scope,
    blind.1 AS metric,
    blind.2 AS window,
    if(blind.2 = '24h', toDateTime64(toStartOfHour(first_at) + toIntervalHour(1), 6, 'UTC'),
        toDateTime64(toDateTime(toDate(first_at, zone) + 1, zone), 6, 'UTC')) AS held_from,
    toDateTime64('2299-12-31 00:00:00', 6, 'UTC') AS held_until,
    CAST(NULL, 'Nullable(Float64)') AS value,
    'no_failure_source' AS null_reason,
    toUInt64(0) AS samples,
    CAST(NULL, 'Nullable(Int64)') AS p50,
    CAST(NULL, 'Nullable(Int64)') AS p75,
    CAST(NULL, 'Nullable(Int64)') AS p90,
    CAST(NULL, 'Nullable(Int64)') AS p95,
    CAST(NULL, 'Nullable(Float64)') AS mean,
    CAST(NULL, 'Nullable(UInt64)') AS confirmed,
    CAST(NULL, 'Nullable(UInt64)') AS inferred,
    CAST(NULL, 'Nullable(Float64)') AS per_day,
    CAST(NULL, 'Nullable(UInt64)') AS days_with,
    definitions.2 AS definition,
    rev,
    computed_at
FROM
(
    SELECT
        scope,
        min(first_at) AS first_at,
        max(rev) AS rev,
        max(computed_at) AS computed_at
    FROM ${db}.scopes_rows FINAL
    GROUP BY scope
    HAVING max(failure_source) = 0
) AS scopes
ARRAY JOIN
    arrayFlatten(arrayMap(
        metric -> arrayMap(window -> (metric, window), ['24h', '7d', '30d', '90d']),
        ['change_fail_rate', 'recovery_time', 'rework_rate']
    )) AS blind
COMMENT 'The metrics that need a failure source, of scopes that have none: null, with the reason, since the scope began.';

CREATE OR REPLACE VIEW ${db}.dora_steps${on_cluster}
(
    scope LowCardinality(String) COMMENT 'What it is about, as in service:checkout.',
    metric LowCardinality(String) COMMENT 'The name of the metric, as in change_lead_time.',
    `window` LowCardinality(String) COMMENT '24h, 7d, 30d or 90d.',
    as_of DateTime64(6, 'UTC') COMMENT 'The end (exclusive) of the window.',
    value Nullable(Float64) COMMENT 'The value of the metric: seconds, a rate from 0 to 1, or a count; null without data.',
    null_reason LowCardinality(String) COMMENT 'Why value is null: no_data or no_failure_source; else empty.',
    samples UInt64 COMMENT 'How many things the value is made of.',
    p50 Nullable(Int64) COMMENT '50th percentile, nearest rank, in whole seconds.',
    p75 Nullable(Int64) COMMENT '75th percentile.',
    p90 Nullable(Int64) COMMENT '90th percentile.',
    p95 Nullable(Int64) COMMENT '95th percentile.',
    mean Nullable(Float64) COMMENT 'Sum of the samples divided by their number.',
    confirmed Nullable(UInt64) COMMENT 'Of a change fail rate: failures with evidence other than temporal.',
    inferred Nullable(UInt64) COMMENT 'Of a change fail rate: failures with temporal evidence only.',
    per_day Nullable(Float64) COMMENT 'Of a count: how many a day.',
    days_with Nullable(UInt64) COMMENT 'Of a count: days with at least one; null for 24h.',
    live Bool COMMENT 'The newest row of its series: the next window ends in the future.',
    provisional Bool COMMENT 'The failure window has not passed since as_of: a fail, rework or recovery metric may still change.',
    definition LowCardinality(String) COMMENT 'The hash of the definitions that made the row.',
    rev UInt64 COMMENT 'Version of the row.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS
WITH
    now64(6, 'UTC') AS present,
    (
        SELECT (anyIf(value, key = 'timezone'), anyIf(value, key = 'definition'), anyIf(value, key = 'failure_window_s'))
        FROM ${db}.definitions_rows FINAL
    ) AS definitions,
    toInt64OrNull(definitions.3) AS failure_window_s
SELECT
    scope,
    metric,
    window,
    as_of,
    value,
    if(isNull(value), 'no_data', '') AS null_reason,
    samples,
    p50,
    p75,
    p90,
    p95,
    mean,
    confirmed,
    inferred,
    per_day,
    days_with,
    toBool((scope, metric, window, as_of) GLOBAL IN (
        SELECT scope, metric, window, max(as_of)
        FROM ${db}.dora_steps_rows FINAL
        WHERE as_of <= now64(6, 'UTC')
        GROUP BY scope, metric, window
    )) AS live,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND (isNull(failure_window_s) OR as_of + toIntervalSecond(assumeNotNull(failure_window_s)) > present)) AS provisional,
    definition,
    rev,
    computed_at
FROM ${db}.dora_steps_rows FINAL
WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
    AND scope GLOBAL IN (SELECT scope FROM ${db}.scopes_rows FINAL GROUP BY scope HAVING max(failure_source) = 0))
SETTINGS optimize_move_to_prewhere_if_final = 1
UNION ALL
WITH
    now64(6, 'UTC') AS present,
    (
        SELECT (anyIf(value, key = 'timezone'), anyIf(value, key = 'definition'), anyIf(value, key = 'failure_window_s'))
        FROM ${db}.definitions_rows FINAL
    ) AS definitions,
    toInt64OrNull(definitions.3) AS failure_window_s
SELECT
    scope,
    metric,
    window,
    held_from AS as_of,
    value,
    null_reason,
    samples,
    p50,
    p75,
    p90,
    p95,
    mean,
    confirmed,
    inferred,
    per_day,
    days_with,
    toBool(as_of <= present) AS live,
    toBool(isNull(failure_window_s) OR as_of + toIntervalSecond(assumeNotNull(failure_window_s)) > present) AS provisional,
    definition,
    rev,
    computed_at
FROM ${db}.dora_blind_spots AS spots
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next step. Steps in the future are values that leave the window if nothing else happens.';
