-- As sums_again.sql, for the sums by hour (sql/schema/015_judged_sums.sql): judgements that reached their table and not
-- the view. What is there already comes again as it is, and counts once. <ids> are filled in by src/store/slice.ts.
INSERT INTO judged_sums
SETTINGS async_insert = 0, insert_deduplicate = 0, insert_deduplication_token = '', max_partitions_per_insert_block = 0
SELECT * EXCEPT (places)
FROM judged_sums_now
WHERE chunk_id IN (<ids>)
