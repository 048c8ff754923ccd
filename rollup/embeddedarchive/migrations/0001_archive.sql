-- Everything is stored as whole numbers: day is canyu.Day (days since
-- 1970-01-01), at is Unix milliseconds, other moments are Unix seconds.

CREATE TABLE epochs (
  activity TEXT PRIMARY KEY,
  epoch    TEXT NOT NULL
) WITHOUT ROWID;

-- A group is a class in one role. Its number stands in every fact instead of the
-- five columns, which keeps the rows of a class together and narrow.
CREATE TABLE groups (
  id       INTEGER PRIMARY KEY,
  activity TEXT    NOT NULL,
  school   INTEGER NOT NULL,
  grade    INTEGER NOT NULL,
  class    INTEGER NOT NULL,
  role     INTEGER NOT NULL,
  UNIQUE (activity, school, grade, class, role)
);

-- The columns of facts that an earlier row overwrites are never null, but not
-- declared so: for the declaration SQLite copies each page that a statement
-- changes into a journal of the statement, a seventh of the time.
CREATE TABLE participants (
  class_role  INTEGER NOT NULL REFERENCES groups (id),
  participant INTEGER NOT NULL,
  at          INTEGER,
  day         INTEGER,
  ordinal     INTEGER,
  PRIMARY KEY (class_role, participant)
) WITHOUT ROWID;

CREATE TABLE submissions (
  class_role  INTEGER NOT NULL REFERENCES groups (id),
  participant INTEGER NOT NULL,
  id          INTEGER NOT NULL,
  at          INTEGER,
  day         INTEGER,
  message     TEXT,
  PRIMARY KEY (class_role, participant, id)
) WITHOUT ROWID;

CREATE TABLE rollups (
  class_role   INTEGER NOT NULL REFERENCES groups (id),
  day          INTEGER NOT NULL,
  participants INTEGER NOT NULL,
  submissions  INTEGER NOT NULL,
  PRIMARY KEY (class_role, day)
) WITHOUT ROWID;

CREATE TABLE schools (
  code   INTEGER PRIMARY KEY,
  region INTEGER NOT NULL,
  name   TEXT    NOT NULL
);

CREATE TABLE classes (
  school   INTEGER NOT NULL REFERENCES schools (code),
  grade    INTEGER NOT NULL,
  class    INTEGER NOT NULL,
  enrolled INTEGER NOT NULL,
  PRIMARY KEY (school, grade, class)
) WITHOUT ROWID;

CREATE TABLE frozen (
  activity TEXT    NOT NULL,
  region   INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  as_of    INTEGER NOT NULL,
  body     BLOB    NOT NULL,
  PRIMARY KEY (activity, day, revision, region)
);

CREATE TABLE deliveries (
  activity  TEXT    NOT NULL,
  region    INTEGER NOT NULL,
  day       INTEGER NOT NULL,
  revision  INTEGER NOT NULL,
  recipient TEXT    NOT NULL,
  state     TEXT    NOT NULL,
  attempts  INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  answer    TEXT    NOT NULL,
  PRIMARY KEY (activity, day, region, revision, recipient)
) WITHOUT ROWID;
