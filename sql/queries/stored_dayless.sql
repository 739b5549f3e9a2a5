-- As stored_records, for tables without days.
SELECT chunk_id, toUInt16(0) AS day, count() AS stored
FROM {table:Identifier}
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id
