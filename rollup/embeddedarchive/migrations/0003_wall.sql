-- What was decided about messages, the newest decision of each, with a copy of the
-- message as it was read. key is canyu.MessageKey; decided is Unix milliseconds.
CREATE TABLE wall (
  activity TEXT    NOT NULL,
  key      INTEGER NOT NULL,
  school   INTEGER NOT NULL,
  grade    INTEGER NOT NULL,
  class    INTEGER NOT NULL,
  role     INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  message  TEXT    NOT NULL,
  state    INTEGER NOT NULL,
  reason   TEXT    NOT NULL,
  decider  TEXT    NOT NULL,
  decided  INTEGER NOT NULL,
  PRIMARY KEY (activity, key)
) WITHOUT ROWID;

CREATE INDEX wall_by_state ON wall (activity, state, at);

CREATE TABLE wall_switches (
  activity TEXT    NOT NULL,
  region   INTEGER NOT NULL,
  off      INTEGER NOT NULL,
  decider  TEXT    NOT NULL,
  at       INTEGER NOT NULL, -- Unix milliseconds
  PRIMARY KEY (activity, region)
) WITHOUT ROWID;
