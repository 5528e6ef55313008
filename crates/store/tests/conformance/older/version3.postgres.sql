CREATE SCHEMA sanderling_control;
CREATE TABLE sanderling_control.audit (
    number bigint NOT NULL,
    fleet text NOT NULL COLLATE pg_catalog."C",
    at bigint NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    verb text NOT NULL COLLATE pg_catalog."C",
    rollout text NOT NULL COLLATE pg_catalog."C",
    state_before text NOT NULL COLLATE pg_catalog."C",
    state_after text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE sanderling_control.audit ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sanderling_control.audit_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE sanderling_control.bundle_files (
    fleet text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE sanderling_control.bundles (
    fleet text NOT NULL COLLATE pg_catalog."C",
    hash text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);
CREATE TABLE sanderling_control.events (
    fleet text NOT NULL COLLATE pg_catalog."C",
    rollout text NOT NULL COLLATE pg_catalog."C",
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE sanderling_control.fleets (
    fleet text NOT NULL COLLATE pg_catalog."C",
    rollouts bigint NOT NULL
);
CREATE TABLE sanderling_control.hosts (
    fleet text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C",
    in_flight bigint NOT NULL,
    CONSTRAINT hosts_in_flight_check CHECK ((in_flight >= 0))
);
CREATE TABLE sanderling_control.kept (
    fleet text NOT NULL COLLATE pg_catalog."C",
    host text NOT NULL COLLATE pg_catalog."C",
    worker text NOT NULL COLLATE pg_catalog."C",
    kept bigint NOT NULL,
    let_go bigint NOT NULL
);
CREATE TABLE sanderling_control.leaders (
    fleet text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    lease_until bigint NOT NULL
);
CREATE TABLE sanderling_control.rollouts (
    fleet text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    state text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    actor text NOT NULL COLLATE pg_catalog."C",
    last_seq bigint NOT NULL,
    plan text NOT NULL COLLATE pg_catalog."C",
    body text NOT NULL COLLATE pg_catalog."C",
    created_at bigint NOT NULL
);
CREATE TABLE sanderling_control.store (
    one bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT store_one_check CHECK ((one = 1))
);
CREATE TABLE sanderling_control.targets (
    fleet text NOT NULL COLLATE pg_catalog."C",
    rollout text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    number bigint NOT NULL,
    active bigint NOT NULL,
    wave bigint,
    "position" bigint NOT NULL,
    path bigint,
    host text NOT NULL COLLATE pg_catalog."C",
    place text NOT NULL COLLATE pg_catalog."C",
    has_ledger bigint NOT NULL,
    outcome text NOT NULL COLLATE pg_catalog."C",
    applied text NOT NULL COLLATE pg_catalog."C",
    class text COLLATE pg_catalog."C",
    cause text COLLATE pg_catalog."C",
    failure text COLLATE pg_catalog."C",
    attempts text NOT NULL COLLATE pg_catalog."C",
    not_before bigint NOT NULL,
    in_flight bigint NOT NULL,
    epoch bigint NOT NULL,
    nonce text COLLATE pg_catalog."C",
    owner text COLLATE pg_catalog."C",
    lease_until bigint,
    since bigint,
    takeover bigint NOT NULL,
    resolves bigint NOT NULL
);
CREATE TABLE sanderling_control.tenants (
    fleet text NOT NULL COLLATE pg_catalog."C",
    tenant text NOT NULL COLLATE pg_catalog."C",
    epoch bigint NOT NULL,
    unresolved bigint NOT NULL
);
CREATE TABLE sanderling_control.workers (
    fleet text NOT NULL COLLATE pg_catalog."C",
    worker text NOT NULL COLLATE pg_catalog."C",
    hosts text NOT NULL COLLATE pg_catalog."C",
    lease_until bigint NOT NULL,
    away text DEFAULT '[]'::text NOT NULL COLLATE pg_catalog."C"
);
INSERT INTO sanderling_control.audit OVERRIDING SYSTEM VALUE VALUES (1, 'older', 1795809511518800, 'unknown@vm', 'submit', '01a21e96-8858-7321-af23-8cba474d97ab', '', 'running', '5c6c2a12e11826f41cd1db32f7d6cfe15ab9f5d45e9951c29ec49c672fd9eea2');
INSERT INTO sanderling_control.audit OVERRIDING SYSTEM VALUE VALUES (2, 'older', 1795809513478474, 'unknown@vm', 'submit', '01a21e96-8fee-7731-9314-e12ea72b7a11', '', 'running', '0c5764991c80b3edba3712ca7a07ed5890e7360b153d49a85a6760e6eaf58c74');
INSERT INTO sanderling_control.bundle_files VALUES ('older', '09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168', '20260101000000_notes.sql', '-- +migrate Up
CREATE TABLE notes (id integer PRIMARY KEY, text text NOT NULL);
DROP TABLE notes;
');
INSERT INTO sanderling_control.bundle_files VALUES ('older', '09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168', '20260102000000_single.sql', '-- +migrate Up
CREATE UNIQUE INDEX notes_text ON notes (text);
DROP INDEX notes_text;
');
INSERT INTO sanderling_control.bundles VALUES ('older', '09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168', 1795809511509277);
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 1, 1795809511518800, '{"type":"submitted","tenants":6}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 2, 1795809511582934, '{"type":"wave_opened","wave":0}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 3, 1795809511600451, '{"type":"started","tenant":"t4","wave":0,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 4, 1795809511697742, '{"type":"ended","tenant":"t4","wave":0,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":97}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 5, 1795809511716846, '{"type":"started","tenant":"t3","wave":0,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 6, 1795809511790737, '{"type":"ended","tenant":"t3","wave":0,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":73}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 7, 1795809511800375, '{"type":"wave_opened","wave":1}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 8, 1795809513011079, '{"type":"started","tenant":"t5","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 9, 1795809513011079, '{"type":"started","tenant":"t2","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 10, 1795809513068360, '{"type":"ended","tenant":"t5","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":57}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 11, 1795809513068360, '{"type":"ended","tenant":"t2","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":57}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 12, 1795809513077973, '{"type":"started","tenant":"t6","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 13, 1795809513077973, '{"type":"started","tenant":"t1","wave":1,"host":"files","epoch":1,"worker":"worker-vm-4760-e8b33f9a","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 14, 1795809513139833, '{"type":"ended","tenant":"t6","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":61}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 15, 1795809513197790, '{"type":"ended","tenant":"t1","wave":1,"epoch":1,"outcome":"succeeded","applied":["20260101000000"],"failure":null,"duration_ms":119}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 16, 1795809513207523, '{"type":"finished","state":"succeeded"}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 1, 1795809513478474, '{"type":"submitted","tenants":6}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 2, 1795809513509529, '{"type":"wave_opened","wave":0}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 3, 1795809513533138, '{"type":"started","tenant":"t4","wave":0,"host":"files","epoch":2,"worker":"worker-vm-4801-1f0f0021","takeover":false}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 4, 1795809513570961, '{"type":"ended","tenant":"t4","wave":0,"epoch":2,"outcome":"failed","applied":[],"failure":{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1},"duration_ms":37}');
INSERT INTO sanderling_control.events VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 5, 1795809513570961, '{"type":"halted","halt":{"rule":"max_failures","wave":"canary","cause":"migration_sql/2067@20260102000000#1","failures":1,"tolerated":0,"in_flight":0,"tenant":"t4"}}');
INSERT INTO sanderling_control.fleets VALUES ('older', 2);
INSERT INTO sanderling_control.hosts VALUES ('older', 'files', 0);
INSERT INTO sanderling_control.leaders VALUES ('older', '', 2, 0);
INSERT INTO sanderling_control.rollouts VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 1, 'succeeded', '20260101000000', 'unknown@vm', 16, '{"fleet":"older","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260101000000","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","tenants":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1},{"name":"rest","tenants":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2}],"paths":[{"from":null,"versions":["20260101000000"]}],"targets":[],"left_out":[]}', '{"id":"01a21e96-8858-7321-af23-8cba474d97ab","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260101000000","plan_hash":"5c6c2a12e11826f41cd1db32f7d6cfe15ab9f5d45e9951c29ec49c672fd9eea2","state":"succeeded","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","planned":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1,"opened_at":1795809511582934,"swept_at":null,"counts":{"succeeded":2},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}},{"name":"rest","planned":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2,"opened_at":1795809511800375,"swept_at":null,"counts":{"succeeded":4},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}}],"left_out":{},"tally":{"failed":0,"consecutive":0,"by_cause":{}},"causes":{},"in_flight":{},"halt":null,"started_after_halt":0,"submitted_at":1795809511518800,"ended_at":1795809513207523,"last_seq":16}', 1795809511518800);
INSERT INTO sanderling_control.rollouts VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 2, 'halted', '20260102000000', 'unknown@vm', 5, '{"fleet":"older","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260102000000","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","tenants":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1},{"name":"rest","tenants":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2}],"paths":[{"from":"20260101000000","versions":["20260102000000"]}],"targets":[],"left_out":[]}', '{"id":"01a21e96-8fee-7731-9314-e12ea72b7a11","bundle":"09aa7d250538baa9ae989d2d52b403cf9e422c088e03155800434ff8d3d5a168","target":"20260102000000","plan_hash":"0c5764991c80b3edba3712ca7a07ed5890e7360b153d49a85a6760e6eaf58c74","state":"halted","policy":{"concurrency":16,"atomic":"version","lock_timeout_ms":1000,"statement_timeout_ms":0,"host_patience_ms":300000,"create_missing":true,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"retry":{"lock_timeout":{"attempts":5,"base_ms":250,"max_ms":15000},"deadlock":{"attempts":5,"base_ms":100,"max_ms":5000},"connection":{"attempts":8,"base_ms":500,"max_ms":30000},"resource":{"attempts":1,"base_ms":1000,"max_ms":60000},"timeout":{"attempts":1,"base_ms":1000,"max_ms":60000},"worker_lost":{"attempts":4,"base_ms":1000,"max_ms":60000}}},"waves":[{"name":"canary","planned":2,"concurrency":null,"strict":true,"limits":{"max_failures":0,"max_failure_percent":null,"max_consecutive":null,"same_cause":2},"max_in_flight":1,"opened_at":1795809513509529,"swept_at":null,"counts":{"failed":1,"pending":1},"in_flight":0,"tally":{"failed":1,"consecutive":1,"by_cause":{"migration_sql/2067@20260102000000#1":1}}},{"name":"rest","planned":4,"concurrency":null,"strict":false,"limits":{"max_failures":null,"max_failure_percent":null,"max_consecutive":null,"same_cause":null},"max_in_flight":2,"opened_at":null,"swept_at":null,"counts":{"pending":4},"in_flight":0,"tally":{"failed":0,"consecutive":0,"by_cause":{}}}],"left_out":{},"tally":{"failed":1,"consecutive":1,"by_cause":{"migration_sql/2067@20260102000000#1":1}},"causes":{"migration_sql/2067@20260102000000#1":{"failure":{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1},"tenants":1,"examples":["t4"],"moved":0}},"in_flight":{},"halt":{"rule":"max_failures","wave":"canary","cause":"migration_sql/2067@20260102000000#1","failures":1,"tolerated":0,"in_flight":0,"tenant":"t4"},"started_after_halt":0,"submitted_at":1795809513478474,"ended_at":null,"last_seq":5}', 1795809513478474);
INSERT INTO sanderling_control.store VALUES (1, '01a21e96-8844-77bd-a56f-8ef522fe516f', 3, 1795809511493485);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't1', 1, 0, 1, 3, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t1.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, 'c068fc09caca8a5e9c84e5ddcd8d57ef', NULL, NULL, 1795809513077973, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't2', 1, 0, 1, 1, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t2.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, '88b6b13707961bff41931cade3b14d46', NULL, NULL, 1795809513011079, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't3', 1, 0, 0, 1, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t3.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, '4657c2aa979f17edc91ef949e52de2b0', NULL, NULL, 1795809511716846, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't4', 1, 0, 0, 0, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t4.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, '732d868fc41ab9f20db1323101a8697e', NULL, NULL, 1795809511600451, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't5', 1, 0, 1, 0, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t5.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, '1dbd1a335efede903786f3210e2584e4', NULL, NULL, 1795809513011079, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8858-7321-af23-8cba474d97ab', 't6', 1, 0, 1, 2, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t6.db"}', 0, 'succeeded', '["20260101000000"]', NULL, NULL, NULL, '{}', 0, 0, 1, '4409de12671e74d4b44c602edd20a44a', NULL, NULL, 1795809513077973, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't3', 2, 1, 0, 1, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t3.db"}', 1, 'pending', '[]', NULL, NULL, NULL, '{}', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't5', 2, 1, 1, 0, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t5.db"}', 1, 'pending', '[]', NULL, NULL, NULL, '{}', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't2', 2, 1, 1, 1, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t2.db"}', 1, 'pending', '[]', NULL, NULL, NULL, '{}', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't6', 2, 1, 1, 2, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t6.db"}', 1, 'pending', '[]', NULL, NULL, NULL, '{}', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't1', 2, 1, 1, 3, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t1.db"}', 1, 'pending', '[]', NULL, NULL, NULL, '{}', 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0);
INSERT INTO sanderling_control.targets VALUES ('older', '01a21e96-8fee-7731-9314-e12ea72b7a11', 't4', 2, 1, 0, 0, 0, 'files', '{"host":"files","database":null,"schema":null,"file":"t4.db"}', 1, 'failed', '[]', 'migration_sql', 'migration_sql/2067@20260102000000#1', '{"cause":{"class":"migration_sql","code":"2067","version":"20260102000000","statement":1},"message":"UNIQUE constraint failed: notes.text","file":"20260102000000_single.sql","line":2,"column":1}', '{}', 0, 0, 2, 'af9343a3a56439d3f2238cd11c1a624c', NULL, NULL, 1795809513533138, 0, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't3', 1, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't2', 1, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't5', 1, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't6', 1, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't1', 1, 0);
INSERT INTO sanderling_control.tenants VALUES ('older', 't4', 2, 0);
INSERT INTO sanderling_control.workers VALUES ('older', 'worker-vm-4760-e8b33f9a', '[]', 1795809513279026, '[]');
INSERT INTO sanderling_control.workers VALUES ('older', 'worker-vm-4801-1f0f0021', '[]', 1795809513722790, '[]');
SELECT pg_catalog.setval('sanderling_control.audit_number_seq', 2, true);
ALTER TABLE ONLY sanderling_control.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (number);
ALTER TABLE ONLY sanderling_control.bundle_files
    ADD CONSTRAINT bundle_files_pkey PRIMARY KEY (fleet, hash, name);
ALTER TABLE ONLY sanderling_control.bundles
    ADD CONSTRAINT bundles_pkey PRIMARY KEY (fleet, hash);
ALTER TABLE ONLY sanderling_control.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (fleet, rollout, seq);
ALTER TABLE ONLY sanderling_control.fleets
    ADD CONSTRAINT fleets_pkey PRIMARY KEY (fleet);
ALTER TABLE ONLY sanderling_control.hosts
    ADD CONSTRAINT hosts_pkey PRIMARY KEY (fleet, host);
ALTER TABLE ONLY sanderling_control.kept
    ADD CONSTRAINT kept_pkey PRIMARY KEY (fleet, host, worker);
ALTER TABLE ONLY sanderling_control.leaders
    ADD CONSTRAINT leaders_pkey PRIMARY KEY (fleet);
ALTER TABLE ONLY sanderling_control.rollouts
    ADD CONSTRAINT rollouts_pkey PRIMARY KEY (fleet, id);
ALTER TABLE ONLY sanderling_control.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (one);
ALTER TABLE ONLY sanderling_control.targets
    ADD CONSTRAINT targets_pkey PRIMARY KEY (fleet, rollout, tenant);
ALTER TABLE ONLY sanderling_control.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (fleet, tenant);
ALTER TABLE ONLY sanderling_control.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (fleet, worker);
CREATE INDEX bundle_files_by_name ON sanderling_control.bundle_files USING btree (fleet, name);
CREATE UNIQUE INDEX rollouts_by_number ON sanderling_control.rollouts USING btree (fleet, number);
CREATE INDEX targets_believed ON sanderling_control.targets USING btree (fleet, tenant, number) WHERE ((epoch > 0) OR (outcome = 'up_to_date'::text));
CREATE INDEX targets_in_flight ON sanderling_control.targets USING btree (fleet, rollout, lease_until) WHERE (in_flight = 1);
CREATE UNIQUE INDEX targets_one_active_rollout ON sanderling_control.targets USING btree (fleet, tenant) WHERE (active = 1);
CREATE UNIQUE INDEX targets_one_claim ON sanderling_control.targets USING btree (fleet, tenant) WHERE (in_flight = 1);
CREATE INDEX targets_to_start ON sanderling_control.targets USING btree (fleet, rollout, wave, "position") WHERE ((outcome = 'pending'::text) AND (in_flight = 0));
