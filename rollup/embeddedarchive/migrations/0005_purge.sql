-- The salt of an activity's participant key: destroyed, with all that it could tell,
-- when the activity is purged.
CREATE TABLE salts (
  activity TEXT PRIMARY KEY,
  salt     TEXT NOT NULL -- hexadecimal
) WITHOUT ROWID;

-- How far the purge of an activity has come: Unix milliseconds, 0 for not yet.
CREATE TABLE purges (
  activity          TEXT    PRIMARY KEY,
  announced         INTEGER NOT NULL,
  ordered           INTEGER NOT NULL,
  messages          INTEGER NOT NULL,
  messages_done     INTEGER NOT NULL,
  participants      INTEGER NOT NULL,
  participants_done INTEGER NOT NULL
) WITHOUT ROWID;
