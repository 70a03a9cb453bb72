-- Runs before every migration and is not recorded: the database and the record of what ran.
--
-- One source for the embedded engine, a single server and a cluster. Placeholders:
--   ${db}                    the database
--   ${on_cluster}            empty, or ON CLUSTER …
--   ${cluster}               the cluster's name
--   ${local}                 empty, or _local: on a cluster the storage table lies under a Distributed one
--   ${replacing(rev, flag)}  ReplacingMergeTree, or its replicated form
-- A statement under "-- only: cluster" is left out elsewhere. A statement ends with ; at the end of a line.
-- Natural keys are the sorting keys, and nothing is partitioned by anything else: background merges never
-- cross partitions, so a key must not move between them. Facts and dimensions have the task that wrote the row
-- last in their keys: rev is a task's own count, so the rows of two tasks never replace each other.

CREATE DATABASE IF NOT EXISTS ${db}${on_cluster}
COMMENT 'DORA metrics and the facts behind them. Read the views; tables named *_rows are their storage.';

CREATE TABLE IF NOT EXISTS ${db}.schema_migrations${local}${on_cluster}
(
    version UInt32 COMMENT 'The number of the migration.',
    name String COMMENT 'Its name.',
    checksum String COMMENT 'SHA-256 of its template, in hexadecimal.',
    applied_at DateTime64(3, 'UTC') COMMENT 'When it ran.'
)
ENGINE = ${replacing(applied_at)}
ORDER BY (version)
COMMENT 'The migrations that ran on this database.';

-- only: cluster
CREATE TABLE IF NOT EXISTS ${db}.schema_migrations${on_cluster} AS ${db}.schema_migrations${local}
ENGINE = Distributed('${cluster}', '${db}', 'schema_migrations${local}', cityHash64(version))
COMMENT 'The migrations that ran on this database.';
