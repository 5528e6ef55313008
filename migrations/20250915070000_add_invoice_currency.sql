-- sanderling: lock_timeout=2s
-- Every invoice so far is in euros, except those of the US entity, whose numbers begin with US-.
-- +migrate Up
ALTER TABLE invoices ADD COLUMN currency text NOT NULL DEFAULT 'EUR';
ALTER TABLE invoices ADD COLUMN gross_cents bigint NOT NULL DEFAULT 0;
UPDATE invoices
SET currency = CASE WHEN number LIKE 'US-%' THEN 'USD' ELSE 'EUR' END,
    gross_cents = net_cents + tax_cents;
-- +migrate Down
ALTER TABLE invoices DROP COLUMN gross_cents;
ALTER TABLE invoices DROP COLUMN currency;
