-- Sums by hour that are not those of the judgements beneath, of rulings that hold. Empty if all is well. Days that are
-- let go are passed over: their tables are dropped one after the other.
SELECT
  chunk_id,
  ruling,
  hour,
  verdict,
  agent,
  sumIf(b.judgements, kind = 'judgements') AS judged,
  sumIf(b.judgements, kind = 'hours') AS told
FROM (
  SELECT 'judgements' AS kind, * EXCEPT (places)
  FROM judged_sums_now
  WHERE (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  UNION ALL
  SELECT 'hours' AS kind, *
  FROM judged_sums_current
) AS b
WHERE day = '1970-01-01' OR day >= (SELECT floor FROM retention_floor)
GROUP BY chunk_id, ruling, hour, verdict, grade, direction, agent, day
HAVING count() != 2
  OR uniqExact((b.judgements, b.findings, b.records, b.bytes_out, b.bytes_in, b.score)) != 1
  -- Whatever their order.
  OR uniqExact(
    arraySort(arrayZip(each_destination, each_finding, each_records, each_out, each_in, each_score))
  ) != 1
ORDER BY chunk_id, ruling, hour, verdict, agent
LIMIT {limit:UInt32}
