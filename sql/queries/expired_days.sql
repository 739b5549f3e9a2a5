-- Days of partitions that retention drops, over all tables that have any.
SELECT DISTINCT partition AS day
FROM system.parts
WHERE active
  AND database = currentDatabase()
  AND table IN {tables:Array(String)}
  AND match(partition, '^\\d{4}-\\d\\d-\\d\\d$')
  AND partition > '1970-01-01'
  AND partition < {floor:String}
ORDER BY day
