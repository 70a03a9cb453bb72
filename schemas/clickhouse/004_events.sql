-- The archive of events. The sorting key is the whole natural key (everything in it follows from the content
-- hash), so one record stored twice is one row, whatever the order. Not partitioned: an import of ten years of
-- history must be one insert. A TTL is optional:
--   ALTER TABLE events_rows MODIFY TTL toDateTime(occurred_at) + INTERVAL 2 YEAR

CREATE TABLE IF NOT EXISTS ${db}.events_rows${local}${on_cluster}
(
    event_id String COMMENT 'The id within its source; copies with one id and other content are records of their own.' CODEC(ZSTD(1)),
    `type` LowCardinality(String) COMMENT 'The canonical type, as in deployment or incident.',
    source LowCardinality(String) COMMENT 'Who told it.',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository that it names.',
    service LowCardinality(Nullable(String)) COMMENT 'The service or alias that it names.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened.' CODEC(Delta, ZSTD(1)),
    observed_at DateTime64(6, 'UTC') COMMENT 'When it reached us.' CODEC(Delta, ZSTD(1)),
    drill Nullable(Bool) COMMENT 'A game day or experiment.',
    imported Nullable(Bool) COMMENT 'Told by an import of history.',
    hash String COMMENT 'SHA-256 of its JSON with sorted keys, in hexadecimal.' CODEC(ZSTD(1)),
    body String COMMENT 'The whole event as JSON.' CODEC(ZSTD(3)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (`type`, occurred_at, source, event_id, hash)
COMMENT 'Archive of every canonical event, duplicates removed. Storage: read the view. It has no TTL; to bound it: ALTER TABLE … MODIFY TTL toDateTime(occurred_at) + INTERVAL 2 YEAR.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.events_rows${on_cluster} AS ${db}.events_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'events_rows${local}', cityHash64(`type`, occurred_at, source, event_id, hash))
COMMENT 'Archive of every canonical event, duplicates removed. Storage: read the view. It has no TTL; to bound it: ALTER TABLE … MODIFY TTL toDateTime(occurred_at) + INTERVAL 2 YEAR.';

CREATE OR REPLACE VIEW ${db}.events${on_cluster}
(
    event_id String COMMENT 'The id within its source; copies with one id and other content are records of their own.',
    `type` LowCardinality(String) COMMENT 'The canonical type, as in deployment or incident.',
    source LowCardinality(String) COMMENT 'Who told it.',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository that it names.',
    service LowCardinality(Nullable(String)) COMMENT 'The service or alias that it names.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened.',
    observed_at DateTime64(6, 'UTC') COMMENT 'When it reached us.',
    drill Nullable(Bool) COMMENT 'A game day or experiment.',
    imported Nullable(Bool) COMMENT 'Told by an import of history.',
    hash String COMMENT 'SHA-256 of its JSON with sorted keys, in hexadecimal.',
    body String COMMENT 'The whole event as JSON.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    event_id,
    `type`,
    source,
    repo,
    service,
    occurred_at,
    observed_at,
    drill,
    imported,
    hash,
    body,
    rev,
    computed_at
FROM ${db}.events_rows FINAL
COMMENT 'Archive of every canonical event, duplicates removed.';
