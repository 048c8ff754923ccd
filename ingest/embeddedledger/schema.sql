-- The embedded ledger. A batch is one row of log and one of writers, so that its
-- durability costs one fsync whatever its size. Who took part already is held in
-- memory and kept here in sets: the sets as they were when they were last saved,
-- joined with every row of log, are the sets as they are. So a row of log stays
-- until the sets have it, also when rollup has acknowledged it long before.
create table activities (
  activity    text primary key,
  epoch       text not null default '',  -- '' while a lost ledger is being restored
  fingerprint text not null,
  counted     integer not null,          -- ordinals given so far
  acknowledged integer not null default 0 -- the log up to here is in the archive
) strict;

create table sets (
  activity text    not null,
  school   integer not null,
  grade    integer not null,
  class    integer not null,
  role     integer not null,
  members  blob    not null,             -- participants, 8 bytes each, ascending
  primary key (activity, school, grade, class, role)
) strict, without rowid;

create table log (
  position integer primary key autoincrement,
  activity text    not null,
  size     integer not null,             -- participations
  before   integer not null,             -- ordinals given before this batch
  outcomes text    not null,             -- '1' counted, '0' repeat, for each
  payload  blob    not null              -- see package ledgerlog
) strict;
create index log_activity on log (activity, position);

create table writers (
  activity text    not null,
  writer   text    not null,
  sequence integer not null,             -- of its newest batch
  before   integer not null,
  outcomes text    not null,
  at       integer not null,             -- unix seconds
  primary key (activity, writer)
) strict, without rowid;

create table claims (
  duty   text primary key,
  holder text not null,
  until  integer not null                -- unix milliseconds
) strict;
