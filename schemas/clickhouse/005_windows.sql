-- The timeseries: steps as they are stored, and panes.

CREATE TABLE IF NOT EXISTS ${db}.dora_steps_rows${local}${on_cluster}
(
    scope LowCardinality(String) COMMENT 'What it is about, as in service:checkout.',
    metric LowCardinality(String) COMMENT 'The name of the metric, as in change_lead_time.',
    `window` LowCardinality(String) COMMENT '24h, 7d, 30d or 90d.',
    as_of DateTime64(6, 'UTC') COMMENT 'The end (exclusive) of the window.' CODEC(Delta, ZSTD(1)),
    value Nullable(Float64) COMMENT 'The value of the metric: seconds, a rate from 0 to 1, or a count; null without data.' CODEC(ZSTD(1)),
    samples UInt64 COMMENT 'How many things the value is made of.' CODEC(T64, ZSTD(1)),
    p50 Nullable(Int64) COMMENT '50th percentile, nearest rank, in whole seconds.' CODEC(T64, ZSTD(1)),
    p75 Nullable(Int64) COMMENT '75th percentile.' CODEC(T64, ZSTD(1)),
    p90 Nullable(Int64) COMMENT '90th percentile.' CODEC(T64, ZSTD(1)),
    p95 Nullable(Int64) COMMENT '95th percentile.' CODEC(T64, ZSTD(1)),
    mean Nullable(Float64) COMMENT 'Sum of the samples divided by their number.' CODEC(ZSTD(1)),
    confirmed Nullable(UInt64) COMMENT 'Of a change fail rate: failures with evidence other than temporal.' CODEC(T64, ZSTD(1)),
    inferred Nullable(UInt64) COMMENT 'Of a change fail rate: failures with temporal evidence only.' CODEC(T64, ZSTD(1)),
    per_day Nullable(Float64) COMMENT 'Of a count: how many a day.' CODEC(ZSTD(1)),
    days_with Nullable(UInt64) COMMENT 'Of a count: days with at least one; null for 24h.' CODEC(T64, ZSTD(1)),
    definition LowCardinality(String) COMMENT 'The hash of the definitions that made the row.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (scope, metric, `window`, as_of)
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next. Storage: read dora_steps, dora_windows or dora_latest.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.dora_steps_rows${on_cluster} AS ${db}.dora_steps_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'dora_steps_rows${local}', cityHash64(scope))
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next. Storage: read dora_steps, dora_windows or dora_latest.';

CREATE TABLE IF NOT EXISTS ${db}.panes_rows${local}${on_cluster}
(
    scope LowCardinality(String) COMMENT 'What it is about, as in service:checkout.',
    metric LowCardinality(String) COMMENT 'The name of the metric.',
    grain LowCardinality(String) COMMENT 'hour (of UTC) or day (of the reporting zone).',
    start DateTime64(6, 'UTC') COMMENT 'The start (inclusive).' CODEC(Delta, ZSTD(1)),
    `end` DateTime64(6, 'UTC') COMMENT 'The end (exclusive).' CODEC(Delta, ZSTD(1)),
    numerator Int64 COMMENT 'The count, or the numerator of the rate.' CODEC(T64, ZSTD(1)),
    denominator Int64 COMMENT 'The denominator of the rate.' CODEC(T64, ZSTD(1)),
    confirmed Int64 COMMENT 'Of a change fail rate: failures with evidence other than temporal.' CODEC(T64, ZSTD(1)),
    inferred Int64 COMMENT 'Of a change fail rate: failures with temporal evidence only.' CODEC(T64, ZSTD(1)),
    samples Map(Int64, Int64) COMMENT 'The samples as a counting multiset: whole seconds to how many. sumMap adds them up.' CODEC(ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (scope, metric, grain, start)
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.panes_rows${on_cluster} AS ${db}.panes_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'panes_rows${local}', cityHash64(scope))
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range. Storage: read the view.';

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
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range: sum the counts, sumMap the samples.';
