-- A page of alerts that hold, newest first: those before the one that ended at {before} with the id {before_id}. An
-- alert lies within one hour of the data, so whole hours hold whole alerts. Which ones are on the page is found first,
-- and read then. The sentence is that of the worst finding, the earliest if several are as bad. Empty texts mean any.
WITH page AS (
  SELECT alert_id
  FROM findings AS p
  WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND ts < fromUnixTimestamp64Micro({to:Int64}, 'UTC')
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
    AND ({id:String} = '' OR alert_id = toUUIDOrZero({id:String}))
    AND ({agent:String} = '' OR agent = {agent:String})
    AND ({destination:String} = '' OR destination = {destination:String})
    AND ({kind:String} = '' OR kind = {kind:String})
  GROUP BY alert_id
  HAVING max(p.score) >= {min_score:UInt8}
    AND (toUnixTimestamp64Micro(max(p.ts)), alert_id) < ({before:Int64}, {before_id:UUID})
  ORDER BY max(p.ts) DESC, alert_id DESC
  LIMIT {limit:UInt32}
)
SELECT
  alert_id,
  any(f.kind) AS kind,
  any(f.agent) AS agent,
  argMax(f.subject, worst) AS subject,
  any(f.rule) AS rule,
  any(f.destination) AS destination,
  any(f.peer_port) AS peer_port,
  any(f.ip_proto) AS ip_proto,
  toUnixTimestamp64Micro(min(f.ts)) AS first,
  toUnixTimestamp64Micro(max(f.ts)) AS last,
  uniqExact(f.flow_id) AS flows,
  max(f.score) AS score,
  argMax(f.grade, worst) AS grade,
  argMax(f.sentence, worst) AS sentence
FROM (
  SELECT
    *,
    bitOr(
      bitOr(
        bitShiftLeft(toUInt128(score), 112),
        bitShiftLeft(toUInt128(4611686018427387904 - toUnixTimestamp64Micro(ts)), 48)
      ),
      toUInt128(bitShiftRight(cityHash64(flow_id, side), 16))
    ) AS worst
  FROM findings
  WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND ts < fromUnixTimestamp64Micro({to:Int64}, 'UTC')
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
    AND alert_id IN (SELECT alert_id FROM page)
) AS f
GROUP BY alert_id
ORDER BY last DESC, alert_id DESC
