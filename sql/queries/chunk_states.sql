-- How far chunks came: whether everything of them is stored, and the last ruling that was begun.
SELECT
  chunk_id,
  countIf(c.state = 'complete') > 0 AS complete,
  max(c.ruling) AS ruling,
  argMax(c.judged_key, (c.ruling, c.stored_at)) AS judged_key,
  max(if(c.state = 'complete', toInt32(c.ruling), -1)) AS ruling_complete,
  argMax(c.judged_key, if(c.state = 'complete', toInt32(c.ruling), -1)) AS judged_key_complete
FROM chunks AS c
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id
