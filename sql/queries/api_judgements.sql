-- The judgements that hold of some flows, each side once; see judgements_current for which one holds. The span holds
-- the beginnings of all of the flows, both ends included: rows lie in its order.
SELECT
  flow_id,
  side,
  argMax(j.verdict, weight) AS verdict,
  argMax(j.agent, weight) AS agent,
  argMax(j.candidates, weight) AS candidates,
  argMax(j.method, weight) AS method,
  argMax(j.grade, weight) AS grade,
  argMax(j.evidence, weight) AS evidence,
  argMax(j.direction, weight) AS direction,
  argMax(j.rule, weight) AS rule,
  argMax(j.scope_version, weight) AS scope_version,
  argMax(j.destination, weight) AS destination,
  argMax(j.peer_name, weight) AS peer_name,
  replaceRegexpOne(toString(argMax(j.peer, weight)), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS peer,
  argMax(j.peer_port, weight) AS peer_port,
  argMax(j.score, weight) AS score,
  argMax(j.reason_codes, weight) AS reason_codes,
  argMax(j.reason_weights, weight) AS reason_weights,
  argMax(j.reason_evidence, weight) AS reason_evidence,
  argMax(j.alert_id, weight) AS alert_id
FROM (
  SELECT
    *,
    bitOr(
      bitOr(
        bitShiftLeft(toUInt64(ruling), 48),
        bitShiftLeft(
          toUInt64(5 - indexOf(['certain', 'probable', 'contested', 'shared', 'unknown'], grade)),
          44
        )
      ),
      bitShiftRight(cityHash64(chunk_id, row), 20)
    ) AS weight
  FROM judgements
  WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Micro({to:Int64}, 'UTC')
    AND flow_id IN {ids:Array(UUID)}
    AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
) AS j
GROUP BY flow_id, side
ORDER BY flow_id, side
