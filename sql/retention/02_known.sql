-- Which chunks lose rows: those that have any of the days that go. What a killed run dropped it had noted before.
INSERT INTO expired_chunks (chunk_id, floor)
SETTINGS
  async_insert = 0,
  insert_deduplication_token = '',
  insert_deduplicate = 0,
  distributed_foreground_insert = 1,
  distributed_product_mode = 'global'
SELECT DISTINCT chunk_id, toDate('<floor>')
FROM (
  SELECT chunk_id FROM flow_records WHERE day > '1970-01-01' AND day < '<floor>'
  UNION ALL
  SELECT chunk_id FROM coverage WHERE day > '1970-01-01' AND day < '<floor>'
  UNION ALL
  SELECT chunk_id FROM judgements WHERE day > '1970-01-01' AND day < '<floor>'
  UNION ALL
  SELECT chunk_id FROM findings WHERE day > '1970-01-01' AND day < '<floor>'
);
