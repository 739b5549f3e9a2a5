-- Has an agent talked since a moment, and up to when would a sensor have told of it? One row; -1 stands for never.
--   seen   the latest end after {since} of a flow that a ruling that holds calls the agent's, by whatever sensor
--   told   up to when {sensor} has told what it saw, as far as it is stored without a hole: what is still on its way, or
--          lies behind something that is, has not been told
--   blind  the earliest beginning of a gap of {sensor} (nobody captured) that ends after {since}
-- Only what was stored since {recent}, by the store's clock, is looked at: reports of flows that ended later were.
-- What is told of late begins late, too: days before that are not read for it, other than flows that go on.
WITH toDate(fromUnixTimestamp64Micro({recent:Int64}, 'UTC')) - 1 AS since_day,
fresh AS (
  SELECT chunk_id, ruling
  FROM chunks
  WHERE state = 'complete' AND stored_at >= fromUnixTimestamp64Micro({recent:Int64}, 'UTC')
),
theirs AS (
  SELECT flow_id, side
  FROM judgements
  WHERE agent = {agent:String} AND (chunk_id, ruling) IN (SELECT chunk_id, ruling FROM fresh)
),
-- Where to look for holes: chunks are stored in about the order of their numbers, so what came before these is there.
begins AS (
  SELECT origin, min(seq) AS first
  FROM chunks
  WHERE state = 'complete'
    AND sensor = {sensor:String}
    AND stored_at >= fromUnixTimestamp64Micro({recent:Int64}, 'UTC')
  GROUP BY origin
),
-- A chunk that was split is there when its pieces are: '' weighs 2^16, '0' and '1' half of that, and so on.
settled AS (
  SELECT origin, seq
  FROM (
    SELECT c.origin AS origin, c.seq AS seq, c.piece AS piece
    FROM chunks AS c
    INNER JOIN begins ON begins.origin = c.origin
    WHERE c.state = 'complete' AND c.sensor = {sensor:String} AND c.seq >= begins.first
    GROUP BY origin, seq, piece
    UNION DISTINCT
    SELECT d.origin AS origin, d.seq AS seq, d.piece AS piece
    FROM dead_letters AS d
    INNER JOIN begins ON begins.origin = d.origin
    WHERE d.sensor = {sensor:String} AND d.seq >= begins.first
  )
  GROUP BY origin, seq
  HAVING sum(bitShiftRight(toUInt64(65536), length(piece))) >= 65536
),
-- Of each origin, up to its first hole.
whole AS (
  SELECT
    origin,
    arraySort(groupArray(seq)) AS seqs,
    arrayFirstIndex((one, at) -> one != seqs[1] + at - 1, seqs, arrayEnumerate(seqs)) AS broken,
    seqs[1] AS first,
    if(broken = 0, seqs[-1], seqs[broken - 1]) AS last
  FROM settled
  GROUP BY origin
),
told_chunks AS (
  SELECT c.chunk_id AS id
  FROM chunks AS c
  INNER JOIN whole ON whole.origin = c.origin
  WHERE c.state = 'complete'
    AND c.sensor = {sensor:String}
    AND c.seq BETWEEN whole.first AND whole.last
)
SELECT
  (
    SELECT if(count() = 0, toInt64(-1), toUnixTimestamp64Micro(max(r.end)))
    FROM flow_records AS r
    WHERE r.end > fromUnixTimestamp64Micro({since:Int64}, 'UTC')
      AND r.chunk_id IN (SELECT chunk_id FROM fresh)
      AND (
        r.flow_id IN (SELECT flow_id FROM theirs WHERE side = 'orig')
        -- That somebody knocks at a silent door is nobody's talking.
        OR (ifNull(r.resp_pkts, 1) > 0 AND r.flow_id IN (SELECT flow_id FROM theirs WHERE side = 'resp'))
      )
  ) AS seen,
  greatest(
    (
      SELECT if(count() = 0, toInt64(-1), toUnixTimestamp64Micro(max(v.end)))
      FROM coverage AS v
      WHERE (v.day = toDate(0) OR v.day >= since_day) AND v.chunk_id IN (SELECT id FROM told_chunks)
    ),
    (
      SELECT if(count() = 0, toInt64(-1), toUnixTimestamp64Micro(max(f.end)))
      FROM flow_records AS f
      WHERE (f.day = toDate(0) OR f.day >= since_day) AND f.chunk_id IN (SELECT id FROM told_chunks)
    )
  ) AS told,
  (
    SELECT if(count() = 0, toInt64(-1), toUnixTimestamp64Micro(min(g.ts)))
    FROM coverage AS g
    WHERE (g.day = toDate(0) OR g.day >= since_day)
      AND g.sensor = {sensor:String}
      AND g.metric = 'capture_gap_seconds'
      AND g.end > fromUnixTimestamp64Micro({since:Int64}, 'UTC')
      AND g.chunk_id IN (SELECT chunk_id FROM fresh)
  ) AS blind
