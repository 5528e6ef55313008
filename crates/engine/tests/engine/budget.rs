//! A host's budget of connections, seen by the server; and the word for places that are not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sanderling_core::{ErrorClass, Failure, Place, Standing};
use sanderling_engine::Limits;
use sanderling_testkit::{Postgres, unique, until_async};
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::support::{Fleet, LIMITS, Migration, applied, claim, failed, first};

/// `connections` of every host in these tests.
const BUDGET: usize = 4;
const DATABASES: usize = 100;

/// A small server with many databases, each with one schema that has a ledger.
struct Small {
    server: Postgres,
    fleet: Fleet,
    places: Vec<Place>,
}

impl Small {
    async fn with(databases: usize) -> Self {
        let server = Postgres::private_with(&[("max_connections", "20")]);
        let template = server.create_database();
        let seed = Fleet::postgres_at(&template, &template);
        let place = seed.create("t1").await;
        applied(seed.apply(&place, &claim(1), &first()).await);
        seed.hosts.close().await;
        let name = template.rsplit_once('/').unwrap().1;
        let fleet = Fleet::postgres_at(server.url(), server.url());
        let mut admin = PgConnection::connect(server.url()).await.unwrap();
        let mut places = Vec::new();
        let idle = until_async(LONG, "the template to be left alone", async || {
            let left = sessions(&mut admin).await.len();
            if left == 0 { Ok(()) } else { Err(left) }
        });
        idle.await;
        for n in 0..databases {
            let create = format!("CREATE DATABASE d{n} TEMPLATE {name}");
            server.sql(server.url(), &create);
            let mut place = fleet.place("t1");
            place.database = Some(format!("d{n}"));
            places.push(place);
        }
        Self {
            server,
            fleet,
            places,
        }
    }

    async fn sampler(&self) -> PgConnection {
        PgConnection::connect(self.server.url()).await.unwrap()
    }
}

const LONG: Duration = Duration::from_secs(30);

