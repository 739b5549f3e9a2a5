-- As stored_records, for tables whose rows belong to a ruling.
SELECT chunk_id, ruling, toUInt16(day) AS day, count() AS stored
FROM {table:Identifier}
WHERE chunk_id IN {ids:Array(UUID)}
GROUP BY chunk_id, ruling, day
