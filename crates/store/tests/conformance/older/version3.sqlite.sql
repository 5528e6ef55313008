PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE store (
    one bigint PRIMARY KEY CHECK (one = 1),
    id text NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);
INSERT INTO store VALUES(1,'01a21e96-8365-72bb-b21a-47bfda83a653',3,1795809510246000);
CREATE TABLE fleets (
    fleet text PRIMARY KEY,
    rollouts bigint NOT NULL
);
INSERT INTO fleets VALUES('older',2);
CREATE TABLE bundles (
    fleet text NOT NULL,
    hash text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (fleet, hash)
);
INSERT INTO bundles VALUES('older','09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168',1795809510272000);
CREATE TABLE bundle_files (
    fleet text NOT NULL,
    hash text NOT NULL,
    name text NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (fleet, hash, name)
);
INSERT INTO bundle_files VALUES('older','09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168','20260101000000_notes.sql',replace('-- +migrate Up\nCREATE TABLE notes (id integer PRIMARY KEY, text text NOT NULL);\n-- +migrate Down\nDROP TABLE notes;\n','\n',char(10)));
INSERT INTO bundle_files VALUES('older','09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168','20260102000000_single.sql',replace('-- +migrate Up\nCREATE UNIQUE INDEX notes_text ON notes (text);\n-- +migrate Down\nDROP INDEX notes_text;\n','\n',char(10)));
CREATE TABLE rollouts (
    fleet text NOT NULL,
    id text NOT NULL,
    number bigint NOT NULL,
    state text NOT NULL,
    target text NOT NULL,
    actor text NOT NULL,
    last_seq bigint NOT NULL,
    plan text NOT NULL,
    body text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (fleet, id)
);
INSERT INTO rollouts VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',1,'succeeded','20260101000000','unknown@vm',16,'{"fleet":"older","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260101000000","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","tenants":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1},{"name":"rest","tenants":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2}],"paths":[{"from":null,"versions":["20260101000000"]}],"targets":[],"left_out":[]}','{"id":"01a21e96-83a1-776c-bba0-6e8ea130eb6c","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260101000000","plan_hash":"5c6c2a12e11826f41cd1db32f7d6cfe15ab9f5d45e9951c29ec49c672fd9eea2","state":"succeeded","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","planned":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1,"opened_at":1795809510339000,"swept_at":null,"counts":{"succeeded":2},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}},{"name":"rest","planned":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2,"opened_at":1795809510550000,"swept_at":null,"counts":{"succeeded":4},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}}],"left_out":{},"tally":{"failed":0,"consecutive":0,"by_cause":{}},"causes":{},"in_flight":{},"halt":null,"started_after_halt":0,"submitted_at":1795809510307000,"ended_at":1795809510701000,"last_seq":16}',1795809510307000);
INSERT INTO rollouts VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',2,'halted','20260102000000','unknown@vm',5,'{"fleet":"older","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260102000000","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","tenants":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1},{"name":"rest","tenants":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2}],"paths":[{"from":"20260101000000","versions":["20260102000000"]}],"targets":[],"left_out":[]}','{"id":"01a21e96-85e3-7449-be3d-315d6f32fbe1","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260102000000","plan_hash":"0c5764991c80b3edba3712ca7a07ed5890e7360b153d49a85a6760e6eaf58c74","state":"halted","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","planned":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1,"opened_at":1795809510926000,"swept_at":null,"counts":{"failed":1,"pending":1},"in_flight":0,"tally":{"failed":1,"consecutive":1,"by_cause":{"migration_sql/2067@20260102000000#1":1}}},{"name":"rest","planned":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2,"opened_at":null,"swept_at":null,"counts":{"pending":4},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}}],"left_out":{},"tally":{"failed":1,"consecutive":1,"by_cause":{"migration_sql/2067@20260102000000#1":1}},"causes":{"migration_sql/2067@20260102000000#1":{"failure":{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1},"tenants":1,"examples":["t4"],"moved":0}},"in_flight":{},"halt":{"rule":"max_failures","wave":"canary","cause":"migration_sql/2067@20260102000000#1","failures":1,"tolerated":0,"in_flight":0,"tenant":"t4"},"started_after_halt":0,"submitted_at":1795809510897000,"ended_at":null,"last_seq":5}',1795809510897000);
CREATE TABLE targets (
    fleet text NOT NULL,
    rollout text NOT NULL,
    tenant text NOT NULL,
    number bigint NOT NULL,
    active bigint NOT NULL,
    wave bigint,
    position bigint NOT NULL,
    path bigint,
    host text NOT NULL,
    place text NOT NULL,
    has_ledger bigint NOT NULL,
    outcome text NOT NULL,
    applied text NOT NULL,
    class text,
    cause text,
    failure text,
    attempts text NOT NULL,
    not_before bigint NOT NULL,
    in_flight bigint NOT NULL,
    epoch bigint NOT NULL,
    nonce text,
    owner text,
    lease_until bigint,
    since bigint,
    takeover bigint NOT NULL,
    resolves bigint NOT NULL,
    PRIMARY KEY (fleet, rollout, tenant)
);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t4',1,0,0,0,0,'files','{"host":"files","database":null,"schema":null,"file":"t4.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'b0ed5c97fe8cfdf6a1528f4ed7bfb3ff',NULL,NULL,1795809510351000,0,0);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t3',1,0,0,1,0,'files','{"host":"files","database":null,"schema":null,"file":"t3.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'55d12f48ed64e49daa09d516f863f850',NULL,NULL,1795809510416000,0,0);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t5',1,0,1,0,0,'files','{"host":"files","database":null,"schema":null,"file":"t5.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'0113e8dfc1e7236bd875e8f2dfc05777',NULL,NULL,1795809510559000,0,0);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t2',1,0,1,1,0,'files','{"host":"files","database":null,"schema":null,"file":"t2.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'aa5f0c01fd5703ab8a98fd41adae3265',NULL,NULL,1795809510559000,0,0);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t6',1,0,1,2,0,'files','{"host":"files","database":null,"schema":null,"file":"t6.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'78e92e77a62cda4bba44502eb21892b7',NULL,NULL,1795809510634000,0,0);
INSERT INTO targets VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c','t1',1,0,1,3,0,'files','{"host":"files","database":null,"schema":null,"file":"t1.db"}',0,'succeeded','["20260101000000"]',NULL,NULL,NULL,'{}',0,0,1,'33f6f463fbfe08466074f4fd4909af37',NULL,NULL,1795809510634000,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t4',2,1,0,0,0,'files','{"host":"files","database":null,"schema":null,"file":"t4.db"}',1,'failed','[]','migration_sql','migration_sql/2067@20260102000000#1','{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1}','{}',0,0,2,'4a4d2069133bfe7111f587b6f5211bf3',NULL,NULL,1795809510938000,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t3',2,1,0,1,0,'files','{"host":"files","database":null,"schema":null,"file":"t3.db"}',1,'pending','[]',NULL,NULL,NULL,'{}',0,0,0,NULL,NULL,NULL,NULL,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t5',2,1,1,0,0,'files','{"host":"files","database":null,"schema":null,"file":"t5.db"}',1,'pending','[]',NULL,NULL,NULL,'{}',0,0,0,NULL,NULL,NULL,NULL,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t2',2,1,1,1,0,'files','{"host":"files","database":null,"schema":null,"file":"t2.db"}',1,'pending','[]',NULL,NULL,NULL,'{}',0,0,0,NULL,NULL,NULL,NULL,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t6',2,1,1,2,0,'files','{"host":"files","database":null,"schema":null,"file":"t6.db"}',1,'pending','[]',NULL,NULL,NULL,'{}',0,0,0,NULL,NULL,NULL,NULL,0,0);
INSERT INTO targets VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1','t1',2,1,1,3,0,'files','{"host":"files","database":null,"schema":null,"file":"t1.db"}',1,'pending','[]',NULL,NULL,NULL,'{}',0,0,0,NULL,NULL,NULL,NULL,0,0);
CREATE TABLE tenants (
    fleet text NOT NULL,
    tenant text NOT NULL,
    epoch bigint NOT NULL,
    unresolved bigint NOT NULL,
    PRIMARY KEY (fleet, tenant)
);
INSERT INTO tenants VALUES('older','t1',1,0);
INSERT INTO tenants VALUES('older','t2',1,0);
INSERT INTO tenants VALUES('older','t3',1,0);
INSERT INTO tenants VALUES('older','t4',2,0);
INSERT INTO tenants VALUES('older','t5',1,0);
INSERT INTO tenants VALUES('older','t6',1,0);
CREATE TABLE hosts (
    fleet text NOT NULL,
    host text NOT NULL,
    in_flight bigint NOT NULL CHECK (in_flight >= 0),
    PRIMARY KEY (fleet, host)
);
INSERT INTO hosts VALUES('older','files',0);
CREATE TABLE events (
    fleet text NOT NULL,
    rollout text NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL,
    PRIMARY KEY (fleet, rollout, seq)
);
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',1,1795809510307000,'{"type":"submitted","tenants":6}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',2,1795809510339000,'{"type":"wave_opened","wave":0}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',3,1795809510351000,'{"type":"started","tenant":"t4","wave":0,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',4,1795809510406000,'{"type":"ended","tenant":"t4","wave":0,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":55}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',5,1795809510416000,'{"type":"started","tenant":"t3","wave":0,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',6,1795809510525000,'{"type":"ended","tenant":"t3","wave":0,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":109}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',7,1795809510550000,'{"type":"wave_opened","wave":1}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',8,1795809510559000,'{"type":"started","tenant":"t5","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',9,1795809510559000,'{"type":"started","tenant":"t2","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',10,1795809510628000,'{"type":"ended","tenant":"t5","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":69}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',11,1795809510628000,'{"type":"ended","tenant":"t2","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":69}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',12,1795809510634000,'{"type":"started","tenant":"t6","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',13,1795809510634000,'{"type":"started","tenant":"t1","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4707-1a415fb0","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',14,1795809510685000,'{"type":"ended","tenant":"t1","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":51}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',15,1795809510685000,'{"type":"ended","tenant":"t6","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":51}');
INSERT INTO events VALUES('older','01a21e96-83a1-776c-bba0-6e8ea130eb6c',16,1795809510701000,'{"type":"finished","state":"succeeded"}');
INSERT INTO events VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',1,1795809510897000,'{"type":"submitted","tenants":6}');
INSERT INTO events VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',2,1795809510926000,'{"type":"wave_opened","wave":0}');
INSERT INTO events VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',3,1795809510938000,'{"type":"started","tenant":"t4","wave":0,"host":"files","epoch":2,"worker":"worker-vm-4729-d2d475fe","takeover":false}');
INSERT INTO events VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',4,1795809510973000,'{"type":"ended","tenant":"t4","wave":0,"epoch":2,"outcome":"failed","applied":[],"failure":{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1},"duration_ms":35}');
INSERT INTO events VALUES('older','01a21e96-85e3-7449-be3d-315d6f32fbe1',5,1795809510973000,'{"type":"halted","halt":{"rule":"max_failures","wave":"canary","cause":"migration_sql/2067@20260102000000#1","failures":1,"tolerated":0,"in_flight":0,"tenant":"t4"}}');
CREATE TABLE leaders (
    fleet text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    lease_until bigint NOT NULL
);
INSERT INTO leaders VALUES('older','',2,0);
CREATE TABLE workers (
    fleet text NOT NULL,
    worker text NOT NULL,
    hosts text NOT NULL,
    lease_until bigint NOT NULL, away text NOT NULL DEFAULT '[]',
    PRIMARY KEY (fleet, worker)
);
INSERT INTO workers VALUES('older','worker-vm-4707-1a415fb0','[]',1795809510732000,'[]');
INSERT INTO workers VALUES('older','worker-vm-4729-d2d475fe','[]',1795809511123000,'[]');
CREATE TABLE audit (
    number integer PRIMARY KEY,
    fleet text NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    verb text NOT NULL,
    rollout text NOT NULL,
    state_before text NOT NULL,
    state_after text NOT NULL,
    detail text NOT NULL
);
INSERT INTO audit VALUES(1,'older',1795809510307000,'unknown@vm','submit','01a21e96-83a1-776c-bba0-6e8ea130eb6c','','running','5c6c2a12e11826f41cd1db32f7d6cfe15ab9f5d45e9951c29ec49c672fd9eea2');
INSERT INTO audit VALUES(2,'older',1795809510897000,'unknown@vm','submit','01a21e96-85e3-7449-be3d-315d6f32fbe1','','running','0c5764991c80b3edba3712ca7a07ed5890e7360b153d49a85a6760e6eaf58c74');
CREATE TABLE kept (
    fleet text NOT NULL,
    host text NOT NULL,
    worker text NOT NULL,
    kept bigint NOT NULL,
    let_go bigint NOT NULL,
    PRIMARY KEY (fleet, host, worker)
);
CREATE INDEX bundle_files_by_name ON bundle_files (fleet, name);
CREATE UNIQUE INDEX rollouts_by_number ON rollouts (fleet, number);
CREATE UNIQUE INDEX targets_one_active_rollout ON targets (fleet, tenant) WHERE active = 1;
CREATE UNIQUE INDEX targets_one_claim ON targets (fleet, tenant) WHERE in_flight = 1;
CREATE INDEX targets_in_flight ON targets (fleet, rollout, lease_until) WHERE in_flight = 1;
CREATE INDEX targets_to_start ON targets (fleet, rollout, wave, position) WHERE outcome = 'pending' AND in_flight = 0;
CREATE INDEX targets_believed ON targets (fleet, tenant, number) WHERE epoch > 0 OR outcome = 'up_to_date';
COMMIT;
