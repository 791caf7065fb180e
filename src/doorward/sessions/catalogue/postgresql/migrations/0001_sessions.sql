-- Sessions of all nodes. Text is compared as its bytes are, whatever the database was made with.
CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text COLLATE "C" NOT NULL UNIQUE,
  number bigint NOT NULL,
  session_id text COLLATE "C" NOT NULL,
  protocol text COLLATE "C" NOT NULL,
  node text COLLATE "C" NOT NULL,
  policy text COLLATE "C" NOT NULL,
  policy_key text COLLATE "C" NOT NULL,
  channel_policy text COLLATE "C" NOT NULL,
  client_ip text COLLATE "C" NOT NULL, client_port bigint NOT NULL, client_name text COLLATE "C" NOT NULL, client_net inet,
  target_ip text COLLATE "C" NOT NULL, target_port bigint NOT NULL, target_name text COLLATE "C" NOT NULL, target_net inet,
  server_ip text COLLATE "C" NOT NULL, server_port bigint NOT NULL, server_name text COLLATE "C" NOT NULL, server_net inet,
  local_ip text COLLATE "C" NOT NULL, local_port bigint NOT NULL, local_name text COLLATE "C" NOT NULL, local_net inet,
  "user" text COLLATE "C" NOT NULL,
  gateway_user text COLLATE "C" NOT NULL,
  server_user text COLLATE "C" NOT NULL,
  groups text COLLATE "C" NOT NULL,
  auth_method text COLLATE "C" NOT NULL,
  began bigint NOT NULL,
  ended bigint,
  duration bigint,
  verdict text COLLATE "C" NOT NULL,
  reason text COLLATE "C" NOT NULL,
  index_status text COLLATE "C" NOT NULL,
  is_archived smallint NOT NULL,
  has_accepted_channel smallint NOT NULL,
  has_commands smallint NOT NULL DEFAULT 0,
  has_titles smallint NOT NULL DEFAULT 0,
  is_recovered smallint NOT NULL DEFAULT 0
);
CREATE INDEX sessions_by_began ON sessions (began, id);
CREATE INDEX sessions_by_policy ON sessions (policy_key, began);
CREATE INDEX sessions_by_user ON sessions (lower("user" COLLATE "C"), began);
CREATE INDEX sessions_by_server ON sessions (server_ip, began);
CREATE INDEX sessions_by_node ON sessions (node, ended);
CREATE INDEX sessions_open ON sessions (node, id) WHERE ended IS NULL;

CREATE TABLE bodies (
  id bigint PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
  body bytea NOT NULL,
  checksum text NOT NULL
);

CREATE TABLE meta (node text NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (node, name));

CREATE TABLE numbers (policy_key text PRIMARY KEY, last bigint NOT NULL);

CREATE TABLE channels (
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (session, number)
);

-- "mark" is a digest of what tells a row from others: an index over content of any length is none that PostgreSQL has.
CREATE TABLE events (
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number bigint NOT NULL,
  at bigint NOT NULL,
  channel bigint NOT NULL,
  type text NOT NULL,
  action text NOT NULL,
  content text NOT NULL,
  mark bytea NOT NULL,
  PRIMARY KEY (session, number),
  UNIQUE (session, mark)
);

CREATE TABLE alerts (
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number bigint NOT NULL,
  at bigint NOT NULL,
  channel bigint NOT NULL,
  type text NOT NULL,
  rule text NOT NULL,
  regexp text NOT NULL,
  action text NOT NULL,
  content text NOT NULL,
  mark bytea NOT NULL,
  PRIMARY KEY (session, number),
  UNIQUE (session, mark)
);

CREATE TABLE downloads (
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  number bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (session, number)
);

-- id = session << 20 | number of the chunk.
CREATE TABLE chunks (
  id bigint PRIMARY KEY,
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  channel bigint NOT NULL,
  body bytea NOT NULL,
  words tsvector NOT NULL,
  is_crowded boolean NOT NULL
);
CREATE INDEX chunks_by_session ON chunks (session);
CREATE INDEX chunks_by_words ON chunks USING gin (words);

CREATE TABLE marks (
  session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  channel bigint NOT NULL,
  kind text NOT NULL,
  at bigint NOT NULL,
  seen bytea NOT NULL,
  PRIMARY KEY (session, channel, kind)
);

-- Trails whose rows are gone, until the file on their node is gone too.
CREATE TABLE doomed (node text NOT NULL, path text NOT NULL, PRIMARY KEY (node, path));
