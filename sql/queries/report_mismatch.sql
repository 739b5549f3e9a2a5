-- Judged flows of one agent in a run, earliest first, with what is needed to tell a person about them. An empty
-- verdict or destination means any; port 0 means any.
WITH some AS (
  SELECT *
  FROM run_judgements(run = {run:UUID})
  WHERE agent = {agent:String}
    AND ({verdict:String} = '' OR verdict = {verdict:String})
    AND ({destination:String} = '' OR destination = {destination:String})
    AND ({port:UInt16} = 0 OR peer_port = {port:UInt16})
  ORDER BY ts, flow_id, side
  LIMIT {limit:UInt32}
)
SELECT
  j.agent AS agent,
  j.side AS side,
  j.verdict AS verdict,
  j.grade AS grade,
  j.method AS method,
  j.direction AS direction,
  j.rule AS rule,
  j.scope_version AS scope_version,
  j.destination AS destination,
  replaceRegexpOne(toString(j.peer), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS peer,
  j.peer_port AS peer_port,
  j.ip_proto AS ip_proto,
  j.score AS score,
  j.candidates AS candidates,
  j.evidence AS evidence,
  j.reason_codes AS reason_codes,
  j.reason_weights AS reason_weights,
  j.reason_evidence AS reason_evidence,
  j.flow_id AS flow_id,
  f.uid AS uid,
  toUnixTimestamp64Micro(f.ts) AS ts,
  replaceRegexpOne(toString(f.orig_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS orig_h,
  f.orig_p AS orig_p,
  replaceRegexpOne(toString(f.resp_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS resp_h,
  f.resp_p AS resp_p,
  f.server_name AS server_name,
  f.name_source AS name_source,
  f.name_proof AS name_proof,
  f.dns_names AS dns_names
FROM some AS j
LEFT JOIN (
  SELECT * FROM run_flows(run = {run:UUID}) WHERE flow_id IN (SELECT flow_id FROM some)
) AS f ON f.flow_id = j.flow_id
ORDER BY ts, flow_id, side
