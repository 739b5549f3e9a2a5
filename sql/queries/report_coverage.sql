-- What the sensors of a run saw, dropped or could not parse.
SELECT
  sensor,
  vantage,
  source_kind,
  metric,
  toUnixTimestamp64Micro(min(c.ts)) AS from,
  toUnixTimestamp64Micro(max(c.end)) AS to,
  sum(ifNull(c.value, 0)) AS value
FROM coverage AS c
WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
GROUP BY sensor, vantage, source_kind, metric
ORDER BY sensor, vantage, source_kind, metric
LIMIT {limit:UInt32}
