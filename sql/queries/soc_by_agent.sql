-- Agents of a span of time, those with most findings first; the empty agent holds what belongs to none. Bytes as seen
-- from the agent.
SELECT
  agent,
  sum(h.judgements) AS judgements,
  sumIf(h.judgements, verdict = 'in_scope') AS in_scope,
  sumIf(h.judgements, verdict = 'out_of_scope') AS out_of_scope,
  sumIf(h.judgements, verdict = 'unknown_name') AS unknown_name,
  sumIf(h.judgements, verdict = 'unattributed') AS unattributed,
  sumIf(h.judgements, verdict = 'unregistered') AS unregistered,
  sum(h.findings) AS findings,
  uniqExactArray(each_destination) AS destinations,
  sum(h.bytes_out) AS bytes_out,
  sum(h.bytes_in) AS bytes_in,
  max(h.score) AS score,
  toUnixTimestamp(min(hour)) * 1000000 AS first_hour,
  toUnixTimestamp(max(hour)) * 1000000 AS last_hour
FROM judged_sums_current AS h
WHERE hour >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC')
  AND hour < toDateTime(intDiv({to:Int64}, 1000000), 'UTC')
GROUP BY agent
ORDER BY findings DESC, judgements DESC, agent
LIMIT {limit:UInt32}
