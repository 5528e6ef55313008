-- +migrate Up
CREATE TABLE users (
    id          bigint PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES accounts (id),
    email       text NOT NULL,
    full_name   text NOT NULL,
    role        text NOT NULL DEFAULT 'member' CHECK (role IN ('owner', 'admin', 'member', 'guest')),
    last_seen   timestamp,
    created_at  timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
);
-- Two spellings of one address are one person.
CREATE UNIQUE INDEX users_email_key ON users (lower(email));
-- +migrate Down
DROP TABLE users;
