-- Submissions that are held apart, and the newest decision about each case of them:
-- a class, a day and why. at, until and decided are Unix milliseconds; why, state and
-- role are canyu's numbers.
CREATE TABLE held (
  class_role  INTEGER NOT NULL REFERENCES groups (id),
  participant INTEGER NOT NULL,
  id          INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  day         INTEGER NOT NULL,
  why         INTEGER NOT NULL,
  message     TEXT    NOT NULL,
  PRIMARY KEY (class_role, participant, id)
) WITHOUT ROWID;

CREATE TABLE held_decisions (
  activity TEXT    NOT NULL,
  school   INTEGER NOT NULL,
  grade    INTEGER NOT NULL,
  class    INTEGER NOT NULL,
  day      INTEGER NOT NULL,
  why      INTEGER NOT NULL,
  state    INTEGER NOT NULL,
  until    INTEGER NOT NULL,
  decider  TEXT    NOT NULL,
  decided  INTEGER NOT NULL,
  PRIMARY KEY (activity, school, grade, class, day, why)
) WITHOUT ROWID;
