-- What was concluded: rows are versioned by ruling, never changed. Columns as in src/flow.ts, plus those of the
-- store (see 002_records.sql). A ruling counts only when a row of `chunks` says that it is complete.
CREATE TABLE IF NOT EXISTS judgements (
  flow_id UUID,
  side LowCardinality(String),
  ruling UInt16,
  ts DateTime64(6, 'UTC') CODEC(Delta, LZ4),
  verdict LowCardinality(String),
  agent LowCardinality(String),
  candidates Array(String),
  method LowCardinality(String),
  grade LowCardinality(String),
  evidence Array(String),
  direction LowCardinality(String),
  rule LowCardinality(String),
  scope_version LowCardinality(String),
  destination LowCardinality(String),
  peer_name LowCardinality(String),
  peer IPv6,
  peer_port UInt16,
  ip_proto UInt8,
  score UInt8,
  reason_codes Array(String),
  reason_weights Array(UInt8),
  reason_evidence Array(String),
  alert_id UUID,
  chunk_id UUID,
  row UInt32 CODEC(Delta, LZ4),
  day Date,
  INDEX chunk chunk_id TYPE set(128) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (ts, flow_id, side, ruling)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;

CREATE TABLE IF NOT EXISTS findings (
  alert_id UUID,
  flow_id UUID,
  side LowCardinality(String),
  ruling UInt16,
  ts DateTime64(6, 'UTC') CODEC(Delta, LZ4),
  kind LowCardinality(String),
  rule LowCardinality(String),
  agent LowCardinality(String),
  subject LowCardinality(String),
  destination LowCardinality(String),
  peer IPv6,
  peer_port UInt16,
  ip_proto UInt8,
  grade LowCardinality(String),
  score UInt8,
  sentence String,
  chunk_id UUID,
  row UInt32 CODEC(Delta, LZ4),
  day Date,
  INDEX chunk chunk_id TYPE set(128) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY day
ORDER BY (ts, alert_id, flow_id)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;
