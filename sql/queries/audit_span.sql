-- The next chunks to look at, in the order in which they were stored: from a time (milliseconds since 1970), at most so
-- many. `until` is when the last of them was stored, -1 if there are none; `unsummed` are older than the checksums.
SELECT
  if(count() = 0, -1, toUnixTimestamp64Milli(max(c.stored_at))) AS until,
  count() AS chunks,
  countIf(c.stored_at < (SELECT min(applied_at) FROM schema_migrations WHERE version = 9)) AS unsummed
FROM (
  SELECT stored_at
  FROM chunks
  WHERE state = 'complete'
    AND stored_at >= fromUnixTimestamp64Milli({from:Int64})
    AND stored_at <= fromUnixTimestamp64Milli({until:Int64})
  ORDER BY stored_at
  LIMIT {chunks:UInt32}
) AS c
