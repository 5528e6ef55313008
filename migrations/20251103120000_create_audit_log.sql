-- Who did what. Rows are written by the application and never changed.
-- +migrate Up
CREATE TABLE audit_log (
    id           bigint PRIMARY KEY,
    at           timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
    actor_id     bigint REFERENCES users (id) ON DELETE SET NULL,
    action       text NOT NULL,
    subject      text NOT NULL,
    details      text NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_at_idx ON audit_log (at);
CREATE INDEX audit_log_subject_idx ON audit_log (subject, at);

-- The first entry says where the history begins; what came before was not recorded.
INSERT INTO audit_log (id, action, subject, details)
VALUES (0, 'audit.started', 'account', '{"note": "no history before this entry; it''s expected"}');
-- +migrate Down
DROP TABLE audit_log;
