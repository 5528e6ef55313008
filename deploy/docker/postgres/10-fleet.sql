-- Run once by psql, as superuser, when the database is new: the control store's database, and that of the shops with a
-- schema for each. tenants/shops.csv lists the same schemas.
\set ON_ERROR_STOP on
\getenv control_password CONTROL_PASSWORD
\getenv shops_password SHOPS_PASSWORD

CREATE ROLE sanderling LOGIN PASSWORD :'control_password';
CREATE ROLE migrator LOGIN PASSWORD :'shops_password';
CREATE DATABASE sanderling OWNER sanderling;
CREATE DATABASE shops OWNER migrator;
REVOKE ALL ON DATABASE sanderling, shops FROM PUBLIC;

\connect shops
SET ROLE migrator;
DO $$
BEGIN
    FOR shop IN 1..300 LOOP
        EXECUTE format('CREATE SCHEMA %I', 'shop_' || to_char(shop, 'FM000'));
    END LOOP;
END
$$;
