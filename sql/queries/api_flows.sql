-- Some flows, their records merged: counters add up, of everything else the last record's value that is set holds. A
-- record that came twice counts once, the one with more packets. The span is as in api_judgements.sql.
SELECT
  flow_id,
  argMaxIf(r.uid, rec_no, r.uid != '') AS uid,
  any(r.sensor) AS sensor,
  any(r.vantage) AS vantage,
  any(r.source_kind) AS source_kind,
  toUnixTimestamp64Micro(min(r.ts)) AS began,
  toUnixTimestamp64Micro(max(r.end)) AS ended,
  replaceRegexpOne(toString(any(r.orig_h)), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS orig_h,
  any(r.orig_p) AS orig_p,
  replaceRegexpOne(toString(any(r.resp_h)), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS resp_h,
  any(r.resp_p) AS resp_p,
  any(r.ip_proto) AS ip_proto,
  argMaxIf(r.service, rec_no, r.service != '') AS service,
  argMaxIf(r.conn_state, rec_no, r.conn_state != '') AS conn_state,
  argMaxIf(r.handshake, rec_no, r.handshake != '') AS handshake,
  argMaxIf(r.server_name, rec_no, r.server_name != '') AS server_name,
  argMaxIf(r.name_source, rec_no, r.name_source != '') AS name_source,
  argMaxIf(r.name_proof, rec_no, r.name_proof != '') AS name_proof,
  argMinIf(r.dns_names, rec_no, notEmpty(r.dns_names)) AS dns_names,
  argMaxIf(r.ja4, rec_no, r.ja4 != '') AS ja4,
  argMaxIf(r.user_agent, rec_no, r.user_agent != '') AS user_agent,
  arraySort(groupUniqArrayArray(1024)(r.anomalies)) AS anomalies,
  argMax(r.end_reason, rec_no) AS end_reason,
  sum(r.orig_pkts) AS orig_pkts,
  sum(r.resp_pkts) AS resp_pkts,
  -- On the wire where that is known, else payload.
  sum(ifNull(r.orig_ip_bytes, r.orig_bytes)) AS orig_bytes,
  sum(ifNull(r.resp_ip_bytes, r.resp_bytes)) AS resp_bytes,
  count() AS records
FROM (
  SELECT *
  FROM flow_records
  WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
    AND ts <= fromUnixTimestamp64Micro({to:Int64}, 'UTC')
    AND flow_id IN {ids:Array(UUID)}
    AND chunk_id IN (SELECT chunk_id FROM chunks_complete)
  ORDER BY ifNull(orig_pkts, 0) + ifNull(resp_pkts, 0) DESC, chunk_id, row
  LIMIT 1 BY flow_id, rec_no
) AS r
GROUP BY flow_id
ORDER BY flow_id
