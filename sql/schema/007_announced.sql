-- What sensors say they have sent (see ANNOUNCED_COLUMNS in src/flow.ts): running totals, so the largest row of each
-- (origin, about, hour) holds. The auditor compares them with what is stored. Small: a few rows a minute and sensor.
CREATE TABLE IF NOT EXISTS announced (
  sensor LowCardinality(String),
  origin LowCardinality(String),
  about LowCardinality(String),
  hour DateTime64(6, 'UTC'),
  chunks UInt32,
  last UInt8,
  flow_records Nullable(UInt64),
  coverage Nullable(UInt64),
  rejects Nullable(UInt64),
  said_at DateTime64(6, 'UTC'),
  chunk_id UUID,
  row UInt32
)
ENGINE = MergeTree
ORDER BY (sensor, origin, about, hour, said_at)
SETTINGS non_replicated_deduplication_window = 10000;

ALTER TABLE chunks ADD COLUMN IF NOT EXISTS announced UInt32 AFTER findings;

-- Which piece of a chunk that was split ('01': the right half of its left half); empty for a whole one.
ALTER TABLE chunks ADD COLUMN IF NOT EXISTS piece LowCardinality(String) AFTER announced;
