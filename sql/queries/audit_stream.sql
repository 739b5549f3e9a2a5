-- Loss that workers saw on the stream since a time (milliseconds since 1970), the latest first.
SELECT
  stream,
  partition,
  kind,
  detail,
  first,
  last,
  count,
  toUnixTimestamp64Milli(min(n.noted_at)) AS noted_at
FROM stream_notes AS n
WHERE n.noted_at >= fromUnixTimestamp64Milli({since:Int64})
GROUP BY stream, partition, kind, detail, first, last, count
ORDER BY noted_at DESC, stream, partition, first
LIMIT {limit:UInt32}
