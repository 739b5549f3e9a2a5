-- Over how many lanes a sensor dealt the chunks of an origin (docs/bus.md): what came later in the lane of a chunk that
-- is not there shows that it is lost, and not only late. 0 where nobody said.
ALTER TABLE chunks ADD COLUMN IF NOT EXISTS lanes UInt16 AFTER piece;
