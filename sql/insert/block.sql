-- Rows of one block into one partition of one table: one INSERT, one block, so all of them are there or none.
-- Every setting stands here and not in the client's settings per query: an embedded engine would keep those for
-- the next insert, and a token that stays loses rows. <words> are filled in by src/store/insert-sql.ts.
INSERT INTO <table> (<columns>)
SETTINGS
  insert_deduplication_token = '<token>',
  insert_deduplicate = 1,
  deduplicate_blocks_in_dependent_materialized_views = 1,
  async_insert = 0,
  -- Of a cluster (sql/cluster); no matter elsewhere.
  distributed_foreground_insert = 1,
  insert_quorum = 'auto',
  insert_quorum_parallel = 1,
  insert_quorum_timeout = 30000,
  max_execution_time = <seconds>,
  max_threads = 1,
  max_insert_threads = 1,
  max_insert_block_size = 4194304,
  min_insert_block_size_rows = 4194304,
  min_insert_block_size_bytes = 0,
  input_format_null_as_default = 0
SELECT <values>
FROM <source>
WHERE <rows>
<format>
