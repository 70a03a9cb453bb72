-- What went wrong, was switched, was found, or cannot be placed: one table per fact, and its view.

CREATE TABLE IF NOT EXISTS ${db}.incidents_rows${local}${on_cluster}
(
    service LowCardinality(String) COMMENT 'The service that it hurts.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when it was resolved (while it is open: when it started).',
    incident_id String COMMENT 'Unique everywhere; sources prefix their own, as in pagerduty:Q1.' CODEC(ZSTD(1)),
    members Array(String) COMMENT 'The ids of all its records, its own among them.' CODEC(ZSTD(1)),
    severity LowCardinality(Nullable(String)) COMMENT 'sev1 (worst) to sev5.',
    tier LowCardinality(String) COMMENT 'The tier of the environment that it hurts.',
    status LowCardinality(String) COMMENT 'Where it stands.',
    started_at DateTime64(6, 'UTC') COMMENT 'When users were first hurt (by default: when it was detected).' CODEC(Delta, ZSTD(1)),
    detected_at DateTime64(6, 'UTC') COMMENT 'When it was noticed.' CODEC(Delta, ZSTD(1)),
    detection_stated Bool COMMENT 'Whether start and detection were both stated.',
    mitigated_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When users were no longer hurt.' CODEC(Delta, ZSTD(1)),
    resolved_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was over.' CODEC(Delta, ZSTD(1)),
    time_to_restore_s Nullable(Int64) COMMENT 'Started to resolved, in whole seconds.' CODEC(T64, ZSTD(1)),
    time_to_detect_s Nullable(Int64) COMMENT 'Started to detected, in whole seconds, where both were stated.' CODEC(T64, ZSTD(1)),
    cause LowCardinality(Nullable(String)) COMMENT 'What caused it: change, flag, capacity, dependency, security, external or unknown.',
    deployment_id Nullable(String) COMMENT 'The deployment that it blames.' CODEC(ZSTD(1)),
    failure_evidence LowCardinality(Nullable(String)) COMMENT 'The rule by which it blames that deployment.',
    skewed Bool COMMENT 'A negative time to restore or detect: left out of the samples.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    source LowCardinality(String) COMMENT 'Who told it.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (incident_id, task)
COMMENT 'Incidents; linked alerts, pages and tickets are one. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.incidents_rows${on_cluster} AS ${db}.incidents_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'incidents_rows${local}', cityHash64(incident_id))
COMMENT 'Incidents; linked alerts, pages and tickets are one. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.incidents${on_cluster}
(
    service LowCardinality(String) COMMENT 'The service that it hurts.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when it was resolved (while it is open: when it started).',
    incident_id String COMMENT 'Unique everywhere; sources prefix their own, as in pagerduty:Q1.',
    members Array(String) COMMENT 'The ids of all its records, its own among them.',
    severity LowCardinality(Nullable(String)) COMMENT 'sev1 (worst) to sev5.',
    tier LowCardinality(String) COMMENT 'The tier of the environment that it hurts.',
    status LowCardinality(String) COMMENT 'Where it stands.',
    started_at DateTime64(6, 'UTC') COMMENT 'When users were first hurt (by default: when it was detected).',
    detected_at DateTime64(6, 'UTC') COMMENT 'When it was noticed.',
    detection_stated Bool COMMENT 'Whether start and detection were both stated.',
    mitigated_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When users were no longer hurt.',
    resolved_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was over.',
    time_to_restore_s Nullable(Int64) COMMENT 'Started to resolved, in whole seconds.',
    time_to_detect_s Nullable(Int64) COMMENT 'Started to detected, in whole seconds, where both were stated.',
    cause LowCardinality(Nullable(String)) COMMENT 'What caused it: change, flag, capacity, dependency, security, external or unknown.',
    deployment_id Nullable(String) COMMENT 'The deployment that it blames.',
    failure_evidence LowCardinality(Nullable(String)) COMMENT 'The rule by which it blames that deployment.',
    skewed Bool COMMENT 'A negative time to restore or detect: left out of the samples.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    source LowCardinality(String) COMMENT 'Who told it.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    service,
    team,
    incident_id,
    members,
    severity,
    tier,
    status,
    started_at,
    detected_at,
    detection_stated,
    mitigated_at,
    resolved_at,
    time_to_restore_s,
    time_to_detect_s,
    cause,
    deployment_id,
    failure_evidence,
    skewed,
    drill,
    source,
    rev,
    computed_at
FROM ${db}.incidents_rows FINAL
COMMENT 'Incidents; linked alerts, pages and tickets are one.';

CREATE TABLE IF NOT EXISTS ${db}.flag_changes_rows${local}${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.' CODEC(ZSTD(1)),
    service LowCardinality(Nullable(String)) COMMENT 'The service, where the flag is claimed.',
    flag String COMMENT 'The key of the flag.' CODEC(ZSTD(1)),
    action LowCardinality(String) COMMENT 'What was done.',
    environment LowCardinality(String) COMMENT 'Where.',
    changed_at DateTime64(6, 'UTC') COMMENT 'When.' CODEC(Delta, ZSTD(1)),
    `from` Nullable(String) COMMENT 'The value before.' CODEC(ZSTD(1)),
    `to` Nullable(String) COMMENT 'The value after.' CODEC(ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (source, event_id, task)
COMMENT 'Changes of feature flags. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.flag_changes_rows${on_cluster} AS ${db}.flag_changes_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'flag_changes_rows${local}', cityHash64(source, event_id))
COMMENT 'Changes of feature flags. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.flag_changes${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.',
    service LowCardinality(Nullable(String)) COMMENT 'The service, where the flag is claimed.',
    flag String COMMENT 'The key of the flag.',
    action LowCardinality(String) COMMENT 'What was done.',
    environment LowCardinality(String) COMMENT 'Where.',
    changed_at DateTime64(6, 'UTC') COMMENT 'When.',
    `from` Nullable(String) COMMENT 'The value before.',
    `to` Nullable(String) COMMENT 'The value after.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    source,
    event_id,
    service,
    flag,
    action,
    environment,
    changed_at,
    `from`,
    `to`,
    rev,
    computed_at
FROM ${db}.flag_changes_rows FINAL
COMMENT 'Changes of feature flags.';

CREATE TABLE IF NOT EXISTS ${db}.scans_rows${local}${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.' CODEC(ZSTD(1)),
    service LowCardinality(Nullable(String)) COMMENT 'The service, or the first of the repository.',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository as host/owner/name.',
    scanner LowCardinality(String) COMMENT 'Who found it.',
    finding String COMMENT 'What was found.' CODEC(ZSTD(1)),
    severity LowCardinality(String) COMMENT 'How bad it is.',
    state LowCardinality(String) COMMENT 'Where it stands.',
    commit_sha Nullable(String) COMMENT 'In which commit.' CODEC(ZSTD(1)),
    digest Nullable(String) COMMENT 'In which artifact.' CODEC(ZSTD(1)),
    scanned_at DateTime64(6, 'UTC') COMMENT 'When it was told.' CODEC(Delta, ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (source, event_id, task)
COMMENT 'Security findings as they were last told. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.scans_rows${on_cluster} AS ${db}.scans_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'scans_rows${local}', cityHash64(source, event_id))
COMMENT 'Security findings as they were last told. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.scans${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.',
    service LowCardinality(Nullable(String)) COMMENT 'The service, or the first of the repository.',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository as host/owner/name.',
    scanner LowCardinality(String) COMMENT 'Who found it.',
    finding String COMMENT 'What was found.',
    severity LowCardinality(String) COMMENT 'How bad it is.',
    state LowCardinality(String) COMMENT 'Where it stands.',
    commit_sha Nullable(String) COMMENT 'In which commit.',
    digest Nullable(String) COMMENT 'In which artifact.',
    scanned_at DateTime64(6, 'UTC') COMMENT 'When it was told.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    source,
    event_id,
    service,
    repo,
    scanner,
    finding,
    severity,
    state,
    commit_sha,
    digest,
    scanned_at,
    rev,
    computed_at
FROM ${db}.scans_rows FINAL
COMMENT 'Security findings as they were last told.';

CREATE TABLE IF NOT EXISTS ${db}.parked_events_rows${local}${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.' CODEC(ZSTD(1)),
    hash String COMMENT 'SHA-256 of its content, in hexadecimal.' CODEC(ZSTD(1)),
    event_type LowCardinality(String) COMMENT 'The type of the event.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened.' CODEC(Delta, ZSTD(1)),
    reason LowCardinality(String) COMMENT 'Why it waits.',
    claim Nullable(String) COMMENT 'The name, alias or repository that nobody claims.' CODEC(ZSTD(1)),
    body String COMMENT 'The event as JSON.' CODEC(ZSTD(3)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (source, event_id, hash, task)
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.parked_events_rows${on_cluster} AS ${db}.parked_events_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'parked_events_rows${local}', cityHash64(source, event_id, hash))
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.parked_events${on_cluster}
(
    source LowCardinality(String) COMMENT 'Who told it.',
    event_id String COMMENT 'The id of the event within its source.',
    hash String COMMENT 'SHA-256 of its content, in hexadecimal.',
    event_type LowCardinality(String) COMMENT 'The type of the event.',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When it happened.',
    reason LowCardinality(String) COMMENT 'Why it waits.',
    claim Nullable(String) COMMENT 'The name, alias or repository that nobody claims.',
    body String COMMENT 'The event as JSON.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    source,
    event_id,
    hash,
    event_type,
    occurred_at,
    reason,
    claim,
    body,
    rev,
    computed_at
FROM ${db}.parked_events_rows FINAL
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed.';

CREATE TABLE IF NOT EXISTS ${db}.data_quality_rows${local}${on_cluster}
(
    signal LowCardinality(String) COMMENT 'Which signal: clock_skew, unknown_head, unowned_service and others.',
    subject String COMMENT 'What it is about: a service, a deployment, a commit or a source.' CODEC(ZSTD(1)),
    service LowCardinality(Nullable(String)) COMMENT 'The service.',
    since DateTime64(6, 'UTC') COMMENT 'When it was first true.' CODEC(Delta, ZSTD(1)),
    detail String COMMENT 'What was found.' CODEC(ZSTD(1)),
    remedy String COMMENT 'What to do.' CODEC(ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (signal, subject, task)
COMMENT 'Findings about the quality of the data, each with its remedy. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.data_quality_rows${on_cluster} AS ${db}.data_quality_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'data_quality_rows${local}', cityHash64(signal, subject))
COMMENT 'Findings about the quality of the data, each with its remedy. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.data_quality${on_cluster}
(
    signal LowCardinality(String) COMMENT 'Which signal: clock_skew, unknown_head, unowned_service and others.',
    subject String COMMENT 'What it is about: a service, a deployment, a commit or a source.',
    service LowCardinality(Nullable(String)) COMMENT 'The service.',
    since DateTime64(6, 'UTC') COMMENT 'When it was first true.',
    detail String COMMENT 'What was found.',
    remedy String COMMENT 'What to do.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    signal,
    subject,
    service,
    since,
    detail,
    remedy,
    rev,
    computed_at
FROM ${db}.data_quality_rows FINAL
COMMENT 'Findings about the quality of the data, each with its remedy.';
