-- Judgements of a run by agent; the empty agent holds those that belong to none. Bytes as seen from the agent.
SELECT
  j.agent AS agent,
  uniqExact(j.flow_id) AS flows,
  count() AS judgements,
  countIf(j.verdict = 'in_scope') AS in_scope,
  countIf(j.verdict = 'out_of_scope') AS out_of_scope,
  countIf(j.verdict = 'unknown_name') AS unknown_name,
  countIf(j.verdict = 'unattributed') AS unattributed,
  countIf(j.verdict = 'unregistered') AS unregistered,
  countIf(j.grade = 'certain') AS certain,
  countIf(j.grade = 'probable') AS probable,
  countIf(j.grade = 'contested') AS contested,
  countIf(j.grade = 'shared') AS shared,
  countIf(j.grade = 'unknown') AS unknown,
  max(j.score) AS score_max,
  uniqExact(j.destination) AS destinations,
  sum(if(j.side = 'resp', f.resp_wire_bytes, f.orig_wire_bytes)) AS bytes_out,
  sum(if(j.side = 'resp', f.orig_wire_bytes, f.resp_wire_bytes)) AS bytes_in
FROM run_judgements(run = {run:UUID}) AS j
LEFT JOIN run_flows(run = {run:UUID}) AS f ON f.flow_id = j.flow_id
GROUP BY agent
ORDER BY agent
