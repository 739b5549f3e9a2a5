-- What was not stored, and why: letters that died on the stream, and loss that a worker saw on it. Both are few. The
-- auditor counts them against what sensors announced.

-- A message that could not be worked on (src/bus/dead-letter.ts); its bytes are on the stream of dead letters. `id` is
-- of its place on the stream, so whoever gives the same message up again says nothing new: of rows with one id any
-- holds. What is known of the chunk is empty when its header could not be read (chunk_id is nil then).
CREATE TABLE IF NOT EXISTS dead_letters (
  id UUID,
  reason LowCardinality(String),
  -- For people: printable.
  detail String,
  stream LowCardinality(String),
  partition UInt32,
  offset UInt64,
  key String,
  -- When the stream took it, and when it was given up.
  accepted_at DateTime64(3, 'UTC'),
  died_at DateTime64(3, 'UTC'),
  -- Of the program that gave up.
  version LowCardinality(String),
  chunk_id UUID,
  sensor LowCardinality(String),
  origin String,
  seq UInt32,
  -- Path of the piece of a chunk that was split, '' for a whole one.
  piece LowCardinality(String),
  flow_records UInt32,
  -- Flow records by the UTC hour that they began in: hours since 1970, -1 where they are not known.
  hours Array(Tuple(Int32, UInt32))
)
ENGINE = MergeTree
ORDER BY (origin, seq, id)
SETTINGS non_replicated_deduplication_window = 10000;

-- Loss that was seen on a stream. `first` and `last` are what is gone: offsets for a `hole` or `damage`, sequence
-- numbers of the origin named in `detail` for a `gap`. A note may be written again by the next worker that sees it.
CREATE TABLE IF NOT EXISTS stream_notes (
  stream LowCardinality(String),
  partition UInt32,
  kind LowCardinality(String),
  detail String,
  first UInt64,
  last UInt64,
  count UInt64,
  noted_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (stream, partition, kind, first)
SETTINGS non_replicated_deduplication_window = 10000;
