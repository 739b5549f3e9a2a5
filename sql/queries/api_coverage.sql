-- What sensors saw, dropped or could not parse in intervals that began in a span of time. Chunks of scrambled clocks
-- stand under the day 1970-01-01.
SELECT
  sensor,
  vantage,
  source_kind,
  metric,
  toUnixTimestamp64Micro(min(c.ts)) AS first,
  toUnixTimestamp64Micro(max(c.end)) AS last,
  sum(ifNull(c.value, 0)) AS value
FROM coverage AS c
WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
  AND ts < fromUnixTimestamp64Micro({to:Int64}, 'UTC')
  AND (
    day = toDate(0)
    OR day BETWEEN toDate(fromUnixTimestamp64Micro({from:Int64}, 'UTC'))
      AND toDate(fromUnixTimestamp64Micro({to:Int64}, 'UTC'))
  )
  AND ({sensor:String} = '' OR sensor = {sensor:String})
  AND chunk_id IN (SELECT chunk_id FROM chunks_complete)
GROUP BY sensor, vantage, source_kind, metric
ORDER BY sensor, vantage, source_kind, metric
LIMIT {limit:UInt32}
