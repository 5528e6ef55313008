-- Amounts are in the smallest unit of the currency, never in floating point.
-- +migrate Up
CREATE TABLE invoices (
    id           bigint PRIMARY KEY,
    account_id   bigint NOT NULL REFERENCES accounts (id),
    number       text NOT NULL UNIQUE,
    net_cents    bigint NOT NULL CHECK (net_cents >= 0),
    tax_cents    bigint NOT NULL DEFAULT 0 CHECK (tax_cents >= 0),
    issued_on    date NOT NULL,
    paid_on      date,
    status       text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'open', 'paid', 'void'))
);

CREATE TABLE invoice_lines (
    invoice_id   bigint NOT NULL REFERENCES invoices (id) ON DELETE CASCADE,
    position     integer NOT NULL,
    description  text NOT NULL,
    quantity     integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    unit_cents   bigint NOT NULL,
    PRIMARY KEY (invoice_id, position)
);
-- +migrate Down
DROP TABLE invoice_lines;
DROP TABLE invoices;
