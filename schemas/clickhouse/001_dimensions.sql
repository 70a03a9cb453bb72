-- Ownership as it is now, scopes and definitions. Each task tells what its own facts and the catalog say: a
-- service's row is told by the task of its home, teams and definitions by the first task, a scope in part by every
-- task that has something in it.

CREATE TABLE IF NOT EXISTS ${db}.services_rows${local}${on_cluster}
(
    service LowCardinality(String) COMMENT 'The name of the service.',
    team LowCardinality(Nullable(String)) COMMENT 'The team that owns it now; null when unowned.',
    groups Array(LowCardinality(String)) COMMENT 'The groups above the team, nearest first.',
    repos Array(String) COMMENT 'Its repositories as host/owner/name.' CODEC(ZSTD(1)),
    tags Map(LowCardinality(String), String) COMMENT 'Tags of the catalog.',
    criticality LowCardinality(Nullable(String)) COMMENT 'The criticality that the catalog gives it.',
    depends_on Array(LowCardinality(String)) COMMENT 'The services that it depends on directly.',
    failure_source Bool COMMENT 'Whether its failures can be seen.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (service, task)
COMMENT 'Services as the catalog knows them now. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.services_rows${on_cluster} AS ${db}.services_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'services_rows${local}', cityHash64(service))
COMMENT 'Services as the catalog knows them now. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.services${on_cluster}
(
    service LowCardinality(String) COMMENT 'The name of the service.',
    team LowCardinality(Nullable(String)) COMMENT 'The team that owns it now; null when unowned.',
    groups Array(LowCardinality(String)) COMMENT 'The groups above the team, nearest first.',
    repos Array(String) COMMENT 'Its repositories as host/owner/name.',
    tags Map(LowCardinality(String), String) COMMENT 'Tags of the catalog.',
    criticality LowCardinality(Nullable(String)) COMMENT 'The criticality that the catalog gives it.',
    depends_on Array(LowCardinality(String)) COMMENT 'The services that it depends on directly.',
    failure_source Bool COMMENT 'Whether its failures can be seen.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    service,
    team,
    groups,
    repos,
    tags,
    criticality,
    depends_on,
    failure_source,
    rev,
    computed_at
FROM ${db}.services_rows FINAL
COMMENT 'Services as the catalog knows them now.';

CREATE TABLE IF NOT EXISTS ${db}.teams_rows${local}${on_cluster}
(
    team LowCardinality(String) COMMENT 'The name of the team.',
    groups Array(LowCardinality(String)) COMMENT 'The groups above it, nearest first.',
    services Array(LowCardinality(String)) COMMENT 'The services that it owns now.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (team, task)
COMMENT 'Teams as the catalog knows them now. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.teams_rows${on_cluster} AS ${db}.teams_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'teams_rows${local}', cityHash64(team))
COMMENT 'Teams as the catalog knows them now. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.teams${on_cluster}
(
    team LowCardinality(String) COMMENT 'The name of the team.',
    groups Array(LowCardinality(String)) COMMENT 'The groups above it, nearest first.',
    services Array(LowCardinality(String)) COMMENT 'The services that it owns now.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    team,
    groups,
    services,
    rev,
    computed_at
FROM ${db}.teams_rows FINAL
COMMENT 'Teams as the catalog knows them now.';

CREATE TABLE IF NOT EXISTS ${db}.scopes_rows${local}${on_cluster}
(
    scope LowCardinality(String) COMMENT 'As in service:checkout, team:payments, group:retail, org:acme, tag:k=v or repo:host/owner/name.',
    kind LowCardinality(String) COMMENT 'The word before the colon.',
    first_at DateTime64(6, 'UTC') COMMENT 'When the first thing counted in it happened.' CODEC(Delta, ZSTD(1)),
    failure_source Bool COMMENT 'Whether the failures of any service in it can be seen. Without one the fail, rework and recovery metrics are null.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (scope, task)
COMMENT 'What metrics are about, in part by every task that has something in it. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.scopes_rows${on_cluster} AS ${db}.scopes_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'scopes_rows${local}', cityHash64(scope))
COMMENT 'What metrics are about, in part by every task that has something in it. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.scopes${on_cluster}
(
    scope LowCardinality(String) COMMENT 'As in service:checkout, team:payments, group:retail, org:acme, tag:k=v or repo:host/owner/name.',
    kind LowCardinality(String) COMMENT 'The word before the colon.',
    first_at DateTime64(6, 'UTC') COMMENT 'When the first thing counted in it happened.',
    failure_source Bool COMMENT 'Whether the failures of any service in it can be seen. Without one the fail, rework and recovery metrics are null.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    told.scope AS scope,
    any(told.kind) AS kind,
    min(told.first_at) AS first_at,
    toBool(max(told.failure_source)) AS failure_source,
    max(told.rev) AS rev,
    max(told.computed_at) AS computed_at
FROM ${db}.scopes_rows AS told FINAL
GROUP BY told.scope
COMMENT 'What metrics are about.';

CREATE TABLE IF NOT EXISTS ${db}.definitions_rows${local}${on_cluster}
(
    `key` LowCardinality(String) COMMENT 'definition (the hash of all of them), timezone, failure_window_s (empty: unbounded) or organisation.',
    value String COMMENT 'The value.' CODEC(ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (`key`, task)
COMMENT 'The definitions that decide the numbers. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.definitions_rows${on_cluster} AS ${db}.definitions_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'definitions_rows${local}', cityHash64(`key`))
COMMENT 'The definitions that decide the numbers. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.definitions${on_cluster}
(
    `key` LowCardinality(String) COMMENT 'definition (the hash of all of them), timezone, failure_window_s (empty: unbounded) or organisation.',
    value String COMMENT 'The value.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    `key`,
    value,
    rev,
    computed_at
FROM ${db}.definitions_rows FINAL
COMMENT 'The definitions that decide the numbers.';
