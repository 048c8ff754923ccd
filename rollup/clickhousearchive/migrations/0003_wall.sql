-- What was decided about messages, with a copy of the message as it was read. key is
-- canyu.MessageKey; the highest version counts.
CREATE TABLE IF NOT EXISTS wall (
  activity String,
  school   UInt64,
  key      UInt64,
  grade    UInt8,
  class    UInt16,
  role     UInt8,
  at       Int64, -- Unix milliseconds
  message  String,
  state    UInt8,
  reason   String,
  decider  String,
  decided  Int64, -- Unix milliseconds
  version  UInt64 DEFAULT toUInt64(decided * 4 + state)
) ENGINE = ReplacingMergeTree(version)
PARTITION BY activity
ORDER BY (activity, school, key);

CREATE TABLE IF NOT EXISTS wall_switches (
  activity String,
  region   UInt32,
  off      UInt8,
  decider  String,
  at       Int64, -- Unix milliseconds
  version  UInt64 DEFAULT toUInt64(at * 2 + off)
) ENGINE = ReplacingMergeTree(version)
ORDER BY (activity, region);
