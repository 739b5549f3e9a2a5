-- Letters that are dead still: what they hold is not stored, neither as it was nor in pieces. By reason and sensor.
SELECT
  reason,
  sensor,
  count() AS letters,
  sum(d.flow_records) AS flow_records,
  toUnixTimestamp64Milli(min(d.died_at)) AS first_died,
  toUnixTimestamp64Milli(max(d.died_at)) AS last_died,
  toString(argMin(d.id, (d.died_at, d.id))) AS example
FROM (SELECT * FROM dead_letters ORDER BY died_at LIMIT 1 BY id) AS d
WHERE d.chunk_id NOT IN (SELECT chunk_id FROM chunks WHERE state = 'complete')
  AND (d.origin, d.seq) NOT IN (
    SELECT origin, seq
    FROM (
      SELECT origin, seq, groupUniqArray(toString(piece)) AS pieces
      FROM chunks
      WHERE state = 'complete' AND origin IN (SELECT origin FROM dead_letters)
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
  )
GROUP BY reason, sensor
ORDER BY letters DESC, reason, sensor
LIMIT {limit:UInt32}
