-- 000 bootstrap
CREATE DATABASE IF NOT EXISTS streamgauge ON CLUSTER 'dora'
COMMENT 'DORA metrics and the facts behind them. Read the views; tables named *_rows are their storage.';

-- 000 bootstrap
CREATE TABLE IF NOT EXISTS streamgauge.schema_migrations_local ON CLUSTER 'dora'
(
    version UInt32 COMMENT 'The number of the migration.',
    name String COMMENT 'Its name.',
    checksum String COMMENT 'SHA-256 of its template, in hexadecimal.',
    applied_at DateTime64(3, 'UTC') COMMENT 'When it ran.'
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', applied_at)
ORDER BY (version)
COMMENT 'The migrations that ran on this database.';

-- 000 bootstrap
CREATE TABLE IF NOT EXISTS streamgauge.schema_migrations ON CLUSTER 'dora' AS streamgauge.schema_migrations_local
ENGINE = Distributed('dora', 'streamgauge', 'schema_migrations_local', cityHash64(version))
COMMENT 'The migrations that ran on this database.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.services_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (service, task)
COMMENT 'Services as the catalog knows them now. Storage: read the view.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.services_rows ON CLUSTER 'dora' AS streamgauge.services_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'services_rows_local', cityHash64(service))
COMMENT 'Services as the catalog knows them now. Storage: read the view.';

-- 001 dimensions
CREATE OR REPLACE VIEW streamgauge.services ON CLUSTER 'dora'
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
FROM streamgauge.services_rows FINAL
COMMENT 'Services as the catalog knows them now.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.teams_rows_local ON CLUSTER 'dora'
(
    team LowCardinality(String) COMMENT 'The name of the team.',
    groups Array(LowCardinality(String)) COMMENT 'The groups above it, nearest first.',
    services Array(LowCardinality(String)) COMMENT 'The services that it owns now.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (team, task)
COMMENT 'Teams as the catalog knows them now. Storage: read the view.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.teams_rows ON CLUSTER 'dora' AS streamgauge.teams_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'teams_rows_local', cityHash64(team))
COMMENT 'Teams as the catalog knows them now. Storage: read the view.';

-- 001 dimensions
CREATE OR REPLACE VIEW streamgauge.teams ON CLUSTER 'dora'
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
FROM streamgauge.teams_rows FINAL
COMMENT 'Teams as the catalog knows them now.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.scopes_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (scope, task)
COMMENT 'What metrics are about, in part by every task that has something in it. Storage: read the view.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.scopes_rows ON CLUSTER 'dora' AS streamgauge.scopes_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'scopes_rows_local', cityHash64(scope))
COMMENT 'What metrics are about, in part by every task that has something in it. Storage: read the view.';

-- 001 dimensions
CREATE OR REPLACE VIEW streamgauge.scopes ON CLUSTER 'dora'
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
FROM streamgauge.scopes_rows AS told FINAL
GROUP BY told.scope
COMMENT 'What metrics are about.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.definitions_rows_local ON CLUSTER 'dora'
(
    `key` LowCardinality(String) COMMENT 'definition (the hash of all of them), timezone, failure_window_s (empty: unbounded) or organisation.',
    value String COMMENT 'The value.' CODEC(ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (`key`, task)
COMMENT 'The definitions that decide the numbers. Storage: read the view.';

-- 001 dimensions
CREATE TABLE IF NOT EXISTS streamgauge.definitions_rows ON CLUSTER 'dora' AS streamgauge.definitions_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'definitions_rows_local', cityHash64(`key`))
COMMENT 'The definitions that decide the numbers. Storage: read the view.';

-- 001 dimensions
CREATE OR REPLACE VIEW streamgauge.definitions ON CLUSTER 'dora'
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
FROM streamgauge.definitions_rows FINAL
COMMENT 'The definitions that decide the numbers.';

-- 001 dimensions
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 1, 'dimensions', 'f1e64e24573d1afec3842aacc0ba787d6d65043cd8a4ddea9b096358a15e70e5', now64(3, 'UTC');

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.deployments_rows_local ON CLUSTER 'dora'
(
    service LowCardinality(String) COMMENT 'The service that was deployed.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when the deployment finished (while it runs: when it started).',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository that it names, else the first of its service.',
    environment LowCardinality(String) COMMENT 'The environment as the vendor names it.',
    tier LowCardinality(String) COMMENT 'production, staging, testing, development or other. Only production counts for DORA.',
    deployment_id String COMMENT 'Unique within the service; sources prefix their own, as in github:123.' CODEC(ZSTD(1)),
    rollout_id Nullable(String) COMMENT 'The rollout of the vendor that it is part of, where one was named.' CODEC(ZSTD(1)),
    parts UInt32 COMMENT 'How many attempts count.' CODEC(T64, ZSTD(1)),
    version Nullable(String) COMMENT 'The version deployed.' CODEC(ZSTD(1)),
    commit_sha Nullable(String) COMMENT 'The commit deployed: that of the artifact, else its own.' CODEC(ZSTD(1)),
    started_at DateTime64(6, 'UTC') COMMENT 'When its first part started.' CODEC(Delta, ZSTD(1)),
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last attempt that counts finished; null while running.' CODEC(Delta, ZSTD(1)),
    outcome LowCardinality(String) COMMENT 'running, succeeded, partial, failed or cancelled, over the attempts that count.',
    automated Nullable(Bool) COMMENT 'Set off by a push, a merge, a schedule, a controller or a bot; null where nobody said.',
    failed Nullable(Bool) COMMENT 'Whether it failed in production; null where it cannot.',
    failure_evidence LowCardinality(Nullable(String)) COMMENT 'The strongest evidence: manual, explicit, rollback, reverted, hotfix or temporal.',
    rolled_back Bool COMMENT 'Taken away by a rollback that blames an earlier deployment.',
    is_rollback Bool COMMENT 'Is itself a rollback.',
    is_rework Bool COMMENT 'Counts as rework.',
    recovered_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the failure was over.' CODEC(Delta, ZSTD(1)),
    recovery_s Nullable(Int64) COMMENT 'From its finish to its recovery, in whole seconds.' CODEC(T64, ZSTD(1)),
    impact_to_recovery_s Nullable(Int64) COMMENT 'From the start of the incident to its recovery, in whole seconds.' CODEC(T64, ZSTD(1)),
    changes Nullable(UInt64) COMMENT 'How many changes it shipped; null where that cannot be known.' CODEC(T64, ZSTD(1)),
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the vendor.',
    change_ref Nullable(String) COMMENT 'The change ticket.' CODEC(ZSTD(1)),
    approved Nullable(Bool) COMMENT 'Whether it was approved.',
    in_window Nullable(Bool) COMMENT 'Whether it was inside its change window.',
    canary_steps Nullable(UInt32) COMMENT 'How many canary steps it had.' CODEC(T64, ZSTD(1)),
    canary_promoted Nullable(Bool) COMMENT 'Whether the canary was promoted.',
    hotfix Bool COMMENT 'Marked as a hotfix.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    skewed Bool COMMENT 'Its recovery lies before its finish: left out of the samples.',
    source LowCardinality(String) COMMENT 'Who told it.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (service, deployment_id, task)
COMMENT 'Logical deployments, one per service, environment and rollout. Storage: read the view.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.deployments_rows ON CLUSTER 'dora' AS streamgauge.deployments_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'deployments_rows_local', cityHash64(service, deployment_id))
COMMENT 'Logical deployments, one per service, environment and rollout. Storage: read the view.';

-- 002 delivery
CREATE OR REPLACE VIEW streamgauge.deployments ON CLUSTER 'dora'
(
    service LowCardinality(String) COMMENT 'The service that was deployed.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when the deployment finished (while it runs: when it started).',
    repo LowCardinality(Nullable(String)) COMMENT 'The repository that it names, else the first of its service.',
    environment LowCardinality(String) COMMENT 'The environment as the vendor names it.',
    tier LowCardinality(String) COMMENT 'production, staging, testing, development or other. Only production counts for DORA.',
    deployment_id String COMMENT 'Unique within the service; sources prefix their own, as in github:123.',
    rollout_id Nullable(String) COMMENT 'The rollout of the vendor that it is part of, where one was named.',
    parts UInt32 COMMENT 'How many attempts count.',
    version Nullable(String) COMMENT 'The version deployed.',
    commit_sha Nullable(String) COMMENT 'The commit deployed: that of the artifact, else its own.',
    started_at DateTime64(6, 'UTC') COMMENT 'When its first part started.',
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last attempt that counts finished; null while running.',
    outcome LowCardinality(String) COMMENT 'running, succeeded, partial, failed or cancelled, over the attempts that count.',
    automated Nullable(Bool) COMMENT 'Set off by a push, a merge, a schedule, a controller or a bot; null where nobody said.',
    failed Nullable(Bool) COMMENT 'Whether it failed in production; null where it cannot.',
    failure_evidence LowCardinality(Nullable(String)) COMMENT 'The strongest evidence: manual, explicit, rollback, reverted, hotfix or temporal.',
    rolled_back Bool COMMENT 'Taken away by a rollback that blames an earlier deployment.',
    is_rollback Bool COMMENT 'Is itself a rollback.',
    is_rework Bool COMMENT 'Counts as rework.',
    recovered_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the failure was over.',
    recovery_s Nullable(Int64) COMMENT 'From its finish to its recovery, in whole seconds.',
    impact_to_recovery_s Nullable(Int64) COMMENT 'From the start of the incident to its recovery, in whole seconds.',
    changes Nullable(UInt64) COMMENT 'How many changes it shipped; null where that cannot be known.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the vendor.',
    change_ref Nullable(String) COMMENT 'The change ticket.',
    approved Nullable(Bool) COMMENT 'Whether it was approved.',
    in_window Nullable(Bool) COMMENT 'Whether it was inside its change window.',
    canary_steps Nullable(UInt32) COMMENT 'How many canary steps it had.',
    canary_promoted Nullable(Bool) COMMENT 'Whether the canary was promoted.',
    hotfix Bool COMMENT 'Marked as a hotfix.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    skewed Bool COMMENT 'Its recovery lies before its finish: left out of the samples.',
    source LowCardinality(String) COMMENT 'Who told it.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    service,
    team,
    repo,
    environment,
    tier,
    deployment_id,
    rollout_id,
    parts,
    version,
    commit_sha,
    started_at,
    finished_at,
    outcome,
    automated,
    failed,
    failure_evidence,
    rolled_back,
    is_rollback,
    is_rework,
    recovered_at,
    recovery_s,
    impact_to_recovery_s,
    changes,
    labels,
    change_ref,
    approved,
    in_window,
    canary_steps,
    canary_promoted,
    hotfix,
    drill,
    skewed,
    source,
    rev,
    computed_at
FROM streamgauge.deployments_rows FINAL
COMMENT 'Logical deployments, one per service, environment and rollout.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.changes_rows_local ON CLUSTER 'dora'
(
    service LowCardinality(String) COMMENT 'The service that it reached.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when the deployment finished.',
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    commit_sha String COMMENT 'The commit.' CODEC(ZSTD(1)),
    authored_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was written.' CODEC(Delta, ZSTD(1)),
    committed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was committed.' CODEC(Delta, ZSTD(1)),
    deployment_id String COMMENT 'The deployment that shipped it to production.' CODEC(ZSTD(1)),
    deployed_at DateTime64(6, 'UTC') COMMENT 'When that deployment finished.' CODEC(Delta, ZSTD(1)),
    lead_time_s Nullable(Int64) COMMENT 'From the start to the finish of the deployment, in whole seconds; negative when skewed; null where no time is known.' CODEC(T64, ZSTD(1)),
    start_evidence LowCardinality(Nullable(String)) COMMENT 'What the lead time starts from: commit, pr_first_commit, authored, pr_opened or pr_merged.',
    author_kind LowCardinality(Nullable(String)) COMMENT 'human or bot; people are not named.',
    skewed Bool COMMENT 'The lead time is negative: left out of the samples.',
    pull_request Nullable(UInt64) COMMENT 'The pull request that brought it.' CODEC(T64, ZSTD(1)),
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    coding_s Nullable(Int64) COMMENT 'First commit to pull request opened, in whole seconds.' CODEC(T64, ZSTD(1)),
    pickup_s Nullable(Int64) COMMENT 'Pull request opened to the first review before the merge, in whole seconds.' CODEC(T64, ZSTD(1)),
    review_s Nullable(Int64) COMMENT 'That review to the merge, in whole seconds.' CODEC(T64, ZSTD(1)),
    waiting_s Nullable(Int64) COMMENT 'Merge to deployment started, in whole seconds.' CODEC(T64, ZSTD(1)),
    deploying_s Nullable(Int64) COMMENT 'Deployment started to finished, in whole seconds.' CODEC(T64, ZSTD(1)),
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (service, repo, commit_sha, task)
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes. Storage: read the view.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.changes_rows ON CLUSTER 'dora' AS streamgauge.changes_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'changes_rows_local', cityHash64(service, repo, commit_sha))
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes. Storage: read the view.';

-- 002 delivery
CREATE OR REPLACE VIEW streamgauge.changes ON CLUSTER 'dora'
(
    service LowCardinality(String) COMMENT 'The service that it reached.',
    team LowCardinality(Nullable(String)) COMMENT 'Its team when the deployment finished.',
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    commit_sha String COMMENT 'The commit.',
    authored_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was written.',
    committed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was committed.',
    deployment_id String COMMENT 'The deployment that shipped it to production.',
    deployed_at DateTime64(6, 'UTC') COMMENT 'When that deployment finished.',
    lead_time_s Nullable(Int64) COMMENT 'From the start to the finish of the deployment, in whole seconds; negative when skewed; null where no time is known.',
    start_evidence LowCardinality(Nullable(String)) COMMENT 'What the lead time starts from: commit, pr_first_commit, authored, pr_opened or pr_merged.',
    author_kind LowCardinality(Nullable(String)) COMMENT 'human or bot; people are not named.',
    skewed Bool COMMENT 'The lead time is negative: left out of the samples.',
    pull_request Nullable(UInt64) COMMENT 'The pull request that brought it.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    coding_s Nullable(Int64) COMMENT 'First commit to pull request opened, in whole seconds.',
    pickup_s Nullable(Int64) COMMENT 'Pull request opened to the first review before the merge, in whole seconds.',
    review_s Nullable(Int64) COMMENT 'That review to the merge, in whole seconds.',
    waiting_s Nullable(Int64) COMMENT 'Merge to deployment started, in whole seconds.',
    deploying_s Nullable(Int64) COMMENT 'Deployment started to finished, in whole seconds.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    service,
    team,
    repo,
    commit_sha,
    authored_at,
    committed_at,
    deployment_id,
    deployed_at,
    lead_time_s,
    start_evidence,
    author_kind,
    skewed,
    pull_request,
    drill,
    coding_s,
    pickup_s,
    review_s,
    waiting_s,
    deploying_s,
    rev,
    computed_at
FROM streamgauge.changes_rows FINAL
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.pull_requests_rows_local ON CLUSTER 'dora'
(
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    number UInt64 COMMENT 'The number within the repository.' CODEC(T64, ZSTD(1)),
    state LowCardinality(String) COMMENT 'open, closed or merged.',
    first_commit_at Nullable(DateTime64(6, 'UTC')) COMMENT 'The earliest time of its commits.' CODEC(Delta, ZSTD(1)),
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was opened.' CODEC(Delta, ZSTD(1)),
    first_reviewed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'The first review before the merge.' CODEC(Delta, ZSTD(1)),
    merged_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was merged.' CODEC(Delta, ZSTD(1)),
    merge_commit_sha Nullable(String) COMMENT 'The commit that merged it.' CODEC(ZSTD(1)),
    service LowCardinality(Nullable(String)) COMMENT 'The service whose deployment shipped it first.',
    deployment_id Nullable(String) COMMENT 'The deployment that shipped it.' CODEC(ZSTD(1)),
    deployed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When that deployment finished.' CODEC(Delta, ZSTD(1)),
    coding_s Nullable(Int64) COMMENT 'First commit to pull request opened, in whole seconds.' CODEC(T64, ZSTD(1)),
    pickup_s Nullable(Int64) COMMENT 'Pull request opened to the first review before the merge, in whole seconds.' CODEC(T64, ZSTD(1)),
    review_s Nullable(Int64) COMMENT 'That review to the merge, in whole seconds.' CODEC(T64, ZSTD(1)),
    waiting_s Nullable(Int64) COMMENT 'Merge to deployment started, in whole seconds.' CODEC(T64, ZSTD(1)),
    deploying_s Nullable(Int64) COMMENT 'Deployment started to finished, in whole seconds.' CODEC(T64, ZSTD(1)),
    lead_time_s Nullable(Int64) COMMENT 'First commit to deployed, in whole seconds.' CODEC(T64, ZSTD(1)),
    skewed Bool COMMENT 'A stage is negative.',
    author_kind LowCardinality(Nullable(String)) COMMENT 'human or bot; people are not named.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (repo, number, task)
COMMENT 'Pull requests with their stages. Storage: read the view.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.pull_requests_rows ON CLUSTER 'dora' AS streamgauge.pull_requests_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'pull_requests_rows_local', cityHash64(repo, number))
COMMENT 'Pull requests with their stages. Storage: read the view.';

-- 002 delivery
CREATE OR REPLACE VIEW streamgauge.pull_requests ON CLUSTER 'dora'
(
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    number UInt64 COMMENT 'The number within the repository.',
    state LowCardinality(String) COMMENT 'open, closed or merged.',
    first_commit_at Nullable(DateTime64(6, 'UTC')) COMMENT 'The earliest time of its commits.',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was opened.',
    first_reviewed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'The first review before the merge.',
    merged_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was merged.',
    merge_commit_sha Nullable(String) COMMENT 'The commit that merged it.',
    service LowCardinality(Nullable(String)) COMMENT 'The service whose deployment shipped it first.',
    deployment_id Nullable(String) COMMENT 'The deployment that shipped it.',
    deployed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When that deployment finished.',
    coding_s Nullable(Int64) COMMENT 'First commit to pull request opened, in whole seconds.',
    pickup_s Nullable(Int64) COMMENT 'Pull request opened to the first review before the merge, in whole seconds.',
    review_s Nullable(Int64) COMMENT 'That review to the merge, in whole seconds.',
    waiting_s Nullable(Int64) COMMENT 'Merge to deployment started, in whole seconds.',
    deploying_s Nullable(Int64) COMMENT 'Deployment started to finished, in whole seconds.',
    lead_time_s Nullable(Int64) COMMENT 'First commit to deployed, in whole seconds.',
    skewed Bool COMMENT 'A stage is negative.',
    author_kind LowCardinality(Nullable(String)) COMMENT 'human or bot; people are not named.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    repo,
    number,
    state,
    first_commit_at,
    opened_at,
    first_reviewed_at,
    merged_at,
    merge_commit_sha,
    service,
    deployment_id,
    deployed_at,
    coding_s,
    pickup_s,
    review_s,
    waiting_s,
    deploying_s,
    lead_time_s,
    skewed,
    author_kind,
    rev,
    computed_at
FROM streamgauge.pull_requests_rows FINAL
COMMENT 'Pull requests with their stages.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.pipeline_runs_rows_local ON CLUSTER 'dora'
(
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    run_id String COMMENT 'The run, unique within the repository.' CODEC(ZSTD(1)),
    attempt UInt32 COMMENT 'The attempt; each is a run of its own.' CODEC(T64, ZSTD(1)),
    workflow LowCardinality(String) COMMENT 'The name of the workflow.',
    commit_sha String COMMENT 'What it ran on.' CODEC(ZSTD(1)),
    state LowCardinality(String) COMMENT 'queued, running, passed, failed or cancelled.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started.' CODEC(Delta, ZSTD(1)),
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it finished.' CODEC(Delta, ZSTD(1)),
    duration_s Nullable(Int64) COMMENT 'Started to finished, in whole seconds.' CODEC(T64, ZSTD(1)),
    start_to_deploy_s Nullable(Int64) COMMENT 'Started to the finish of the first deployment that shipped its commit, in whole seconds.' CODEC(T64, ZSTD(1)),
    skewed Bool COMMENT 'A negative duration: left out of the samples.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    source LowCardinality(String) COMMENT 'Who told it.',
    task UInt32 COMMENT 'The partition of the correlate stage that wrote the row; part of the identity of the row, so that a thing that moves to another home leaves no trace.' CODEC(T64, ZSTD(1)),
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 COMMENT '1 when the row should no longer exist. Views hide it.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (repo, run_id, attempt, task)
COMMENT 'Attempts of pipeline runs. Storage: read the view.';

-- 002 delivery
CREATE TABLE IF NOT EXISTS streamgauge.pipeline_runs_rows ON CLUSTER 'dora' AS streamgauge.pipeline_runs_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'pipeline_runs_rows_local', cityHash64(repo, run_id, attempt))
COMMENT 'Attempts of pipeline runs. Storage: read the view.';

-- 002 delivery
CREATE OR REPLACE VIEW streamgauge.pipeline_runs ON CLUSTER 'dora'
(
    repo LowCardinality(String) COMMENT 'The repository as host/owner/name.',
    run_id String COMMENT 'The run, unique within the repository.',
    attempt UInt32 COMMENT 'The attempt; each is a run of its own.',
    workflow LowCardinality(String) COMMENT 'The name of the workflow.',
    commit_sha String COMMENT 'What it ran on.',
    state LowCardinality(String) COMMENT 'queued, running, passed, failed or cancelled.',
    started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it started.',
    finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it finished.',
    duration_s Nullable(Int64) COMMENT 'Started to finished, in whole seconds.',
    start_to_deploy_s Nullable(Int64) COMMENT 'Started to the finish of the first deployment that shipped its commit, in whole seconds.',
    skewed Bool COMMENT 'A negative duration: left out of the samples.',
    drill Bool COMMENT 'A game day or experiment: kept, and in no metric.',
    source LowCardinality(String) COMMENT 'Who told it.',
    rev UInt64 COMMENT 'Version of the row: generation and transaction sequence. The greatest wins.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the row was computed.'
)
AS SELECT
    repo,
    run_id,
    attempt,
    workflow,
    commit_sha,
    state,
    started_at,
    finished_at,
    duration_s,
    start_to_deploy_s,
    skewed,
    drill,
    source,
    rev,
    computed_at
FROM streamgauge.pipeline_runs_rows FINAL
COMMENT 'Attempts of pipeline runs.';

-- 002 delivery
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 2, 'delivery', 'bbe1d569aa7aa01c6318f2e614e3ca83300004ed25af6e7c93f3b48e100697df', now64(3, 'UTC');

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.incidents_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (incident_id, task)
COMMENT 'Incidents; linked alerts, pages and tickets are one. Storage: read the view.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.incidents_rows ON CLUSTER 'dora' AS streamgauge.incidents_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'incidents_rows_local', cityHash64(incident_id))
COMMENT 'Incidents; linked alerts, pages and tickets are one. Storage: read the view.';

-- 003 operations
CREATE OR REPLACE VIEW streamgauge.incidents ON CLUSTER 'dora'
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
FROM streamgauge.incidents_rows FINAL
COMMENT 'Incidents; linked alerts, pages and tickets are one.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.flag_changes_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (source, event_id, task)
COMMENT 'Changes of feature flags. Storage: read the view.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.flag_changes_rows ON CLUSTER 'dora' AS streamgauge.flag_changes_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'flag_changes_rows_local', cityHash64(source, event_id))
COMMENT 'Changes of feature flags. Storage: read the view.';

-- 003 operations
CREATE OR REPLACE VIEW streamgauge.flag_changes ON CLUSTER 'dora'
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
FROM streamgauge.flag_changes_rows FINAL
COMMENT 'Changes of feature flags.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.scans_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (source, event_id, task)
COMMENT 'Security findings as they were last told. Storage: read the view.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.scans_rows ON CLUSTER 'dora' AS streamgauge.scans_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'scans_rows_local', cityHash64(source, event_id))
COMMENT 'Security findings as they were last told. Storage: read the view.';

-- 003 operations
CREATE OR REPLACE VIEW streamgauge.scans ON CLUSTER 'dora'
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
FROM streamgauge.scans_rows FINAL
COMMENT 'Security findings as they were last told.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.parked_events_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (source, event_id, hash, task)
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed. Storage: read the view.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.parked_events_rows ON CLUSTER 'dora' AS streamgauge.parked_events_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'parked_events_rows_local', cityHash64(source, event_id, hash))
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed. Storage: read the view.';

-- 003 operations
CREATE OR REPLACE VIEW streamgauge.parked_events ON CLUSTER 'dora'
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
FROM streamgauge.parked_events_rows FINAL
COMMENT 'Events that nobody in the catalog claims yet; they count as unattributed and join when claimed.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.data_quality_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (signal, subject, task)
COMMENT 'Findings about the quality of the data, each with its remedy. Storage: read the view.';

-- 003 operations
CREATE TABLE IF NOT EXISTS streamgauge.data_quality_rows ON CLUSTER 'dora' AS streamgauge.data_quality_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'data_quality_rows_local', cityHash64(signal, subject))
COMMENT 'Findings about the quality of the data, each with its remedy. Storage: read the view.';

-- 003 operations
CREATE OR REPLACE VIEW streamgauge.data_quality ON CLUSTER 'dora'
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
FROM streamgauge.data_quality_rows FINAL
COMMENT 'Findings about the quality of the data, each with its remedy.';

-- 003 operations
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 3, 'operations', '35adb33fce57bdf90576716a15e9dbb7a33333d67c243d1058582942818c706d', now64(3, 'UTC');

-- 004 events
CREATE TABLE IF NOT EXISTS streamgauge.events_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (`type`, occurred_at, source, event_id, hash)
COMMENT 'Archive of every canonical event, duplicates removed. Storage: read the view. It has no TTL; to bound it: ALTER TABLE … MODIFY TTL toDateTime(occurred_at) + INTERVAL 2 YEAR.';

-- 004 events
CREATE TABLE IF NOT EXISTS streamgauge.events_rows ON CLUSTER 'dora' AS streamgauge.events_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'events_rows_local', cityHash64(`type`, occurred_at, source, event_id, hash))
COMMENT 'Archive of every canonical event, duplicates removed. Storage: read the view. It has no TTL; to bound it: ALTER TABLE … MODIFY TTL toDateTime(occurred_at) + INTERVAL 2 YEAR.';

-- 004 events
CREATE OR REPLACE VIEW streamgauge.events ON CLUSTER 'dora'
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
FROM streamgauge.events_rows FINAL
COMMENT 'Archive of every canonical event, duplicates removed.';

-- 004 events
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 4, 'events', '1d69962f0e6ef99a38a701ac9ece35973b5e455d520c5b830c733b49895d4cfa', now64(3, 'UTC');

-- 005 windows
CREATE TABLE IF NOT EXISTS streamgauge.dora_steps_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (scope, metric, `window`, as_of)
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next. Storage: read dora_steps, dora_windows or dora_latest.';

-- 005 windows
CREATE TABLE IF NOT EXISTS streamgauge.dora_steps_rows ON CLUSTER 'dora' AS streamgauge.dora_steps_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'dora_steps_rows_local', cityHash64(scope))
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next. Storage: read dora_steps, dora_windows or dora_latest.';

-- 005 windows
CREATE TABLE IF NOT EXISTS streamgauge.panes_rows_local ON CLUSTER 'dora'
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
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', rev, is_deleted)
ORDER BY (scope, metric, grain, start)
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range. Storage: read the view.';

-- 005 windows
CREATE TABLE IF NOT EXISTS streamgauge.panes_rows ON CLUSTER 'dora' AS streamgauge.panes_rows_local
ENGINE = Distributed('dora', 'streamgauge', 'panes_rows_local', cityHash64(scope))
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range. Storage: read the view.';

-- 005 windows
CREATE OR REPLACE VIEW streamgauge.panes ON CLUSTER 'dora'
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
FROM streamgauge.panes_rows FINAL
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range: sum the counts, sumMap the samples.';

-- 005 windows
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 5, 'windows', '4ca40a1f2e4f56dc11ccdb31064a2a7f87f0245a7fd406da434bd1c2e8df60fb', now64(3, 'UTC');

-- 006 series
CREATE OR REPLACE VIEW streamgauge.dora_blind_spots ON CLUSTER 'dora'
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
    coalesce(nullIf((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    coalesce((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'definition'), '') AS definition_now
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
FROM streamgauge.scopes
ARRAY JOIN
    arrayFlatten(arrayMap(
        metric -> arrayMap(window -> (metric, window), ['24h', '7d', '30d', '90d']),
        ['change_fail_rate', 'recovery_time', 'rework_rate']
    )) AS blind
WHERE NOT failure_source
COMMENT 'The metrics that need a failure source, of scopes that have none: null, with the reason, since the scope began.';

-- 006 series
CREATE OR REPLACE VIEW streamgauge.dora_spans ON CLUSTER 'dora'
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
    FROM streamgauge.dora_steps_rows FINAL
    WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM streamgauge.scopes WHERE NOT failure_source))
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
FROM streamgauge.dora_blind_spots AS spots
COMMENT 'Steps with the time until which each holds; scopes without a failure source included. What the other dora views are made of.';

-- 006 series
CREATE OR REPLACE VIEW streamgauge.dora_steps ON CLUSTER 'dora'
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
    toInt64OrNull(coalesce((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s
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
            FROM streamgauge.dora_steps_rows FINAL
            WHERE as_of <= now64(6, 'UTC')
            GROUP BY scope, metric, window
        )) AS live,
        definition,
        rev,
        computed_at
    FROM streamgauge.dora_steps_rows FINAL
    WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM streamgauge.scopes WHERE NOT failure_source))
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
    FROM streamgauge.dora_blind_spots
) AS steps
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next step. Steps in the future are values that leave the window if nothing else happens.';

-- 006 series
CREATE OR REPLACE VIEW streamgauge.dora_windows ON CLUSTER 'dora'
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
    coalesce(nullIf((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    toInt64OrNull(coalesce((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s
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
FROM streamgauge.dora_spans AS spans
ARRAY JOIN if(window = '24h',
    range(toUInt32(held_from), toUInt32(least(held_until, present + toIntervalSecond(1))), 3600),
    arrayFilter(day_end -> day_end < toUInt32(least(held_until, present + toIntervalSecond(1))), arrayDistinct(arrayMap(
        day -> toUInt32(toDateTime(toDate(held_from, zone) + day, zone)),
        range(toUInt32(greatest(0, 1 + dateDiff('day', toDate(held_from, zone), toDate(least(held_until, present), zone)))))
    )))) AS end_s
WHERE held_from <= present
COMMENT 'Rolling windows as a dense series: a row for every hour (24h) or day (7d, 30d, 90d) of the reporting zone, up to now.';

-- 006 series
CREATE OR REPLACE VIEW streamgauge.dora_latest ON CLUSTER 'dora'
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
    coalesce(nullIf((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'timezone'), ''), 'UTC') AS zone,
    toInt64OrNull(coalesce((SELECT any(value) FROM streamgauge.definitions_rows FINAL WHERE key = 'failure_window_s'), '')) AS failure_window_s,
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
        FROM streamgauge.dora_steps_rows FINAL
        WHERE as_of <= if(window = '24h', hour_end, day_end)
            AND NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND scope GLOBAL IN (SELECT scope FROM streamgauge.scopes WHERE NOT failure_source))
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
    FROM streamgauge.dora_blind_spots
    WHERE held_from <= if(window = '24h', hour_end, day_end)
) AS latest
COMMENT 'The value of each scope, metric and window now: of the window that ends with the running hour or day, what has happened of it included.';

-- 006 series
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 6, 'series', 'cc6bb3afe3d252c6329659e8d2f3677f21959ad70d5a85009fe692f9158c7bc1', now64(3, 'UTC');

-- 007 generations
CREATE TABLE IF NOT EXISTS streamgauge.promotions_local ON CLUSTER 'dora'
(
    promotion UInt64 COMMENT 'Which promotion it is, from 1.',
    generation UInt32 COMMENT 'The generation that the views show from then on.',
    promoted_at DateTime64(3, 'UTC') COMMENT 'When it was promoted.'
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', promoted_at)
ORDER BY (promotion)
COMMENT 'Which generation the views show: that of the last promotion; the first one where there is none.';

-- 007 generations
CREATE TABLE IF NOT EXISTS streamgauge.promotions ON CLUSTER 'dora' AS streamgauge.promotions_local
ENGINE = Distributed('dora', 'streamgauge', 'promotions_local', cityHash64(promotion))
COMMENT 'Which generation the views show: that of the last promotion; the first one where there is none.';

-- 007 generations
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 7, 'generations', '19359222130fc4b93fd17c83a4a175cfb5454aa025ba7cc1b176107fb5475e39', now64(3, 'UTC');

-- 008 quick_views
CREATE OR REPLACE VIEW streamgauge.panes ON CLUSTER 'dora'
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
FROM streamgauge.panes_rows FINAL
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'What each scope and metric holds of an hour or a day, for any ad-hoc range: sum the counts, sumMap the samples.';

-- 008 quick_views
CREATE OR REPLACE VIEW streamgauge.dora_blind_spots ON CLUSTER 'dora'
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
        FROM streamgauge.definitions_rows FINAL
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
    FROM streamgauge.scopes_rows FINAL
    GROUP BY scope
    HAVING max(failure_source) = 0
) AS scopes
ARRAY JOIN
    arrayFlatten(arrayMap(
        metric -> arrayMap(window -> (metric, window), ['24h', '7d', '30d', '90d']),
        ['change_fail_rate', 'recovery_time', 'rework_rate']
    )) AS blind
COMMENT 'The metrics that need a failure source, of scopes that have none: null, with the reason, since the scope began.';

-- 008 quick_views
CREATE OR REPLACE VIEW streamgauge.dora_steps ON CLUSTER 'dora'
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
        FROM streamgauge.definitions_rows FINAL
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
        FROM streamgauge.dora_steps_rows FINAL
        WHERE as_of <= now64(6, 'UTC')
        GROUP BY scope, metric, window
    )) AS live,
    toBool(metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
        AND (isNull(failure_window_s) OR as_of + toIntervalSecond(assumeNotNull(failure_window_s)) > present)) AS provisional,
    definition,
    rev,
    computed_at
FROM streamgauge.dora_steps_rows FINAL
WHERE NOT (metric IN ('change_fail_rate', 'recovery_time', 'rework_rate')
    AND scope GLOBAL IN (SELECT scope FROM streamgauge.scopes_rows FINAL GROUP BY scope HAVING max(failure_source) = 0))
SETTINGS optimize_move_to_prewhere_if_final = 1
UNION ALL
WITH
    now64(6, 'UTC') AS present,
    (
        SELECT (anyIf(value, key = 'timezone'), anyIf(value, key = 'definition'), anyIf(value, key = 'failure_window_s'))
        FROM streamgauge.definitions_rows FINAL
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
FROM streamgauge.dora_blind_spots AS spots
COMMENT 'Rolling windows as steps: a value holds from its as_of until the next step. Steps in the future are values that leave the window if nothing else happens.';

-- 008 quick_views
INSERT INTO streamgauge.schema_migrations (version, name, checksum, applied_at)
SELECT 8, 'quick_views', '0a393ae9d4b9e0768eee7fc32dbd7f798de3aad86e3fb912a7037af008df9684', now64(3, 'UTC');

