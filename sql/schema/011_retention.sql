-- What was let go on purpose, so that nobody calls it lost. `bailiwick migrate --retention DAYS` writes here first and
-- drops afterwards, so that a killed one is simply run again (sql/retention, docs/store.md).
--
-- For the auditor:
--   retention_floor   days before it are gone, or going: rows of such days are not compared, nor are announced hours
--   expired_chunks    chunks that had rows of such days and are still known: their totals are not compared
--   expired_origins   sequence numbers below `below` are settled: their chunks are not known any more

-- Each time that it was run; the highest floor holds. Days are those of the partitions: of the flows, not of storing.
CREATE TABLE IF NOT EXISTS retention (
  days UInt32,
  floor Date,
  set_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY set_at
SETTINGS non_replicated_deduplication_window = 10000;

-- 1970-01-01 if nothing was ever let go.
CREATE OR REPLACE VIEW retention_floor AS
SELECT max(r.floor) AS floor
FROM retention AS r;

CREATE TABLE IF NOT EXISTS expired_chunks (
  chunk_id UUID,
  floor Date
)
ENGINE = ReplacingMergeTree(floor)
ORDER BY chunk_id
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS expired_origins (
  origin String,
  below SimpleAggregateFunction(max, UInt32)
)
ENGINE = AggregatingMergeTree
ORDER BY origin
SETTINGS non_replicated_deduplication_window = 10000;
