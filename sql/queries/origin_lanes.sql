-- Over how many lanes some origins are dealt, as their latest chunk says; those of which nobody said are left out.
SELECT origin, argMax(c.lanes, c.seq) AS lanes
FROM chunks AS c
WHERE state = 'complete' AND c.lanes > 0 AND origin IN {origins:Array(String)}
GROUP BY origin
