-- As audit_rows, for tables whose rows belong to a ruling.
SELECT
  row,
  count() AS copies,
  toUInt32(min(intDiv(greatest(toUnixTimestamp64Micro(ts), 0), 3600000000))) AS flow_hour,
  toString(max(checksum)) AS content
FROM {table:Identifier}
WHERE chunk_id = {chunk:UUID} AND ruling = {ruling:UInt16}
GROUP BY row
ORDER BY row
LIMIT 100000
