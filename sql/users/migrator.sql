-- `bailiwick migrate`: tables and views, what fills them, and letting go of old days (DROP PARTITION and DELETE are
-- both ALTER DELETE). It is the definer of the materialized views, so it may write what they fill.
CREATE USER IF NOT EXISTS <migrator> <on>IDENTIFIED WITH sha256_hash BY '<password>';

GRANT <on>SELECT, CREATE TABLE, CREATE VIEW, DROP TABLE, DROP VIEW ON <database>.* TO <migrator>;

GRANT <on>ALTER ADD COLUMN, ALTER MODIFY COLUMN, ALTER ADD INDEX, ALTER DELETE ON <database>.* TO <migrator>;

GRANT <on>ALTER SETTINGS, ALTER VIEW MODIFY QUERY ON <database>.* TO <migrator>;

GRANT <on>SELECT ON system.tables TO <migrator>;

GRANT <on>SELECT ON system.parts TO <migrator>;

GRANT <on>INSERT ON <database>.schema_migrations TO <migrator>;

GRANT <on>INSERT ON <database>.chunk_sums TO <migrator>;

GRANT <on>INSERT ON <database>.judged_hours TO <migrator>;

GRANT <on>INSERT ON <database>.judged_sums TO <migrator>;

GRANT <on>INSERT ON <database>.retention TO <migrator>;

GRANT <on>INSERT ON <database>.expired_chunks TO <migrator>;

GRANT <on>INSERT ON <database>.expired_origins TO <migrator>;
