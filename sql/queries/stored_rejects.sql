-- As stored_records, for the one table without days.
SELECT chunk_id, toUInt16(0) AS day, count() AS stored
FROM rejects
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id
