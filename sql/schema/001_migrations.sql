-- Which numbered files of this folder were applied. Runs first at every opening, so it must stay as it is.
CREATE TABLE IF NOT EXISTS schema_migrations (
  version UInt32,
  name String,
  -- SHA-256 of the file: an applied file must not change, a change is a new number.
  sha256 String,
  applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY version;
