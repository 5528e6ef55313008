//! Looking at many tenants costs by database, not by tenant.

use sanderling_core::{ErrorClass, Standing};
use sanderling_testkit::{Postgres, Proxy};

use crate::support::{Fleet, applied, claim, first};

const LEDGER: &str = "sanderling_migrations (version text PRIMARY KEY, name text, checksum text, state text, \
     step int, steps int, epoch bigint, rollout text, applied_at timestamptz, duration_ms bigint, applied_by text)";

#[tokio::test(flavor = "multi_thread")]
async fn survey_of_500_schemas_is_a_handful() {
    let pg = Postgres::shared();
    let url = pg.create_database();
    let proxy = Proxy::postgres(&url);
    let fleet = Fleet::postgres_at(&url, proxy.url());
    let sql = format!(
        "DO $$ BEGIN FOR n IN 0..499 LOOP \
           EXECUTE format('CREATE SCHEMA s%s', n); \
           IF n % 10 <> 0 THEN EXECUTE format('CREATE TABLE s%s.{LEDGER}', n); \
             EXECUTE format('INSERT INTO s%s.sanderling_migrations (version, checksum, state, epoch) VALUES (''1'', ''c'', ''applied'', %s)', n, n); \
           END IF; END LOOP; END $$"
    );
    // A thousand tables at a time would hold more locks than a stock server has.
    pg.sql(&url, &sql);
    let places: Vec<_> = (0..520).map(|n| fleet.place(&format!("s{n}"))).collect();
    let standings = fleet.hosts.survey(&places).await;
    let queries = proxy.queries();
    assert!(queries <= 4, "{queries} messages");
    assert_eq!((proxy.connections(), proxy.others()), (1, 0));
    for (n, standing) in standings.iter().enumerate() {
        match standing {
            Standing::Missing => assert!(n >= 500),
            Standing::Present {
                has_ledger: false, ..
            } => assert_eq!(n % 10, 0),
            Standing::Present { rows, .. } => {
                assert_eq!(rows[0].epoch.0, i64::try_from(n).unwrap())
            }
            Standing::Unreachable(failure) => panic!("{failure:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_ledger_hurts_no_other() {
    let fleet = Fleet::postgres();
    let good = fleet.create("good").await;
    applied(fleet.apply(&good, &claim(1), &first()).await);
    let (shape, state) = (fleet.create("shape").await, fleet.create("state").await);
    fleet
        .run(&shape, "CREATE TABLE sanderling_migrations (x int)")
        .await;
    fleet
        .run(&state, &format!("CREATE TABLE {LEDGER}; INSERT INTO sanderling_migrations (version, checksum, state, epoch) VALUES ('1', 'c', 'odd', 1)"))
        .await;
    let standings = fleet.hosts.survey(&[shape, good, state]).await;
    assert!(
        matches!(&standings[0], Standing::Unreachable(_)),
        "{standings:?}"
    );
    assert!(matches!(&standings[1], Standing::Present { rows, .. } if rows.len() == 1));
    let Standing::Unreachable(failure) = &standings[2] else {
        panic!("{standings:?}");
    };
    assert_eq!(failure.cause.class, ErrorClass::Precondition);
}

/// Looking never writes: a survey and a catalog pass under a role that could, and nothing appears.
#[tokio::test(flavor = "multi_thread")]
async fn looking_creates_nothing() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let objects = "SELECT (SELECT count(*) FROM pg_class) + (SELECT count(*) FROM pg_namespace)";
    let before = fleet.count(&place, objects).await;
    fleet.hosts.survey(std::slice::from_ref(&place)).await;
    fleet.hosts.catalogs(std::slice::from_ref(&place)).await;
    assert_eq!(fleet.count(&place, objects).await, before);
}
