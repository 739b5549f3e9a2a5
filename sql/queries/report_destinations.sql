-- Where agents went or were reached from: judgements that agree in all of this, with the earliest as an example.
-- Hosts are told apart by their whole name, and by their address where no name was seen.
WITH d AS (
  SELECT
    agent,
    direction,
    destination,
    peer_name,
    peer_port,
    ip_proto,
    verdict,
    rule,
    count() AS flows,
    argMin(j.peer, j.earliest) AS peer,
    argMin(j.flow_id, j.earliest) AS example
  FROM (
    SELECT
      *,
      bitOr(
        bitShiftLeft(toUInt128(toUnixTimestamp64Micro(ts) + 4611686018427387904), 64),
        toUInt128(cityHash64(flow_id))
      ) AS earliest
    FROM run_judgements(run = {run:UUID})
  ) AS j
  WHERE agent != ''
  GROUP BY
    agent,
    direction,
    destination,
    peer_name,
    if(peer_name = '', j.peer, toIPv6('::')),
    peer_port,
    ip_proto,
    verdict,
    rule
  ORDER BY agent, direction, verdict, flows DESC, destination, peer_name, peer_port, ip_proto, rule, peer
  LIMIT {limit:UInt32}
)
SELECT
  d.agent AS agent,
  d.direction AS direction,
  d.destination AS destination,
  d.peer_name AS server_name,
  replaceRegexpOne(toString(d.peer), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS peer,
  d.peer_port AS peer_port,
  d.ip_proto AS ip_proto,
  d.verdict AS verdict,
  d.rule AS rule,
  d.flows AS flows,
  d.example AS flow_id,
  f.uid AS uid,
  toUnixTimestamp64Micro(f.ts) AS ts,
  replaceRegexpOne(toString(f.orig_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS orig_h,
  f.orig_p AS orig_p,
  replaceRegexpOne(toString(f.resp_h), '^::ffff:(\\d+\\.\\d+\\.\\d+\\.\\d+)$', '\\1') AS resp_h,
  f.resp_p AS resp_p
FROM d
LEFT JOIN (
  SELECT * FROM run_flows(run = {run:UUID}) WHERE flow_id IN (SELECT example FROM d)
) AS f ON f.flow_id = d.example
ORDER BY agent, direction, verdict, flows DESC, destination, server_name, peer_port, ip_proto, rule, peer
