-- Sums by hour that are not those of the judgements beneath, of rulings that hold. Empty if all is well. Days that are
-- let go are passed over: their tables are dropped one after the other.
SELECT
  chunk_id,
  ruling,
  hour,
  verdict,
  agent,
  destination,
  sumIf(n, kind = 'judgements') AS judged,
  sumIf(n, kind = 'hours') AS told
FROM (
  SELECT
    'judgements' AS kind,
    chunk_id,
    ruling,
    toDateTime(
      intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
      'UTC'
    ) AS hour,
    verdict,
    grade,
    direction,
    agent,
    destination,
    count() AS n,
    countIf(alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS found,
    sum(j.records) AS records,
    sum(ifNull(j.bytes_out, 0)) AS bytes_out,
    sum(ifNull(j.bytes_in, 0)) AS bytes_in,
    max(j.score) AS score
  FROM judgements AS j
  WHERE (day = '1970-01-01' OR day >= (SELECT floor FROM retention_floor))
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  GROUP BY chunk_id, ruling, hour, verdict, grade, direction, agent, destination
  UNION ALL
  SELECT
    'hours' AS kind,
    chunk_id,
    ruling,
    hour,
    verdict,
    grade,
    direction,
    agent,
    destination,
    max(m.judgements) AS n,
    max(m.findings) AS found,
    max(m.records) AS records,
    max(m.bytes_out) AS bytes_out,
    max(m.bytes_in) AS bytes_in,
    max(m.score) AS score
  FROM judged_hours AS m
  WHERE (day = '1970-01-01' OR day >= (SELECT floor FROM retention_floor))
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  GROUP BY chunk_id, ruling, hour, verdict, grade, direction, agent, destination
) AS both
GROUP BY chunk_id, ruling, hour, verdict, grade, direction, agent, destination
HAVING count() != 2
  OR uniqExact((n, found, records, bytes_out, bytes_in, score)) != 1
ORDER BY chunk_id, ruling, hour, verdict, agent, destination
LIMIT {limit:UInt32}
