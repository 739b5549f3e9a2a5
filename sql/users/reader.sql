-- Dashboards, `doctor`, `reconcile` and people: they read. No setting is fixed, as the program sends `readonly` itself
-- with every query, which a user that is fixed to it may not.
CREATE USER IF NOT EXISTS <reader> <on>IDENTIFIED WITH sha256_hash BY '<password>';

GRANT <on>SELECT ON <database>.* TO <reader>;

GRANT <on>SELECT ON system.tables TO <reader>;
