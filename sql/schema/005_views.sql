-- What holds now, over the whole store. Only what is complete is seen: rows of a process that died while it was
-- writing stay invisible until the same chunk is written again.
CREATE OR REPLACE VIEW chunks_complete AS
SELECT
  chunk_id,
  any(c.origin) AS origin,
  any(c.seq) AS seq,
  any(c.last) AS last,
  any(c.sensor) AS sensor,
  any(c.format) AS format,
  max(c.ruling) AS ruling,
  argMax(c.judged_key, c.ruling) AS judged_key,
  max(c.flow_records) AS flow_records,
  max(c.coverage) AS coverage,
  max(c.rejects) AS rejects,
  argMax(c.judgements, c.ruling) AS judgements,
  argMax(c.findings, c.ruling) AS findings,
  min(c.stored_at) AS stored_at
FROM chunks AS c
WHERE c.state = 'complete'
GROUP BY chunk_id;

-- Each record once. A file that grew is read again, and its last flow then comes with more packets: that row stays.
-- `heavier` orders by packets, then bytes; the hash makes the choice between equals the same every time.
CREATE OR REPLACE VIEW flow_records_once AS
SELECT
  flow_id,
  rec_no,
  argMax(r.uid, heavier) AS uid,
  argMax(r.sensor, heavier) AS sensor,
  argMax(r.vantage, heavier) AS vantage,
  argMax(r.source_kind, heavier) AS source_kind,
  argMax(r.ts, heavier) AS ts,
  argMax(r.end, heavier) AS end,
  -- A tuple, because argMax alone passes over NULL.
  argMax(tuple(r.duration), heavier).1 AS duration,
  argMax(r.orig_h, heavier) AS orig_h,
  argMax(r.orig_p, heavier) AS orig_p,
  argMax(r.resp_h, heavier) AS resp_h,
  argMax(r.resp_p, heavier) AS resp_p,
  argMax(r.ip_proto, heavier) AS ip_proto,
  argMax(r.service, heavier) AS service,
  argMax(tuple(r.orig_bytes), heavier).1 AS orig_bytes,
  argMax(tuple(r.resp_bytes), heavier).1 AS resp_bytes,
  argMax(tuple(r.missed_bytes), heavier).1 AS missed_bytes,
  argMax(tuple(r.orig_pkts), heavier).1 AS orig_pkts,
  argMax(tuple(r.orig_ip_bytes), heavier).1 AS orig_ip_bytes,
  argMax(tuple(r.resp_pkts), heavier).1 AS resp_pkts,
  argMax(tuple(r.resp_ip_bytes), heavier).1 AS resp_ip_bytes,
  argMax(r.conn_state, heavier) AS conn_state,
  argMax(r.history, heavier) AS history,
  argMax(r.vlan, heavier) AS vlan,
  argMax(r.inner_vlan, heavier) AS inner_vlan,
  argMax(r.tunnel_parents, heavier) AS tunnel_parents,
  argMax(r.community_id, heavier) AS community_id,
  argMax(r.direction_sure, heavier) AS direction_sure,
  argMax(r.handshake, heavier) AS handshake,
  argMax(r.decided_at, heavier) AS decided_at,
  argMax(r.decided_by, heavier) AS decided_by,
  argMax(r.server_name, heavier) AS server_name,
  argMax(r.name_source, heavier) AS name_source,
  argMax(r.name_proof, heavier) AS name_proof,
  argMax(r.dns_names, heavier) AS dns_names,
  argMax(r.ja3, heavier) AS ja3,
  argMax(r.ja4, heavier) AS ja4,
  argMax(r.alpn, heavier) AS alpn,
  argMax(r.user_agent, heavier) AS user_agent,
  argMax(r.proxy_user, heavier) AS proxy_user,
  argMax(r.interface_id, heavier) AS interface_id,
  argMax(r.interface_side, heavier) AS interface_side,
  argMax(r.action, heavier) AS action,
  argMax(r.anomalies, heavier) AS anomalies,
  argMax(r.end_reason, heavier) AS end_reason
FROM (
  SELECT
    *,
    bitOr(
      bitOr(
        bitShiftLeft(toUInt256(ifNull(orig_pkts, 0) + ifNull(resp_pkts, 0)), 128),
        bitShiftLeft(toUInt256(ifNull(orig_bytes, 0) + ifNull(resp_bytes, 0)), 64)
      ),
      toUInt256(cityHash64(chunk_id, row))
    ) AS heavier
  FROM flow_records
  WHERE chunk_id IN (SELECT chunk_id FROM chunks_complete)
) AS r
GROUP BY flow_id, rec_no;

