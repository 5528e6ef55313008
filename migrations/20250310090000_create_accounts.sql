-- One row: the tenant itself, and what it pays for.
-- +migrate Up
CREATE TABLE accounts (
    id          bigint PRIMARY KEY,
    name        text NOT NULL,
    plan        text NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'team', 'enterprise')),
    seats       integer NOT NULL DEFAULT 3 CHECK (seats > 0),
    created_at  timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
-- +migrate Down
DROP TABLE accounts;
