-- The same for one run of the command line, however much else the store holds: parameterized views that see the
-- chunks of the run alone. FROM run_judgements(run = '...').
CREATE OR REPLACE VIEW run_rulings AS
SELECT chunk_id, max(c.ruling) AS ruling
FROM chunks AS c
WHERE c.state = 'complete' AND chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
GROUP BY chunk_id;

-- Judgements that hold; see judgements_current.
CREATE OR REPLACE VIEW run_judgements AS
SELECT
  flow_id,
  side,
  argMax(j.ts, weight) AS ts,
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
  argMax(j.peer, weight) AS peer,
  argMax(j.peer_port, weight) AS peer_port,
  argMax(j.ip_proto, weight) AS ip_proto,
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
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_rulings(run = {run:UUID}))
) AS j
GROUP BY flow_id, side;

-- Findings that hold, each flow and side once.
CREATE OR REPLACE VIEW run_findings AS
SELECT *
FROM findings
WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM run_rulings(run = {run:UUID}))
ORDER BY score DESC, ts, flow_id, side, chunk_id
LIMIT 1 BY alert_id, flow_id, side;

-- What a person needs to find a flow again, and its counters: bytes as on the wire where they are known.
CREATE OR REPLACE VIEW run_flows AS
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
  count() AS records,
  sum(r.packets) AS packets,
  sum(r.orig_wire_bytes) AS orig_wire_bytes,
  sum(r.resp_wire_bytes) AS resp_wire_bytes
FROM (
  SELECT
    flow_id,
    rec_no,
    min(f.ts) AS ts,
    max(f.end) AS end,
    max(f.uid) AS uid,
    any(f.orig_h) AS orig_h,
    any(f.orig_p) AS orig_p,
    any(f.resp_h) AS resp_h,
    any(f.resp_p) AS resp_p,
    any(f.ip_proto) AS ip_proto,
    max(f.server_name) AS server_name,
    max(f.name_source) AS name_source,
    max(ifNull(f.orig_pkts, 0) + ifNull(f.resp_pkts, 0)) AS packets,
    max(coalesce(f.orig_ip_bytes, f.orig_bytes, 0)) AS orig_wire_bytes,
    max(coalesce(f.resp_ip_bytes, f.resp_bytes, 0)) AS resp_wire_bytes
  FROM flow_records AS f
  WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
  GROUP BY flow_id, rec_no
) AS r
GROUP BY flow_id;
