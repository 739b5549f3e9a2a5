-- What people ask all day (by hour, agent, destination, verdict) without reading judgements again: sums of each chunk
-- and ruling, made as the rows come in.
--
-- Nothing is counted twice, whatever is repeated. A chunk's judgements of one ruling and day come in one INSERT of one
-- block, so of one key there is one row with all of its sum; chunk and ruling are part of the key. A row that comes
-- again says the same, and `max` of equal sums is that sum: neither retries, nor a filling-up after the fact, nor a
-- view that was fed where its table was not, change anything. Which rulings hold is decided when it is asked.
--
--   ORDER BY   the hour first, as every question has a span of time; then from few values to many
--   PARTITION  day, as of the rows beneath: what expires goes with them
--   codecs     sums are small numbers in 64 bits: T64 cuts the zeros, LZ4 the rest

-- What flow_records would have to be joined for, in numbers of the judged side. 0 and NULL in rows that were written
-- before: nobody knows.
ALTER TABLE judgements ADD COLUMN IF NOT EXISTS records UInt32 CODEC(T64, LZ4) AFTER alert_id;

ALTER TABLE judgements ADD COLUMN IF NOT EXISTS bytes_out Nullable(UInt64) CODEC(T64, LZ4) AFTER records;

ALTER TABLE judgements ADD COLUMN IF NOT EXISTS bytes_in Nullable(UInt64) CODEC(T64, LZ4) AFTER bytes_out;

-- See 009_chunk_sums.sql: a column that came later is part of the checksum.
ALTER TABLE judgements MODIFY COLUMN checksum UInt64 ALIAS cityHash64(
  tuple(
    flow_id, side, ruling, ts, verdict, agent, candidates, method, grade, evidence, direction, rule,
    scope_version, destination, peer_name, peer, peer_port, ip_proto, score, reason_codes, reason_weights,
    reason_evidence, alert_id, records, bytes_out, bytes_in, row
  )
);

CREATE TABLE IF NOT EXISTS judged_hours (
  hour DateTime('UTC') CODEC(Delta, LZ4),
  verdict LowCardinality(String),
  grade LowCardinality(String),
  direction LowCardinality(String),
  agent LowCardinality(String),
  destination LowCardinality(String),
  chunk_id UUID,
  ruling UInt16,
  day Date,
  -- Rows of judgements; those of them that are findings.
  judgements SimpleAggregateFunction(max, UInt64) CODEC(T64, LZ4),
  findings SimpleAggregateFunction(max, UInt64) CODEC(T64, LZ4),
  records SimpleAggregateFunction(max, UInt64) CODEC(T64, LZ4),
  bytes_out SimpleAggregateFunction(max, UInt64) CODEC(T64, LZ4),
  bytes_in SimpleAggregateFunction(max, UInt64) CODEC(T64, LZ4),
  score SimpleAggregateFunction(max, UInt8)
)
ENGINE = AggregatingMergeTree
PARTITION BY day
ORDER BY (hour, verdict, grade, direction, agent, destination, chunk_id, ruling)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS judged_hours_filling TO judged_hours AS
SELECT
  toDateTime(
    intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
    'UTC'
  ) AS hour,
  verdict,
  grade,
  direction,
  agent,
  destination,
  chunk_id,
  ruling,
  day,
  count() AS judgements,
  countIf(alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS findings,
  sum(j.records) AS records,
  sum(ifNull(j.bytes_out, 0)) AS bytes_out,
  sum(ifNull(j.bytes_in, 0)) AS bytes_in,
  max(j.score) AS score
FROM judgements AS j
GROUP BY hour, verdict, grade, direction, agent, destination, chunk_id, ruling, day;

-- What was judged before this file came. Rows that come in meanwhile are in it twice, and count once.
INSERT INTO judged_hours
SELECT
  toDateTime(
    intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
    'UTC'
  ) AS hour,
  verdict,
  grade,
  direction,
  agent,
  destination,
  chunk_id,
  ruling,
  day,
  count() AS judgements,
  countIf(alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS findings,
  sum(j.records) AS records,
  sum(ifNull(j.bytes_out, 0)) AS bytes_out,
  sum(ifNull(j.bytes_in, 0)) AS bytes_in,
  max(j.score) AS score
FROM judgements AS j
GROUP BY hour, verdict, grade, direction, agent, destination, chunk_id, ruling, day
SETTINGS
  async_insert = 0,
  insert_deduplicate = 0,
  max_partitions_per_insert_block = 0,
  max_bytes_before_external_group_by = 268435456;

-- What holds, by hour: sums over chunks that are complete, of the ruling that holds of each. A flow whose records lie
-- in several chunks is judged in each of them; records and bytes are those of the chunk, so they add up.
CREATE OR REPLACE VIEW judged_hours_current AS
SELECT
  hour,
  verdict,
  grade,
  direction,
  agent,
  destination,
  sum(h.judgements) AS judgements,
  sum(h.findings) AS findings,
  sum(h.records) AS records,
  sum(h.bytes_out) AS bytes_out,
  sum(h.bytes_in) AS bytes_in,
  max(h.score) AS score
FROM (
  SELECT
    hour,
    verdict,
    grade,
    direction,
    agent,
    destination,
    max(m.judgements) AS judgements,
    max(m.findings) AS findings,
    max(m.records) AS records,
    max(m.bytes_out) AS bytes_out,
    max(m.bytes_in) AS bytes_in,
    max(m.score) AS score
  FROM judged_hours AS m
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  GROUP BY hour, verdict, grade, direction, agent, destination, chunk_id, ruling, day
) AS h
GROUP BY hour, verdict, grade, direction, agent, destination;
