-- Chunks that are wanted back as far as they lack (sql/schema/013_restorations.sql). <ids> are filled in by
-- src/store/store.ts.
INSERT INTO restorations (chunk_id)
SETTINGS async_insert = 0, insert_deduplicate = 0, insert_deduplication_token = ''
SELECT arrayJoin([<ids>])
