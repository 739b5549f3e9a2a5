-- The findings of a run, highest score first, each with its judgement and its flow.
WITH top AS (
  SELECT *
  FROM run_findings(run = {run:UUID})
  ORDER BY score DESC, ts, flow_id, side, alert_id
  LIMIT {limit:UInt32}
)
SELECT
  n.alert_id AS alert_id,
  n.kind AS kind,
  n.agent AS agent,
  n.subject AS subject,
  n.side AS side,
  n.grade AS grade,
  j.verdict AS verdict,
  n.rule AS rule,
  j.scope_version AS scope_version,
  j.direction AS direction,
  n.destination AS destination,
  replaceRegexpOne(toString(n.peer), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS peer,
  n.peer_port AS peer_port,
  n.ip_proto AS ip_proto,
  n.score AS score,
  n.sentence AS sentence,
  j.method AS method,
  j.candidates AS candidates,
  j.evidence AS evidence,
  j.reason_codes AS reason_codes,
  j.reason_weights AS reason_weights,
  j.reason_evidence AS reason_evidence,
  n.flow_id AS flow_id,
  f.uid AS uid,
  toUnixTimestamp64Micro(n.ts) AS ts,
  replaceRegexpOne(toString(f.orig_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS orig_h,
  f.orig_p AS orig_p,
  replaceRegexpOne(toString(f.resp_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS resp_h,
  f.resp_p AS resp_p,
  f.server_name AS server_name,
  f.name_source AS name_source,
  f.name_proof AS name_proof,
  f.dns_names AS dns_names
FROM top AS n
LEFT JOIN (
  SELECT * FROM run_judgements(run = {run:UUID}) WHERE flow_id IN (SELECT flow_id FROM top)
) AS j ON j.flow_id = n.flow_id AND j.side = n.side
LEFT JOIN (
  SELECT * FROM run_flows(run = {run:UUID}) WHERE flow_id IN (SELECT flow_id FROM top)
) AS f ON f.flow_id = n.flow_id
ORDER BY score DESC, ts, flow_id, side, alert_id
