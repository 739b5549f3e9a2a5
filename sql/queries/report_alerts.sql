-- Alerts of a run: its findings by alert id, worst first. The sentence is that of the worst finding, the earliest
-- if several are as bad.
SELECT
  alert_id,
  any(n.kind) AS kind,
  any(n.agent) AS agent,
  argMax(n.subject, worst) AS subject,
  any(n.rule) AS rule,
  any(n.destination) AS destination,
  any(n.peer_port) AS peer_port,
  any(n.ip_proto) AS ip_proto,
  toUnixTimestamp64Micro(min(n.ts)) AS first,
  toUnixTimestamp64Micro(max(n.ts)) AS last,
  uniqExact(n.flow_id) AS flows,
  max(n.score) AS score,
  argMax(n.grade, worst) AS grade,
  argMax(n.sentence, worst) AS sentence
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
  FROM run_findings(run = {run:UUID})
) AS n
GROUP BY alert_id
ORDER BY score DESC, first, alert_id
LIMIT {limit:UInt32}
