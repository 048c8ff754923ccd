-- The same text runs on ClickHouse 18.16 and on current releases. Every statement
-- may be repeated: several processes may start at once, and one may die half-way.

-- Facts. A row that comes again replaces itself, and of two rows of one key the
-- one with the earliest instant stays: "earliest" is the version that decides,
-- whatever the order of arrival. An activity is a partition, so that all of it
-- can be dropped at once.
CREATE TABLE IF NOT EXISTS participants (
  activity    String,
  school      UInt64,
  grade       UInt8,
  class       UInt16,
  role        UInt8,
  participant UInt64,
  at          Int64, -- Unix milliseconds
  day         Date,
  ordinal     UInt64,
  earliest    UInt64 DEFAULT toUInt64(9223372036854775807 - at)
) ENGINE = ReplacingMergeTree(earliest)
PARTITION BY activity
ORDER BY (activity, school, grade, class, role, participant);

CREATE TABLE IF NOT EXISTS submissions (
  activity    String,
  school      UInt64,
  grade       UInt8,
  class       UInt16,
  role        UInt8,
  participant UInt64,
  id          UInt64,
  at          Int64,
  day         Date,
  message     String,
  earliest    UInt64 DEFAULT toUInt64(9223372036854775807 - at)
) ENGINE = ReplacingMergeTree(earliest)
PARTITION BY activity
ORDER BY (activity, school, grade, class, role, participant, id);

-- Restated from the facts, never added to. The highest version counts.
CREATE TABLE IF NOT EXISTS rollups (
  activity     String,
  school       UInt64,
  grade        UInt8,
  class        UInt16,
  role         UInt8,
  day          Date,
  participants UInt64,
  submissions  UInt64,
  version      UInt64
) ENGINE = ReplacingMergeTree(version)
PARTITION BY activity
ORDER BY (activity, school, grade, class, role, day);

CREATE TABLE IF NOT EXISTS epochs (
  activity String,
  epoch    String,
  version  UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY activity;

-- An import is seen once its number stands in roster_imports, which is written
-- last. A school is what the highest such number says of it.
CREATE TABLE IF NOT EXISTS roster (
  school   UInt64,
  import   UInt64,
  region   UInt32,
  name     String,
  grade    UInt8,
  class    UInt16,
  enrolled UInt16
) ENGINE = MergeTree
ORDER BY (school, import, grade, class);

CREATE TABLE IF NOT EXISTS roster_imports (
  import UInt64
) ENGINE = ReplacingMergeTree
ORDER BY import;

-- The first report that was frozen stays.
CREATE TABLE IF NOT EXISTS frozen (
  activity String,
  region   UInt32,
  day      Date,
  revision UInt32,
  as_of    Int64, -- Unix seconds
  body     String,
  at       Int64, -- Unix microseconds
  earliest UInt64 DEFAULT toUInt64(9223372036854775807 - at)
) ENGINE = ReplacingMergeTree(earliest)
ORDER BY (activity, day, revision, region);

CREATE TABLE IF NOT EXISTS deliveries (
  activity  String,
  region    UInt32,
  day       Date,
  revision  UInt32,
  recipient String,
  state     String,
  attempts  UInt32,
  at        Int64, -- Unix seconds
  answer    String,
  version   UInt64
) ENGINE = ReplacingMergeTree(version)
ORDER BY (activity, day, region, revision, recipient);
