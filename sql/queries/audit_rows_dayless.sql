-- As audit_rows, for tables whose rows are of no time.
SELECT row, count() AS copies, toUInt32(0) AS flow_hour, toString(max(checksum)) AS content
FROM {table:Identifier}
WHERE chunk_id = {chunk:UUID}
GROUP BY row
ORDER BY row
LIMIT 100000
