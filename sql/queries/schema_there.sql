-- Whether migrations were ever applied here.
SELECT count() > 0 AS there
FROM system.tables
WHERE database = currentDatabase() AND name = 'schema_migrations'
