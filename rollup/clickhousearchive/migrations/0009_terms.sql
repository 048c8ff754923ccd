-- What an activity began with, and may not change since: of its rows the one with the
-- highest version.
CREATE TABLE IF NOT EXISTS terms (
  activity String,
  identify String,
  timezone String,
  version  UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY activity;
