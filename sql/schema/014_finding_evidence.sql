-- What an action may rest on stands with the finding, so that nobody has to join for it. Rows that were written before
-- have none of it.
ALTER TABLE findings ADD COLUMN IF NOT EXISTS method LowCardinality(String) AFTER sentence;

ALTER TABLE findings ADD COLUMN IF NOT EXISTS handshake LowCardinality(String) AFTER method;

ALTER TABLE findings ADD COLUMN IF NOT EXISTS direction LowCardinality(String) AFTER handshake;

ALTER TABLE findings ADD COLUMN IF NOT EXISTS direction_sure UInt8 AFTER direction;

ALTER TABLE findings ADD COLUMN IF NOT EXISTS decided_at DateTime64(6, 'UTC') CODEC(Delta, LZ4) AFTER direction_sure;

ALTER TABLE findings ADD COLUMN IF NOT EXISTS peer_name LowCardinality(String) AFTER decided_at;

-- See 009_chunk_sums.sql: a column that came later is part of the checksum. A row without any of these has the
-- checksum that it had, so what was remembered of it still holds.
ALTER TABLE findings MODIFY COLUMN checksum UInt64 ALIAS if(
  (method = '') AND (handshake = '') AND (direction = '') AND (direction_sure = 0) AND (peer_name = '')
  AND (toUnixTimestamp64Micro(decided_at) = 0),
  cityHash64(
    tuple(
      alert_id, flow_id, side, ruling, ts, kind, rule, agent, subject, destination, peer, peer_port, ip_proto,
      grade, score, sentence, row
    )
  ),
  cityHash64(
    tuple(
      alert_id, flow_id, side, ruling, ts, kind, rule, agent, subject, destination, peer, peer_port, ip_proto,
      grade, score, sentence, method, handshake, direction, direction_sure, decided_at, peer_name, row
    )
  )
);
