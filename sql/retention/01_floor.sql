-- The decision, before anything is dropped. <words> are filled in by src/store/retention.ts.
INSERT INTO retention (days, floor)
SETTINGS async_insert = 0, insert_deduplication_token = ''
SELECT <days>, toDate('<floor>');
