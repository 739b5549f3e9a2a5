-- Checksums of rows that reached their table, while the process that inserted them died before they reached the view
-- that adds them up (sql/schema/009_chunk_sums.sql). Asked for when somebody finds such rows before they are complete.
-- <table> and <ids> are filled in by src/store/slice.ts.
INSERT INTO chunk_sums (table, chunk_id, ruling, day, flow_hour, rows, sum, places)
SETTINGS async_insert = 0, insert_deduplicate = 0, insert_deduplication_token = ''
SELECT table, chunk_id, ruling, day, flow_hour, rows, sum, places
FROM chunk_sums_now
WHERE table = '<table>'
  AND chunk_id IN (<ids>)
  AND (table, chunk_id, ruling, day, flow_hour) NOT IN (
    SELECT table, chunk_id, ruling, day, flow_hour
    FROM chunk_sums
    WHERE chunk_id IN (<ids>)
  )
