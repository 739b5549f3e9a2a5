-- Chunks that were stored in a span of time and of which something is not as it was: what their header announced, what
-- was inserted (chunk_sums) and what is stored now differ, in number or in content. One row each chunk, table and
-- ruling; empty if all is well. Rulings that were never finished are passed over, and so are days that retention lets
-- go. `sum` and `places` say how far the checksums of now are from those of the insert, modulo 2^64.
WITH window AS (
  SELECT chunk_id
  FROM chunks
  WHERE state = 'complete'
    AND stored_at >= fromUnixTimestamp64Milli({from:Int64})
    AND stored_at <= fromUnixTimestamp64Milli({until:Int64})
)
SELECT
  chunk_id,
  table,
  ruling,
  any(k.sensor) AS sensor,
  any(k.origin) AS origin,
  any(k.seq) AS seq,
  any(k.piece) AS piece,
  toUnixTimestamp64Milli(any(k.stored_at)) AS stored_at,
  chunk_id IN (SELECT chunk_id FROM expired_chunks) AS expired,
  sum(h.said) AS announced,
  sum(h.first_rows) AS inserted,
  sum(h.now_rows) AS stored,
  max(h.is_said) AS known,
  toString(toUInt64(sum(if(h.kept, h.now_sum - h.first_sum, 0)))) AS sum,
  toString(toUInt64(sum(if(h.kept, h.now_places - h.first_places, 0)))) AS places,
  -- Hours that differ: hour, rows inserted, rows stored.
  arraySort(groupArrayIf((h.flow_hour, h.first_rows, h.now_rows), h.differs)) AS hours
FROM (
  SELECT
    table,
    chunk_id,
    ruling,
    flow_hour,
    day,
    day = '1970-01-01' OR day >= (SELECT floor FROM retention_floor) AS kept,
    max(kind = 'said') AS is_said,
    sumIf(rows, kind = 'said') AS said,
    sumIf(rows, kind = 'first') AS first_rows,
    sumIf(rows, kind = 'now') AS now_rows,
    sumIf(sum, kind = 'first') AS first_sum,
    sumIf(sum, kind = 'now') AS now_sum,
    sumIf(places, kind = 'first') AS first_places,
    sumIf(places, kind = 'now') AS now_places,
    kept AND (first_rows, first_sum, first_places) != (now_rows, now_sum, now_places) AS differs
  FROM (
    SELECT
      'said' AS kind,
      told.1 AS table,
      chunk_id,
      told.3 AS ruling,
      toDate(0) AS day,
      toUInt32(0) AS flow_hour,
      toUInt64(max(told.2)) AS rows,
      toUInt64(0) AS sum,
      toUInt64(0) AS places
    FROM (
      SELECT
        chunk_id,
        arrayJoin([
          ('flow_records', c.flow_records, toUInt16(0)),
          ('coverage', c.coverage, toUInt16(0)),
          ('rejects', c.rejects, toUInt16(0)),
          ('announced', c.announced, toUInt16(0)),
          ('judgements', c.judgements, c.ruling),
          ('findings', c.findings, c.ruling)
        ]) AS told
      FROM chunks AS c
      WHERE c.state = 'complete' AND c.chunk_id IN window
    )
    GROUP BY chunk_id, told.1, told.3
    UNION ALL
    SELECT
      'first',
      toString(table),
      chunk_id,
      ruling,
      day,
      flow_hour,
      toUInt64(argMin(s.rows, (s.inserted_at, -s.rows))),
      argMin(s.sum, (s.inserted_at, -s.rows)),
      argMin(s.places, (s.inserted_at, -s.rows))
    FROM chunk_sums AS s
    WHERE chunk_id IN window
    GROUP BY table, chunk_id, ruling, day, flow_hour
    UNION ALL
    SELECT 'now', toString(table), chunk_id, ruling, day, flow_hour, rows, sum, places
    FROM chunk_sums_now
    WHERE chunk_id IN window
  )
  GROUP BY table, chunk_id, ruling, day, flow_hour
) AS h
LEFT JOIN (
  SELECT
    chunk_id,
    any(c.sensor) AS sensor,
    any(c.origin) AS origin,
    any(c.seq) AS seq,
    any(c.piece) AS piece,
    max(c.stored_at) AS stored_at
  FROM chunks AS c
  WHERE state = 'complete' AND chunk_id IN window
  GROUP BY chunk_id
) AS k USING (chunk_id)
GROUP BY chunk_id, table, ruling
HAVING known
  AND (
    notEmpty(hours)
    OR (announced != inserted AND NOT expired)
  )
  -- Stored before there were checksums, and as many rows as announced.
  AND NOT (
    inserted = 0
    AND stored = announced
    AND any(k.stored_at) < (SELECT min(applied_at) FROM schema_migrations WHERE version = 9)
  )
ORDER BY chunk_id, table, ruling
LIMIT {limit:UInt32}
