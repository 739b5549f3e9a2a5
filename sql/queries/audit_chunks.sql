-- The auditor: chunks whose stored rows are not those that were announced. Empty if all is well.
WITH
  a AS (SELECT * FROM chunks_complete),
  r AS (
    SELECT chunk_id, 'flow_records' AS name, count() AS stored, uniqExact(row) AS distinct_rows
    FROM flow_records GROUP BY chunk_id
    UNION ALL
    SELECT chunk_id, 'coverage', count(), uniqExact(row) FROM coverage GROUP BY chunk_id
    UNION ALL
    SELECT chunk_id, 'rejects', count(), uniqExact(row) FROM rejects GROUP BY chunk_id
    UNION ALL
    SELECT chunk_id, 'judgements', count(), uniqExact(row) FROM judgements
    WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM a) GROUP BY chunk_id
    UNION ALL
    SELECT chunk_id, 'findings', count(), uniqExact(row) FROM findings
    WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM a) GROUP BY chunk_id
  ),
  announced AS (
    SELECT chunk_id, told.1 AS name, told.2 AS rows
    FROM a
    ARRAY JOIN [
      ('flow_records', flow_records),
      ('coverage', coverage),
      ('rejects', rejects),
      ('judgements', judgements),
      ('findings', findings)
    ] AS told
  )
SELECT
  announced.chunk_id AS chunk_id,
  announced.name AS table,
  announced.rows AS announced,
  r.stored AS stored,
  r.distinct_rows AS distinct_rows
FROM announced
LEFT JOIN r ON r.chunk_id = announced.chunk_id AND r.name = announced.name
WHERE announced.rows != r.stored OR r.stored != r.distinct_rows
ORDER BY chunk_id, table
LIMIT {limit:UInt32}
