-- What was inserted of each chunk, remembered apart from the rows, so that a row that was changed later is found.
--
-- `checksum` of a row is over all columns that came with it and its place in the chunk. In a tuple a NULL is hashed as
-- something of its own (as an argument it would make the whole NULL), arrays with their lengths, a float by its bits.
-- It is computed when it is read: nothing is stored of it. A column that comes later needs a new number here.
ALTER TABLE flow_records ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    flow_id, rec_no, uid, sensor, vantage, source_kind, ts, end, duration, orig_h, orig_p, resp_h, resp_p,
    ip_proto, service, orig_bytes, resp_bytes, missed_bytes, orig_pkts, orig_ip_bytes, resp_pkts, resp_ip_bytes,
    conn_state, history, vlan, inner_vlan, tunnel_parents, community_id, direction_sure, handshake, decided_at,
    decided_by, server_name, name_source, name_proof, dns_names, ja3, ja4, alpn, user_agent, proxy_user,
    interface_id, interface_side, action, anomalies, end_reason, row
  )
);

ALTER TABLE coverage ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    sensor, vantage, source_kind, ts, end, metric, value, row
  )
);

ALTER TABLE rejects ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    sensor, source_kind, at, unit, reason, detail, sample, row
  )
);

ALTER TABLE announced ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    sensor, origin, about, hour, chunks, last, flow_records, coverage, rejects, said_at, row
  )
);

ALTER TABLE judgements ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    flow_id, side, ruling, ts, verdict, agent, candidates, method, grade, evidence, direction, rule,
    scope_version, destination, peer_name, peer, peer_port, ip_proto, score, reason_codes, reason_weights,
    reason_evidence, alert_id, row
  )
);

ALTER TABLE findings ADD COLUMN IF NOT EXISTS checksum UInt64 ALIAS cityHash64(
  tuple(
    alert_id, flow_id, side, ruling, ts, kind, rule, agent, subject, destination, peer, peer_port, ip_proto,
    grade, score, sentence, row
  )
);

-- One row for each chunk, ruling, day and hour of the flows: a chunk's rows of one day go in by one INSERT of one block,
-- so there is one row of each key; where there are more (a block that came again another way), the first holds. `sum`
-- adds up the checksums modulo 2^64, `places` each of them times (row + 1): with d the difference to what is stored
-- now, one changed row stands at d(places) / d(sum) - 1, so it can be named. `day` is 1970-01-01 for tables without
-- days, `flow_hour` counts from 1970 and is 0 for tables without time.
-- Retention: a day goes together with that of the tables it speaks of.
CREATE TABLE IF NOT EXISTS chunk_sums (
  table LowCardinality(String),
  chunk_id UUID,
  ruling UInt16,
  day Date,
  flow_hour UInt32,
  rows UInt32,
  sum UInt64,
  places UInt64,
  inserted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (chunk_id, table, ruling, flow_hour)
SETTINGS non_replicated_deduplication_window = 10000;

-- They see what is inserted, and nothing that happens to it afterwards. A block whose token is known already is passed
-- over by them as by the table (deduplicate_blocks_in_dependent_materialized_views in sql/insert/block.sql), and
-- one that reached the table but not the view reaches the view when it is repeated.
CREATE MATERIALIZED VIEW IF NOT EXISTS flow_records_sums TO chunk_sums AS
SELECT
  'flow_records' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM flow_records
GROUP BY chunk_id, day, flow_hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS coverage_sums TO chunk_sums AS
SELECT
  'coverage' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM coverage
GROUP BY chunk_id, day, flow_hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS rejects_sums TO chunk_sums AS
SELECT
  'rejects' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  toDate(0) AS day,
  toUInt32(0) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM rejects
GROUP BY chunk_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS announced_sums TO chunk_sums AS
SELECT
  'announced' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  toDate(0) AS day,
  toUInt32(0) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM announced
GROUP BY chunk_id;

CREATE MATERIALIZED VIEW IF NOT EXISTS judgements_sums TO chunk_sums AS
SELECT
  'judgements' AS table,
  chunk_id,
  ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM judgements
GROUP BY chunk_id, ruling, day, flow_hour;

CREATE MATERIALIZED VIEW IF NOT EXISTS findings_sums TO chunk_sums AS
SELECT
  'findings' AS table,
  chunk_id,
  ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM findings
GROUP BY chunk_id, ruling, day, flow_hour;

-- The same of what is stored now.
CREATE OR REPLACE VIEW chunk_sums_now AS
SELECT
  'flow_records' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM flow_records
GROUP BY chunk_id, day, flow_hour
UNION ALL
SELECT
  'coverage' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM coverage
GROUP BY chunk_id, day, flow_hour
UNION ALL
SELECT
  'rejects' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  toDate(0) AS day,
  toUInt32(0) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM rejects
GROUP BY chunk_id
UNION ALL
SELECT
  'announced' AS table,
  chunk_id,
  toUInt16(0) AS ruling,
  toDate(0) AS day,
  toUInt32(0) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM announced
GROUP BY chunk_id
UNION ALL
SELECT
  'judgements' AS table,
  chunk_id,
  ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM judgements
GROUP BY chunk_id, ruling, day, flow_hour
UNION ALL
SELECT
  'findings' AS table,
  chunk_id,
  ruling,
  day,
  toUInt32(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000)) AS flow_hour,
  count() AS rows,
  sum(checksum) AS sum,
  sum(checksum * (row + 1)) AS places
FROM findings
GROUP BY chunk_id, ruling, day, flow_hour;

-- The auditor asks for chunks by when they were stored. Chunks of one time lie together only in young parts, and those
-- are what it asks for most.
ALTER TABLE chunks ADD INDEX IF NOT EXISTS stored_at stored_at TYPE minmax GRANULARITY 1;
