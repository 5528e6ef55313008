-- The invoice list, the dashboard of open amounts and the "my projects" page read by these.
-- +migrate Up
CREATE INDEX invoices_account_issued_idx ON invoices (account_id, issued_on DESC);
CREATE INDEX invoices_open_idx ON invoices (account_id) WHERE status = 'open';
CREATE INDEX projects_owner_idx ON projects (owner_id) WHERE NOT archived;
CREATE INDEX project_members_user_idx ON project_members (user_id);
-- +migrate Down
DROP INDEX project_members_user_idx;
DROP INDEX projects_owner_idx;
DROP INDEX invoices_open_idx;
DROP INDEX invoices_account_issued_idx;
