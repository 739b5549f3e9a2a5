-- What storing costs, without a change to what is stored.
--
-- A merge of flow records or judgements costs two thirds of what their insert did. Merged five at a time, as the engine
-- does by itself, a row of a busy day is written four times more; ten at a time, less than three times. More parts lie
-- there meanwhile, on average 10 of a day instead of 6 after 200 inserts, 15 instead of 11 at most; it is no end, as the
-- engine merges fewer at a time once there are more than ten. Sums by hour are asked all day and cheap to merge: they
-- stay as they are.
ALTER TABLE flow_records MODIFY SETTING merge_selector_base = 10;

ALTER TABLE judgements MODIFY SETTING merge_selector_base = 10;

-- As it was, but for destinations: as words of their own they are put into lists in two thirds of the time.
ALTER TABLE judged_sums_filling MODIFY QUERY SELECT
  toDateTime(
    intDiv(least(greatest(toUnixTimestamp64Micro(ts), 0), 4294965600000000), 3600000000) * 3600,
    'UTC'
  ) AS hour,
  chunk_id,
  ruling,
  verdict,
  grade,
  direction,
  agent,
  day,
  count() AS judgements,
  countIf(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS findings,
  sum(j.records) AS records,
  sum(ifNull(j.bytes_out, 0)) AS bytes_out,
  sum(ifNull(j.bytes_in, 0)) AS bytes_in,
  max(j.score) AS score,
  groupArray(toString(j.destination)) AS each_destination,
  groupArray(j.alert_id != toUUID('00000000-0000-0000-0000-000000000000')) AS each_finding,
  groupArray(j.records) AS each_records,
  groupArray(ifNull(j.bytes_out, 0)) AS each_out,
  groupArray(ifNull(j.bytes_in, 0)) AS each_in,
  groupArray(j.score) AS each_score
FROM judgements AS j
GROUP BY hour, chunk_id, ruling, verdict, grade, direction, agent, day;
