-- Notes a migration as applied. <words> are filled in by src/store/migrate.ts.
INSERT INTO schema_migrations (version, name, sha256)
SETTINGS async_insert = 0, insert_deduplication_token = ''
VALUES (<version>, '<name>', '<sha256>')
