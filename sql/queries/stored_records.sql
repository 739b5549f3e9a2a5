-- Rows of chunks that are there already, after a process died while it was writing them. For tables with days.
SELECT chunk_id, toUInt16(day) AS day, count() AS stored
FROM {table:Identifier}
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id, day
