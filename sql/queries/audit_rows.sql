-- The rows of one chunk that are stored: place in the chunk, copies, hour of the flow (hours since 1970),
-- checksum.
SELECT
  row,
  count() AS copies,
  toUInt32(min(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000))) AS flow_hour,
  toString(max(checksum)) AS content
FROM {table:Identifier}
WHERE chunk_id = {chunk:UUID}
GROUP BY row
ORDER BY row
LIMIT 100000
