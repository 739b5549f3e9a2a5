-- One day of one table, whatever its size.
ALTER TABLE <table> DROP PARTITION '<day>' SETTINGS max_partition_size_to_drop = 0;
