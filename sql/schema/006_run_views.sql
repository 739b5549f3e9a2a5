-- The same for one run of the command line, however much else the store holds: parameterized views that see the
-- chunks of the run alone. FROM run_judgements(run = '...').

-- Judgements that hold, each side of each flow once. Only those that a run has more than once are aggregated; see
-- judgements_current for which one holds.
CREATE OR REPLACE VIEW run_judgements AS
SELECT
  j.flow_id AS flow_id,
  j.side AS side,
  j.ts AS ts,
  j.verdict AS verdict,
  j.agent AS agent,
  j.candidates AS candidates,
  j.method AS method,
  j.grade AS grade,
  j.evidence AS evidence,
  j.direction AS direction,
  j.rule AS rule,
  j.scope_version AS scope_version,
  j.destination AS destination,
  j.peer_name AS peer_name,
  j.peer AS peer,
  j.peer_port AS peer_port,
  j.ip_proto AS ip_proto,
  j.score AS score,
  j.reason_codes AS reason_codes,
  j.reason_weights AS reason_weights,
  j.reason_evidence AS reason_evidence,
  j.alert_id AS alert_id
FROM judgements AS j
WHERE (j.chunk_id, j.ruling) IN (SELECT chunk_id, ruling FROM run_chunks WHERE run = {run:UUID})
  AND cityHash64(j.flow_id, j.side) NOT IN (
    SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'judgement'
  )
UNION ALL
SELECT
  flow_id,
  side,
  argMax(d.ts, d.weight) AS ts,
  argMax(d.verdict, d.weight) AS verdict,
  argMax(d.agent, d.weight) AS agent,
  argMax(d.candidates, d.weight) AS candidates,
  argMax(d.method, d.weight) AS method,
  argMax(d.grade, d.weight) AS grade,
  argMax(d.evidence, d.weight) AS evidence,
  argMax(d.direction, d.weight) AS direction,
  argMax(d.rule, d.weight) AS rule,
  argMax(d.scope_version, d.weight) AS scope_version,
  argMax(d.destination, d.weight) AS destination,
  argMax(d.peer_name, d.weight) AS peer_name,
  argMax(d.peer, d.weight) AS peer,
  argMax(d.peer_port, d.weight) AS peer_port,
  argMax(d.ip_proto, d.weight) AS ip_proto,
  argMax(d.score, d.weight) AS score,
  argMax(d.reason_codes, d.weight) AS reason_codes,
  argMax(d.reason_weights, d.weight) AS reason_weights,
  argMax(d.reason_evidence, d.weight) AS reason_evidence,
  argMax(d.alert_id, d.weight) AS alert_id
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
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_chunks WHERE run = {run:UUID})
    AND cityHash64(flow_id, side) IN (
      SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'judgement'
    )
) AS d
GROUP BY flow_id, side;

-- Findings that hold, each side of each flow once an alert.
CREATE OR REPLACE VIEW run_findings AS
SELECT *
FROM findings
WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_chunks WHERE run = {run:UUID})
  AND cityHash64(flow_id, side) NOT IN (
    SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'judgement'
  )
UNION ALL
SELECT *
FROM (
  SELECT *
  FROM findings
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_chunks WHERE run = {run:UUID})
    AND cityHash64(flow_id, side) IN (
      SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'judgement'
    )
  ORDER BY ruling DESC, score DESC, ts, chunk_id, row
  LIMIT 1 BY alert_id, flow_id, side
);

-- What a person needs to find a flow again, and its counters: bytes as on the wire where they are known. Only
-- flows of several records are aggregated; a record that is there twice (a file and its longer copy) counts once.
CREATE OR REPLACE VIEW run_flows AS
SELECT
  f.flow_id AS flow_id,
  f.ts AS ts,
  f.end AS end,
  f.uid AS uid,
  f.orig_h AS orig_h,
  f.orig_p AS orig_p,
  f.resp_h AS resp_h,
  f.resp_p AS resp_p,
  f.ip_proto AS ip_proto,
  f.server_name AS server_name,
  f.name_source AS name_source,
  f.name_proof AS name_proof,
  f.dns_names AS dns_names,
  toUInt64(1) AS records,
  ifNull(f.orig_pkts, 0) + ifNull(f.resp_pkts, 0) AS packets,
  coalesce(f.orig_ip_bytes, f.orig_bytes, 0) AS orig_wire_bytes,
  coalesce(f.resp_ip_bytes, f.resp_bytes, 0) AS resp_wire_bytes
FROM flow_records AS f
WHERE f.chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
  AND cityHash64(f.flow_id) NOT IN (
    SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'flow'
  )
UNION ALL
SELECT
  flow_id,
  min(r.ts) AS ts,
  max(r.end) AS end,
  argMax(r.uid, rec_no) AS uid,
  argMin(r.orig_h, rec_no) AS orig_h,
  argMin(r.orig_p, rec_no) AS orig_p,
  argMin(r.resp_h, rec_no) AS resp_h,
  argMin(r.resp_p, rec_no) AS resp_p,
  argMin(r.ip_proto, rec_no) AS ip_proto,
  argMax(r.server_name, rec_no) AS server_name,
  argMax(r.name_source, rec_no) AS name_source,
  argMax(r.name_proof, rec_no) AS name_proof,
  argMax(r.dns_names, rec_no) AS dns_names,
  count() AS records,
  sum(r.packets) AS packets,
  sum(r.orig_wire_bytes) AS orig_wire_bytes,
  sum(r.resp_wire_bytes) AS resp_wire_bytes
FROM (
  SELECT
    flow_id,
    rec_no,
    min(m.ts) AS ts,
    max(m.end) AS end,
    max(m.uid) AS uid,
    any(m.orig_h) AS orig_h,
    any(m.orig_p) AS orig_p,
    any(m.resp_h) AS resp_h,
    any(m.resp_p) AS resp_p,
    any(m.ip_proto) AS ip_proto,
    max(m.server_name) AS server_name,
    max(m.name_source) AS name_source,
    max(m.name_proof) AS name_proof,
    max(m.dns_names) AS dns_names,
    max(ifNull(m.orig_pkts, 0) + ifNull(m.resp_pkts, 0)) AS packets,
    max(coalesce(m.orig_ip_bytes, m.orig_bytes, 0)) AS orig_wire_bytes,
    max(coalesce(m.resp_ip_bytes, m.resp_bytes, 0)) AS resp_wire_bytes
  FROM flow_records AS m
  WHERE m.chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
    AND cityHash64(m.flow_id) IN (
      SELECT hash FROM run_doubles WHERE run = {run:UUID} AND kind = 'flow'
    )
  GROUP BY flow_id, rec_no
) AS r
GROUP BY flow_id;
