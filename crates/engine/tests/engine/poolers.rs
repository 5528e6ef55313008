//! A pooler between: never a wrong apply, always the reason, and a way around.

use sanderling_core::{ErrorClass, Failure, Standing};
use sanderling_secrets::Reference;
use sanderling_testkit::{Pgbouncer, Postgres};

use crate::support::{Fleet, LIMITS, applied, claim, first};

const MODES: [&str; 3] = ["session", "transaction", "statement"];

/// What operators write so that drivers can connect at all.
const IGNORES: [&[(&str, &str)]; 3] = [
    &[],
    &[("ignore_startup_parameters", "extra_float_digits")],
    &[("ignore_startup_parameters", "extra_float_digits, options")],
];

#[track_caller]
fn is_pooler(failure: &Failure, way: &str) {
    let seen = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(seen, (ErrorClass::Precondition, "pooler"), "{failure:?}");
    assert!(failure.message.starts_with("host h1: "), "{failure:?}");
    assert!(failure.message.contains(way), "{failure:?}");
}

async fn refused(fleet: &Fleet, way: &str) {
    let place = fleet.place("t1");
    let opened = fleet.driver().open(&place, &claim(1), &LIMITS).await;
    is_pooler(&opened.err().expect("a pooler is refused").0, way);
    let places = std::slice::from_ref(&place);
    match fleet.hosts.survey(places).await.remove(0) {
        Standing::Unreachable(failure) => is_pooler(&failure, way),
        other => panic!("{other:?}"),
    }
    is_pooler(&fleet.driver().greet().await.unwrap_err().0, way);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_is_refused_and_gone_around() {
    let owner = Fleet::postgres();
    let place = owner.create("t1").await;
    for mode in MODES {
        for ignores in IGNORES {
            let pooler = Pgbouncer::before_with(Postgres::shared(), mode, ignores);
            let through = pooler.url_of(owner.url());
            let fleet = Fleet::postgres_at(owner.url(), &through);
            refused(&fleet, "set hosts.h1.direct_url").await;
            let around = |url: &str| Some(Reference::new(url));
            let fleet = fleet.with(|config| config.direct_url = around(&through));
            refused(&fleet, "direct_url has to lead to the server itself").await;
            let objects = "SELECT count(*) FROM pg_namespace WHERE nspname = 'sanderling'";
            assert_eq!(owner.count(&place, objects).await, 0, "{mode} {ignores:?}");
            let fleet = fleet.with(|config| config.direct_url = around(owner.url()));
            assert!(
                fleet
                    .driver()
                    .greet()
                    .await
                    .unwrap()
                    .contains("by direct_url")
            );
            applied(fleet.apply(&place, &claim(1), &first()).await);
            fleet.hosts.close().await;
            owner
                .run(
                    &place,
                    "DROP TABLE t, sanderling_migrations; DROP SCHEMA sanderling CASCADE",
                )
                .await;
        }
    }
}

/// Every setting is in force by chance, and still the backend is not this connection's.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_happen_to_be_right_do_not_make_a_pooler_a_server() {
    let owner = Fleet::postgres();
    let place = owner.create("t1").await;
    let database = owner.url().rsplit_once('/').unwrap().1;
    let settings: String = [
        ("lock_timeout", "2s"),
        ("statement_timeout", "30s"),
        ("default_transaction_isolation", "read committed"),
        ("search_path", "pg_catalog,pg_temp"),
        ("row_security", "off"),
        ("client_min_messages", "warning"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("idle_session_timeout", "10s"),
        ("client_connection_check_interval", "2s"),
    ]
    .iter()
    .map(|(name, value)| match *name {
        "search_path" => format!("ALTER DATABASE {database} SET search_path = {value};"),
        _ => format!("ALTER DATABASE {database} SET {name} = '{value}';"),
    })
    .collect();
    owner.run(&place, &settings).await;
    let ignores = [("ignore_startup_parameters", "extra_float_digits, options")];
    for mode in ["session", "transaction"] {
        let pooler = Pgbouncer::before_with(Postgres::shared(), mode, &ignores);
        let fleet = Fleet::postgres_at(owner.url(), &pooler.url_of(owner.url()));
        let opened = fleet.driver().open(&place, &claim(1), &LIMITS).await;
        is_pooler(
            &opened.err().expect("it is refused").0,
            "none of our start-up options",
        );
    }
}
