-- What was refused, by who refused it: each writer counts for itself, upwards.
CREATE TABLE IF NOT EXISTS refusals (
  activity String,
  school   UInt64, -- 0: none of the roster
  day      Date,
  reason   String,
  writer   String,
  refused  UInt64
) ENGINE = ReplacingMergeTree(refused)
PARTITION BY activity
ORDER BY (activity, school, day, reason, writer);

-- Deliveries, which may be a school's own letter. The table of before stays behind:
-- its key cannot take the school in on every release, and a copy may be repeated
-- only while it is there.
CREATE TABLE IF NOT EXISTS report_deliveries (
  activity  String,
  region    UInt32,
  day       Date,
  revision  UInt32,
  school    UInt64, -- 0: the region's report
  recipient String,
  state     String,
  attempts  UInt32,
  at        Int64, -- Unix seconds
  answer    String,
  version   UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (activity, day, region, revision, school, recipient);

INSERT INTO report_deliveries (activity, region, day, revision, school, recipient, state, attempts, at, answer, version)
SELECT activity, region, day, revision, toUInt64(0), recipient, state, attempts, at, answer, version FROM deliveries;
