-- What an activity began with, and may not change since.
CREATE TABLE terms (
  activity TEXT PRIMARY KEY,
  identify TEXT NOT NULL,
  timezone TEXT NOT NULL
) WITHOUT ROWID;
