CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row: how many rows of each sort there are, and their keyed sums.
CREATE TABLE tally (only INTEGER PRIMARY KEY CHECK (only = 1), totals BLOB NOT NULL, mark TEXT NOT NULL) STRICT;

-- The last number of each connection policy that was given away.
CREATE TABLE numbers (policy_key TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What is searched, sorted and counted. AUTOINCREMENT: an id never comes back, so that a snapshot never shows another session.
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  number INTEGER NOT NULL,
  session_id TEXT NOT NULL COLLATE NOCASE,
  protocol TEXT NOT NULL COLLATE NOCASE,
  node TEXT NOT NULL,
  policy TEXT NOT NULL COLLATE NOCASE,
  policy_key TEXT NOT NULL,
  channel_policy TEXT NOT NULL COLLATE NOCASE,
  client_ip TEXT NOT NULL, client_port INTEGER NOT NULL, client_name TEXT NOT NULL COLLATE NOCASE,
  target_ip TEXT NOT NULL, target_port INTEGER NOT NULL, target_name TEXT NOT NULL COLLATE NOCASE,
  server_ip TEXT NOT NULL, server_port INTEGER NOT NULL, server_name TEXT NOT NULL COLLATE NOCASE,
  local_ip TEXT NOT NULL, local_port INTEGER NOT NULL, local_name TEXT NOT NULL COLLATE NOCASE,
  user TEXT NOT NULL COLLATE NOCASE,
  gateway_user TEXT NOT NULL COLLATE NOCASE,
  server_user TEXT NOT NULL COLLATE NOCASE,
  groups TEXT NOT NULL,
  auth_method TEXT NOT NULL COLLATE NOCASE,
  began INTEGER NOT NULL,
  ended INTEGER,
  duration INTEGER,
  verdict TEXT NOT NULL COLLATE NOCASE,
  reason TEXT NOT NULL,
  index_status TEXT NOT NULL COLLATE NOCASE,
  is_archived INTEGER NOT NULL,
  has_accepted_channel INTEGER NOT NULL,
  has_commands INTEGER NOT NULL DEFAULT 0,
  has_titles INTEGER NOT NULL DEFAULT 0,
  is_recovered INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_began ON sessions (began, id);
CREATE INDEX sessions_by_policy ON sessions (policy_key, began);
CREATE INDEX sessions_by_user ON sessions (user, began);
CREATE INDEX sessions_by_server ON sessions (server_ip, began);
CREATE INDEX sessions_open ON sessions (id) WHERE ended IS NULL;

-- The whole row, MessagePack. Apart, so that a look through all sessions reads little.
CREATE TABLE bodies (
  id INTEGER PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
  body BLOB NOT NULL,
  checksum TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE channels (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  type TEXT NOT NULL,
  action TEXT NOT NULL,
  content TEXT NOT NULL,
  PRIMARY KEY (session, number),
  UNIQUE (session, at, channel, type, action, content)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  at INTEGER NOT NULL,
  channel INTEGER NOT NULL,
  type TEXT NOT NULL,
  rule TEXT NOT NULL,
  regexp TEXT NOT NULL,
  action TEXT NOT NULL,
  content TEXT NOT NULL,
  PRIMARY KEY (session, number),
  UNIQUE (session, at, channel, rule, regexp, content)
) STRICT, WITHOUT ROWID;

CREATE TABLE downloads (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (session, number)
) STRICT, WITHOUT ROWID;

-- Lines of text, some dozens together. id = session << 20 | number of the chunk; the row of the index has the same.
CREATE TABLE chunks (
  id INTEGER PRIMARY KEY,
  channel INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- Up to which time lines of a kind came, and which had that very time: what comes again is known.
CREATE TABLE marks (
  session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  channel INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  seen BLOB NOT NULL,
  PRIMARY KEY (session, channel, kind)
) STRICT, WITHOUT ROWID;

-- Trails whose rows are gone, until the file is gone too.
CREATE TABLE doomed (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE text_index USING fts5 (lines, content = '', tokenize = 'unicode61 remove_diacritics 2');
