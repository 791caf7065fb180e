-- Run on a new store. A change adds a step to store/format.py, which brings older stores to the same.

CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS revisions (
  number INTEGER PRIMARY KEY,
  author TEXT NOT NULL,
  address TEXT NOT NULL,
  time TEXT NOT NULL,
  message TEXT,
  changes INTEGER NOT NULL,
  parent_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  mark TEXT NOT NULL,
  signature TEXT NOT NULL DEFAULT '',
  approvers TEXT NOT NULL DEFAULT '',
  emergency INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS changes (
  revision INTEGER NOT NULL REFERENCES revisions (number),
  ordinal INTEGER NOT NULL,
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  position INTEGER NOT NULL,
  old TEXT,
  new TEXT,
  PRIMARY KEY (revision, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS changes_by_place ON changes (path, key, revision);

CREATE TABLE IF NOT EXISTS documents (
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  position INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (path, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS journal (only INTEGER PRIMARY KEY CHECK (only = 1), intent BLOB NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS confirmation (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  ticket TEXT NOT NULL,
  user TEXT NOT NULL,
  revision INTEGER NOT NULL,
  deadline REAL NOT NULL,
  seconds REAL NOT NULL DEFAULT 3600,
  boot TEXT NOT NULL DEFAULT '',
  moment REAL NOT NULL DEFAULT 0,
  failure TEXT
) STRICT;

CREATE TABLE IF NOT EXISTS commits (
  id TEXT PRIMARY KEY,
  user TEXT NOT NULL,
  started TEXT NOT NULL,
  state TEXT NOT NULL,
  finished TEXT,
  revision INTEGER,
  error TEXT,
  warnings TEXT NOT NULL,
  idempotency_key TEXT,
  request TEXT,
  account TEXT NOT NULL DEFAULT '',
  results TEXT,
  checksum TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX IF NOT EXISTS commits_by_account ON commits (account, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE IF NOT EXISTS secrets (key TEXT PRIMARY KEY, form TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;

-- One row: how many rows of each sort there are, and their keyed sums.
CREATE TABLE IF NOT EXISTS tally (only INTEGER PRIMARY KEY CHECK (only = 1), totals BLOB NOT NULL, mark TEXT NOT NULL) STRICT;

CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  checksum TEXT NOT NULL DEFAULT '',
  UNIQUE (kind, id)
) STRICT;
