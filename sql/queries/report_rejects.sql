-- Pieces of a run's input that could not be decoded, by reason, with the first one's place and bytes.
SELECT
  r.source_kind AS source_kind,
  r.reason AS reason,
  count() AS count,
  argMin(r.unit, place) AS unit,
  min(ifNull(r.at, 0)) AS first_at,
  argMin(r.detail, place) AS detail,
  argMin(r.sample, place) AS sample,
  argMin(c.origin, place) AS origin
FROM (
  SELECT *, (ifNull(at, 0), chunk_id, row) AS place
  FROM rejects
  WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
) AS r
LEFT JOIN (
  SELECT chunk_id, any(m.origin) AS origin
  FROM chunks AS m
  WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
  GROUP BY chunk_id
) AS c ON c.chunk_id = r.chunk_id
GROUP BY source_kind, reason
ORDER BY count DESC, source_kind, reason
LIMIT {limit:UInt32}
