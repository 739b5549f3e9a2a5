-- As sums_again.sql, for the sums by hour (sql/schema/010_hours.sql): judgements that reached their table and not the
-- view. What is there already comes again as it is, and `max` of equal sums is that sum. <ids> are filled in by
-- src/store/slice.ts.
INSERT INTO judged_hours (
  hour, verdict, grade, direction, agent, destination, chunk_id, ruling, day,
  judgements, findings, records, bytes_out, bytes_in, score
)
SETTINGS async_insert = 0, insert_deduplicate = 0, insert_deduplication_token = '', max_partitions_per_insert_block = 0
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
WHERE chunk_id IN (<ids>)
GROUP BY hour, verdict, grade, direction, agent, destination, chunk_id, ruling, day
