-- +migrate Up
CREATE TABLE projects (
    id          bigint PRIMARY KEY,
    account_id  bigint NOT NULL REFERENCES accounts (id),
    owner_id    bigint REFERENCES users (id) ON DELETE SET NULL,
    name        text NOT NULL,
    archived    boolean NOT NULL DEFAULT false,
    created_at  timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (account_id, name)
);

CREATE TABLE project_members (
    project_id  bigint NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id     bigint NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    joined_at   timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (project_id, user_id)
);
-- +migrate Down
DROP TABLE project_members;
DROP TABLE projects;
