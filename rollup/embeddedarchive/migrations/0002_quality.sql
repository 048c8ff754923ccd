-- What was refused, by who refused it: each writer counts for itself, upwards.
CREATE TABLE refusals (
  activity TEXT    NOT NULL,
  school   INTEGER NOT NULL, -- 0: none of the roster
  day      INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  writer   TEXT    NOT NULL,
  refused  INTEGER NOT NULL,
  PRIMARY KEY (activity, school, day, reason, writer)
) WITHOUT ROWID;

-- A delivery may be a school's own letter.
CREATE TABLE deliveries_by_school (
  activity  TEXT    NOT NULL,
  region    INTEGER NOT NULL,
  day       INTEGER NOT NULL,
  revision  INTEGER NOT NULL,
  school    INTEGER NOT NULL, -- 0: the region's report
  recipient TEXT    NOT NULL,
  state     TEXT    NOT NULL,
  attempts  INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  answer    TEXT    NOT NULL,
  PRIMARY KEY (activity, day, region, revision, school, recipient)
) WITHOUT ROWID;

INSERT INTO deliveries_by_school
SELECT activity, region, day, revision, 0, recipient, state, attempts, at, answer FROM deliveries;

DROP TABLE deliveries;

ALTER TABLE deliveries_by_school RENAME TO deliveries;
