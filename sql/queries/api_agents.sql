-- What agents did in a span of time, each in one row; the empty agent holds what belongs to none. `seen` is exact where
-- it lies after {recent}, else the beginning of its hour.
SELECT
  h.agent AS agent,
  sum(h.judgements) AS judgements,
  sumIf(h.judgements, h.verdict = 'out_of_scope') AS out_of_scope,
  sum(h.findings) AS findings,
  greatest(toUnixTimestamp(max(h.hour)) * 1000000, max(s.seen)) AS seen
FROM judged_sums_current AS h
LEFT JOIN (
  SELECT agent, toUnixTimestamp64Micro(max(j.ts)) AS seen
  FROM judgements AS j
  WHERE ts >= fromUnixTimestamp64Micro({recent:Int64}, 'UTC')
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  GROUP BY agent
) AS s ON s.agent = h.agent
WHERE h.hour >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC')
GROUP BY agent
ORDER BY findings DESC, judgements DESC, agent
LIMIT {limit:UInt32}
