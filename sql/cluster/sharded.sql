-- A table whose rows belong to chunks, on a cluster: its rows lie on the shard of their chunk, whole chunks on one
-- shard, in <name>_local; <name> is the door to all of them, so that every query stays as it is.
--
--   tokens    an INSERT into <name> is one block, cut by chunk; each shard gets its part with the same token, and knows
--             it in Keeper, so on whichever replica it is repeated. A week, or 10,000 of them.
--   quorum    an INSERT is answered when most replicas of the shard have it (sql/insert/block.sql), in parallel. So
--             reads may lag behind on a replica that was cut off, and select_sequential_consistency, which would
--             forbid that, would also allow one INSERT at a time. It is not needed: what a lagging look-up of `chunks`
--             misses is written again under the same token, and Keeper passes over it.
--   views     materialized views stand on the local tables and fill local tables: a chunk's sums are on its shard.
--
-- <words> are filled in by src/store/cluster-sql.ts.
CREATE TABLE IF NOT EXISTS <local> <on>(<columns>)
ENGINE = <engine>
<rest>;

CREATE TABLE IF NOT EXISTS <name> <on>AS <local>
ENGINE = Distributed('<cluster>', '<database>', '<local>', cityHash64(chunk_id));
