-- By sensor and UTC hour of the flows (hours since 1970; 0: of no known hour): flow records that were announced, those
-- of them that were `due` (announced before a time), that were stored when their chunks were, that are dead. Per origin
-- first, so that what one has too much of does not hide what another lacks: `lacking` is what was due and is not there,
-- `pending` what was announced later, `origins` those that lack most. Origins that nobody announced count as announced
-- what is stored of them; `unannounced` also counts what was stored after the newest statement. Only origins of which
-- something was said or stored since a time. Times are milliseconds since 1970. Where an origin has records of no known
-- hour, all of it is counted there.
WITH
  whole AS (
    SELECT
      chunk_id,
      any(c.origin) AS origin,
      any(c.sensor) AS sensor,
      min(c.stored_at) AS stored_at
    FROM chunks AS c
    WHERE state = 'complete'
    GROUP BY chunk_id
  ),
  told AS (
    SELECT
      a.origin AS origin,
      a.sensor AS sensor,
      a.about AS about,
      toUInt32(intDiv(greatest(toUnixTimestamp64Micro(a.hour), 0), 3600000000)) AS flow_hour,
      max(ifNull(a.flow_records, 0)) AS total,
      maxIf(ifNull(a.flow_records, 0), w.stored_at <= fromUnixTimestamp64Milli({due:Int64})) AS due,
      max(w.stored_at) AS said_at
    FROM announced AS a
    INNER JOIN whole AS w USING (chunk_id)
    GROUP BY a.origin, a.sensor, a.about, flow_hour
  ),
  asked AS (
    SELECT origin FROM told WHERE said_at >= fromUnixTimestamp64Milli({since:Int64})
    UNION DISTINCT
    SELECT origin FROM whole WHERE stored_at >= fromUnixTimestamp64Milli({since:Int64})
  ),
  lost AS (
    SELECT * FROM dead_letters
    WHERE origin IN asked
      AND chunk_id NOT IN (SELECT chunk_id FROM whole)
    ORDER BY died_at
    LIMIT 1 BY id
  ),
  hourless AS (
    SELECT origin FROM told WHERE about = 'hour' AND flow_hour = 0 AND total > 0
    UNION DISTINCT
    SELECT origin FROM lost
    WHERE flow_records != arraySum(one -> if(one.1 > 0, one.2, 0), hours)
  )
SELECT
  sensor,
  hour,
  sum(o.announced) AS announced,
  sum(o.stored) AS stored,
  sum(o.dead) AS dead,
  sum(o.lacking) AS lacking,
  sum(o.pending) AS pending,
  sum(o.unannounced) AS unannounced,
  arraySlice(
    arrayReverseSort(one -> one.2, groupArrayIf((o.origin, o.lacking), o.lacking > 0)),
    1,
    10
  ) AS origins
FROM (
  SELECT
    origin,
    any(n.sensor) AS sensor,
    if(origin IN hourless, 0, n.flow_hour) AS hour,
    sumIf(n.rows, n.kind = 'announced') AS announced,
    sumIf(n.rows, n.kind = 'due') AS due,
    sumIf(n.rows, n.kind = 'stored') AS stored,
    sumIf(n.rows, n.kind = 'dead') AS dead,
    greatest(toInt64(due) - toInt64(stored) - toInt64(dead), 0) AS lacking,
    greatest(toInt64(announced) - toInt64(stored) - toInt64(dead), 0) - lacking AS pending,
    greatest(toInt64(stored) + toInt64(dead) - toInt64(announced), 0) AS unannounced
  FROM (
    SELECT 'announced' AS kind, origin, toString(sensor) AS sensor, flow_hour, total AS rows
    FROM told
    WHERE about = 'hour' AND origin IN asked
    UNION ALL
    SELECT 'due', origin, toString(sensor), flow_hour, due
    FROM told
    WHERE about = 'hour' AND origin IN asked
    UNION ALL
    SELECT 'stored', w.origin, toString(w.sensor), s.flow_hour, toUInt64(s.rows)
    FROM (
      SELECT
        f.chunk_id AS chunk_id,
        f.flow_hour AS flow_hour,
        argMin(f.rows, (f.inserted_at, -f.rows)) AS rows
      FROM chunk_sums AS f
      WHERE f.table = 'flow_records'
        AND f.chunk_id IN (SELECT chunk_id FROM whole WHERE origin IN asked)
      GROUP BY f.chunk_id, f.day, f.flow_hour
    ) AS s
    INNER JOIN whole AS w USING (chunk_id)
    WHERE w.origin IN asked
    UNION ALL
    SELECT
      'dead',
      origin,
      toString(sensor),
      toUInt32(greatest(one.1, 0)),
      toUInt64(one.2)
    FROM lost
    ARRAY JOIN if(empty(hours), [(toInt32(0), flow_records)], hours) AS one
  ) AS n
  -- Of days that retention lets go nothing is compared.
  WHERE n.flow_hour = 0
    OR n.flow_hour >= toUnixTimestamp(toDateTime((SELECT floor FROM retention_floor), 'UTC')) / 3600
  GROUP BY origin, hour
) AS o
GROUP BY sensor, hour
ORDER BY sensor, hour
LIMIT {limit:UInt32}
