BEGIN TRANSACTION;
CREATE TABLE changes (
  revision INTEGER NOT NULL REFERENCES revisions (number),
  ordinal INTEGER NOT NULL,
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  position INTEGER NOT NULL,
  old TEXT,
  new TEXT,
  PRIMARY KEY (revision, ordinal)
) STRICT, WITHOUT ROWID;
INSERT INTO "changes" VALUES(1,0,'/servers','',0,NULL,'["a"]');
INSERT INTO "changes" VALUES(1,1,'/zone','',0,NULL,'"Etc/UTC"');
INSERT INTO "changes" VALUES(1,2,'/users','jane',0,NULL,'{"name":"jane"}');
INSERT INTO "changes" VALUES(1,3,'/users','joe',1,NULL,'{"n":1}');
INSERT INTO "changes" VALUES(2,0,'/zone','',0,'"Etc/UTC"','"Europe/Budapest"');
INSERT INTO "changes" VALUES(3,0,'/users','jane',0,'{"name":"jane"}',NULL);
INSERT INTO "changes" VALUES(3,1,'/servers','',0,'["a"]','["a","b"]');
INSERT INTO "changes" VALUES(3,2,'/users','joe',1,'{"n":1}','{"n":2}');
INSERT INTO "changes" VALUES(4,0,'/zone','',0,'"Europe/Budapest"','"Etc/UTC"');
INSERT INTO "changes" VALUES(4,1,'/users','jane',2,NULL,'{"name":"jane"}');
CREATE TABLE commits (
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
  results TEXT
) STRICT;
INSERT INTO "commits" VALUES('t1','admin','2026-11-21T10:00:00Z','done','2026-11-21T10:00:09Z',1,NULL,'[{"code":"x","message":"é"}]','k1','r','-1','[{"status":200}]');
INSERT INTO "commits" VALUES('t2','admin','2026-11-21T10:00:00Z','done','2026-11-21T10:00:09Z',2,NULL,'[{"code":"x","message":"é"}]','k2','r','-1','[{"status":200}]');
INSERT INTO "commits" VALUES('t3','admin','2026-11-21T10:00:00Z','done','2026-11-21T10:00:09Z',3,NULL,'[{"code":"x","message":"é"}]','k3','r','-1','[{"status":200}]');
INSERT INTO "commits" VALUES('t4','admin','2026-11-21T10:00:00Z','done','2026-11-21T10:00:09Z',4,NULL,'[{"code":"x","message":"é"}]','k4','r','-1','[{"status":200}]');
INSERT INTO "commits" VALUES('failed','admin','2026-11-21T10:00:00Z','failed',NULL,NULL,'{"reason":"ö"}','[]',NULL,NULL,'-1',NULL);
CREATE TABLE confirmation (
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
CREATE TABLE documents (
  path TEXT NOT NULL,
  key TEXT NOT NULL,
  position INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (path, key)
) STRICT, WITHOUT ROWID;
INSERT INTO "documents" VALUES('/servers','',0,'["a","b"]');
INSERT INTO "documents" VALUES('/users','jane',2,'{"name":"jane"}');
INSERT INTO "documents" VALUES('/users','joe',1,'{"n":2}');
INSERT INTO "documents" VALUES('/zone','',0,'"Etc/UTC"');
CREATE TABLE journal (only INTEGER PRIMARY KEY CHECK (only = 1), intent BLOB NOT NULL) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "meta" VALUES('format','1');
INSERT INTO "meta" VALUES('release','0.1.0');
CREATE TABLE records (
  number INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (kind, id)
) STRICT;
INSERT INTO "records" VALUES(1,'node','id','"fb821932-0000-4000-8000-000000000001"');
INSERT INTO "records" VALUES(2,'restored_file','cluster/node-key.pem','"5znEZrFjUCfM64im/uvu+mRwC03amxTQ/3ePCDlqJh+W"');
INSERT INTO "records" VALUES(3,'cluster_sync','removed','"2026-11-21T10:00:00Z"');
INSERT INTO "records" VALUES(4,'backup_run','r1','{"attempts":[],"author":null,"code":null,"drill":null,"ended":"2026-11-21T10:00:05Z","files":[{"name":"n","sha256":"s","size":1}],"message":null,"policy":"p","reason":"schedule","result":"succeeded","revision":null,"scheduled_for":null,"started":"2026-11-21T10:00:00Z","status":"finished","target":"rsync://t","warnings":[]}');
INSERT INTO "records" VALUES(5,'backup_drill','d1','{"author":null,"code":null,"ended":"2026-11-21T10:00:05Z","file":"n","levels":{"readable":{"basis":null,"passed":null},"restorable":{"basis":null,"passed":null},"stored":{"basis":null,"passed":null}},"message":null,"reason":"run","result":"passed","started":"2026-11-21T10:00:00Z"}');
INSERT INTO "records" VALUES(6,'backup_restore','x1','{"author":"admin","changes":[],"checks":[],"code":null,"dry_run":true,"ended":null,"file":null,"message":null,"network":"keep","plan":[],"problems":[],"result":null,"revision":null,"scope":"system","source":{"selection":"upload"},"started":"2026-11-21T10:00:00Z","status":"checking","ticket":"t1","warnings":[]}');
INSERT INTO "records" VALUES(7,'backup','schedule','{"served":["2026-11-21 02:30"],"since":{"02:30":"2026-11-21T00:00:00+00:00"},"subject":"p"}');
INSERT INTO "records" VALUES(8,'cluster_peer','46f9','{"at":1000.0,"certificate":"YSBjZXJ0aWZpY2F0ZQ==","psk":"","removed":null}');
INSERT INTO "records" VALUES(9,'cluster_psk','psk1','{"pinned":"0102","pinned_at":1001.0,"until":87400.0}');
INSERT INTO "records" VALUES(10,'mail','m1','{"due":2.0,"queued":1.5,"recipient":"a@example.com","subject":"S","text":"T\n"}');
INSERT INTO "records" VALUES(11,'backup_signing_key','SHA256:x','{"added":"2026-11-21T10:00:00Z","public_key":"QUJD","role":"trusted"}');
INSERT INTO "records" VALUES(12,'backup_upload','u1','{"created":"2026-11-21T10:00:00Z","expires":"2026-11-22T10:00:00Z","sha256":"s","size":3}');
INSERT INTO "records" VALUES(13,'cluster_revision','1:1','{"content":"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc","epoch":1,"hash":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","number":1,"parent":""}');
INSERT INTO "records" VALUES(14,'cluster_status','46f9','{"at":1000.5,"report":{"fqdn":"n","listen_address":null,"time":1000.0,"version":"0"}}');
CREATE TABLE revisions (
  number INTEGER PRIMARY KEY,
  author TEXT NOT NULL,
  address TEXT NOT NULL,
  time TEXT NOT NULL,
  message TEXT,
  changes INTEGER NOT NULL,
  parent_hash TEXT NOT NULL,
  hash TEXT NOT NULL,
  mark TEXT NOT NULL
) STRICT;
INSERT INTO "revisions" VALUES(1,'admin','192.0.2.9','2026-11-21T10:00:01Z','Number 1',4,'','8e5e8df220a98d8a940bb55e73496a3663b3c7cea7176a804b919609bdc8ff61','b6a7e909c4656edfa24ccda5cc44fa02e35e87a2238ab0aae21b04257e4318ec');
INSERT INTO "revisions" VALUES(2,'admin','192.0.2.9','2026-11-21T10:00:02Z','Number 2',1,'8e5e8df220a98d8a940bb55e73496a3663b3c7cea7176a804b919609bdc8ff61','8b7d814b5d04be836a2b84b7a6d6eac10cf74c5359c15b7c3209e51836be3001','25d085fb5b1a1f176c21c24aa5d6cd307c6d8f7efb671037d59e18b340168686');
INSERT INTO "revisions" VALUES(3,'admin','192.0.2.9','2026-11-21T10:00:03Z','Number 3',3,'8b7d814b5d04be836a2b84b7a6d6eac10cf74c5359c15b7c3209e51836be3001','546762e1c81c1bc2373a08f1e554551d9ccb6294dd5c68b9743c814bdfadfe25','33763f625a1dd6d412f5d54d202b42875062fa096c49762ccc764f69013a5e43');
INSERT INTO "revisions" VALUES(4,'admin','192.0.2.9','2026-11-21T10:00:04Z','Number 4',2,'546762e1c81c1bc2373a08f1e554551d9ccb6294dd5c68b9743c814bdfadfe25','44d416510ac215606682a9239d8f9edd66b35f39cf1b600fdd61a9adf5c3734f','ed33ba3a604bde7b8ccf3a356758f7f3cdec1e3e61cd495246724e891bc69cbc');
CREATE TABLE secrets (key TEXT PRIMARY KEY, form TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX commits_by_account ON commits (account, idempotency_key) WHERE idempotency_key IS NOT NULL;
COMMIT;
