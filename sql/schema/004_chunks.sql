-- The commit. Before the rows of a chunk are written, an `intent` row stands here; after all of them are, a
-- `complete` one. Whoever finds an intent without its `complete` knows that a process died in between, and
-- looks at what is stored before writing. One pair for each ruling of the chunk.
CREATE TABLE IF NOT EXISTS chunks (
  chunk_id UUID,
  state LowCardinality(String),
  origin String,
  seq UInt32,
  last UInt8,
  sensor LowCardinality(String),
  format LowCardinality(String),
  ruling UInt16,
  -- Hash of the snapshot and facts that judged it.
  judged_key LowCardinality(String),
  slice String,
  -- Rows announced per table; the auditor compares them with what is stored.
  flow_records UInt32,
  coverage UInt32,
  rejects UInt32,
  judgements UInt32,
  findings UInt32,
  stored_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (chunk_id, ruling, state)
SETTINGS non_replicated_deduplication_window = 10000;

-- Which chunks a run of the command line read, also those that were stored before: its report is about them, and
-- about the ruling that held of each at the run's end.
CREATE TABLE IF NOT EXISTS run_chunks (
  run UUID,
  chunk_id UUID,
  ruling UInt16,
  noted_at DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (run, chunk_id)
TTL noted_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- What a run holds more than once: hashes of (flow_id, side) that are judged in several of its chunks, and of
-- flow_id that have several records. They are few, and are found once, so that the queries over a run need not
-- look for them each time (sql/insert/run_doubles.sql).
CREATE TABLE IF NOT EXISTS run_doubles (
  run UUID,
  kind LowCardinality(String),
  hash UInt64,
  noted_at DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (run, kind, hash)
TTL noted_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000;