/// The backends of our sessions, over all databases.
async fn sessions(sampler: &mut PgConnection) -> Vec<i32> {
    let ours = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sanderling/%'";
    let rows = sampler.fetch_all(ours).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The number of our sessions is within the budget. A backend that has been told goodbye takes a moment to leave, so
/// a sample that is over is looked at again: it must shrink although nobody else comes into it.
async fn within_budget(sampler: &mut PgConnection) -> usize {
    let mut seen = sessions(sampler).await;
    if seen.len() > BUDGET {
        until_async(
            Duration::from_secs(3),
            "sessions beyond the budget to leave",
            async || {
                let now = sessions(sampler).await;
                seen.retain(|pid| now.contains(pid));
                let left = seen.len();
                if left <= BUDGET { Ok(()) } else { Err(left) }
            },
        )
        .await;
    }
    seen.len()
}

fn all_present(standings: &[Standing]) {
    for standing in standings {
        assert!(
            matches!(standing, Standing::Present { rows, .. } if rows.len() == 1),
            "{standing:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_of_many_databases_holds_the_budget() {
    let small = Small::with(DATABASES).await;
    let done = AtomicBool::new(false);
    let mut sampler = small.sampler().await;
    let watching = async {
        let mut most = 0;
        while !done.load(Ordering::SeqCst) {
            most = most.max(within_budget(&mut sampler).await);
        }
        most
    };
    let hosts = &small.fleet.hosts;
    let looking = async {
        all_present(&hosts.survey(&small.places).await);
        let (surveyed, again, catalogs) = tokio::join!(
            hosts.survey(&small.places),
            hosts.survey(&small.places),
            hosts.catalogs(&small.places)
        );
        all_present(&surveyed);
        all_present(&again);
        assert!(catalogs.iter().all(Result::is_ok), "{catalogs:?}");
        done.store(true, Ordering::SeqCst);
    };
    let (most, ()) = tokio::join!(watching, looking);
    assert!((1..=BUDGET).contains(&most), "{most}");
    until_async(LONG, "a survey's connections to be closed", async || {
        let left = sessions(&mut sampler).await.len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Held fast in the server, so that the number is exact: whoever comes next has to wait for a place.
#[tokio::test(flavor = "multi_thread")]
async fn visits_wait_for_a_place() {
    let small = Small::with(BUDGET + 2).await;
    let mut holders = Vec::new();
    for place in &small.places {
        let url = small.server.url_of(place.database.as_deref().unwrap());
        let mut holder = PgConnection::connect(&url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE t1.sanderling_migrations IN ACCESS EXCLUSIVE MODE";
        holder.execute(lock).await.unwrap();
        holders.push(holder);
    }
    let mut sampler = small.sampler().await;
    let fleet = Arc::new(small.fleet);
    let surveys: Vec<_> = (0..2)
        .map(|_| {
            let (fleet, places) = (Arc::clone(&fleet), small.places.clone());
            tokio::spawn(async move { fleet.hosts.survey(&places).await })
        })
        .collect();
    until_async(LONG, "the budget to be used", async || {
        let seen = sessions(&mut sampler).await.len();
        if seen == BUDGET { Ok(()) } else { Err(seen) }
    })
    .await;
    for _ in 0..100 {
        assert_eq!(sessions(&mut sampler).await.len(), BUDGET);
    }
    for mut holder in holders {
        holder.execute("COMMIT").await.unwrap();
    }
    for survey in surveys {
        all_present(&survey.await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_connections_of_all_databases_share_the_budget_and_are_not_kept_for_long() {
    let small = Small::with(8).await;
    let mut sampler = small.sampler().await;
    for (n, lock_timeout_ms) in [1_000, 2_000].into_iter().enumerate() {
        let limits = Limits {
            lock_timeout_ms,
            ..LIMITS
        };
        let migration = Migration::new(&format!("{}", n + 2), &["SELECT 1"]);
        for place in &small.places {
            let driver = small.fleet.driver();
            let mut session = driver.open(place, &claim(2), &limits).await.unwrap();
            applied(session.step(&migration.step()).await);
            session.close().await;
            assert!(within_budget(&mut sampler).await <= BUDGET);
        }
        let kept = sessions(&mut sampler).await.len();
        assert_ne!(kept, 0, "the next tenant would find a connection");
        all_present_with(&small, n + 2).await;
        assert!(within_budget(&mut sampler).await <= BUDGET);
    }
    let again = Migration::new("2", &["SELECT 1"]);
    for place in &small.places {
        small.fleet.apply(place, &claim(2), &again).await;
    }
    until_async(LONG, "idle connections to be closed", async || {
        let left = sessions(&mut sampler).await.len();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
}

async fn all_present_with(small: &Small, versions: usize) {
    for standing in small.fleet.hosts.survey(&small.places).await {
        assert!(
            matches!(&standing, Standing::Present { rows, .. } if rows.len() == versions),
            "{standing:?}"
        );
    }
}

/// Sessions are bounded by the store; here they go beyond the budget, and none waits for another.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_wait_for_sessions() {
    let small = Small::with(BUDGET + 3).await;
    let mut open = Vec::new();
    for place in &small.places {
        open.push(small.fleet.open(place, &claim(2)).await);
    }
    all_present(&small.fleet.hosts.survey(&small.places).await);
    let mut sampler = small.sampler().await;
    for session in open {
        session.close().await;
    }
    assert!(within_budget(&mut sampler).await <= BUDGET);
}

#[track_caller]
fn is_missing(failure: &Failure) {
    let told = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(told, (ErrorClass::Precondition, "missing"), "{failure:?}");
}

async fn refused(fleet: &Fleet, place: &Place) -> Failure {
    let opened = fleet.driver().open(place, &claim(1), &LIMITS).await;
    opened.err().expect("it is not there").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_there_is_called_missing() {
    let fleet = Fleet::postgres();
    let mut elsewhere = fleet.place("t1");
    elsewhere.database = Some("no_such_database".into());
    is_missing(&refused(&fleet, &elsewhere).await);
    let found = fleet.hosts.survey(std::slice::from_ref(&elsewhere)).await;
    assert_eq!(found, [Standing::Missing]);
    let catalogs = fleet
        .hosts
        .catalogs(&[elsewhere, fleet.place("gone")])
        .await;
    for catalog in catalogs {
        is_missing(&catalog.unwrap_err());
    }
    let gone = fleet.place("gone");
    is_missing(&failed(fleet.apply(&gone, &claim(1), &first()).await));

    let files = Fleet::sqlite();
    // Neither the directory of the host nor one below it is there.
    is_missing(&refused(&files, &files.place("t1")).await);
    files.create("t1").await;
    is_missing(&refused(&files, &files.place("t2")).await);
    is_missing(&refused(&files, &files.place("below/t2")).await);
    is_missing(&refused(&files, &files.place("t1.db/t2")).await);
}

/// A role without rights: where nothing is there, that is what counts; where something is, it is not called missing.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_used_is_not_missing() {
    let pg = Postgres::shared();
    let owner = Fleet::postgres();
    let role = unique("role");
    pg.sql(owner.url(), &format!("CREATE ROLE {role} LOGIN"));
    let through = owner.url().replace("postgres@", &format!("{role}@"));
    let fleet = Fleet::postgres_at(owner.url(), &through);
    let place = owner.create("closed").await;
    let gone = fleet.place("gone");
    // The fence's table cannot be created.
    let failure = refused(&fleet, &place).await;
    assert_eq!(failure.cause.class, ErrorClass::Permission, "{failure:?}");
    is_missing(&refused(&fleet, &gone).await);
    applied(owner.apply(&place, &claim(1), &first()).await);
    let failure = failed(fleet.apply(&place, &claim(2), &first()).await);
    let told = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(told, (ErrorClass::Permission, "42501"), "{failure:?}");
    is_missing(&failed(fleet.apply(&gone, &claim(2), &first()).await));
}
