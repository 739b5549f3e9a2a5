-- What workers and `replay` need at a ClickHouse server: to read everything of the store (the auditor runs in a
-- worker), to add rows, and nothing else. They cannot change or remove a row. Materialized views fill chunk_sums and
-- judged_sums; whoever goes on where another died fills in what its rows lack there.
--
-- Rows come in through input(), a table function: those ask for CREATE TEMPORARY TABLE. <words> are filled in by
-- src/store/users.ts.
CREATE USER IF NOT EXISTS <writer> <on>IDENTIFIED WITH sha256_hash BY '<password>';

GRANT <on>SELECT ON <database>.* TO <writer>;

GRANT <on>SELECT ON system.tables TO <writer>;

GRANT <on>CREATE TEMPORARY TABLE ON *.* TO <writer>;

GRANT <on>INSERT ON <database>.chunks TO <writer>;

GRANT <on>INSERT ON <database>.flow_records TO <writer>;

GRANT <on>INSERT ON <database>.coverage TO <writer>;

GRANT <on>INSERT ON <database>.rejects TO <writer>;

GRANT <on>INSERT ON <database>.announced TO <writer>;

GRANT <on>INSERT ON <database>.judgements TO <writer>;

GRANT <on>INSERT ON <database>.findings TO <writer>;

GRANT <on>INSERT ON <database>.chunk_sums TO <writer>;

GRANT <on>INSERT ON <database>.judged_sums TO <writer>;

GRANT <on>INSERT ON <database>.dead_letters TO <writer>;

GRANT <on>INSERT ON <database>.stream_notes TO <writer>;

GRANT <on>INSERT ON <database>.restorations TO <writer>;

GRANT <on>INSERT ON <database>.run_chunks TO <writer>;

GRANT <on>INSERT ON <database>.run_doubles TO <writer>;
