-- Finds what a run holds more than once, when all of its chunks are stored. <run> is filled in by src/store/store.ts.
INSERT INTO run_doubles (run, kind, hash)
SETTINGS
  async_insert = 0,
  distributed_product_mode = 'global',
  insert_deduplication_token = '',
  max_bytes_before_external_group_by = 268435456
SELECT toUUID('<run>'), 'judgement', cityHash64(flow_id, side) AS hash
FROM judgements
WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_chunks WHERE run = '<run>')
GROUP BY hash
HAVING count() > 1
UNION ALL
SELECT toUUID('<run>'), 'flow', cityHash64(flow_id) AS hash
FROM flow_records
WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = '<run>')
GROUP BY hash
HAVING count() > 1
