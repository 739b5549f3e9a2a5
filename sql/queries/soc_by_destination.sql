-- Where agents went or were reached from in a span of time, most findings first. An empty agent means any.
SELECT
  destination,
  direction,
  uniqExactIf(agent, agent != '') AS agents,
  sum(h.judgements) AS judgements,
  sumIf(h.judgements, verdict = 'out_of_scope') AS out_of_scope,
  sum(h.findings) AS findings,
  sum(h.bytes_out) AS bytes_out,
  sum(h.bytes_in) AS bytes_in,
  max(h.score) AS score,
  toUnixTimestamp(min(hour)) * 1000000 AS first_hour,
  toUnixTimestamp(max(hour)) * 1000000 AS last_hour
FROM judged_hours_current AS h
WHERE hour >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC')
  AND hour < toDateTime(intDiv({to:Int64}, 1000000), 'UTC')
  AND ({agent:String} = '' OR agent = {agent:String})
GROUP BY destination, direction
ORDER BY findings DESC, judgements DESC, destination, direction
LIMIT {limit:UInt32}
