-- Hosts of a run that look like agents and belong to none, with where they went, most flows first.
SELECT
  s.subject AS address,
  sum(s.flows) AS flows,
  toUnixTimestamp64Micro(min(s.first)) AS first,
  toUnixTimestamp64Micro(max(s.last)) AS last,
  max(s.score) AS score,
  count() AS destination_count,
  arrayMap(
    x -> x.2,
    arraySlice(arraySort(x -> (-x.1, x.2), groupArray((toInt64(s.flows), s.destination))), 1, 20)
  ) AS destinations
FROM (
  SELECT
    n.subject AS subject,
    toString(n.destination) AS destination,
    uniqExact(n.flow_id) AS flows,
    min(n.ts) AS first,
    max(n.ts) AS last,
    max(n.score) AS score
  FROM run_findings(run = {run:UUID}) AS n
  WHERE n.kind = 'unregistered'
  GROUP BY subject, destination
) AS s
GROUP BY address
ORDER BY score DESC, flows DESC, address
LIMIT {limit:UInt32}
