-- Which judged flows are on a page, newest first: those before ({before}, {before_flow}, {before_side}). Rows come in
-- the order of the table, so reading ends with the page. Empty texts mean any; a destination may be a whole name, too.
SELECT toUnixTimestamp64Micro(ts) AS ts_micros, flow_id, side
FROM judgements
WHERE ts >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')
  AND ts <= fromUnixTimestamp64Micro({to:Int64}, 'UTC')
  AND (ts, flow_id, side) < (fromUnixTimestamp64Micro({before:Int64}, 'UTC'), {before_flow:UUID}, {before_side:String})
  AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM chunks_complete)
  AND ({agent:String} = '' OR agent = {agent:String})
  AND ({destination:String} = '' OR destination = {destination:String} OR peer_name = {destination:String})
  AND ({verdict:String} = '' OR verdict = {verdict:String})
ORDER BY ts DESC, flow_id DESC, side DESC
LIMIT 1 BY ts, flow_id, side
LIMIT {limit:UInt32}
