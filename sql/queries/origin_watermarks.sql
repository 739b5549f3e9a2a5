-- How far each lane of some origins came: the first sequence number that is not settled, and the highest that is.
-- Settled is what is stored, dead, or was stored and expired.
-- A chunk that was split is settled when its pieces are: '' weighs 2^16, '0' and '1' half of that, and so on; a piece
-- of which a larger piece is there adds nothing.
WITH expired AS (
  SELECT origin, max(e.below) AS below
  FROM expired_origins AS e
  WHERE origin IN {origins:Array(String)}
  GROUP BY origin
)
SELECT
  origin,
  lane,
  toUInt32(lane + {lanes:UInt32} * (start + if(broken = 0, length(places), broken - 1))) AS next,
  highest
FROM (
  SELECT
    s.origin AS origin,
    s.seq % {lanes:UInt32} AS lane,
    max(s.seq) AS highest,
    -- A lane's numbers count up from 0: so many of them have expired, and the first of the others that is not at its
    -- place ends what is whole.
    intDiv(max(expired.below) + {lanes:UInt32} - 1 - lane, {lanes:UInt32}) AS start,
    arraySort(
      arrayFilter(place -> place >= start, groupArray(intDiv(s.seq, {lanes:UInt32})))
    ) AS places,
    arrayFirstIndex(
      (place, at) -> place != start + at - 1,
      places,
      arrayEnumerate(places)
    ) AS broken
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
      UNION ALL
      -- One number of each lane that has any.
      SELECT
        origin,
        toUInt32(arrayJoin(range(if(below > {lanes:UInt32}, below - {lanes:UInt32}, 0), below))) AS seq,
        '' AS piece
      FROM expired
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
  ) AS s
  LEFT JOIN expired ON expired.origin = s.origin
  GROUP BY origin, lane
)
ORDER BY origin, lane
