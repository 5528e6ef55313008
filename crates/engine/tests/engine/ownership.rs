//! Ledgers and fences that somebody else made: refused before anything of them is touched.

use sanderling_core::{ErrorClass, Failure, Place, Standing};
use sanderling_engine::FenceRefusal;
use sanderling_testkit::{Postgres, unique};

use crate::hostile::as_role;
use crate::support::{Fleet, applied, claim, failed, first};

const LEDGER: &str = "sanderling_migrations (version text COLLATE \"C\" PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, \
     state text NOT NULL, step integer NOT NULL DEFAULT 0, steps integer NOT NULL DEFAULT 0, epoch bigint NOT NULL, \
     rollout text, applied_at timestamptz NOT NULL, duration_ms bigint NOT NULL, applied_by text NOT NULL)";

#[track_caller]
fn refused(failure: &Failure, code: &str) {
    let seen = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(seen, (ErrorClass::Precondition, code), "{failure:?}");
    assert!(
        failure.message.contains("find out who made it"),
        "{failure:?}"
    );
}

async fn ledger_refused(fleet: &Fleet, place: &Place) {
    for has_ledger in [false, true] {
        let mut migration = first();
        migration.has_ledger = has_ledger;
        refused(
            &failed(fleet.apply(place, &claim(1), &migration).await),
            "ledger_owner",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_not_ours_is_refused() {
    let fleet = Fleet::postgres();
    let stranger = unique("stranger");
    let hijack =
        "CREATE FUNCTION hijack() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$";
    let squats = [
        format!("CREATE TABLE {LEDGER}; ALTER TABLE sanderling_migrations OWNER TO {stranger}"),
        format!(
            "CREATE TABLE {LEDGER}; {hijack}; CREATE TRIGGER x BEFORE INSERT ON sanderling_migrations FOR EACH ROW EXECUTE FUNCTION hijack()"
        ),
        format!(
            "CREATE TABLE {LEDGER}; CREATE TABLE l (x text); CREATE RULE x AS ON INSERT TO sanderling_migrations DO ALSO INSERT INTO l VALUES (NEW.version)"
        ),
        format!(
            "CREATE TABLE {}; CREATE VIEW sanderling_migrations AS SELECT * FROM l",
            LEDGER.replacen("sanderling_migrations", "l", 1)
        ),
        format!("CREATE TABLE {} PARTITION BY LIST (version)", LEDGER),
        "CREATE SEQUENCE sanderling_migrations".to_owned(),
    ];
    fleet
        .run(&fleet.place("public"), &format!("CREATE ROLE {stranger}"))
        .await;
    for (n, squat) in squats.iter().enumerate() {
        let place = fleet.create(&format!("t{n}")).await;
        fleet.run(&place, squat).await;
        ledger_refused(&fleet, &place).await;
        if n < 2 {
            let forged = "INSERT INTO sanderling_migrations VALUES ('1', 'x', 'c', 'applied', 0, 0, 1, '0195-rollout', now(), 0, 'w')";
            let quiet = format!("ALTER TABLE sanderling_migrations DISABLE TRIGGER USER; {forged}");
            fleet.run(&place, &quiet).await;
        }
        // The claim can still be resolved: nothing of ours is in there, whatever it says.
        let mut session = fleet.open(&place, &claim(2)).await;
        assert!(session.fence().await.unwrap().is_empty(), "{squat}");
    }
    let dropped = format!("DROP OWNED BY {stranger}; DROP ROLE {stranger}");
    fleet.run(&fleet.place("t0"), &dropped).await;
}

/// A group of roles owns the tables; each login role that belongs to it may migrate.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_a_role_that_one_belongs_to_is_ours() {
    let owner = Fleet::postgres();
    let place = owner.create("t1").await;
    // The fence is a superuser's, as where a DBA made it.
    applied(
        owner
            .apply(&owner.create("t0").await, &claim(1), &first())
            .await,
    );
    let (role, fleet) = as_role(&owner, "");
    let group = unique("group");
    let sql = format!(
        "CREATE ROLE {group}; GRANT ALL ON SCHEMA t1 TO {role}, {group}; GRANT USAGE ON SCHEMA sanderling TO {role}; GRANT SELECT, INSERT, UPDATE ON sanderling.fence TO {role}; \
         CREATE TABLE t1.{LEDGER}; ALTER TABLE t1.sanderling_migrations OWNER TO {group}; \
         GRANT ALL ON t1.sanderling_migrations TO {role}"
    );
    Postgres::shared().sql(owner.url(), &sql);
    ledger_refused(&fleet, &place).await;
    ledger_refused(&owner, &place).await;
    let between = unique("between");
    let sql =
        format!("CREATE ROLE {between}; GRANT {group} TO {between}; GRANT {between} TO {role}");
    Postgres::shared().sql(owner.url(), &sql);
    applied(fleet.apply(&place, &claim(1), &first()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_is_not_ours_is_refused() {
    let table = "CREATE TABLE sanderling.fence (place text COLLATE \"C\" PRIMARY KEY, store_id text NOT NULL, \
         epoch bigint NOT NULL, claim text NOT NULL)";
    let stranger = unique("stranger");
    let create = format!("CREATE ROLE {stranger}");
    Postgres::shared().sql(Postgres::shared().url(), &create);
    for squat in [
        format!(
            "CREATE SCHEMA sanderling; {table}; ALTER TABLE sanderling.fence OWNER TO {stranger}"
        ),
        format!("CREATE SCHEMA sanderling AUTHORIZATION {stranger}"),
        format!(
            "CREATE SCHEMA sanderling; {table}; CREATE RULE x AS ON UPDATE TO sanderling.fence DO INSTEAD NOTHING"
        ),
        "CREATE SCHEMA sanderling; CREATE VIEW sanderling.fence AS SELECT 1".to_owned(),
    ] {
        let fleet = Fleet::postgres();
        let place = fleet.create("t1").await;
        fleet.run(&place, &squat).await;
        let open = fleet
            .driver()
            .open(&place, &claim(1), &crate::support::LIMITS)
            .await;
        refused(&open.err().unwrap().0, "fence_owner");
        fleet
            .run(&place, &format!("DROP OWNED BY {stranger} CASCADE"))
            .await;
    }
    let drop = format!("DROP ROLE {stranger}");
    Postgres::shared().sql(Postgres::shared().url(), &drop);
}

/// Reading a ledger whose columns somebody made types for would run their casts.
#[tokio::test(flavor = "multi_thread")]
async fn reading_runs_nobodys_casts() {
    let fleet = Fleet::postgres();
    let place = fleet.create("t1").await;
    let trap = "CREATE TYPE v AS (x text); CREATE FUNCTION trap(v) RETURNS text LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$; CREATE CAST (v AS text) WITH FUNCTION trap(v); \
         CREATE TABLE sanderling_migrations (version v, checksum text, state text, epoch bigint, rollout text, applied_at timestamptz); \
         INSERT INTO sanderling_migrations VALUES (ROW('1'), 'c', 'applied', 1)";
    fleet.run(&place, trap).await;
    let Standing::Unreachable(failure) = fleet
        .hosts
        .survey(std::slice::from_ref(&place))
        .await
        .remove(0)
    else {
        panic!("it was read");
    };
    assert_eq!(
        (failure.cause.class, failure.cause.code.as_str()),
        (ErrorClass::Precondition, "ledger_row")
    );
    let refusal = fleet
        .open(&place, &claim(1))
        .await
        .fence()
        .await
        .unwrap_err();
    let FenceRefusal::Unavailable(failure) = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!(failure.cause.code, "ledger_row");
}
