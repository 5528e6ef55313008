//! Running a migration as a role of its tenant's: taken on after the guard, read back, given up before the tail.

use sanderling_core::{ErrorClass, Failure};
use sanderling_sql::quote::Quoted;

use super::entries::Entries;
use super::errors::{ServerError, state};
use super::names::{Schema, ident, literal};

/// No such role: as the owner of what is made, and as the value of a setting.
const UNDEFINED: [&str; 2] = ["42704", "22023"];

/// The role that a tenant's migrations run as.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// As it is called.
    pub(super) name: String,
    /// In double quotes.
    pub(super) ident: Quoted,
    /// In single quotes.
    pub(super) literal: Quoted,
}

impl Role {
    /// Quotes a role's name.
    ///
    /// # Errors
    /// A name that PostgreSQL would cut or cannot have.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        Ok(Self {
            name: name.to_owned(),
            ident: ident(name)?,
            literal: literal(name)?,
        })
    }

    /// Takes the role on until the transaction ends or `AS_LOGIN` gives it up, and raises unless that is what
    /// happened (`none` is no role) and names still resolve in the tenant's schema: where the role may not use it,
    /// `CREATE TABLE` would go to the temporary one without an error.
    pub(super) fn assume(
        &self,
        schema: &Schema,
        entries: &Entries,
        tag: &str,
    ) -> Result<String, Failure> {
        let not_taken = literal(&format!("the session did not become role {}", self.ident))?;
        let not_usable = literal(&format!(
            "role {role} may not use schema {schema}: GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}, or let it own \
             the schema",
            role = self.ident,
            schema = schema.ident
        ))?;
        let path_usable = self.may_use(entries)?;
        Ok(format!(
            "DO ${tag}$ BEGIN
PERFORM pg_catalog.set_config('role', {role}, true);
IF current_user IS DISTINCT FROM {role}::name THEN
 RAISE EXCEPTION USING ERRCODE = '{ROLE}', MESSAGE = {not_taken};
END IF;
IF pg_catalog.current_schema() IS DISTINCT FROM {schema}::name THEN
 RAISE EXCEPTION USING ERRCODE = '{ROLE}', MESSAGE = {not_usable};
END IF;
{path_usable}END ${tag}$",
            role = self.literal,
            schema = schema.literal,
            ROLE = state::ROLE,
        ))
    }

    /// plpgsql that raises where the role, once taken on, may not use the rest of the path.
    fn may_use(&self, entries: &Entries) -> Result<String, Failure> {
        if entries.is_empty() {
            return Ok(String::new());
        }
        let message = literal(&format!(
            "role {role} may not use all of the host's search_path: GRANT USAGE ON SCHEMA {names} TO {role}",
            role = self.ident,
            names = entries.names(),
        ))?;
        Ok(format!(
            "IF NOT ({usable}) THEN
 RAISE EXCEPTION USING ERRCODE = '{ROLE}', MESSAGE = {message};
END IF;
",
            usable = entries.usable(),
            ROLE = state::ROLE,
        ))
    }

    /// What an error while the role was taken on, or while something was made for it, means; as it is where it has
    /// nothing to do with the role. `login` is the login role's name.
    pub(super) fn failure(&self, error: &ServerError, login: &str) -> Failure {
        let mut failure = error.failure();
        // A name that the server gave us quotes like any other.
        let login = ident(login).map_or_else(|_| login.to_owned(), |quoted| quoted.to_string());
        let (class, way) = match error.code.as_str() {
            code if UNDEFINED.contains(&code) => {
                failure.message = format!("role {} does not exist", self.name);
                (
                    ErrorClass::Precondition,
                    format!(
                        "CREATE ROLE {role}; GRANT {role} TO {login}; and let it own what is the tenant's",
                        role = self.ident
                    ),
                )
            }
            "42501" => (
                ErrorClass::Permission,
                format!("GRANT {} TO {login}", self.ident),
            ),
            state::ROLE => (ErrorClass::Permission, String::new()),
            _ => return failure,
        };
        failure.cause.class = class;
        failure.cause.code = "role".into();
        if !way.is_empty() {
            failure.message = format!("{}: {way}", failure.message);
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_be_cut_is_refused() {
        assert!(Role::new(&"r".repeat(63)).is_ok());
        let failure = Role::new(&"r".repeat(64)).unwrap_err();
        assert_eq!(failure.cause.class, ErrorClass::Precondition);
    }
}
