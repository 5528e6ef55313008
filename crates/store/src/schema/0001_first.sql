CREATE TABLE store (
    one bigint PRIMARY KEY CHECK (one = 1),
    id {text} NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);
CREATE TABLE fleets (
    fleet {text} PRIMARY KEY,
    rollouts bigint NOT NULL
);
CREATE TABLE bundles (
    fleet {text} NOT NULL,
    hash {text} NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (fleet, hash)
);
CREATE TABLE bundle_files (
    fleet {text} NOT NULL,
    hash {text} NOT NULL,
    name {text} NOT NULL,
    body {text} NOT NULL,
    PRIMARY KEY (fleet, hash, name)
);
CREATE INDEX bundle_files_by_name ON bundle_files (fleet, name);
CREATE TABLE rollouts (
    fleet {text} NOT NULL,
    id {text} NOT NULL,
    number bigint NOT NULL,
    state {text} NOT NULL,
    target {text} NOT NULL,
    actor {text} NOT NULL,
    last_seq bigint NOT NULL,
    plan {text} NOT NULL,
    body {text} NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (fleet, id)
);
CREATE UNIQUE INDEX rollouts_by_number ON rollouts (fleet, number);
CREATE TABLE targets (
    fleet {text} NOT NULL,
    rollout {text} NOT NULL,
    tenant {text} NOT NULL,
    number bigint NOT NULL,
    active bigint NOT NULL,
    wave bigint,
    position bigint NOT NULL,
    path bigint,
    host {text} NOT NULL,
    place {text} NOT NULL,
    has_ledger bigint NOT NULL,
    outcome {text} NOT NULL,
    applied {text} NOT NULL,
    class {text},
    cause {text},
    failure {text},
    attempts {text} NOT NULL,
    not_before bigint NOT NULL,
    in_flight bigint NOT NULL,
    epoch bigint NOT NULL,
    nonce {text},
    owner {text},
    lease_until bigint,
    since bigint,
    takeover bigint NOT NULL,
    resolves bigint NOT NULL,
    PRIMARY KEY (fleet, rollout, tenant)
);
CREATE UNIQUE INDEX targets_one_active_rollout ON targets (fleet, tenant) WHERE active = 1;
CREATE UNIQUE INDEX targets_one_claim ON targets (fleet, tenant) WHERE in_flight = 1;
CREATE INDEX targets_in_flight ON targets (fleet, rollout, lease_until) WHERE in_flight = 1;
CREATE INDEX targets_to_start ON targets (fleet, rollout, wave, position) WHERE outcome = 'pending' AND in_flight = 0;
CREATE INDEX targets_believed ON targets (fleet, tenant, number) WHERE epoch > 0 OR outcome = 'up_to_date';
CREATE TABLE tenants (
    fleet {text} NOT NULL,
    tenant {text} NOT NULL,
    epoch bigint NOT NULL,
    unresolved bigint NOT NULL,
    PRIMARY KEY (fleet, tenant)
);
CREATE TABLE hosts (
    fleet {text} NOT NULL,
    host {text} NOT NULL,
    in_flight bigint NOT NULL CHECK (in_flight >= 0),
    PRIMARY KEY (fleet, host)
);
CREATE TABLE events (
    fleet {text} NOT NULL,
    rollout {text} NOT NULL,
    seq bigint NOT NULL,
    at bigint NOT NULL,
    kind {text} NOT NULL,
    PRIMARY KEY (fleet, rollout, seq)
);
CREATE TABLE leaders (
    fleet {text} PRIMARY KEY,
    holder {text} NOT NULL,
    epoch bigint NOT NULL,
    lease_until bigint NOT NULL
);
CREATE TABLE workers (
    fleet {text} NOT NULL,
    worker {text} NOT NULL,
    hosts {text} NOT NULL,
    lease_until bigint NOT NULL,
    PRIMARY KEY (fleet, worker)
);
CREATE TABLE audit (
    number {identity},
    fleet {text} NOT NULL,
    at bigint NOT NULL,
    actor {text} NOT NULL,
    verb {text} NOT NULL,
    rollout {text} NOT NULL,
    state_before {text} NOT NULL,
    state_after {text} NOT NULL,
    detail {text} NOT NULL
);
