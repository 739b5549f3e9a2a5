-- Migrations that this store has seen.
SELECT version, any(m.name) AS name, any(m.sha256) AS sha256
FROM schema_migrations AS m
GROUP BY version
ORDER BY version
