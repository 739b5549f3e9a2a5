-- What a run's input held, and what came of it.
SELECT
  f.flows AS flows,
  f.records AS records,
  f.packets AS packets,
  f.bytes AS bytes,
  (SELECT count() FROM run_judgements(run = {run:UUID})) AS judgements,
  n.findings AS findings,
  n.alerts AS alerts,
  (
    SELECT count()
    FROM rejects
    WHERE chunk_id IN (SELECT chunk_id FROM run_chunks WHERE run = {run:UUID})
  ) AS rejects,
  (SELECT uniqExact(chunk_id) FROM run_chunks WHERE run = {run:UUID}) AS chunks
FROM (
  SELECT
    count() AS flows,
    sum(records) AS records,
    sum(packets) AS packets,
    sum(orig_wire_bytes + resp_wire_bytes) AS bytes
  FROM run_flows(run = {run:UUID})
) AS f
CROSS JOIN (
  SELECT count() AS findings, uniqExact(alert_id) AS alerts
  FROM run_findings(run = {run:UUID})
) AS n
