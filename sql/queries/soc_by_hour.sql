-- What held in each hour of a span of time, by verdict. Times are microseconds; hours that began in the span count.
SELECT
  toUnixTimestamp(hour) * 1000000 AS hour_start,
  verdict,
  sum(h.judgements) AS judgements,
  sum(h.findings) AS findings,
  sum(h.records) AS records,
  sum(h.bytes_out) AS bytes_out,
  sum(h.bytes_in) AS bytes_in,
  max(h.score) AS score
FROM judged_sums_current AS h
WHERE hour >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC')
  AND hour < toDateTime(intDiv({to:Int64}, 1000000), 'UTC')
GROUP BY hour, verdict
ORDER BY hour, verdict
LIMIT {limit:UInt32}
