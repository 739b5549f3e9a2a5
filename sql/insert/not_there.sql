-- Of a chunk's rows only those whose place is empty: what somebody deleted comes back, what is there stays once. Stands
-- in INSERTs, put there by src/store/insert-sql.ts.
row NOT IN (SELECT row FROM <table> WHERE chunk_id = '<chunk>' <ruling>)
