-- What sensors reported: immutable rows, written once. Columns are those of src/flow.ts (a test compares them),
-- plus three of the store's own:
--   chunk_id, row  the chunk that the row came in and its place there: the auditor counts them
--   day            the partition. It is the day of ts, but 1970-01-01 for a chunk that spans too many days
--                  (a capture with scrambled clocks), so that no input can make thousands of partitions
--
-- Rows arrive in about the order of ts, so ordering by it costs little. The set index finds the rows of a run.
-- Parts below 128 MiB keep all columns in one file: an insert then takes half the time, as fifty columns are
-- otherwise a hundred files. Merges make wide parts of them.
-- Retention: ALTER TABLE ... MODIFY TTL day + INTERVAL n DAY drops whole parts, and DROP PARTITION works by day.
CREATE TABLE IF NOT EXISTS flow_records (
  flow_id UUID,
  rec_no UInt32,
  uid String,
  sensor LowCardinality(String),
  vantage LowCardinality(String),
  source_kind LowCardinality(String),
  ts DateTime64(6, 'UTC') CODEC(Delta, LZ4),
  end DateTime64(6, 'UTC') CODEC(Delta, LZ4),
  duration Nullable(Float64),
  orig_h IPv6,
  orig_p UInt16,
  resp_h IPv6,
  resp_p UInt16,
  ip_proto UInt8,
  service LowCardinality(String),
  orig_bytes Nullable(UInt64),
  resp_bytes Nullable(UInt64),
  missed_bytes Nullable(UInt64),
  orig_pkts Nullable(UInt64),
  orig_ip_bytes Nullable(UInt64),
  resp_pkts Nullable(UInt64),
  resp_ip_bytes Nullable(UInt64),
  conn_state LowCardinality(String),
  history LowCardinality(String),
  vlan UInt16,
  inner_vlan UInt16,
  tunnel_parents Array(String),
  community_id String,
  direction_sure UInt8,
  handshake LowCardinality(String),
  decided_at DateTime64(6, 'UTC') CODEC(Delta, LZ4),
  decided_by LowCardinality(String),
  server_name LowCardinality(String),
  name_source LowCardinality(String),
  name_proof LowCardinality(String),
  dns_names Array(String),
  ja3 LowCardinality(String),
  ja4 LowCardinality(String),
  alpn LowCardinality(String),
  user_agent LowCardinality(String),
  proxy_user LowCardinality(String),
  interface_id LowCardinality(String),
  interface_side LowCardinality(String),
  action LowCardinality(String),
  anomalies Array(String),
  end_reason LowCardinality(String),
  chunk_id UUID,
  row UInt32 CODEC(Delta, LZ4),
  day Date,
  INDEX chunk chunk_id TYPE set(128) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (ts, flow_id, rec_no)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS coverage (
  sensor LowCardinality(String),
  vantage LowCardinality(String),
  source_kind LowCardinality(String),
  ts DateTime64(6, 'UTC'),
  end DateTime64(6, 'UTC'),
  metric LowCardinality(String),
  value Nullable(UInt64),
  chunk_id UUID,
  row UInt32,
  day Date
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (sensor, vantage, metric, ts)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;

-- A reject has no time of its own that could be trusted, so there is one partition.
CREATE TABLE IF NOT EXISTS rejects (
  sensor LowCardinality(String),
  source_kind LowCardinality(String),
  at Nullable(UInt64),
  unit LowCardinality(String),
  reason LowCardinality(String),
  detail String,
  sample String,
  chunk_id UUID,
  row UInt32
)
ENGINE = MergeTree
ORDER BY (reason, chunk_id, row)
SETTINGS non_replicated_deduplication_window = 10000;
