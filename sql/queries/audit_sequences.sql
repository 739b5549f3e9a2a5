-- Sequence numbers of origins that are not settled though they were announced: neither stored, as a whole or in pieces,
-- nor dead. Ranges. Statements announce themselves: those before the last that is stored. Only origins of which
-- something was said since a time; `due` numbers were announced before another time (milliseconds since 1970, when it
-- was stored). What retention let go is settled.
WITH said AS (
  SELECT
    a.origin AS origin,
    any(a.sensor) AS sensor,
    max(a.chunks) AS chunks,
    maxIf(a.chunks, c.stored_at <= fromUnixTimestamp64Milli({due:Int64})) AS due
  FROM announced AS a
  INNER JOIN (SELECT chunk_id, min(stored_at) AS stored_at FROM chunks WHERE state = 'complete' GROUP BY chunk_id) AS c
    USING (chunk_id)
  WHERE a.about = 'origin'
  GROUP BY a.origin
  HAVING max(c.stored_at) >= fromUnixTimestamp64Milli({since:Int64})
  UNION ALL
  SELECT
    s.origin AS origin,
    any(s.sensor) AS sensor,
    max(s.seq) + 1 AS chunks,
    maxIf(s.seq + 1, s.stored_at <= fromUnixTimestamp64Milli({due:Int64})) AS due
  FROM chunks AS s
  WHERE s.format = 'statement' AND s.state = 'complete'
  GROUP BY s.origin
  HAVING max(s.stored_at) >= fromUnixTimestamp64Milli({since:Int64})
)
SELECT
  origin,
  any(f.sensor) AS sensor,
  any(f.chunks) AS chunks,
  any(f.due) AS due,
  f.before + 1 AS first,
  f.seq - 1 AS last
FROM (
  SELECT
    p.origin AS origin,
    said.sensor AS sensor,
    said.chunks AS chunks,
    said.due AS due,
    p.seq AS seq,
    lagInFrame(p.seq, 1, toInt64(-1)) OVER (
      PARTITION BY p.origin ORDER BY p.seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    ) AS before
  FROM (
    SELECT origin, toInt64(seq) AS seq
    FROM (
      SELECT origin, seq, groupUniqArray(toString(piece)) AS pieces
      FROM (
        SELECT origin, seq, piece
        FROM chunks
        WHERE state = 'complete' AND origin IN (SELECT origin FROM said)
        UNION ALL
        SELECT origin, seq, piece
        FROM dead_letters
        WHERE origin IN (SELECT origin FROM said)
      )
      GROUP BY origin, seq
    )
    WHERE arraySum(
      one -> if(
        arrayExists(other -> other != one AND startsWith(one, other), pieces),
        0,
        bitShiftRight(toUInt64(65536), length(one))
      ),
      pieces
    ) >= 65536
    UNION ALL
    SELECT origin, toInt64(chunks) FROM said
    UNION ALL
    SELECT origin, toInt64(max(below)) - 1 FROM expired_origins GROUP BY origin
  ) AS p
  INNER JOIN said ON said.origin = p.origin
  WHERE p.seq <= said.chunks
) AS f
LEFT JOIN (SELECT origin, toInt64(max(below)) AS below FROM expired_origins GROUP BY origin) AS e
  ON e.origin = f.origin
WHERE f.seq > f.before + 1 AND f.seq > e.below
GROUP BY origin, first, last
ORDER BY origin, first
LIMIT {limit:UInt32}
