-- Chunks of which rows were deleted that somebody wants back: `bailiwick reconcile --restore` notes them. When such a
-- chunk comes again, what lacks of it is inserted under a token of the latest note, as the engine passes over the
-- first one. A chunk that is not noted is never looked at again once it is complete.
CREATE TABLE IF NOT EXISTS restorations (
  chunk_id UUID,
  noted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY chunk_id
SETTINGS non_replicated_deduplication_window = 10000;
