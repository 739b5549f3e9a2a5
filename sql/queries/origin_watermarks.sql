-- How far each lane of some origins came: the first sequence number that is not settled, and the highest that is.
-- A chunk that was split is settled when its pieces are: '' weighs 2^16, '0' and '1' half of that, and so on; a piece
-- of which a larger piece is there adds nothing.
SELECT
  origin,
  lane,
  toUInt32(lane + {lanes:UInt32} * if(broken = 0, length(places), broken - 1)) AS next,
  highest
FROM (
  SELECT
    origin,
    seq % {lanes:UInt32} AS lane,
    max(seq) AS highest,
    arraySort(groupArray(intDiv(seq, {lanes:UInt32}))) AS places,
    -- A lane's numbers count up from 0: the first that is not at its place ends what is whole.
    arrayFirstIndex((place, at) -> place != at - 1, places, arrayEnumerate(places)) AS broken
  FROM (
    SELECT origin, seq, groupUniqArray(toString(piece)) AS pieces
    FROM (
      SELECT origin, seq, piece
      FROM chunks
      WHERE state = 'complete' AND origin IN {origins:Array(String)}
      UNION ALL
      SELECT origin, seq, piece
      FROM dead_letters
      WHERE origin IN {origins:Array(String)}
    )
    GROUP BY origin, seq
    HAVING arraySum(
      one -> if(
        arrayExists(other -> other != one AND startsWith(one, other), pieces),
        0,
        bitShiftRight(toUInt64(65536), length(one))
      ),
      pieces
    ) >= 65536
  )
  GROUP BY origin, lane
)
ORDER BY origin, lane
