//! Hostile names, hostile settings, secrets.

use std::path::PathBuf;

use sanderling_core::{ErrorClass, HostName, Place, Standing};
use sanderling_engine::{HostConfig, Hosts, SearchPath};
use sanderling_secrets::Reference;
use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, unique};

use crate::support::{Fleet, Migration, applied, claim, failed, first};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_schema_names_stay_names() {
    let fleet = Fleet::postgres();
    for name in [
        "a\"; DROP SCHEMA public; --",
        "it's",
        "back\\slash'",
        "UPPER Case",
        "$users",
        "é漢字",
        "semi;colon",
        "sd$tag$",
        "select",
    ] {
        let place = fleet.create(name).await;
        applied(fleet.apply(&place, &claim(1), &first()).await);
        let again = Migration::new("2", &["INSERT INTO t VALUES (2) -- the end"]);
        applied(fleet.apply(&place, &claim(1), &again).await);
        assert_eq!(fleet.ledger(&place).await.len(), 2, "{name}");
        assert_eq!(
            fleet
                .hosts
                .catalogs(&[place])
                .await
                .remove(0)
                .map(|c| c.lines.len()),
            Ok(2)
        );
    }
    for name in [
        "pg_temp",
        "pg_catalog",
        "sanderling",
        "$user",
        "",
        &"x".repeat(64),
    ] {
        let open = fleet
            .driver()
            .open(&fleet.place(name), &claim(1), &crate::support::LIMITS)
            .await;
        assert_eq!(
            open.err().map(|e| e.0.cause.class),
            Some(ErrorClass::Precondition),
            "{name}"
        );
    }
}

/// Settings of the login role that would break the protocol are outranked.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_role_do_not_count() {
    let pg = Postgres::shared();
    let owner = Fleet::postgres();
    let place = owner.create("t1").await;
    let role = unique("role");
    pg.sql(
        owner.url(),
        &format!(
            "CREATE ROLE {role} LOGIN SUPERUSER; CREATE ROLE {role}_owner; \
             ALTER ROLE {role} SET role = '{role}_owner'; \
             ALTER ROLE {role} SET search_path = 'nowhere'; \
             ALTER ROLE {role} SET default_transaction_isolation = 'serializable'; \
             ALTER ROLE {role} SET default_transaction_read_only = on; \
             ALTER ROLE {role} SET standard_conforming_strings = off; \
             ALTER ROLE {role} SET lock_timeout = '1ms'; \
             ALTER ROLE {role} SET timezone = 'Asia/Tokyo'"
        ),
    );
    let through = owner.url().replace("postgres@", &format!("{role}@"));
    let fleet = Fleet::postgres_at(owner.url(), &through);
    let settings =
        "CREATE TABLE seen AS SELECT current_setting('transaction_isolation') = 'read committed'
        AND current_setting('TimeZone') = 'UTC' AND current_setting('lock_timeout') = '2s' AND current_setting('row_security') = 'off'
        AND (SELECT reset_val FROM pg_settings WHERE name = 'search_path') = 'pg_catalog,pg_temp' AND current_user = session_user AS ok";
    for version in ["1", "2"] {
        let table = settings.replace("seen", &format!("seen{version}"));
        applied(
            fleet
                .apply(&place, &claim(1), &Migration::new(version, &[&table]))
                .await,
        );
        let ok = format!("SELECT ok::int FROM seen{version}");
        assert_eq!(owner.count(&place, &ok).await, 1);
    }
}

/// A login role that may look but not write gets a class of its own, and hurts nobody else's standing.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_rights_is_told_apart() {
    let pg = Postgres::shared();
    let owner = Fleet::postgres();
    let role = unique("role");
    pg.sql(owner.url(), &format!("CREATE ROLE {role} LOGIN"));
    let mut places = Vec::new();
    for name in ["open", "ledger_only", "closed"] {
        let place = owner.create(name).await;
        applied(owner.apply(&place, &claim(1), &first()).await);
        places.push(place);
    }
    let grants = format!(
        "GRANT USAGE ON SCHEMA open, ledger_only TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA open TO {role}; \
         GRANT USAGE ON SCHEMA sanderling TO {role}"
    );
    pg.sql(owner.url(), &grants);
    let through = owner.url().replace("postgres@", &format!("{role}@"));
    let fleet = Fleet::postgres_at(owner.url(), &through);
    let standings = fleet.hosts.survey(&places).await;
    assert!(matches!(&standings[0], Standing::Present { rows, .. } if rows.len() == 1));
    for standing in &standings[1..] {
        let Standing::Unreachable(failure) = standing else {
            panic!("{standing:?}");
        };
        assert_eq!(failure.cause.class, ErrorClass::Permission);
    }
    let refused = fleet
        .apply(&places[0], &claim(2), &Migration::new("2", &["SELECT 1"]))
        .await;
    assert_eq!(failed(refused).cause.class, ErrorClass::Permission);
}

fn config(name: &str, url: &str) -> HostConfig {
    HostConfig {
        name: HostName::new(name),
        url: Reference::new(url),
        direct_url: None,
        role: None,
        search_path: SearchPath::default(),
        connections: 3,
        in_flight: None,
        base_dir: PathBuf::from("/nowhere"),
    }
}

fn place(host: &str) -> Place {
    Place {
        host: HostName::new(host),
        database: None,
        schema: Some("t1".into()),
        file: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_cannot_be_reached_say_why_and_hide_the_password() {
    let free = sanderling_testkit::free_port();
    let pg = Postgres::shared();
    let missing_database = pg.url_of("no_such_database");
    let hosts = Hosts::new(vec![
        config(
            "unset",
            "postgres://app:${SANDERLING_TEST_UNSET}@db:5432/app",
        ),
        config(
            "away",
            &format!("postgres://app:hunter2@127.0.0.1:{free}/app"),
        ),
        config("odd", "postgres://app:hunter2@127.0.0.1:notaport/app"),
        config("stranger", "oracle://app:hunter2@db/app"),
        config("no_database", &missing_database),
    ])
    .unwrap();
    let names = ["unset", "away", "odd", "stranger", "no_database"];
    let places: Vec<_> = names.iter().map(|name| place(name)).collect();
    let standings = hosts.survey(&places).await;
    for (name, standing) in names.iter().zip(&standings) {
        match standing {
            Standing::Unreachable(failure) => {
                assert!(!failure.message.contains("hunter2"), "{failure:?}");
                assert!(failure.message.contains(name), "{failure:?}");
            }
            Standing::Missing => assert_eq!(*name, "no_database"),
            Standing::Present { .. } => panic!("{name}"),
        }
    }
    let unset = hosts.driver(&HostName::new("unset")).err().unwrap();
    assert!(
        unset.to_string().contains("SANDERLING_TEST_UNSET"),
        "{unset}"
    );
    assert_eq!(
        hosts.dialect(&HostName::new("unset")).unwrap(),
        Dialect::Postgres
    );
    assert_eq!(hosts.budgets()[&HostName::new("away")], 3);
    assert!(Hosts::new(vec![config("a", "sqlite://x"), config("a", "sqlite://y")]).is_err());
    assert!(hosts.driver(&HostName::new("nobody")).is_err());
    hosts.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_from_the_client_is_refused_before_anything_is_sent() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let copy = Migration::new("1", &["CREATE TABLE t (n integer)", "COPY t FROM STDIN"]);
    let failure = failed(fleet.apply(&place, &claim(1), &copy).await);
    assert_eq!(
        (failure.cause.code.as_str(), failure.cause.statement),
        ("copy", Some(2))
    );
}
