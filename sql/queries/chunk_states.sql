-- How far chunks came: whether everything of them is stored, and the last ruling that was begun; and when rows of them
-- were wanted back (milliseconds since 1970, 0 for never).
SELECT
  chunk_id,
  countIf(c.state = 'complete') > 0 AS complete,
  max(c.ruling) AS ruling,
  argMax(c.judged_key, (c.ruling, c.stored_at)) AS judged_key,
  max(if(c.state = 'complete', toInt32(c.ruling), -1)) AS ruling_complete,
  argMax(c.judged_key, if(c.state = 'complete', toInt32(c.ruling), -1)) AS judged_key_complete,
  max(w.noted) AS restore
FROM chunks AS c
LEFT JOIN (
  SELECT chunk_id, toUnixTimestamp64Milli(max(noted_at)) AS noted
  FROM restorations
  WHERE chunk_id IN {ids:Array(UUID)}
  GROUP BY chunk_id
) AS w ON w.chunk_id = c.chunk_id
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id
