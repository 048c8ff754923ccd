-- The audit log: who did what. Nothing replaces a line here, so that one that was
-- written twice is seen.
CREATE TABLE IF NOT EXISTS audit (
  sequence UInt64,
  at       Int64, -- Unix milliseconds
  who      String,
  what     String,
  activity String, -- '': the whole site
  target   String,
  was      String,
  becomes  String,
  hash     String
) ENGINE = MergeTree
ORDER BY sequence;

-- Signatures of frozen reports, stored before the report.
CREATE TABLE IF NOT EXISTS report_signatures (
  activity  String,
  region    UInt32,
  day       Date,
  revision  UInt32,
  signature String
) ENGINE = ReplacingMergeTree
ORDER BY (activity, region, day, revision, signature);
