//! The demo's fleet, as files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

/// How many tenants.
const TENANTS: usize = 300;

const CONFIGURATION: &str = include_str!("sanderling.toml");

/// Where each shop begins: orders, enough of them that a migration takes its time.
const FIRST: &str = "-- +migrate Up
CREATE TABLE orders (id integer PRIMARY KEY, cents integer NOT NULL);
INSERT INTO orders (cents)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) SELECT i * 7 FROM n;

-- +migrate Down
DROP TABLE orders;
";

/// The file of the migration that fails.
pub(super) const SECOND: &str = "migrations/0002_currency.sql";
/// Its version.
pub(super) const SECOND_VERSION: &str = "0002";

const SECOND_TEXT: &str = "-- +migrate Up
ALTER TABLE orders ADD COLUMN currency text NOT NULL DEFAULT 'EUR';
UPDATE orders SET curency = 'USD' WHERE cents % 3 = 0;

-- +migrate Down
ALTER TABLE orders DROP COLUMN currency;
";

/// Writes configuration, registry and the first migration.
pub(super) fn write(directory: &Path) -> anyhow::Result<()> {
    let mut tenants = String::from("id,host,file,plan\n");
    for n in 1..=TENANTS {
        let plan = if n % 3 == 0 { "team" } else { "free" };
        writeln!(tenants, "shop-{n:03},files,shop-{n:03}.db,{plan}")?;
    }
    file(directory, "sanderling.toml", CONFIGURATION)?;
    file(directory, "tenants.csv", &tenants)?;
    file(directory, "migrations/0001_orders.sql", FIRST)
}

/// Adds the migration that fails.
pub(super) fn spoil(directory: &Path) -> anyhow::Result<()> {
    file(directory, SECOND, SECOND_TEXT)
}

/// Mends it.
pub(super) fn mend(directory: &Path) -> anyhow::Result<()> {
    file(
        directory,
        SECOND,
        &SECOND_TEXT.replace("curency", "currency"),
    )
}

fn file(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    let written = || -> std::io::Result<()> {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above)?;
        }
        std::fs::write(&path, text)
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}
