-- Rows of chunks that nobody ever began to write here: something else wrote to this store. Reads every table.
SELECT table, chunk_id, count() AS rows
FROM (
  SELECT 'flow_records' AS table, chunk_id FROM flow_records
  UNION ALL
  SELECT 'coverage', chunk_id FROM coverage
  UNION ALL
  SELECT 'rejects', chunk_id FROM rejects
  UNION ALL
  SELECT 'announced', chunk_id FROM announced
  UNION ALL
  SELECT 'judgements', chunk_id FROM judgements
  UNION ALL
  SELECT 'findings', chunk_id FROM findings
)
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
GROUP BY table, chunk_id
ORDER BY table, chunk_id
LIMIT {limit:UInt32}
