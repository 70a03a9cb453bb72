-- What analysts and dashboards read of the timeseries. What depends on now is computed here and never stored.

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
    coalesce(nullIf((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    coalesce((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'definition'), '') AS definition_now
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
    definition_now AS definition,
    rev,
    computed_at
FROM ${db}.scopes
ARRAY JOIN
    arrayFlatten(arrayMap(
        metric -> arrayMap(window -> (metric, window), ['24h', '7d', '30d', '90d']),
        ['change_fail_rate', 'recovery_time', 'rework_rate']
    )) AS blind
WHERE NOT failure_source
COMMENT 'The metrics that need a failure source, of scopes that have none: null, with the reason, since the scope began.';

-- Filters on scope, metric and window reach the primary key through a GROUP BY; through a window function
-- they would not, and every query would read every step.
CREATE OR REPLACE VIEW ${db}.dora_spans${on_cluster}
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
SELECT
    scope,
    metric,
    window,
    step.1 AS held_from,
    until AS held_until,
    step.2 AS value,
    if(isNull(step.2), 'no_data', '') AS null_reason,
    step.3 AS samples,
    step.4 AS p50,
    step.5 AS p75,
    step.6 AS p90,
    step.7 AS p95,
    step.8 AS mean,
    step.9 AS confirmed,
    step.10 AS inferred,
    step.11 AS per_day,
    step.12 AS days_with,
    step.13 AS definition,
    step.14 AS rev,
    step.15 AS computed_at
FROM
(
    SELECT
        scope,
        metric,
        window,
        arraySort(step -> step.1, groupArray((
            as_of, value, samples, p50, p75, p90, p95, mean, confirmed, inferred, per_day, days_with, definition, rev, computed_at
        ))) AS steps
    FROM ${db}.dora_steps_rows FINAL
    WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM ${db}.scopes WHERE NOT failure_source))
    GROUP BY scope, metric, window
)
ARRAY JOIN
    steps AS step,
    arrayPushBack(arrayPopFront(steps.1), toDateTime64('2299-12-31 00:00:00', 6, 'UTC')) AS until
UNION ALL
SELECT
    scope,
    metric,
    window,
    held_from,
    held_until,
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
    definition,
    rev,
    computed_at
FROM ${db}.dora_blind_spots AS spots
COMMENT 'Steps with the time until which each holds; scopes without a failure source included. What the other dora views are made of.';

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
    toInt64OrNull(coalesce((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s
SELECT
    scope,
    metric,
    window,
    as_of,
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
    live,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND (isNull(failure_window_s) OR as_of + toIntervalSecond(assumeNotNull(failure_window_s)) > present)) AS provisional,
    definition,
    rev,
    computed_at
FROM
(
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
        definition,
        rev,
        computed_at
    FROM ${db}.dora_steps_rows FINAL
    WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM ${db}.scopes WHERE NOT failure_source))
    UNION ALL
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
        toBool(held_from <= now64(6, 'UTC')) AS live,
        definition,
        rev,
        computed_at
    FROM ${db}.dora_blind_spots
) AS steps
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next step. Steps in the future are values that leave the window if nothing else happens.';

-- Between two steps every window end carries the value of the last one: each UTC hour, or each midnight of
-- the reporting zone, on days of 23 and 25 hours too. A midnight that a zone skips counts once.
CREATE OR REPLACE VIEW ${db}.dora_windows${on_cluster}
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
    coalesce(nullIf((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    toInt64OrNull(coalesce((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s
SELECT
    scope,
    metric,
    window,
    toDateTime64(end_s, 6, 'UTC') AS as_of,
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
    toBool(end_s = if(window = '24h', intDiv(toUInt32(present), 3600) * 3600, toUInt32(toDateTime(toDate(present, zone), zone)))) AS live,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND (isNull(failure_window_s) OR toDateTime64(end_s, 6, 'UTC') + toIntervalSecond(assumeNotNull(failure_window_s)) > present)) AS provisional,
    definition,
    rev,
    computed_at
FROM ${db}.dora_spans AS spans
ARRAY JOIN if(window = '24h',
    range(toUInt32(held_from), toUInt32(least(held_until, present + toIntervalSecond(1))), 3600),
    arrayFilter(day_end -> day_end < toUInt32(least(held_until, present + toIntervalSecond(1))), arrayDistinct(arrayMap(
        day -> toUInt32(toDateTime(toDate(held_from, zone) + day, zone)),
        range(toUInt32(greatest(0, 1 + dateDiff('day', toDate(held_from, zone), toDate(least(held_until, present), zone)))))
    )))) AS end_s
WHERE held_from <= present
COMMENT 'Rolling windows as a dense series: a row for every hour (24h) or day (7d, 30d, 90d) of the reporting zone, up to now.';

CREATE OR REPLACE VIEW ${db}.dora_latest${on_cluster}
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
    coalesce(nullIf((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    toInt64OrNull(coalesce((SELECT any(value) FROM ${db}.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s,
    toDateTime64(toStartOfHour(present) + toIntervalHour(1), 6, 'UTC') AS hour_end,
    toDateTime64(toDateTime(toDate(present, zone) + 1, zone), 6, 'UTC') AS day_end
SELECT
    scope,
    metric,
    window,
    if(window = '24h', hour_end, day_end) AS as_of,
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
    toBool(1) AS live,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND (isNull(failure_window_s) OR if(window = '24h', hour_end, day_end) + toIntervalSecond(assumeNotNull(failure_window_s)) > present)) AS provisional,
    definition,
    rev,
    computed_at
FROM
(
    SELECT
        scope,
        metric,
        window,
        step.1 AS value,
        if(isNull(step.1), 'no_data', '') AS null_reason,
        step.2 AS samples,
        step.3 AS p50,
        step.4 AS p75,
        step.5 AS p90,
        step.6 AS p95,
        step.7 AS mean,
        step.8 AS confirmed,
        step.9 AS inferred,
        step.10 AS per_day,
        step.11 AS days_with,
        step.12 AS definition,
        step.13 AS rev,
        step.14 AS computed_at
    FROM
    (
        SELECT
            scope,
            metric,
            window,
            argMax((
                value, samples, p50, p75, p90, p95, mean, confirmed, inferred, per_day, days_with, definition, rev, computed_at
            ), as_of) AS step
        FROM ${db}.dora_steps_rows FINAL
        WHERE as_of <= if(window = '24h', hour_end, day_end)
            AND NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM ${db}.scopes WHERE NOT failure_source))
        GROUP BY scope, metric, window
    )
    UNION ALL
    SELECT
        scope,
        metric,
        window,
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
        definition,
        rev,
        computed_at
    FROM ${db}.dora_blind_spots
    WHERE held_from <= if(window = '24h', hour_end, day_end)
) AS latest
COMMENT 'The value of each scope, metric and window now: of the window that ends with the running hour or day, what has happened of it included.';
