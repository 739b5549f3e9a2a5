-- Which of these dead letters are noted already.
SELECT DISTINCT id
FROM dead_letters
WHERE id IN {ids:Array(UUID)}
