-- What was written, built and deployed: one table per fact, and the view that analysts read.

CREATE TABLE IF NOT EXISTS ${db}.deployments_rows${local}${on_cluster}
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
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (service, deployment_id, task)
COMMENT 'Logical deployments, one per service, environment and rollout. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.deployments_rows${on_cluster} AS ${db}.deployments_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'deployments_rows${local}', cityHash64(service, deployment_id))
COMMENT 'Logical deployments, one per service, environment and rollout. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.deployments${on_cluster}
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
FROM ${db}.deployments_rows FINAL
COMMENT 'Logical deployments, one per service, environment and rollout.';

CREATE TABLE IF NOT EXISTS ${db}.changes_rows${local}${on_cluster}
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
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (service, repo, commit_sha, task)
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.changes_rows${on_cluster} AS ${db}.changes_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'changes_rows${local}', cityHash64(service, repo, commit_sha))
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.changes${on_cluster}
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
FROM ${db}.changes_rows FINAL
COMMENT 'Commits that reached production of a service; a commit that two services ship is two changes.';

CREATE TABLE IF NOT EXISTS ${db}.pull_requests_rows${local}${on_cluster}
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
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (repo, number, task)
COMMENT 'Pull requests with their stages. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.pull_requests_rows${on_cluster} AS ${db}.pull_requests_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'pull_requests_rows${local}', cityHash64(repo, number))
COMMENT 'Pull requests with their stages. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.pull_requests${on_cluster}
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
FROM ${db}.pull_requests_rows FINAL
COMMENT 'Pull requests with their stages.';

CREATE TABLE IF NOT EXISTS ${db}.pipeline_runs_rows${local}${on_cluster}
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
ENGINE = ${replacing(rev, is_deleted)}
ORDER BY (repo, run_id, attempt, task)
COMMENT 'Attempts of pipeline runs. Storage: read the view.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.pipeline_runs_rows${on_cluster} AS ${db}.pipeline_runs_rows${local}
ENGINE = Distributed('${cluster}', '${db}', 'pipeline_runs_rows${local}', cityHash64(repo, run_id, attempt))
COMMENT 'Attempts of pipeline runs. Storage: read the view.';

CREATE OR REPLACE VIEW ${db}.pipeline_runs${on_cluster}
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
FROM ${db}.pipeline_runs_rows FINAL
COMMENT 'Attempts of pipeline runs.';
