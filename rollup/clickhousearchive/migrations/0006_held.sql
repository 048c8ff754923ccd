-- Submissions that are held apart, and what was decided about each case of them: a
-- class, a day and why. Of the same submission the earliest stays, of the decisions
-- about one case the highest version. at, until and decided are Unix milliseconds.
CREATE TABLE IF NOT EXISTS held (
  activity    String,
  school      UInt64,
  grade       UInt8,
  class       UInt16,
  role        UInt8,
  participant UInt64,
  id          UInt64,
  at          Int64,
  day         Date,
  why         UInt8,
  message     String,
  earliest    UInt64 DEFAULT toUInt64(9223372036854775807 - at)
) ENGINE = ReplacingMergeTree(earliest)
PARTITION BY activity
ORDER BY (activity, school, grade, class, role, participant, id);

CREATE TABLE IF NOT EXISTS held_decisions (
  activity String,
  school   UInt64,
  grade    UInt8,
  class    UInt16,
  day      Date,
  why      UInt8,
  state    UInt8,
  until    Int64,
  decider  String,
  decided  Int64,
  version  UInt64 DEFAULT toUInt64(decided * 4 + state)
) ENGINE = ReplacingMergeTree(version)
PARTITION BY activity
ORDER BY (activity, school, grade, class, day, why);
