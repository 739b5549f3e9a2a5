-- Whether migrations were ever applied here, and whether the tables are those of one server or of a cluster.
SELECT
  countIf(name = 'schema_migrations') > 0 AS there,
  countIf(name = 'chunks' AND engine LIKE '%MergeTree') > 0 AS plain,
  countIf(name = 'chunks' AND engine = 'Distributed' OR name = 'schema_migrations' AND engine LIKE 'Replicated%') > 0
    AS sharded
FROM system.tables
WHERE database = currentDatabase()
