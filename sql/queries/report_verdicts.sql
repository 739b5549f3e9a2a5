-- Judgements of a run by verdict.
SELECT verdict, count() AS judgements, uniqExact(flow_id) AS flows
FROM run_judgements(run = {run:UUID})
GROUP BY verdict
ORDER BY verdict