-- Flows: the records of a flow merged, as `bailiwick flows` prints them. Counters are deltas and add up, and are
-- NULL only if no record has them; of everything else the last record's value that is set holds.
CREATE OR REPLACE VIEW flows AS
SELECT
  flow_id,
  argMaxIf(r.uid, rec_no, r.uid != '') AS uid,
  argMin(r.sensor, rec_no) AS sensor,
  argMin(r.vantage, rec_no) AS vantage,
  argMin(r.source_kind, rec_no) AS source_kind,
  min(r.ts) AS ts,
  max(r.end) AS end,
  max(r.duration) AS duration,
  argMin(r.orig_h, rec_no) AS orig_h,
  argMin(r.orig_p, rec_no) AS orig_p,
  argMin(r.resp_h, rec_no) AS resp_h,
  argMin(r.resp_p, rec_no) AS resp_p,
  argMin(r.ip_proto, rec_no) AS ip_proto,
  argMaxIf(r.service, rec_no, r.service != '') AS service,
  sum(r.orig_bytes) AS orig_bytes,
  sum(r.resp_bytes) AS resp_bytes,
  sum(r.missed_bytes) AS missed_bytes,
  sum(r.orig_pkts) AS orig_pkts,
  sum(r.orig_ip_bytes) AS orig_ip_bytes,
  sum(r.resp_pkts) AS resp_pkts,
  sum(r.resp_ip_bytes) AS resp_ip_bytes,
  argMaxIf(r.conn_state, rec_no, r.conn_state != '') AS conn_state,
  argMaxIf(r.history, rec_no, r.history != '') AS history,
  argMinIf(r.vlan, rec_no, r.vlan != 0) AS vlan,
  argMinIf(r.inner_vlan, rec_no, r.inner_vlan != 0) AS inner_vlan,
  argMinIf(r.tunnel_parents, rec_no, notEmpty(r.tunnel_parents)) AS tunnel_parents,
  argMaxIf(r.community_id, rec_no, r.community_id != '') AS community_id,
  argMin(r.direction_sure, rec_no) AS direction_sure,
  argMaxIf(r.handshake, rec_no, r.handshake != '') AS handshake,
  argMin(r.decided_at, rec_no) AS decided_at,
  argMaxIf(r.decided_by, rec_no, r.decided_by != '') AS decided_by,
  argMaxIf(r.server_name, rec_no, r.server_name != '') AS server_name,
  argMaxIf(r.name_source, rec_no, r.name_source != '') AS name_source,
  argMaxIf(r.name_proof, rec_no, r.name_proof != '') AS name_proof,
  argMinIf(r.dns_names, rec_no, notEmpty(r.dns_names)) AS dns_names,
  argMaxIf(r.ja3, rec_no, r.ja3 != '') AS ja3,
  argMaxIf(r.ja4, rec_no, r.ja4 != '') AS ja4,
  argMaxIf(r.alpn, rec_no, r.alpn != '') AS alpn,
  argMaxIf(r.user_agent, rec_no, r.user_agent != '') AS user_agent,
  argMaxIf(r.proxy_user, rec_no, r.proxy_user != '') AS proxy_user,
  argMaxIf(r.interface_id, rec_no, r.interface_id != '') AS interface_id,
  argMaxIf(r.interface_side, rec_no, r.interface_side != '') AS interface_side,
  -- What was refused on one side was not allowed.
  if(
    countIf(r.action = 'REJECT') > 0,
    'REJECT',
    toString(argMaxIf(r.action, rec_no, r.action != ''))
  ) AS action,
  arraySort(groupUniqArrayArray(1024)(r.anomalies)) AS anomalies,
  argMaxIf(r.end_reason, rec_no, r.end_reason != '') AS end_reason,
  count() AS records
FROM flow_records_once AS r
GROUP BY flow_id;

-- The judgement that holds of each side of each flow: the highest complete ruling. A flow whose records lie in
-- two chunks is judged in both; of the same ruling the surer grade holds, and the hash decides between equals.
CREATE OR REPLACE VIEW judgements_current AS
SELECT
  flow_id,
  side,
  argMax(j.ruling, weight) AS ruling,
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
  argMax(j.peer_name, weight) AS peer_name,
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
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
) AS j
GROUP BY flow_id, side;

-- Alerts: findings with one id, of rulings that hold. The sentence is that of the worst finding, the earliest if
-- several are as bad.
CREATE OR REPLACE VIEW alerts AS
SELECT
  alert_id,
  any(f.kind) AS kind,
  any(f.rule) AS rule,
  any(f.agent) AS agent,
  any(f.destination) AS destination,
  any(f.peer_port) AS peer_port,
  any(f.ip_proto) AS ip_proto,
  min(f.ts) AS first,
  max(f.ts) AS last,
  uniqExact(f.flow_id) AS flows,
  max(f.score) AS score,
  argMax(f.subject, worst) AS subject,
  argMax(f.peer, worst) AS peer,
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
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
) AS f
GROUP BY alert_id;
