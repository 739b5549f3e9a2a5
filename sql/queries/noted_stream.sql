-- What is noted already of these streams, as far as it begins at one of these places.
SELECT DISTINCT stream, partition, kind, detail, first, last
FROM stream_notes
WHERE stream IN {streams:Array(String)} AND first IN {firsts:Array(UInt64)}
