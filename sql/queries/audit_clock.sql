-- The store's clock (everything the auditor asks about time is measured by it), when the checksums began, and the first
-- day that retention keeps. Milliseconds since 1970, and the day as text.
SELECT
  toUnixTimestamp64Milli(now64(3)) AS now,
  (SELECT toUnixTimestamp64Milli(min(applied_at)) FROM schema_migrations WHERE version = 9) AS summed_from,
  toString((SELECT floor FROM retention_floor)) AS floor
