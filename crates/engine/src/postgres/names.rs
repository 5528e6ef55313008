//! A place's names as SQL text, quoted once by `sanderling_sql::quote`.

use sanderling_core::{ErrorClass, Failure, Place};
use sanderling_sql::Dialect;
use sanderling_sql::quote::{self, QuoteError, Quoted};
use sha2::{Digest, Sha256};

use crate::ledger;

/// Our own schema in every tenant database. It is no place for a tenant.
pub(crate) const OWN_SCHEMA: &str = "sanderling";

/// The schema of a tenant that has a whole database.
const WHOLE_DATABASE: &str = "public";

/// A value in single quotes.
pub(crate) fn literal(value: &str) -> Result<Quoted, Failure> {
    quote::literal(Dialect::Postgres, value).map_err(|error| refused(&error))
}

/// A name in double quotes.
pub(crate) fn ident(name: &str) -> Result<Quoted, Failure> {
    quote::ident(Dialect::Postgres, name).map_err(|error| refused(&error))
}

fn refused(error: &QuoteError) -> Failure {
    Failure::new(ErrorClass::Precondition, "name", error.to_string())
}

/// The schema of a place: as it is called, and as it stands in SQL.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// The bare name.
    pub(crate) name: String,
    /// In double quotes.
    pub(crate) ident: Quoted,
    /// In single quotes.
    pub(crate) literal: Quoted,
    /// The fence's `place`, in single quotes: the schema's name, or nothing where it is `public`, so that a database
    /// and its schema `public` cannot have two rows.
    pub(crate) place: Quoted,
}

impl Schema {
    /// Checks and quotes the schema of a place; a place that is a whole database is its schema `public`.
    ///
    /// # Errors
    /// A place without schema and database, a name that cannot be quoted, and names that belong to the server or to us.
    pub(crate) fn of(place: &Place) -> Result<Self, Failure> {
        let name = match (place.schema.as_deref(), &place.database) {
            (Some(schema), _) => schema,
            (None, Some(_)) => WHOLE_DATABASE,
            (None, None) => {
                return Err(Failure::new(
                    ErrorClass::Precondition,
                    "place",
                    format!(
                        "{place}: names neither a schema nor a database; give the tenant one of them"
                    ),
                ));
            }
        };
        // In a search path "$user" stands for the role's name, quoted or not.
        let reserved = ["information_schema", "$user", OWN_SCHEMA];
        if name.starts_with("pg_") || reserved.contains(&name) {
            return Err(Failure::new(
                ErrorClass::Precondition,
                "name",
                format!(
                    "{place}: schema {name} belongs to the server or to Sanderling, not to a tenant"
                ),
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            ident: ident(name)?,
            literal: literal(name)?,
            place: literal(if name == WHOLE_DATABASE { "" } else { name })?,
        })
    }

    /// The ledger's table, qualified and quoted.
    pub(crate) fn ledger(&self) -> String {
        format!("{}.{}", self.ident, ledger::TABLE)
    }

    /// Asks for a row if the schema is there, whoever may use it.
    pub(crate) fn exists(&self) -> String {
        format!(
            "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {}",
            self.literal
        )
    }

    /// The key of the tenant's advisory lock: two names for one schema collide, whoever calls it what.
    ///
    /// `database_oid` is what the server said; the guard makes the server confirm the schema's name. Two places with
    /// one key by chance only wait for one another.
    pub(crate) fn lock_key(&self, database_oid: &str) -> i64 {
        let mut hasher = Sha256::new();
        hasher.update(b"sanderling tenant lock 1\0");
        hasher.update(database_oid.as_bytes());
        hasher.update([0]);
        hasher.update(self.name.as_bytes());
        first_eight(&hasher.finalize())
    }
}

/// The key of the lock under which the fence's table is created in a database.
pub(crate) fn installation_key() -> i64 {
    first_eight(&Sha256::digest(b"sanderling fence table 1"))
}

/// The key of the lock under which one session at a time, in a database, sends statements that wait for every older
/// transaction there.
pub(crate) fn waiting_key() -> i64 {
    first_eight(&Sha256::digest(b"sanderling concurrently 1"))
}

fn first_eight(digest: &[u8]) -> i64 {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest) {
        *to = *from;
    }
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_core::HostName;

    fn place(schema: Option<&str>) -> Place {
        Place {
            host: HostName::new("eu1"),
            database: None,
            schema: schema.map(str::to_owned),
            file: None,
        }
    }

    #[test]
    fn names_that_are_no_tenants_are_refused() {
        for name in [
            "pg_catalog",
            "pg_temp",
            "information_schema",
            "$user",
            "sanderling",
            "",
            "a\0b",
        ] {
            let failure = Schema::of(&place(Some(name))).unwrap_err();
            assert_eq!(failure.cause.class, ErrorClass::Precondition, "{name}");
        }
        let failure = Schema::of(&place(None)).unwrap_err();
        assert!(failure.message.contains("neither"), "{failure:?}");
    }

    #[test]
    fn a_whole_database_is_its_schema_public() {
        let mut whole = place(None);
        whole.database = Some("d1".into());
        let (whole, public) = (
            Schema::of(&whole).unwrap(),
            Schema::of(&place(Some("public"))).unwrap(),
        );
        assert_eq!(
            (whole.ledger(), whole.place.as_str()),
            (public.ledger(), "''")
        );
        assert_eq!(whole.place, public.place);
        assert_eq!(whole.lock_key("5"), public.lock_key("5"));
        let other = Schema::of(&place(Some("t1"))).unwrap();
        assert_eq!(other.place.as_str(), "'t1'");
    }

    #[test]
    fn the_lock_depends_on_database_and_schema() {
        let schema = Schema::of(&place(Some("t1"))).unwrap();
        assert_eq!(schema.lock_key("5"), schema.lock_key("5"));
        assert_ne!(schema.lock_key("5"), schema.lock_key("6"));
        let other = Schema::of(&place(Some("t2"))).unwrap();
        assert_ne!(schema.lock_key("5"), other.lock_key("5"));
    }
}
