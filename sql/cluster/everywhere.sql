-- A small table that every server holds whole, as one group of replicas over all shards: what is asked of it needs
-- nobody else.
CREATE TABLE IF NOT EXISTS <name> <on>(<columns>)
ENGINE = <engine>
<rest>;
