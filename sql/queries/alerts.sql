-- All alerts that hold, newest first.
SELECT
  alert_id,
  kind,
  agent,
  subject,
  rule,
  destination,
  peer_port,
  ip_proto,
  toUnixTimestamp64Micro(first) AS first,
  toUnixTimestamp64Micro(last) AS last,
  flows,
  score,
  grade,
  sentence
FROM alerts
ORDER BY last DESC, alert_id
LIMIT {limit:UInt32}
