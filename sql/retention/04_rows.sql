-- What has no day of its own. First the marks of chunks that were stored before the floor and have no rows of days
-- that stay; how far each origin came is noted before.
INSERT INTO expired_origins (origin, below)
SETTINGS
  async_insert = 0,
  insert_deduplication_token = '',
  insert_deduplicate = 0,
  distributed_foreground_insert = 1,
  distributed_product_mode = 'global'
SELECT origin, max(seq) + 1
FROM chunks
WHERE stored_at < toDateTime64('<floor>', 3, 'UTC')
  AND chunk_id NOT IN (SELECT chunk_id FROM chunk_sums WHERE day >= '<floor>')
GROUP BY origin;

ALTER TABLE chunks DELETE WHERE stored_at < toDateTime64('<floor>', 3, 'UTC')
  AND chunk_id NOT IN (SELECT chunk_id FROM chunk_sums WHERE day >= '<floor>')
SETTINGS mutations_sync = 2;

-- Then what no mark speaks of any more: a mark is there before the first row is.
ALTER TABLE judged_sums DELETE IN PARTITION '1970-01-01'
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE findings DELETE IN PARTITION '1970-01-01'
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE judgements DELETE IN PARTITION '1970-01-01'
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE coverage DELETE IN PARTITION '1970-01-01'
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE flow_records DELETE IN PARTITION '1970-01-01'
WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE rejects DELETE WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE announced DELETE WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE chunk_sums DELETE WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE expired_chunks DELETE WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE restorations DELETE WHERE chunk_id NOT IN (SELECT chunk_id FROM chunks)
SETTINGS mutations_sync = 2;

ALTER TABLE dead_letters DELETE WHERE died_at < toDateTime64('<floor>', 3, 'UTC')
SETTINGS mutations_sync = 2;

ALTER TABLE stream_notes DELETE WHERE noted_at < toDateTime64('<floor>', 3, 'UTC')
SETTINGS mutations_sync = 2;
