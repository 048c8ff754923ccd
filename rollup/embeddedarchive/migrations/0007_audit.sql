-- The audit log: who did what. at is Unix milliseconds. A line is written once.
CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  at       INTEGER NOT NULL,
  who      TEXT    NOT NULL,
  what     TEXT    NOT NULL,
  activity TEXT    NOT NULL, -- '': the whole site
  target   TEXT    NOT NULL,
  was      TEXT    NOT NULL,
  becomes  TEXT    NOT NULL,
  hash     TEXT    NOT NULL
);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is never changed');
END;

CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN
  SELECT RAISE(ABORT, 'the audit log is never cut');
END;

-- Signatures of frozen reports, stored before the report.
CREATE TABLE signatures (
  activity  TEXT    NOT NULL,
  region    INTEGER NOT NULL,
  day       INTEGER NOT NULL,
  revision  INTEGER NOT NULL,
  signature TEXT    NOT NULL,
  PRIMARY KEY (activity, day, region, revision, signature)
) WITHOUT ROWID;
