-- Since which version of the schema programs can work with it. Migrations only add, so
-- that an update can be taken back; one that an older program cannot work with inserts
-- its own number here.
CREATE TABLE readable (
  since INTEGER PRIMARY KEY
);

INSERT INTO readable VALUES (7);
