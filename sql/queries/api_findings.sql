-- The findings of one alert, worst first, each flow and side once. The span is that of the alert, both ends included.
SELECT
  flow_id,
  side,
  toUnixTimestamp64Micro(any(f.ts)) AS began,
  max(f.score) AS score,
  argMax(f.sentence, f.score) AS sentence
FROM findings AS f
WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
  AND ts <= fromUnixTimestamp64Micro({to:Int64}, 'UTC')
  AND alert_id = {id:UUID}
  AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
GROUP BY flow_id, side
ORDER BY score DESC, began, flow_id, side
LIMIT {limit:UInt32}
