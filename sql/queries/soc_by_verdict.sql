-- Judgements of a span of time by verdict and grade.
SELECT
  verdict,
  grade,
  sum(h.judgements) AS judgements,
  sum(h.findings) AS findings,
  uniqExactIf(agent, agent != '') AS agents,
  uniqExactArray(each_destination) AS destinations,
  sum(h.bytes_out) AS bytes_out,
  sum(h.bytes_in) AS bytes_in,
  max(h.score) AS score
FROM judged_sums_current AS h
WHERE hour >= toDateTime(intDiv({from:Int64}, 1000000), 'UTC')
  AND hour < toDateTime(intDiv({to:Int64}, 1000000), 'UTC')
GROUP BY verdict, grade
ORDER BY verdict, grade
