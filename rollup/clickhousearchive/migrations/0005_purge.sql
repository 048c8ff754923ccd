-- The salt of an activity's participant key: destroyed, with all that it could tell,
-- when the activity is purged. An activity is a partition: dropping it leaves nothing.
CREATE TABLE IF NOT EXISTS salts (
  activity String,
  salt     String, -- hexadecimal
  at       Int64,  -- Unix microseconds; the earliest stays
  earliest UInt64 DEFAULT toUInt64(9223372036854775807 - at)
) ENGINE = ReplacingMergeTree(earliest)
PARTITION BY activity
ORDER BY activity;

-- How far the purge of an activity has come: Unix milliseconds, 0 for not yet.
CREATE TABLE IF NOT EXISTS purges (
  activity          String,
  announced         Int64,
  ordered           Int64,
  messages          Int64,
  messages_done     Int64,
  participants      Int64,
  participants_done Int64,
  version           UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY activity;
