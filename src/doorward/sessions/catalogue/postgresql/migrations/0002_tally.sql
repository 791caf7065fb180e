-- One row of each node: how many rows it wrote, and their sums, under a key that this database does not have.
-- "others" counts what the node wrote about sessions of others.
CREATE TABLE tally (
  node text PRIMARY KEY,
  generation bigint NOT NULL,
  totals bytea NOT NULL,
  others bytea NOT NULL,
  mark text NOT NULL
) WITH (fillfactor = 50);

-- Which node wrote the row. So far it was that of the session, but for what was had elsewhere, which nobody can tell any more.
ALTER TABLE downloads ADD COLUMN node text;
UPDATE downloads SET node = sessions.node FROM sessions WHERE sessions.id = downloads.session;
ALTER TABLE downloads ALTER COLUMN node SET NOT NULL;
