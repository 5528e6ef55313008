ALTER TABLE kept ADD COLUMN seats bigint;
CREATE INDEX targets_by_tenant ON targets (fleet, tenant, number);
