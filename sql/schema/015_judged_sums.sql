-- The sums by hour again, so that they cost a quarter: judged_hours had a row for each destination of each agent of each
-- chunk, which for busy agents are nearly as many rows as judgements. Here there is one row of each chunk, ruling, hour,
-- verdict, grade, direction and agent, with what it says of destinations in lists, one entry a judgement.
--
-- As before nothing is counted twice, whatever is repeated: of one key the row with most judgements holds (as version
-- in merges, by argMax when it is asked). It is the whole: a chunk's judgements of one ruling and day come in one INSERT
-- of one block, and what is filled in afterwards is made of all that are there.
--
--   ORDER BY   the hour first, as every question has a span of time; then the chunk, so that parts that were stored one
--              after the other are merged in runs and not row by row
--   PARTITION  day, as of the rows beneath: what expires goes with them
CREATE TABLE IF NOT EXISTS judged_sums (
  hour DateTime('UTC') CODEC(Delta, LZ4),
  chunk_id UUID CODEC(ZSTD(1)),
  ruling UInt16,
  verdict LowCardinality(String),
  grade LowCardinality(String),
  direction LowCardinality(String),
  agent LowCardinality(String),
  day Date,
  -- Rows of judgements; those of them that are findings.
  judgements UInt32 CODEC(T64, LZ4),
  findings UInt32 CODEC(T64, LZ4),
  records UInt64 CODEC(T64, LZ4),
  bytes_out UInt64 CODEC(T64, LZ4),
  bytes_in UInt64 CODEC(T64, LZ4),
  score UInt8,
  -- Of each judgement, in the order of the chunk.
  each_destination Array(String),
  each_finding Array(UInt8),
  each_records Array(UInt32),
  each_out Array(UInt64),
  each_in Array(UInt64),
  each_score Array(UInt8)
)
ENGINE = ReplacingMergeTree(judgements)
PARTITION BY day
ORDER BY (hour, chunk_id, ruling, verdict, grade, direction, agent)
SETTINGS
  non_replicated_deduplication_window = 10000,
  min_bytes_for_wide_part = 134217728,
  ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS judged_sums_filling TO judged_sums AS
SELECT
  toDateTime(
    intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
    'UTC'
  ) AS hour,
  chunk_id,
  ruling,
  verdict,
  grade,
  direction,
  agent,
  day,
  count() AS judgements,
  countIf(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS findings,
  sum(j.records) AS records,
  sum(ifNull(j.bytes_out, 0)) AS bytes_out,
  sum(ifNull(j.bytes_in, 0)) AS bytes_in,
  max(j.score) AS score,
  groupArray(j.destination) AS each_destination,
  groupArray(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS each_finding,
  groupArray(j.records) AS each_records,
  groupArray(ifNull(j.bytes_out, 0)) AS each_out,
  groupArray(ifNull(j.bytes_in, 0)) AS each_in,
  groupArray(j.score) AS each_score
FROM judgements AS j
GROUP BY hour, chunk_id, ruling, verdict, grade, direction, agent, day;

-- The same of what is stored now, column by column as in judged_sums: what fills it up, and what the auditor compares
-- it with. Lists are in the order of the chunk here, too.
CREATE OR REPLACE VIEW judged_sums_now AS
SELECT
  toDateTime(
    intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
    'UTC'
  ) AS hour,
  chunk_id,
  ruling,
  verdict,
  grade,
  direction,
  agent,
  day,
  toUInt32(count()) AS judgements,
  toUInt32(countIf(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000'))) AS findings,
  sum(j.records) AS records,
  sum(ifNull(j.bytes_out, 0)) AS bytes_out,
  sum(ifNull(j.bytes_in, 0)) AS bytes_in,
  max(j.score) AS score,
  groupArray(j.row) AS places,
  arraySort((one, place) -> place, groupArray(toString(j.destination)), places) AS each_destination,
  arraySort(
    (one, place) -> place,
    groupArray(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000')),
    places
  ) AS each_finding,
  arraySort((one, place) -> place, groupArray(j.records), places) AS each_records,
  arraySort((one, place) -> place, groupArray(ifNull(j.bytes_out, 0)), places) AS each_out,
  arraySort((one, place) -> place, groupArray(ifNull(j.bytes_in, 0)), places) AS each_in,
  arraySort((one, place) -> place, groupArray(j.score), places) AS each_score
FROM judgements AS j
GROUP BY hour, chunk_id, ruling, verdict, grade, direction, agent, day;

-- What was judged before this file came. Rows that come in meanwhile are in it twice, and count once.
INSERT INTO judged_sums
SELECT * EXCEPT (places)
FROM judged_sums_now
SETTINGS
  async_insert = 0,
  insert_deduplicate = 0,
  max_partitions_per_insert_block = 0,
  max_bytes_before_external_group_by = 268435456;

-- What holds: of chunks that are complete, of the ruling that holds of each.
CREATE OR REPLACE VIEW judged_sums_current AS
SELECT
  hour,
  chunk_id,
  ruling,
  verdict,
  grade,
  direction,
  agent,
  day,
  max(m.judgements) AS judgements,
  max(m.findings) AS findings,
  max(m.records) AS records,
  max(m.bytes_out) AS bytes_out,
  max(m.bytes_in) AS bytes_in,
  max(m.score) AS score,
  argMax(m.each_destination, m.judgements) AS each_destination,
  argMax(m.each_finding, m.judgements) AS each_finding,
  argMax(m.each_records, m.judgements) AS each_records,
  argMax(m.each_out, m.judgements) AS each_out,
  argMax(m.each_in, m.judgements) AS each_in,
  argMax(m.each_score, m.judgements) AS each_score
FROM judged_sums AS m
WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
GROUP BY hour, chunk_id, ruling, verdict, grade, direction, agent, day;

-- By destination, too. A flow whose records lie in several chunks is judged in each of them; records and bytes are those
-- of the chunk, so they add up.
CREATE OR REPLACE VIEW judged_hours_current AS
SELECT
  hour,
  verdict,
  grade,
  direction,
  agent,
  destination,
  count() AS judgements,
  sum(finding) AS findings,
  sum(each_record) AS records,
  sum(sent) AS bytes_out,
  sum(received) AS bytes_in,
  max(points) AS score
FROM judged_sums_current
ARRAY JOIN
  each_destination AS destination,
  each_finding AS finding,
  each_records AS each_record,
  each_out AS sent,
  each_in AS received,
  each_score AS points
GROUP BY hour, verdict, grade, direction, agent, destination;

-- Nothing asks the old sums any more.
DROP VIEW IF EXISTS judged_hours_filling;

DROP TABLE IF EXISTS judged_hours SETTINGS max_table_size_to_drop = 0;
