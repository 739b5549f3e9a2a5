-- Community ID v1 with seed 0 (corelight/community-id-spec) of a flow record, as src/community-id.ts makes it, unless
-- the record brings one. Records travel without it: 30 bytes of text that other columns say already. Cloud logs do
-- not tell type and code of ICMP, so there is none. Stands in INSERTs, put there by src/store/insert-sql.ts.
multiIf(
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
)
