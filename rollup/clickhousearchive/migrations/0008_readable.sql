-- Since which version of the schema programs can work with it. Migrations only add, so
-- that an update can be taken back; one that an older program cannot work with inserts
-- its own number here.
CREATE TABLE IF NOT EXISTS readable (
  since UInt32
) ENGINE = ReplacingMergeTree
ORDER BY since;

INSERT INTO readable (since) SELECT toUInt32(8);
