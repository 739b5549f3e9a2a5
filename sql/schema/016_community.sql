-- Community IDs are computed when they are asked for, and no longer stored: 30 bytes a record that do not compress and
-- that other columns say already, a fifth of what storing a record costs. `community_id` is what a record brought; the
-- views say the whole of it, as before.
--
-- Community ID v1 with seed 0 (corelight/community-id-spec), as src/community-id.ts makes it, unless the record brings
-- one. Cloud logs do not tell type and code of ICMP, so there is none.
ALTER TABLE flow_records ADD COLUMN IF NOT EXISTS community String ALIAS multiIf(
  community_id != '', community_id,
  (ip_proto IN (1, 58) AS cid_icmp) AND source_kind IN ('aws', 'gcp', 'azure'), '',
  concat('1:', base64Encode(SHA1(concat(
    '\0\0',
    -- The smaller endpoint comes first, but for ICMP messages without an answer.
    if(
      (
        (
          -- What answers this type of ICMP: the "port" of the other side. -1: nothing.
          multiIf(
            ip_proto = 1,
            transform(orig_p % 256, [8, 0, 13, 14, 15, 16, 10, 9, 17, 18], [0, 8, 14, 13, 16, 15, 9, 10, 18, 17], -1),
            ip_proto = 58,
            transform(orig_p % 256, [128, 129, 133, 134, 135, 136, 130, 131, 139, 140, 144, 145], [129, 128, 134, 133, 136, 135, 131, 130, 140, 139, 145, 144], -1),
            -1
          ) AS cid_answer
        ) < 0 AND cid_icmp
        OR (
          (
            -- IPv4 counts as 4 bytes.
            substring(reinterpretAsFixedString(orig_h), (
              if(
                startsWith(reinterpretAsFixedString(orig_h), unhex('00000000000000000000FFFF'))
                AND startsWith(reinterpretAsFixedString(resp_h), unhex('00000000000000000000FFFF')),
                13, 1
              ) AS cid_skip
            )) AS cid_orig
          ) < (substring(reinterpretAsFixedString(resp_h), cid_skip) AS cid_resp)
        )
        OR cid_orig = cid_resp AND (
          orig_p <= (if(cid_answer < 0, resp_p, toUInt16(cid_answer)) AS cid_second)
          OR NOT (cid_icmp OR ip_proto IN (6, 17, 132) AS cid_ports)
        )
      ) AS cid_straight,
      concat(cid_orig, cid_resp), concat(cid_resp, cid_orig)
    ),
    reinterpretAsFixedString(ip_proto), '\0',
    if(
      cid_ports,
      if(
        cid_straight,
        concat(reinterpretAsFixedString(byteSwap(orig_p)), reinterpretAsFixedString(byteSwap(cid_second))),
        concat(reinterpretAsFixedString(byteSwap(cid_second)), reinterpretAsFixedString(byteSwap(orig_p)))
      ),
      ''
    )
  ))))
);

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
  argMax(r.community, heavier) AS community_id,
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
    community,
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
